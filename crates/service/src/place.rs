//! Where a vault lies, and what that place really enforces.

mod bucket;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use blobs::{LocalStore, Protection, s3::SettingsError};
use connect::Finding;
use ports::{BlobStore, Clock, Random, TimeSource, files::FileError};
use serde::{Deserialize, Serialize};

pub use blobs::s3::Addressing;

pub use self::bucket::Bucket;
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
    /// A bucket with Object Lock.
    S3(Box<Bucket>),
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
    /// The bucket cannot be spoken to.
    #[error("the vault's bucket cannot be used")]
    Bucket(#[from] SettingsError),
    /// The place was examined and would lose what it is given.
    #[error("the vault's place cannot be trusted: {subject} ({evidence})")]
    NotTrusted {
        /// What should be true of it.
        subject: String,
        /// What was seen.
        evidence: String,
    },
}

impl PlaceError {
    /// Returns what a person can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Secret(error) => error.hint(),
            Self::Bucket(SettingsError::Endpoint { .. }) => {
                Some("unwipe init --s3 https://HOST/BUCKET/PREFIX".to_owned())
            }
            Self::NotTrusted { .. } => Some(
                "make the bucket with Object Lock, or use another store: docs/guide/object-lock.md"
                    .to_owned(),
            ),
            Self::File(_) | Self::Bucket(_) => None,
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

impl Standing {
    /// Refuses a place in which something bad was found.
    pub fn admit(&self) -> Result<(), PlaceError> {
        match self.findings.iter().find(|finding| finding.standing == connect::Standing::Bad) {
            None => Ok(()),
            Some(Finding { subject, evidence, .. }) => {
                Err(PlaceError::NotTrusted { subject: subject.clone(), evidence: evidence.clone() })
            }
        }
    }
}

/// What opening a place needs besides its own settings.
pub struct Surroundings<'a> {
    /// The home folder, where relative paths start.
    pub home: &'a Path,
    /// Where credentials come from.
    pub secrets: &'a Secrets<'a>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub random: Arc<dyn Random>,
}

impl Place {
    /// Opens the store that lies there.
    pub fn open(&self, around: &Surroundings<'_>) -> Result<Arc<dyn BlobStore>, PlaceError> {
        match self {
            Self::Folder { path, immutable_flags } => {
                Ok(Arc::new(LocalStore::open(&around.home.join(path), protection(*immutable_flags))?))
            }
            Self::S3(bucket) => Ok(bucket.open(around)?),
        }
    }

    /// Returns the place's own clock, where it has one.
    pub fn time_source(&self, around: &Surroundings<'_>) -> Result<Option<Arc<dyn TimeSource>>, PlaceError> {
        match self {
            Self::Folder { .. } => Ok(None),
            Self::S3(bucket) => Ok(Some(bucket.open(around)?)),
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
            Self::S3(bucket) => bucket.measure(around),
        }
    }

    /// Describes the place for people, without its credentials.
    pub fn describe(&self, home: &Path) -> String {
        match self {
            Self::Folder { path, .. } => home.join(path).display().to_string(),
            Self::S3(bucket) => bucket.describe(),
        }
    }
}

const fn protection(immutable_flags: bool) -> Protection {
    if immutable_flags { Protection::Immutable } else { Protection::Plain }
}
