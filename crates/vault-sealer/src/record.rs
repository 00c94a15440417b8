//! The sealer's own record of lock dates: lines that are only ever added.

use std::{
    collections::HashMap,
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::{Mutex, PoisonError},
};

use model::Moment;
use ports::{
    BlobName,
    files::{self, FileError},
};
use rustix::fs::IFlags;

use crate::flags;

/// Which object is locked until when. The later of two dates counts, so an attacker who could add lines could only
/// lengthen locks; and nobody but the sealer can add any.
pub(crate) struct Record {
    state: Mutex<State>,
}

struct State {
    file: File,
    locks: HashMap<BlobName, Moment>,
}

const FILE: &str = "locks";
const PRIVATE_MODE: u32 = 0o600;

impl Record {
    /// Opens or begins the record. Its file can only grow.
    pub(crate) fn open(folder: &Path) -> Result<Self, FileError> {
        files::create_folder(folder)?;
        let path = folder.join(FILE);
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(PRIVATE_MODE)
            .open(&path)
            .map_err(|e| FileError::new("open", &path, e))?;
        let text = String::from_utf8_lossy(&files::read(&path)?).into_owned();
        let mut locks = HashMap::new();
        // A torn last line was never acknowledged.
        for line in text.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
            let Some((name, date)) = parse(line.trim_end()) else { continue };
            let lock = locks.entry(name).or_insert(date);
            *lock = (*lock).max(date);
        }
        let begin = || -> io::Result<()> {
            if !text.is_empty() && !text.ends_with('\n') {
                (&file).write_all(b"\n")?;
            }
            flags::set(&path, IFlags::APPEND)
        };
        begin().map_err(|e| FileError::new("begin", &path, e))?;
        files::sync_folder(folder)?;
        Ok(Self { state: Mutex::new(State { file, locks }) })
    }

    /// Returns the lock of an object; `None` when the record knows nothing of it.
    pub(crate) fn lock(&self, name: &BlobName) -> Option<Moment> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).locks.get(name).copied()
    }

    /// Notes a lock, durably; an earlier date changes nothing. Returns the one that is in force.
    pub(crate) fn note(&self, name: &BlobName, until: Moment) -> io::Result<Moment> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lock) = state.locks.get(name).filter(|lock| **lock >= until) {
            return Ok(*lock);
        }
        let line = format!("{} {name}\n", until.as_micros());
        state.file.write_all(line.as_bytes())?;
        state.file.sync_data()?;
        state.locks.insert(name.clone(), until);
        Ok(until)
    }
}

fn parse(line: &str) -> Option<(BlobName, Moment)> {
    let (micros, name) = line.split_once(' ')?;
    Some((BlobName::new(name).ok()?, Moment::from_micros(micros.parse().ok()?)))
}
