//! The keys that people and programs hold (format §3).

mod capture;
mod kit;
mod restore;

use std::path::PathBuf;

use ports::files::FileError;

pub use capture::CaptureKey;
pub use kit::RecoveryKit;
pub use restore::{DataKeys, RestoreKey};

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
