//! Storage that only ever grows.

use std::{fmt, io};

use model::Moment;

/// The name of an object: lower-case path segments such as `data/3f/3f9a…`.
///
/// The characters are restricted so that no name can leave a folder or collide on a case-folding file system.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobName(String);

/// An object's name, size and lock as the store tells them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// The object's name.
    pub name: BlobName,
    /// Its size.
    pub size_bytes: u64,
    /// Until when the store refuses to change or delete it, as far as the store knows.
    pub locked_until: Option<Moment>,
}

/// Evidence that somebody tried to hide or to replace an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignObject {
    /// The object concerned.
    pub name: String,
    /// What was found.
    pub what: ForeignKind,
    /// The store's own words for it: a version id, a date.
    pub detail: String,
}

/// What somebody left in a store that keeps versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForeignKind {
    /// Something that hides the object from whoever asks for the newest version.
    DeleteMarker,
    /// A version that came after the one that counts.
    LaterVersion,
    /// An object whose name no vault writes.
    Stray,
}

impl fmt::Display for ForeignKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DeleteMarker => "a delete marker",
            Self::LaterVersion => "a later version",
            Self::Stray => "an object that no vault writes",
        })
    }
}

/// What a store can answer instead of doing what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// The name is taken; what is there stays as it is.
    #[error("object {name} exists already")]
    Exists {
        /// The taken name.
        name: BlobName,
    },
    /// No object has this name.
    #[error("object {name} does not exist")]
    Missing {
        /// The name asked for.
        name: BlobName,
    },
    /// There is no room; nothing was written under the name.
    #[error("no space left while writing object {name}")]
    Full {
        /// The object that did not fit.
        name: BlobName,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// The store refuses: a lock, or a missing permission.
    #[error("the store refuses access to object {name}")]
    Refused {
        /// The object concerned.
        name: BlobName,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// The store took the object and does not lock it: nothing may rest on it.
    #[error("the store does not lock object {name}: {detail}")]
    Unlocked {
        /// The object concerned.
        name: BlobName,
        /// What the store shows.
        detail: String,
    },
    /// A name that no vault writes.
    #[error("{text:?} is no valid object name")]
    Name {
        /// The refused text.
        text: String,
    },
    /// The store does not answer or answers nonsense; trying again may help.
    #[error("the store failed on {operation} of {name}")]
    Unavailable {
        /// What was tried.
        operation: &'static str,
        /// The object concerned.
        name: String,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
}

/// A store that creates, reads, lists and locks. It has no delete and no overwrite, on purpose:
/// what must not happen cannot be written. Reaping is [`LapsedBlobs`].
pub trait BlobStore: Send + Sync {
    /// Writes a new object durably, locked until the given moment, or fails with [`BlobError::Exists`].
    ///
    /// When it returns, the object survives a power cut. A failed call leaves nothing under the name.
    fn create(&self, name: &BlobName, content: &[u8], locked_until: Moment) -> Result<(), BlobError>;

    /// Reads a whole object.
    fn read(&self, name: &BlobName) -> Result<Vec<u8>, BlobError>;

    /// Reads `length` bytes from `offset`; fewer when the object ends before.
    fn read_range(&self, name: &BlobName, offset: u64, length: u64) -> Result<Vec<u8>, BlobError>;

    /// Returns an object's size and lock.
    fn head(&self, name: &BlobName) -> Result<Blob, BlobError>;

    /// Lists the objects whose names begin with `prefix`, in name order.
    ///
    /// A store that must be asked for the lock of each object separately leaves it out here; [`Self::head`] tells it.
    fn list(&self, prefix: &str) -> Result<Vec<Blob>, BlobError>;

    /// Lists what lies below `prefix` and was not put there by a vault: delete markers, later versions.
    ///
    /// Reading is not affected by any of it. A store that keeps one version of each object has nothing to tell.
    fn foreign(&self, prefix: &str) -> Result<Vec<ForeignObject>, BlobError> {
        let _ = prefix;
        Ok(Vec::new())
    }

    /// Moves an object's lock to a later moment; an earlier one changes nothing.
    fn extend_lock(&self, name: &BlobName, locked_until: Moment) -> Result<(), BlobError>;
}

/// A proof that one object may be removed. Only the vault's retention builds a value of such a type.
pub trait LapsedProof {
    /// Returns the object that may be removed.
    fn name(&self) -> &BlobName;
}

/// The only interface that removes objects, made from a credential that nothing else has.
///
/// A store that still holds a lock on the object refuses with [`BlobError::Refused`], whatever the proof says.
pub trait LapsedBlobs<Proof: LapsedProof>: Send + Sync {
    /// Removes an object whose lock has lapsed and that nothing refers to.
    fn reap(&self, proof: Proof) -> Result<(), BlobError>;
}

const NAME_BYTES_MAX: usize = 255;

impl BlobName {
    /// Checks and wraps a name.
    pub fn new(text: impl Into<String>) -> Result<Self, BlobError> {
        let text = text.into();
        let segment = |s: &str| {
            let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b);
            !s.is_empty() && !s.starts_with('.') && s.bytes().all(plain)
        };
        if text.len() <= NAME_BYTES_MAX && text.split('/').all(segment) {
            Ok(Self(text))
        } else {
            Err(BlobError::Name { text })
        }
    }

    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BlobName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_its_folder() {
        for bad in ["", "/", "a//b", "../a", "a/../b", "a/.hidden", "A", "a\\b", "a b", "a/"] {
            assert!(BlobName::new(bad).is_err(), "{bad:?} was accepted");
        }
        assert!(BlobName::new("log/shop/0000000001").is_ok());
    }
}
