use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use model::{Moment, SourceName};
use ports::files::{self, FileError};
use serde::{Deserialize, Serialize};

use crate::retention::{PackUses, RetentionLog};

/// When the reaper first saw each source's newest commits, and each entry of the log of retention, by its own vault time.
///
/// A window begins when the reaper first sees the commit that took a version's place. The dates in commits and entries
/// may be forged by whoever holds a capture key or the restore key; this memory cannot, because it never leaves the
/// reaper. When it is lost, every window begins anew.
#[derive(Debug)]
pub struct ReaperMemory {
    path: Option<PathBuf>,
    seen: Seen,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Seen {
    entries: u64,
    /// For each source: newest commits in ascending order, and when each was first seen to be the newest.
    heads: BTreeMap<SourceName, BTreeMap<u64, Moment>>,
}

/// Why the reaper cannot remember.
#[derive(Debug, thiserror::Error)]
pub enum ReaperMemoryError {
    /// The file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file is damaged. It may be moved away: every window then begins anew.
    #[error("{} is no memory of the reaper", path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
    /// A log is shorter than it was.
    #[error("the log of {log} ends at {found}; it was seen up to {seen}")]
    RolledBack {
        /// Whose log: a source's, or that of retention.
        log: String,
        /// The newest entry now.
        found: u64,
        /// The newest entry that was seen.
        seen: u64,
    },
}

impl ReaperMemory {
    /// Opens the memory in a file; it is made when there is something to remember.
    pub fn open(path: &Path) -> Result<Self, ReaperMemoryError> {
        let form = |source| ReaperMemoryError::Form { path: path.to_owned(), source };
        let seen = if path.exists() {
            serde_json::from_slice(&files::read(path)?).map_err(form)?
        } else {
            Seen::default()
        };
        Ok(Self { path: Some(path.to_owned()), seen })
    }

    /// Makes a memory that is kept nowhere, for simulations.
    pub fn in_memory() -> Self {
        Self { path: None, seen: Seen::default() }
    }

    /// Returns what is remembered so far as a memory that is kept nowhere, for simulations that branch.
    #[must_use]
    pub fn branch(&self) -> Self {
        Self { path: None, seen: self.seen.clone() }
    }

    /// Notes what is new, durably. A log that became shorter is an error: something was taken out of it.
    pub fn note(
        &mut self,
        log: &RetentionLog,
        uses: &PackUses,
        now: Moment,
    ) -> Result<(), ReaperMemoryError> {
        if log.last_number() < self.seen.entries {
            let (found, seen) = (log.last_number(), self.seen.entries);
            return Err(ReaperMemoryError::RolledBack { log: "retention".to_owned(), found, seen });
        }
        for (source, heads) in &self.seen.heads {
            let found = uses.heads().get(source).copied().unwrap_or(0);
            if let Some((seen, _)) = heads.last_key_value().filter(|(seen, _)| found < **seen) {
                let log = source.to_string();
                return Err(ReaperMemoryError::RolledBack { log, found, seen: *seen });
            }
        }
        self.seen.entries = log.last_number();
        for (source, head) in uses.heads() {
            self.seen.heads.entry(source.clone()).or_default().entry(*head).or_insert(now);
        }
        let Some(path) = &self.path else { return Ok(()) };
        let form = |source| ReaperMemoryError::Form { path: path.clone(), source };
        let text = serde_json::to_vec(&self.seen).map_err(form)?;
        Ok(files::replace(path, &text)?)
    }

    /// Returns when the reaper first saw this commit, or a later one of its source.
    pub fn first_seen(&self, source: &SourceName, sequence: u64) -> Option<Moment> {
        self.seen.heads.get(source)?.range(sequence..).next().map(|(_, at)| *at)
    }
}
