//! The keys that people and programs hold (format §3).

mod capture;
pub mod change;
mod kit;
mod manage;
mod page;
mod restore;
pub mod shares;

use std::path::PathBuf;

use ports::files::FileError;

pub use capture::CaptureKey;
pub use change::{KeyState, Signer};
pub use kit::RecoveryKit;
pub use manage::KeyRing;
pub use restore::{DataKeys, RestoreKey};
pub use shares::{Share, ShareError};

use crate::VaultId;

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The key file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The text is no key of this kind.
    #[error("this is not a {what}")]
    Parse {
        /// The kind expected.
        what: &'static str,
    },
    /// The key file has another version.
    #[error("{what} has version {found}; this program reads version 1")]
    Version {
        /// The kind of key.
        what: &'static str,
        /// The version it has.
        found: u16,
    },
    /// Others may read the key file.
    #[error("{} may be read by other users (mode {mode:o})", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The key belongs to another vault.
    #[error("the key is for vault {key}, this is vault {vault}")]
    OtherVault {
        /// The vault that the key was made for.
        key: VaultId,
        /// The vault that it was tried on.
        vault: VaultId,
    },
    /// The vault's manifest is not the one that the key was made with.
    #[error("vault.json is not the one that this key was made with")]
    Fingerprint,
    /// The identity opens none of the vault's wrapped keys.
    #[error("this identity does not open the vault")]
    WrongIdentity,
    /// The key may add no more.
    #[error("this capture key was retired")]
    Retired,
    /// The key may add to another source only.
    #[error("this capture key is for another source than {source_name}")]
    OtherSource {
        /// The source that it was used for.
        source_name: model::SourceName,
    },
    /// The vault was made without an owner.
    #[error("this vault was made without an owner key, so its keys cannot change")]
    NoOwner,
    /// Somebody else changed the keys at the same moment.
    #[error("the keys were changed by somebody else at the same moment")]
    Overtaken,
    /// A line of a printed page was typed wrongly.
    #[error("line {line} of the key is mistyped")]
    Mistyped {
        /// Its number.
        line: usize,
    },
    /// Shares do not give a key.
    #[error(transparent)]
    Share(#[from] ShareError),
    /// A wrapped key is damaged.
    #[error("the wrapped key is damaged: {reason}")]
    Damaged {
        /// What is wrong.
        reason: String,
    },
}

impl KeyError {
    /// Returns what a person can do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Exposed { path, .. } => Some(format!("chmod 600 {}", path.display())),
            Self::Fingerprint => {
                Some("the manifest was replaced, or the key is for another vault with the same id: trust neither before you know which".to_owned())
            }
            Self::Retired => Some("unwipe keys capture issue SOURCE --out FILE makes another".to_owned()),
            Self::Overtaken => Some("look at `unwipe keys list`, then try again".to_owned()),
            Self::WrongIdentity => Some("use the restore key or the recovery kit of this vault".to_owned()),
            _ => None,
        }
    }
}

/// Reads a key file that nobody else may read.
pub(crate) fn read_private(path: &std::path::Path) -> Result<String, KeyError> {
    use std::os::unix::fs::MetadataExt;

    let metadata = std::fs::metadata(path).map_err(|e| FileError::new("read", path, e))?;
    let mode = metadata.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeyError::Exposed { path: path.to_owned(), mode });
    }
    Ok(ports::files::read_text(path)?)
}

pub(crate) const KEY_FILE_MODE: u32 = 0o600;
