//! Incidents as people read them: in words, in order, and without reading again what has not changed.

mod words;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use ports::files::FileError;
use watch::Incident;

pub use self::words::{Entry, EntryKind, happened, headline, later, timeline};
use crate::{WatchError, watching::WatchStore};

/// How a file was when it was read.
type Mark = (SystemTime, u64);

/// The incidents of an installation, each read again only when its file has changed.
pub struct Incidents {
    folder: PathBuf,
    store: WatchStore,
    known: Mutex<BTreeMap<u64, (Mark, Arc<Incident>)>>,
}

impl Incidents {
    /// Names the incidents of a home folder.
    pub fn of(home: &Path) -> Self {
        let folder = home.join("state/watch/incidents");
        Self { folder, store: WatchStore::of(home), known: Mutex::default() }
    }

    /// Returns every incident, the newest first.
    pub fn all(&self) -> Result<Vec<Arc<Incident>>, WatchError> {
        self.look()?;
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(known.values().rev().map(|(_, incident)| Arc::clone(incident)).collect())
    }

    /// Returns one incident as it stands now.
    pub fn get(&self, id: u64) -> Result<Arc<Incident>, WatchError> {
        self.look()?;
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&id).map(|(_, incident)| Arc::clone(incident)).ok_or(WatchError::NoIncident { id })
    }

    /// Reads what has changed, and returns which incidents those are.
    pub fn look(&self) -> Result<Vec<u64>, WatchError> {
        let marks = self.marks()?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|id, _| marks.contains_key(id));
        let mut changed = Vec::new();
        for (id, mark) in marks {
            if known.get(&id).is_some_and(|(before, _)| *before == mark) {
                continue;
            }
            known.insert(id, (mark, Arc::new(self.store.incident(id)?)));
            changed.push(id);
        }
        Ok(changed)
    }

    fn marks(&self) -> Result<BTreeMap<u64, Mark>, FileError> {
        let failed = |error| FileError::new("list", &self.folder, error);
        let entries = match std::fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
            Err(error) => return Err(failed(error)),
        };
        let mut marks = BTreeMap::new();
        for entry in entries {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            let number = name.to_str().and_then(|name| name.strip_suffix(".json")?.parse().ok());
            // What is being replaced has another name.
            let Some(number) = number else { continue };
            let Ok(facts) = entry.metadata() else { continue };
            marks.insert(number, (facts.modified().map_err(failed)?, facts.len()));
        }
        Ok(marks)
    }
}

#[cfg(test)]
mod tests;
