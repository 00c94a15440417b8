//! Neighbouring entries on their way to the sink, with what was read of them.

use std::{ops::Range, sync::Arc};

use rustix::{fs::Statx, io::Errno};

use crate::{Kind, listing::Fingerprint, walk::Folder};

/// What is to be done with an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Task {
    /// It is as it was.
    Unchanged,
    /// It was known and is there no more.
    Removed,
    /// It lies in a folder that cannot be listed: what is known of it stays.
    Kept,
    /// Its content is to be read.
    File,
    /// Its target is to be read.
    Link,
    /// It has no content.
    Bare,
    /// It cannot be had.
    Failed(Errno),
}

/// One entry.
pub(crate) struct Entry {
    /// Where its path is in the batch's text.
    pub(crate) path: Range<usize>,
    /// Where its name begins in the path.
    pub(crate) name: usize,
    pub(crate) folder: Option<usize>,
    pub(crate) task: Task,
    pub(crate) kind: Kind,
    pub(crate) stat: Option<Box<Statx>>,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) found: Found,
}

/// What reading an entry gave.
pub(crate) enum Found {
    /// Nothing was to be read.
    Nothing,
    /// Its bytes in the batch's content.
    Bytes(Range<usize>),
    /// It is too large to be read ahead.
    Large,
    /// It cannot be read.
    Failed(Errno),
}

/// A run of entries in the order of the walk.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) text: Vec<u8>,
    pub(crate) folders: Vec<Arc<Folder>>,
    pub(crate) entries: Vec<Entry>,
    pub(crate) content: Vec<u8>,
    /// About how much there is to read.
    pub(crate) bytes_to_read: u64,
    pub(crate) must_read: bool,
}

/// Files up to this size are read ahead, whole.
pub(crate) const READ_AHEAD_BYTES_MAX: u64 = 1 << 20;
const BATCH_BYTES: u64 = 256 << 10;
const BATCH_ENTRIES: usize = 512;
/// Each folder is open until its entries are read, and a process may have a thousand files open.
const BATCH_FOLDERS: usize = 48;

impl Batch {
    pub(crate) fn is_full(&self) -> bool {
        self.entries.len() >= BATCH_ENTRIES
            || self.bytes_to_read >= BATCH_BYTES
            || self.folders.len() >= BATCH_FOLDERS
    }

    /// Returns the number of a folder, which is most often the last one.
    pub(crate) fn folder(&mut self, folder: &Arc<Folder>) -> usize {
        if self.folders.last().is_none_or(|last| !Arc::ptr_eq(last, folder)) {
            self.folders.push(Arc::clone(folder));
        }
        self.folders.len() - 1
    }

    pub(crate) fn push_path(&mut self, folder: &[u8], name: &[u8]) -> (Range<usize>, usize) {
        let start = self.text.len();
        if !folder.is_empty() {
            self.text.extend_from_slice(folder);
            self.text.push(b'/');
        }
        let name_start = self.text.len() - start;
        self.text.extend_from_slice(name);
        (start..self.text.len(), name_start)
    }
}
