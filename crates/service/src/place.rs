//! Where a vault lies, and what that place really enforces.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use blobs::{LocalReaper, LocalStore, Protection};
use connect::Finding;
use ports::{BlobStore, Clock, LapsedBlobs, TimeSource, files::FileError};
use serde::{Deserialize, Serialize};
use vault::reap::Lapsed;

use crate::{SecretError, Secrets};

/// Where a vault, or a mirror of one, lies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Place {
    /// A folder of this machine.
    Folder {
        /// The folder; relative to the configuration.
        path: PathBuf,
        /// Ask the file system to refuse changes to every object (`chattr +i`); needs the privilege to set the flag.
        #[serde(default)]
        immutable_flags: bool,
    },
}

/// Why a place cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// The folder cannot be used.
    #[error("the vault's folder cannot be used")]
    File(#[from] FileError),
    /// A credential of the place cannot be had.
    #[error("a credential of the vault's place cannot be had")]
    Secret(#[from] SecretError),
}

impl PlaceError {
    /// Returns what a person can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Secret(error) => error.hint(),
            Self::File(_) => None,
        }
    }
}

/// What a place really enforces, found out by trying.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// 0: this process could delete the vault. 1: immutable flags. 2: another host. 3: an object lock in another
    /// account. 4: offline.
    pub tier: u8,
    /// The same in words.
    pub statement: String,
    /// What was tried, one by one.
    pub findings: Vec<Finding>,
}

/// What opening a place needs besides its own settings.
pub struct Surroundings<'a> {
    /// The home folder, where relative paths start.
    pub home: &'a Path,
    /// Where credentials come from.
    pub secrets: &'a Secrets<'a>,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

impl Place {
    /// Opens the store that lies there.
    pub fn open(&self, around: &Surroundings<'_>) -> Result<Arc<dyn BlobStore>, PlaceError> {
        match self {
            Self::Folder { path, immutable_flags } => {
                Ok(Arc::new(LocalStore::open(&around.home.join(path), protection(*immutable_flags))?))
            }
        }
    }

    /// Finds out what the place really enforces against this process.
    pub fn measure(&self, around: &Surroundings<'_>) -> Result<Standing, PlaceError> {
        match self {
            Self::Folder { path, immutable_flags } => {
                let store = LocalStore::open(&around.home.join(path), protection(*immutable_flags))?;
                let measured = store.measure()?;
                let subject = "what is stored cannot be deleted by this user";
                let evidence = format!("tier {}: {measured}", measured.tier);
                let finding = match measured.tier {
                    0 => Finding::advice(
                        subject,
                        evidence,
                        "unwipe init --immutable-flags, as a user of its own, or a vault on another host",
                    ),
                    _ if measured.clearable_here => {
                        Finding::advice(subject, evidence, "run unwipe without CAP_LINUX_IMMUTABLE")
                    }
                    _ => Finding::good(subject, evidence),
                };
                Ok(Standing { tier: measured.tier, statement: measured.to_string(), findings: vec![finding] })
            }
        }
    }

    /// Returns the folder, where the place is one of this machine.
    pub fn folder(&self, home: &Path) -> Option<PathBuf> {
        match self {
            Self::Folder { path, .. } => Some(home.join(path)),
        }
    }

    /// Returns the clock that is kept there, where it is not this machine's own.
    pub fn time_source(&self, _around: &Surroundings<'_>) -> Result<Option<Arc<dyn TimeSource>>, PlaceError> {
        match self {
            Self::Folder { .. } => Ok(None),
        }
    }

    /// Opens what removes lapsed objects there.
    pub fn reaper(&self, around: &Surroundings<'_>) -> Result<Box<dyn LapsedBlobs<Lapsed>>, PlaceError> {
        match self {
            Self::Folder { path, .. } => {
                Ok(Box::new(LocalReaper::new(&around.home.join(path), Arc::clone(&around.clock))))
            }
        }
    }

    /// Describes the place for people, without its credentials.
    pub fn describe(&self, home: &Path) -> String {
        match self {
            Self::Folder { path, .. } => home.join(path).display().to_string(),
        }
    }
}

const fn protection(immutable_flags: bool) -> Protection {
    if immutable_flags { Protection::Immutable } else { Protection::Plain }
}
