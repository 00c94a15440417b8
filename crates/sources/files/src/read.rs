//! Reading the content of entries, and noticing when it changes meanwhile.

use std::{
    fs::File,
    io::{self, Read},
    os::fd::OwnedFd,
};

use rustix::{
    buffer::spare_capacity,
    fs::{AtFlags, FileType, Mode, OFlags, Statx, StatxFlags},
    io::Errno,
};

use crate::{
    batch::{Batch, Entry, Found, READ_AHEAD_BYTES_MAX, Task},
    listing::{Fingerprint, UNSETTLED},
    walk::Folder,
};

/// How often a file that changes while it is read is read again.
const ATTEMPTS: usize = 3;
const READ_SLACK_BYTES: usize = 64 << 10;

/// Condenses what `stat` says of an entry.
pub(crate) fn fingerprint(stat: &Statx) -> Fingerprint {
    let mut fields = [0; 60];
    let mut at = 0;
    let mut put = |bytes: &[u8]| {
        fields[at..at + bytes.len()].copy_from_slice(bytes);
        at += bytes.len();
    };
    put(&stat.stx_ino.to_le_bytes());
    put(&stat.stx_size.to_le_bytes());
    put(&stat.stx_mtime.tv_sec.to_le_bytes());
    put(&stat.stx_mtime.tv_nsec.to_le_bytes());
    put(&stat.stx_ctime.tv_sec.to_le_bytes());
    put(&stat.stx_ctime.tv_nsec.to_le_bytes());
    put(&u32::from(stat.stx_mode).to_le_bytes());
    put(&stat.stx_uid.to_le_bytes());
    put(&stat.stx_gid.to_le_bytes());
    let mut fingerprint = UNSETTLED;
    fingerprint.copy_from_slice(&blake3::hash(&fields).as_bytes()[..16]);
    fingerprint
}

/// Reads what a batch asks for.
pub(crate) fn fill(mut batch: Batch) -> Batch {
    let room = batch.bytes_to_read.min(2 * READ_AHEAD_BYTES_MAX) as usize + READ_SLACK_BYTES;
    batch.content.reserve(room);
    let Batch { text, folders, entries, content, .. } = &mut batch;
    for entry in entries {
        let Some(folder) = entry.folder.map(|number| &folders[number]) else { continue };
        let name = &text[entry.path.start + entry.name..entry.path.end];
        entry.found = match entry.task {
            Task::File if entry.size() > READ_AHEAD_BYTES_MAX => Found::Large,
            Task::File => {
                let start = content.len();
                small_file(folder, name, entry, content).map_or_else(Found::Failed, |large| {
                    if large { Found::Large } else { Found::Bytes(start..content.len()) }
                })
            }
            Task::Link => {
                let start = content.len();
                match rustix::fs::readlinkat(&folder.descriptor, name, Vec::new()) {
                    Ok(target) => {
                        content.extend_from_slice(target.to_bytes());
                        Found::Bytes(start..content.len())
                    }
                    Err(error) => Found::Failed(error),
                }
            }
            _ => Found::Nothing,
        };
    }
    batch
}

impl Entry {
    pub(crate) fn size(&self) -> u64 {
        self.stat.as_ref().map_or(0, |stat| stat.stx_size)
    }
}

/// Opens a file that is to be read and nothing else: neither a link nor a pipe that would hold the reader up.
pub(crate) fn open(folder: &Folder, name: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    rustix::fs::openat(&folder.descriptor, name, flags, Mode::empty())
}

pub(crate) fn stat(descriptor: &OwnedFd) -> Result<Statx, Errno> {
    rustix::fs::statx(descriptor, c"", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS)
}

/// Appends a file's bytes; returns whether it has become too large for that.
fn small_file(folder: &Folder, name: &[u8], entry: &mut Entry, content: &mut Vec<u8>) -> Result<bool, Errno> {
    let start = content.len();
    let descriptor = open(folder, name)?;
    for _ in 0..ATTEMPTS {
        content.truncate(start);
        if !read_up_to(&descriptor, entry.size() as usize, content)? {
            return Ok(true);
        }
        let after = stat(&descriptor)?;
        let fingerprint = fingerprint(&after);
        let settled = fingerprint == entry.fingerprint && (content.len() - start) as u64 == after.stx_size;
        let is_file = FileType::from_raw_mode(after.stx_mode.into()) == FileType::RegularFile;
        if !is_file {
            return Err(Errno::NXIO);
        }
        entry.stat = Some(Box::new(after));
        if settled {
            return Ok(false);
        }
        entry.fingerprint = fingerprint;
        rustix::fs::seek(&descriptor, rustix::fs::SeekFrom::Start(0))?;
    }
    entry.fingerprint = UNSETTLED;
    Ok(false)
}

/// Reads to the end; returns whether it came within the limit.
fn read_up_to(descriptor: &OwnedFd, expected: usize, content: &mut Vec<u8>) -> Result<bool, Errno> {
    let start = content.len();
    loop {
        // One byte more than expected, so that the end is seen with the first read.
        let wanted = (start + expected + 1).saturating_sub(content.len()).max(4096);
        content.reserve(wanted);
        let room = content.capacity() - content.len();
        let count = match rustix::io::read(descriptor, spare_capacity(content)) {
            Err(Errno::INTR) => continue,
            other => other?,
        };
        // A short read of a regular file is its end.
        if count < room && content.len() - start >= expected || count == 0 {
            return Ok(true);
        }
        if (content.len() - start) as u64 > READ_AHEAD_BYTES_MAX {
            content.truncate(start);
            return Ok(false);
        }
    }
}

/// A large file, read as a stream; it counts what it gave.
pub(crate) struct Counted {
    pub(crate) file: File,
    pub(crate) bytes: u64,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.bytes += count as u64;
        Ok(count)
    }
}
