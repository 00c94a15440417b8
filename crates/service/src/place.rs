//! Where a vault lies, and what that place really enforces.

mod bucket;
mod server;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use blobs::{
    LocalReaper, LocalStore, Protection, RemoteError, RemoteSettings, RemoteStore, SealerClient,
    SealerReaper, remote::protocol::Status, s3::SettingsError,
};
use connect::Finding;
use ports::{BlobError, BlobName, BlobStore, Clock, LapsedBlobs, Random, TimeSource, files::FileError};
use serde::{Deserialize, Serialize};
use vault::reap::Lapsed;

pub use blobs::s3::Addressing;

pub use self::bucket::{Bucket, asking};
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
    /// A folder of this machine in which only the sealer can write: `unwipe vault sealer`.
    SealedFolder {
        /// The folder; relative to the configuration.
        path: PathBuf,
        /// The sealer's socket; relative to the configuration.
        socket: PathBuf,
    },
    /// Another host, behind `unwipe vault serve`.
    Server {
        /// Where: `https://vault.internal:8750`.
        url: String,
        /// The certificate that says what this host may do there, by reference.
        certificate: String,
        /// Its key, by reference.
        key: String,
        /// The authority whose word counts for the server's certificate, by reference.
        authority: String,
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
    /// The vault server's address or certificates cannot be used.
    #[error("the vault server cannot be used")]
    Remote(#[from] RemoteError),
    /// Nothing is removed there with what this installation has.
    #[error("nothing can be removed there from here")]
    NoReaper {
        /// What a person can do.
        remedy: &'static str,
    },
    /// The place did not answer while it was measured.
    #[error("the vault's place cannot be measured")]
    Store(#[from] BlobError),
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
            Self::Remote(_) => {
                Some("unwipe vault enrol SOURCE, on the vault's host, makes a new enrolment".to_owned())
            }
            Self::NoReaper { remedy } => Some((*remedy).to_owned()),
            Self::Bucket(SettingsError::Endpoint { .. }) => {
                Some("unwipe init --s3 https://HOST/BUCKET/PREFIX".to_owned())
            }
            Self::NotTrusted { .. } => Some(
                "make the bucket with Object Lock, or use another store: docs/guide/object-lock.md"
                    .to_owned(),
            ),
            Self::File(_) | Self::Bucket(_) | Self::Store(_) => None,
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
            Self::SealedFolder { path, socket } => Ok(Arc::new(sealed(around, path, socket)?)),
            Self::Server { .. } => Ok(Arc::new(self.remote(around)?)),
            Self::S3(bucket) => Ok(bucket.open(around)?),
        }
    }

    /// Finds out what the place really enforces against this process.
    pub fn measure(&self, around: &Surroundings<'_>) -> Result<Standing, PlaceError> {
        match self {
            Self::Folder { path, immutable_flags } => {
                let store = LocalStore::open(&around.home.join(path), protection(*immutable_flags))?;
                measure_folder(&store)
            }
            Self::SealedFolder { path, socket } => {
                let mut standing = measure_folder(&sealed(around, path, socket)?)?;
                standing.findings.push(ask_sealer(&around.home.join(socket))?);
                Ok(standing)
            }
            Self::Server { .. } => server::measure(&self.remote(around)?),
            Self::S3(bucket) => bucket.measure(around),
        }
    }

    /// Returns the folder, where the place is one of this machine.
    pub fn folder(&self, home: &Path) -> Option<PathBuf> {
        match self {
            Self::Folder { path, .. } | Self::SealedFolder { path, .. } => Some(home.join(path)),
            Self::Server { .. } | Self::S3(_) => None,
        }
    }

    /// Returns the clock that is kept there, where it is not this machine's own.
    pub fn time_source(&self, around: &Surroundings<'_>) -> Result<Option<Arc<dyn TimeSource>>, PlaceError> {
        match self {
            Self::Folder { .. } | Self::SealedFolder { .. } => Ok(None),
            Self::Server { .. } => Ok(Some(Arc::new(self.remote(around)?))),
            Self::S3(bucket) => Ok(Some(bucket.open(around)?)),
        }
    }

    /// Opens what removes lapsed objects there.
    pub fn reaper(&self, around: &Surroundings<'_>) -> Result<Box<dyn LapsedBlobs<Lapsed>>, PlaceError> {
        match self {
            Self::Folder { path, .. } => {
                Ok(Box::new(LocalReaper::new(&around.home.join(path), Arc::clone(&around.clock))))
            }
            Self::SealedFolder { socket, .. } => Ok(Box::new(SealerReaper::new(&around.home.join(socket)))),
            Self::S3(bucket) => bucket.reaper(around),
            Self::Server { .. } => {
                Err(PlaceError::NoReaper { remedy: "run unwipe retention reap on the vault's own host" })
            }
        }
    }

    /// Describes the place for people, without its credentials.
    pub fn describe(&self, home: &Path) -> String {
        match self {
            Self::Folder { path, .. } | Self::SealedFolder { path, .. } => {
                home.join(path).display().to_string()
            }
            Self::Server { url, .. } => url.clone(),
            Self::S3(bucket) => bucket.describe(),
        }
    }

    /// Asks a vault server for its quotas; a place on this machine has none.
    pub fn server_status(&self, around: &Surroundings<'_>) -> Result<Option<Status>, PlaceError> {
        match self {
            Self::Server { .. } => Ok(Some(self.remote(around)?.status()?)),
            Self::Folder { .. } | Self::SealedFolder { .. } | Self::S3(_) => Ok(None),
        }
    }

    /// Prepares the connection to a vault server.
    fn remote(&self, around: &Surroundings<'_>) -> Result<RemoteStore, PlaceError> {
        let Self::Server { url, certificate, key, authority } = self else {
            return Err(RemoteError::Address { url: self.describe(around.home) }.into());
        };
        let text =
            |reference: &str| Ok::<_, SecretError>(around.secrets.resolve(reference)?.expose().clone());
        let settings = RemoteSettings {
            url: url.clone(),
            certificate: text(certificate)?,
            key: around.secrets.resolve(key)?,
            authority: text(authority)?,
        };
        Ok(RemoteStore::open(&settings, Arc::clone(&around.clock))?)
    }
}

/// Finds out what holds in a folder of this machine.
fn measure_folder(store: &LocalStore) -> Result<Standing, PlaceError> {
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

/// Finds out whether the sealer is there: without it nothing can be stored.
fn ask_sealer(socket: &Path) -> Result<Finding, PlaceError> {
    let manifest = BlobName::new("vault.json")?;
    let subject = "the sealer answers";
    Ok(match SealerClient::new(socket).lock(&manifest) {
        Ok(Some(until)) => Finding::good(subject, format!("it keeps vault.json until {until}")),
        Ok(None) => Finding::good(subject, "it has no lock of vault.json on record yet"),
        Err(error) => {
            let reason = std::error::Error::source(&error).map_or_else(String::new, |e| format!(": {e}"));
            Finding::bad(subject, format!("{error}{reason}"), "systemctl start unwipe-sealer")
        }
    })
}

fn sealed(around: &Surroundings<'_>, path: &Path, socket: &Path) -> Result<LocalStore, PlaceError> {
    let protection = Protection::Sealer(around.home.join(socket));
    Ok(LocalStore::open(&around.home.join(path), protection)?)
}

const fn protection(immutable_flags: bool) -> Protection {
    if immutable_flags { Protection::Immutable } else { Protection::Plain }
}
