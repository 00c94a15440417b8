//! The files: one for each person, invitation, session, token and entry; each is replaced as one step. Whoever changes
//! something holds a lock that other processes respect; whoever only reads needs none.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use ports::{
    Clock,
    files::{self, FileError},
};
use serde::{Serialize, de::DeserializeOwned};

use crate::AccessError;

/// What is kept, each kind in a folder of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shelf {
    People,
    Invitations,
    Sessions,
    Tokens,
    /// Entries that are not recorded elsewhere yet.
    Entries,
}

impl Shelf {
    const ALL: [Self; 5] = [Self::People, Self::Invitations, Self::Sessions, Self::Tokens, Self::Entries];

    const fn folder(self) -> &'static str {
        match self {
            Self::People => "people",
            Self::Invitations => "invitations",
            Self::Sessions => "sessions",
            Self::Tokens => "tokens",
            Self::Entries => "entries",
        }
    }
}

/// The version of all files here.
pub(crate) const VERSION: u32 = 1;

const ENDING: &str = ".json";
const LOCK: &str = "lock";
/// Whoever holds the lock writes a few small files; this is far more than that takes.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(5);

pub(crate) struct Store {
    folder: PathBuf,
    clock: Arc<dyn Clock>,
    /// Threads of this process wait here, so that the lock between processes has one contender in each.
    threads: Mutex<()>,
}

/// The right to change files. Other processes wait until it is dropped.
pub(crate) struct Locked<'a> {
    store: &'a Store,
    _threads: MutexGuard<'a, ()>,
    _processes: File,
}

impl Store {
    /// Opens the folders, and makes them if they are not there: for this user alone.
    pub(crate) fn open(folder: &Path, clock: Arc<dyn Clock>) -> Result<Self, AccessError> {
        use std::os::unix::fs::PermissionsExt;

        files::create_folder(folder)?;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
            .map_err(|error| FileError::new("protect", folder, error))?;
        for shelf in Shelf::ALL {
            files::create_folder(&folder.join(shelf.folder()))?;
        }
        Ok(Self { folder: folder.to_owned(), clock, threads: Mutex::new(()) })
    }

    pub(crate) fn lock(&self) -> Result<Locked<'_>, AccessError> {
        let threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.folder.join(LOCK);
        let begun = self.clock.elapsed();
        loop {
            if let Some(processes) = files::claim(&path)? {
                return Ok(Locked { store: self, _threads: threads, _processes: processes });
            }
            if self.clock.elapsed().saturating_sub(begun) > PATIENCE {
                return Err(AccessError::Busy { path });
            }
            self.clock.sleep(PAUSE);
        }
    }

    fn path(&self, shelf: Shelf, name: &str) -> PathBuf {
        self.folder.join(shelf.folder()).join(format!("{name}{ENDING}"))
    }

    /// Reads one; `None` when there is none.
    pub(crate) fn read<T: DeserializeOwned>(
        &self,
        shelf: Shelf,
        name: &str,
    ) -> Result<Option<T>, AccessError> {
        let path = self.path(shelf, name);
        let text = match files::read(&path) {
            Ok(text) => text,
            Err(error) if error.source.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        serde_json::from_slice(&text).map(Some).map_err(|source| AccessError::Damaged { path, source })
    }

    /// Returns the names on a shelf, in order.
    pub(crate) fn names(&self, shelf: Shelf) -> Result<Vec<String>, AccessError> {
        let folder = self.folder.join(shelf.folder());
        let failed = |error| FileError::new("list", &folder, error);
        let mut names = Vec::new();
        for entry in fs::read_dir(&folder).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            names.extend(name.to_str().and_then(|name| name.strip_suffix(ENDING)).map(str::to_owned));
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Reads a whole shelf. What goes away meanwhile is left out; what is damaged is an error.
    pub(crate) fn read_all<T: DeserializeOwned>(
        &self,
        shelf: Shelf,
    ) -> Result<Vec<(String, T)>, AccessError> {
        let mut all = Vec::new();
        for name in self.names(shelf)? {
            if let Some(found) = self.read(shelf, &name)? {
                all.push((name, found));
            }
        }
        Ok(all)
    }

    /// Removes a file that says nothing any more; gone already is as good.
    pub(crate) fn remove(&self, shelf: Shelf, name: &str) -> Result<(), AccessError> {
        let path = self.path(shelf, name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(FileError::new("remove", &path, error).into())
            }
            _ => Ok(()),
        }
    }
}

impl Locked<'_> {
    /// Writes one, as one step: after an error the old one is there.
    pub(crate) fn write<T: Serialize>(&self, shelf: Shelf, name: &str, value: &T) -> Result<(), AccessError> {
        let path = self.store.path(shelf, name);
        let text = serde_json::to_vec_pretty(value)
            .map_err(|source| AccessError::Damaged { path: path.clone(), source })?;
        Ok(files::replace(&path, &text)?)
    }

    pub(crate) fn remove(&self, shelf: Shelf, name: &str) -> Result<(), AccessError> {
        self.store.remove(shelf, name)
    }
}
