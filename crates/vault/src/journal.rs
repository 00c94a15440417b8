//! A durable tail for streamed bytes between two commits (format §11).
//!
//! Bytes that a source streams must be durable within a millisecond, a commit takes longer: so they go into this
//! append-only tail first and are acknowledged when [`Journal::sync`] returns. Once a commit holds them, they are retired.
//! The files are filled with zeros beforehand, so that a sync has no metadata to write.

mod file;
pub(crate) mod fuzzing;

use std::{
    collections::{BTreeMap, VecDeque},
    fs::{self, File},
    path::{Path, PathBuf},
    sync::Arc,
};

use model::StreamName;
use ports::{Random, files, files::FileError};
use rustix::fs::FlockOperation;

use self::file::{FileKeys, JournalFile, Record, Scan};
use crate::{CaptureKey, VaultReader, encoding::DecodeError, seal::SealError};

/// Why the journal cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// A file operation failed.
    #[error(transparent)]
    File(FileError),
    /// There is no room for another journal file. What was synced is safe; retiring or making room helps.
    #[error("no space left for the journal")]
    Full(#[source] FileError),
    /// Another process has the journal open.
    #[error("the journal in {} is in use by another process", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// A sync failed: nobody knows what is on the disk. Reopening finds out.
    #[error("an earlier sync of the journal failed; it must be opened anew")]
    Poisoned,
    /// A file is no journal file of this vault, or of another version.
    #[error("{} cannot be read as a journal file", path.display())]
    Decode {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: DecodeError,
    },
    /// The file's key does not open.
    #[error("the key of {} does not open", path.display())]
    Seal {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: SealError,
    },
}

/// How large the journal's files are.
#[derive(Debug, Clone, Copy)]
pub struct JournalOptions {
    /// The size of a file.
    pub file_bytes: u64,
    /// How many empty files are kept ready.
    pub spare_files: usize,
}

impl Default for JournalOptions {
    fn default() -> Self {
        Self { file_bytes: 32 << 20, spare_files: 2 }
    }
}

/// A durable tail of one or more streams.
pub struct Journal {
    folder: PathBuf,
    /// Held, never read: the lock on it ends with the process.
    _lock: File,
    keys: FileKeys,
    random: Arc<dyn Random>,
    options: JournalOptions,
    damaged: Vec<PathBuf>,
    closed: VecDeque<ClosedFile>,
    open: Option<OpenFile>,
    spares: Vec<PathBuf>,
    next_number: u64,
    next_sequence: u64,
    retired: BTreeMap<StreamName, u64>,
    poisoned: bool,
}

struct ClosedFile {
    path: PathBuf,
    ends: BTreeMap<StreamName, u64>,
}

struct OpenFile {
    file: JournalFile,
    ends: BTreeMap<StreamName, u64>,
    unsynced: bool,
}

/// The most payload in one record; longer appends are split.
const RECORD_BYTES_MAX: usize = 1 << 20;
const FILE_PREFIX: &str = "journal-";
const SPARE_PREFIX: &str = "spare-";
const LOCK_NAME: &str = "lock";
const FILE_MODE: u32 = 0o600;

impl JournalError {
    fn new(error: FileError) -> Self {
        if error.is_full() { Self::Full(error) } else { Self::File(error) }
    }
}

impl Journal {
    /// Opens a journal folder, finds the end of what was synced, and begins a fresh file after it.
    ///
    /// A torn record at the end, from a crash before its sync, is left out from now on.
    pub fn open(
        folder: &Path,
        key: &CaptureKey,
        random: Arc<dyn Random>,
        options: JournalOptions,
    ) -> Result<Self, JournalError> {
        files::create_folder(folder).map_err(JournalError::new)?;
        let lock = lock(folder)?;
        let keys = FileKeys {
            vault: key.vault,
            data_recipient: key.data_recipient,
            journal_key: key.journal_key.clone(),
        };
        let mut journal = Self {
            folder: folder.to_owned(),
            _lock: lock,
            keys,
            random,
            options,
            damaged: Vec::new(),
            closed: VecDeque::new(),
            open: None,
            spares: list(folder, SPARE_PREFIX)?.into_iter().map(|(_, path)| path).collect(),
            next_number: 0,
            next_sequence: 0,
            retired: BTreeMap::new(),
            poisoned: false,
        };
        let mut ends: Vec<(PathBuf, BTreeMap<StreamName, u64>)> = Vec::new();
        let keys = &journal.keys;
        let walked = walk(
            folder,
            |path, scan| scan.with_capture_key(keys, path),
            |path, record| match ends.last_mut() {
                Some((last, ends)) if last == path => note_end(ends, &record.stream, record.end()),
                _ => ends.push((path.to_owned(), BTreeMap::from([(record.stream.clone(), record.end())]))),
            },
        )?;
        journal.next_sequence = walked.next_sequence;
        journal.next_number = walked.last_number.map_or(0, |number| number + 1);
        journal.damaged = walked.damaged;
        let mut ends: BTreeMap<_, _> = ends.into_iter().collect();
        journal.closed = walked
            .files
            .into_iter()
            .map(|path| ClosedFile { ends: ends.remove(&path).unwrap_or_default(), path })
            .collect();
        journal.recycle()?;
        journal.top_up()?;
        Ok(journal)
    }

    /// Appends bytes of a stream that begin at `offset`. They are durable when [`Journal::sync`] has returned.
    pub fn append(&mut self, stream: &StreamName, offset: u64, bytes: &[u8]) -> Result<(), JournalError> {
        let mut offset = offset;
        for payload in bytes.chunks(RECORD_BYTES_MAX.min(self.options.file_bytes as usize / 4)) {
            self.append_record(stream, offset, payload)?;
            offset += payload.len() as u64;
        }
        Ok(())
    }

    /// Makes all that was appended durable.
    pub fn sync(&mut self) -> Result<(), JournalError> {
        if self.poisoned {
            return Err(JournalError::Poisoned);
        }
        if let Some(open) = &mut self.open
            && open.unsynced
        {
            if let Err(error) = open.file.sync() {
                // The kernel may have dropped the pages: a second, successful sync would prove nothing.
                self.poisoned = true;
                return Err(JournalError::new(error));
            }
            open.unsynced = false;
        }
        Ok(())
    }

    /// Hands out what the journal holds, in the order of appending.
    pub fn replay(&self, mut each: impl FnMut(&StreamName, u64, &[u8])) -> Result<(), JournalError> {
        let keys = |path: &Path, scan: &Scan| scan.with_capture_key(&self.keys, path);
        walk(
            &self.folder,
            |path, scan| keys(path, scan),
            |_, record| {
                each(&record.stream, record.offset, &record.bytes);
            },
        )?;
        Ok(())
    }

    /// Releases what lies before `up_to` in a stream, because a commit holds it. Files of which nothing is left
    /// are used again.
    pub fn retire(&mut self, stream: &StreamName, up_to: u64) -> Result<(), JournalError> {
        note_end(&mut self.retired, stream, up_to);
        self.recycle()
    }

    /// Returns how many bytes of files hold something that is not retired.
    pub fn held_bytes(&self) -> u64 {
        (self.closed.len() as u64 + u64::from(self.open.is_some())) * self.options.file_bytes
    }

    /// Returns the files that were damaged in the middle: records that were synced are missing, and the offsets
    /// that [`Journal::replay`] hands out show the hole.
    pub fn damaged(&self) -> &[PathBuf] {
        &self.damaged
    }

    fn append_record(
        &mut self,
        stream: &StreamName,
        offset: u64,
        payload: &[u8],
    ) -> Result<(), JournalError> {
        if self.poisoned {
            return Err(JournalError::Poisoned);
        }
        if self.open.as_ref().is_some_and(|open| !open.file.has_room_for(stream, payload)) {
            self.close_file()?;
        }
        let open = match &mut self.open {
            Some(open) => open,
            None => self.begin_file()?,
        };
        let record = Record { stream: stream.clone(), offset, bytes: payload.to_vec() };
        if let Err(error) = open.file.append(&record) {
            // What reached the disk under this record's number is unknown, and a number seals only once.
            self.poisoned = true;
            return Err(error);
        }
        open.unsynced = true;
        note_end(&mut open.ends, stream, record.end());
        self.next_sequence += 1;
        Ok(())
    }

    fn close_file(&mut self) -> Result<(), JournalError> {
        self.sync()?;
        if let Some(OpenFile { file, ends, .. }) = self.open.take() {
            self.closed.push_back(ClosedFile { path: file.path().to_owned(), ends });
        }
        self.recycle()
    }

    fn begin_file(&mut self) -> Result<&mut OpenFile, JournalError> {
        if self.spares.is_empty() {
            self.make_spare()?;
        }
        let Some(spare) = self.spares.last().cloned() else { return Err(JournalError::Poisoned) };
        let path = self.folder.join(format!("{FILE_PREFIX}{:010}", self.next_number));
        let file = JournalFile::begin(
            &spare,
            &path,
            &self.keys,
            &*self.random,
            self.next_number,
            self.next_sequence,
        )?;
        self.spares.pop();
        self.next_number += 1;
        Ok(self.open.insert(OpenFile { file, ends: BTreeMap::new(), unsynced: false }))
    }

    fn make_spare(&mut self) -> Result<(), JournalError> {
        let path = self.free_spare_path();
        file::make_spare(&path, self.options.file_bytes).map_err(JournalError::new)?;
        self.spares.push(path);
        Ok(())
    }

    fn free_spare_path(&self) -> PathBuf {
        let mut number = 0_u64;
        loop {
            let path = self.folder.join(format!("{SPARE_PREFIX}{number:010}"));
            if !self.spares.contains(&path) {
                return path;
            }
            number += 1;
        }
    }

    /// A full disk is no reason not to open: the tail can still be replayed and retired.
    fn top_up(&mut self) -> Result<(), JournalError> {
        while self.spares.len() < self.options.spare_files {
            match self.make_spare() {
                Err(JournalError::Full(_)) => return Ok(()),
                other => other?,
            }
        }
        Ok(())
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the folder is synced when the file is taken into use again"
    )]
    fn recycle(&mut self) -> Result<(), JournalError> {
        let retired = |ends: &BTreeMap<StreamName, u64>| {
            ends.iter().all(|(stream, end)| self.retired.get(stream).is_some_and(|up_to| up_to >= end))
        };
        let free = self.closed.iter().take_while(|file| retired(&file.ends)).count();
        for file in self.closed.drain(..free).collect::<Vec<_>>() {
            let failed = |source| JournalError::File(FileError::new("retire", &file.path, source));
            let whole = fs::metadata(&file.path).map_err(failed)?.len() == self.options.file_bytes;
            if whole && self.spares.len() < self.options.spare_files.max(1) {
                let spare = self.free_spare_path();
                fs::rename(&file.path, &spare).map_err(failed)?;
                self.spares.push(spare);
            } else {
                fs::remove_file(&file.path).map_err(failed)?;
            }
        }
        Ok(())
    }
}

/// Hands out what a journal folder holds to the holder of a restore key, in the order of appending.
///
/// For the way back when capture and its key are gone. The folder is only read.
pub fn recover(
    folder: &Path,
    reader: &VaultReader,
    mut each: impl FnMut(&StreamName, u64, &[u8]),
) -> Result<(), JournalError> {
    let (vault, keys) = (reader.vault().manifest().vault, reader.data_keys());
    walk(
        folder,
        |path, scan| scan.with_data_secret(vault, keys, path),
        |_, record| {
            each(&record.stream, record.offset, &record.bytes);
        },
    )?;
    Ok(())
}

struct Walked {
    files: Vec<PathBuf>,
    damaged: Vec<PathBuf>,
    next_sequence: u64,
    last_number: Option<u64>,
}

/// Reads all records in order. What follows a torn record in the same file was never acknowledged.
fn walk(
    folder: &Path,
    key: impl Fn(&Path, &Scan) -> Result<ring::aead::LessSafeKey, JournalError>,
    mut each: impl FnMut(&Path, &Record),
) -> Result<Walked, JournalError> {
    let mut walked = Walked { files: Vec::new(), damaged: Vec::new(), next_sequence: 0, last_number: None };
    for (number, path) in list(folder, FILE_PREFIX)? {
        let scan = Scan::open(&path)?;
        let first = walked.last_number.is_none();
        walked.last_number = Some(number);
        walked.files.push(path.clone());
        if first {
            walked.next_sequence = scan.first_sequence();
        }
        if scan.first_sequence() != walked.next_sequence {
            // A crash never leaves this: a file is synced before the next one begins. So the one before is damaged.
            let before = walked.files.len().checked_sub(2).and_then(|at| walked.files.get(at)).cloned();
            walked.damaged.extend(before);
            walked.next_sequence = scan.first_sequence();
        }
        let key = key(&path, &scan)?;
        scan.records(&key, |record| {
            walked.next_sequence += 1;
            each(&path, &record);
        })?;
    }
    Ok(walked)
}

fn list(folder: &Path, prefix: &str) -> Result<Vec<(u64, PathBuf)>, JournalError> {
    let failed = |source| JournalError::File(FileError::new("list", folder, source));
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix(prefix)).and_then(|n| n.parse().ok());
        if let Some(number) = number {
            found.push((number, entry.path()));
        }
    }
    found.sort();
    Ok(found)
}

fn lock(folder: &Path) -> Result<File, JournalError> {
    use std::os::unix::fs::OpenOptionsExt;

    let path = folder.join(LOCK_NAME);
    let failed = |source| JournalError::new(FileError::new("lock", &path, source));
    let mut options = fs::OpenOptions::new();
    let lock =
        options.create(true).truncate(false).write(true).mode(FILE_MODE).open(&path).map_err(failed)?;
    match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(lock),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(JournalError::InUse { path: folder.to_owned() }),
        Err(error) => Err(failed(error.into())),
    }
}

fn note_end(ends: &mut BTreeMap<StreamName, u64>, stream: &StreamName, end: u64) {
    match ends.get_mut(stream) {
        Some(known) => *known = end.max(*known),
        None => {
            ends.insert(stream.clone(), end);
        }
    }
}

#[cfg(test)]
mod tests;
