use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use connect::{Progress, StoredBody, StoredError, StoredItem, StoredItems};
use model::{StreamName, is_zero};
use ports::files::{self, FileError};
use rustix::{
    fs::{AtFlags, Gid, Mode, OFlags, Timespec, Timestamps, Uid},
    io::Errno,
};
use source_files::{Attributes, Kind, bytes_of_key};

use crate::folders::{Folders, is_safe, split};

/// Why a tree was not brought back.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The folder must be new or empty.
    #[error("{} is not empty", path.display())]
    NotEmpty {
        /// The folder.
        path: PathBuf,
    },
    /// What an earlier attempt left stands in the way.
    #[error("{} is left from a restore that did not come to its end", path.display())]
    Remains {
        /// The folder.
        path: PathBuf,
    },
    /// A file operation failed.
    #[error(transparent)]
    File(#[from] FileError),
    /// The vault did not give something, or it could not be written.
    #[error(transparent)]
    Stored(#[from] StoredError),
}

impl RestoreError {
    /// Returns what a person can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotEmpty { .. } => Some("name a new or empty folder with --to".to_owned()),
            Self::Remains { path } => Some(format!("rm -r {}", path.display())),
            Self::File(_) | Self::Stored(_) => None,
        }
    }
}

/// How a tree is brought back.
#[derive(Debug, Clone, Copy, Default)]
pub struct RestoreOptions {
    /// Also give everything its owner and group; needs the privilege to do so.
    pub owners: bool,
    /// Also set the set-id bits.
    pub set_id_bits: bool,
}

/// What came back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Restored {
    /// Regular files.
    pub files: u64,
    /// Folders.
    pub folders: u64,
    /// Symbolic links.
    pub links: u64,
    /// Bytes of content.
    pub bytes: u64,
    /// Pipes, sockets and devices, which are not made again.
    pub left_out: u64,
    /// Keys that were refused, because their names could lead out of the folder or contradict each other; the first ones.
    pub refused: Vec<String>,
    /// How many were refused.
    pub refused_count: u64,
}

const REFUSED_SHOWN_MAX: usize = 20;
const ORDINARY_BITS: u32 = 0o1777;
const HOLE_BYTES: usize = 64 << 10;

struct FolderState {
    path: Vec<u8>,
    attributes: Attributes,
}

struct Writer {
    folders: Folders,
    options: RestoreOptions,
    states: Mutex<Vec<FolderState>>,
    refused: Mutex<Vec<String>>,
    files: AtomicU64,
    links: AtomicU64,
    bytes: AtomicU64,
    left_out: AtomicU64,
    refused_count: AtomicU64,
}

/// Brings everything back that was live after commit `at`, into a folder that is new or empty.
///
/// All is written below `TO.unwipe-partial`, which gets the folder's name in one step at the end.
#[expect(
    clippy::disallowed_methods,
    reason = "the whole folder gets its name in one step; nothing is replaced but an empty one"
)]
pub fn restore_tree(
    stored: &dyn StoredItems,
    stream: &StreamName,
    at: u64,
    to: &Path,
    options: RestoreOptions,
    progress: &dyn Progress,
) -> Result<Restored, RestoreError> {
    if to.read_dir().is_ok_and(|mut entries| entries.next().is_some()) || to.is_file() {
        return Err(RestoreError::NotEmpty { path: to.to_owned() });
    }
    let mut partial = to.as_os_str().to_owned();
    partial.push(".unwipe-partial");
    let partial = PathBuf::from(partial);
    if partial.symlink_metadata().is_ok() {
        return Err(RestoreError::Remains { path: partial });
    }
    files::create_folder(&partial)?;
    let open_failed = |error: Errno| FileError::new("open", &partial, error.into());
    let writer = Writer {
        folders: Folders::new(&partial).map_err(open_failed)?,
        options,
        states: Mutex::default(),
        refused: Mutex::default(),
        files: AtomicU64::new(0),
        links: AtomicU64::new(0),
        bytes: AtomicU64::new(0),
        left_out: AtomicU64::new(0),
        refused_count: AtomicU64::new(0),
    };
    stored.each(stream, at, &|item, body| writer.take(item, body), progress)?;
    let restored = writer.finish()?;
    std::fs::rename(&partial, to).map_err(|error| FileError::new("name", to, error))?;
    Ok(restored)
}

impl Writer {
    fn take(&self, item: &StoredItem, body: &mut dyn StoredBody) -> Result<(), StoredError> {
        let key = &item.item.key;
        let attributes = Attributes::of_text(&item.item.attributes);
        let path = if key == "." { Some(Vec::new()) } else { bytes_of_key(key).filter(|path| is_safe(path)) };
        let (Some(attributes), Some(path)) = (attributes, path) else {
            self.refuse(key);
            return Ok(());
        };
        let done = match attributes.kind {
            Kind::Folder => self.folder(path, attributes),
            Kind::Special => {
                self.left_out.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            Kind::Link => self.link(&path, &attributes),
            Kind::File if path.is_empty() => Err(Errno::INVAL),
            Kind::File => return self.file(key, &path, &attributes, body),
        };
        self.settle(key, done)
    }

    /// What contradicts what is already there comes from no real tree: it is refused, and the rest goes on.
    fn settle(&self, key: &str, done: Result<(), Errno>) -> Result<(), StoredError> {
        match done {
            Ok(()) => Ok(()),
            Err(Errno::EXIST | Errno::NOTDIR | Errno::LOOP | Errno::INVAL | Errno::NAMETOOLONG) => {
                self.refuse(key);
                Ok(())
            }
            Err(error) => Err(write_failed(key, error.into())),
        }
    }

    fn refuse(&self, key: &str) {
        self.refused_count.fetch_add(1, Ordering::Relaxed);
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if refused.len() < REFUSED_SHOWN_MAX {
            refused.push(key.to_owned());
        }
    }

    fn folder(&self, path: Vec<u8>, attributes: Attributes) -> Result<(), Errno> {
        self.folders.folder(&path)?;
        self.states.lock().unwrap_or_else(PoisonError::into_inner).push(FolderState { path, attributes });
        Ok(())
    }

    fn link(&self, path: &[u8], attributes: &Attributes) -> Result<(), Errno> {
        let target = attributes.target.as_deref().and_then(bytes_of_key);
        let target =
            target.filter(|target| !target.is_empty() && !target.contains(&0)).ok_or(Errno::INVAL)?;
        let (folder, name) = split(path);
        if name.is_empty() {
            return Err(Errno::INVAL);
        }
        let folder = self.folders.folder(folder)?;
        rustix::fs::symlinkat(target, &folder, name)?;
        if self.options.owners {
            let (owner, group) = owner(attributes);
            rustix::fs::chownat(&folder, name, owner, group, AtFlags::SYMLINK_NOFOLLOW)?;
        }
        rustix::fs::utimensat(&folder, name, &times(attributes), AtFlags::SYMLINK_NOFOLLOW)?;
        self.links.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn file(
        &self,
        key: &str,
        path: &[u8],
        attributes: &Attributes,
        body: &mut dyn StoredBody,
    ) -> Result<(), StoredError> {
        let (folder, name) = split(path);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = self
            .folders
            .folder(folder)
            .and_then(|folder| rustix::fs::openat(folder.as_fd(), name, flags, Mode::RUSR | Mode::WUSR));
        let file = match opened {
            Ok(file) => file,
            Err(error) => return self.settle(key, Err(error)),
        };
        let bytes = write_body(key, &file, body)?;
        self.finish_entry(file.as_fd(), attributes).map_err(|error| write_failed(key, error.into()))?;
        self.files.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }

    /// Owner first: changing it clears the set-id bits. Times last.
    fn finish_entry(&self, entry: BorrowedFd<'_>, attributes: &Attributes) -> Result<(), Errno> {
        if self.options.owners {
            let (owner, group) = owner(attributes);
            rustix::fs::fchown(entry, owner, group)?;
        }
        let allowed = if self.options.set_id_bits { 0o7777 } else { ORDINARY_BITS };
        rustix::fs::fchmod(entry, Mode::from_raw_mode(attributes.mode & allowed))?;
        rustix::fs::futimens(entry, &times(attributes))
    }

    /// Gives the folders their modes and times, the innermost first, and counts.
    fn finish(self) -> Result<Restored, StoredError> {
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        states.sort_by(|a, b| b.path.cmp(&a.path));
        for state in &*states {
            self.folders
                .folder(&state.path)
                .and_then(|folder| self.finish_entry(folder.as_fd(), &state.attributes))
                .map_err(|error| write_failed(&String::from_utf8_lossy(&state.path), error.into()))?;
        }
        let folders = states.iter().filter(|state| !state.path.is_empty()).count() as u64;
        drop(states);
        Ok(Restored {
            files: self.files.into_inner(),
            folders,
            links: self.links.into_inner(),
            bytes: self.bytes.into_inner(),
            left_out: self.left_out.into_inner(),
            refused: self.refused.into_inner().unwrap_or_else(PoisonError::into_inner),
            refused_count: self.refused_count.into_inner(),
        })
    }
}

/// Writes a content; long runs of zeros become holes. What lies between holes is written in one call.
fn write_body(key: &str, file: &OwnedFd, body: &mut dyn StoredBody) -> Result<u64, StoredError> {
    let failed = |error: Errno| write_failed(key, error.into());
    let is_hole = |piece: &[u8]| piece.len() == HOLE_BYTES && is_zero(piece);
    let (mut position, mut written) = (0_u64, 0_u64);
    while let Some(portion) = body.next_portion()? {
        let mut rest = portion;
        while !rest.is_empty() {
            let mut pieces = rest.chunks(HOLE_BYTES);
            let hole = pieces.next().is_some_and(is_hole);
            let alike = 1 + pieces.take_while(|piece| is_hole(piece) == hole).count();
            let (run, after) = rest.split_at(rest.len().min(alike * HOLE_BYTES));
            if !hole {
                write_at(file, run, position).map_err(failed)?;
                written = position + run.len() as u64;
            }
            position += run.len() as u64;
            rest = after;
        }
    }
    if written < position {
        rustix::fs::ftruncate(file, position).map_err(failed)?;
    }
    Ok(position)
}

fn write_at(file: &OwnedFd, mut bytes: &[u8], mut at: u64) -> Result<(), Errno> {
    while !bytes.is_empty() {
        let count = rustix::io::pwrite(file, bytes, at)?;
        bytes = &bytes[count..];
        at += count as u64;
    }
    Ok(())
}

fn owner(attributes: &Attributes) -> (Option<Uid>, Option<Gid>) {
    (Some(Uid::from_raw(attributes.owner)), Some(Gid::from_raw(attributes.group)))
}

fn times(attributes: &Attributes) -> Timestamps {
    let modified = Timespec {
        tv_sec: attributes.modified_ns.div_euclid(1_000_000_000),
        tv_nsec: attributes.modified_ns.rem_euclid(1_000_000_000),
    };
    Timestamps { last_access: modified, last_modification: modified }
}

fn write_failed(key: &str, source: io::Error) -> StoredError {
    StoredError::Write { what: key.to_owned(), source }
}
