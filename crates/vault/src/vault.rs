use std::sync::{Arc, Mutex, PoisonError};

use model::SourceName;
use ports::{BlobError, BlobStore};

use crate::{
    CommitHash, Manifest, PackId,
    encoding::DecodeError,
    keys::{KeyError, KeyState},
    log::{Commit, CommitError},
    manifest::ManifestError,
    names,
    pack::PackError,
    seal::SealError,
    tree::HeadError,
};

/// A vault as it can be seen without any key: its sources, its commits and what they need.
#[derive(Clone)]
pub struct Vault {
    store: Arc<dyn BlobStore>,
    manifest: Arc<Manifest>,
    keys: Arc<Mutex<SeenKeys>>,
}

/// Why something in a vault cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// There is no vault.
    #[error("there is no vault here")]
    NoVault,
    /// The manifest cannot be used.
    #[error("cannot use the vault's manifest")]
    Manifest(#[from] ManifestError),
    /// The store did not give an object.
    #[error(transparent)]
    Store(#[from] BlobError),
    /// The key does not fit.
    #[error("cannot unlock the vault")]
    Key(#[from] KeyError),
    /// A commit is damaged or forged.
    #[error("commit {object} is not sound")]
    Commit {
        /// The object's name.
        object: String,
        /// What is wrong.
        #[source]
        source: CommitError,
    },
    /// A commit's body does not open.
    #[error("the body of commit {object} does not open")]
    Body {
        /// The object's name.
        object: String,
        /// Why.
        #[source]
        source: SealError,
    },
    /// A commit's body does not follow the format.
    #[error("the body of commit {object} is not sound")]
    Changes {
        /// The object's name.
        object: String,
        /// What is wrong.
        #[source]
        source: DecodeError,
    },
    /// A tree head is damaged or forged.
    #[error("tree head {object} is not sound")]
    TreeHead {
        /// The object's name.
        object: String,
        /// What is wrong.
        #[source]
        source: HeadError,
    },
    /// A pack is damaged.
    #[error("pack {object} is not sound")]
    Pack {
        /// The object's name.
        object: String,
        /// What is wrong.
        #[source]
        source: PackError,
    },
    /// A content refers to a pack that was never written.
    #[error(transparent)]
    UnwrittenPack(#[from] crate::content::UnwrittenPack),
    /// The content is too large to be read at once.
    #[error("the content has {length} bytes, too many to be read at once")]
    TooLarge {
        /// How many it has.
        length: u64,
    },
    /// The content's places give other bytes than were stored.
    #[error("the content does not have the digest that the commit promises")]
    Digest,
}

impl VaultError {
    /// Returns the name of the object that is missing or damaged, where it is one.
    pub fn object(&self) -> Option<String> {
        match self {
            Self::Commit { object, .. }
            | Self::Body { object, .. }
            | Self::Changes { object, .. }
            | Self::TreeHead { object, .. }
            | Self::Pack { object, .. } => Some(object.clone()),
            Self::Manifest(_) | Self::NoVault => Some(names::MANIFEST.to_owned()),
            Self::Store(BlobError::Missing { name } | BlobError::Refused { name, .. }) => {
                Some(name.to_string())
            }
            Self::Store(BlobError::Unavailable { name, .. }) => Some(name.clone()),
            Self::Store(_) | Self::Key(_) | Self::UnwrittenPack(_) | Self::TooLarge { .. } | Self::Digest => {
                None
            }
        }
    }

    /// Returns whether somebody or something changed what was stored.
    pub const fn is_tampering(&self) -> bool {
        matches!(
            self,
            Self::Commit { .. }
                | Self::Body { .. }
                | Self::Changes { .. }
                | Self::Pack { .. }
                | Self::TreeHead { .. }
                | Self::Digest
                | Self::Manifest(ManifestError::Parse { .. })
        )
    }

    /// Returns what a person can do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoVault => Some("unwipe init makes one".to_owned()),
            Self::Key(error) => error.hint(),
            _ => None,
        }
    }
}

impl Vault {
    /// Opens a vault without a key.
    pub fn open(store: Arc<dyn BlobStore>) -> Result<Self, VaultError> {
        let bytes = match store.read(&names::manifest()?) {
            Err(BlobError::Missing { .. }) => return Err(VaultError::NoVault),
            other => other?,
        };
        let manifest = Manifest::parse(&bytes)?;
        let keys = Arc::new(Mutex::new(SeenKeys {
            state: KeyState::of(&manifest),
            owners: manifest.owner.into_iter().collect(),
            numbers: Vec::new(),
        }));
        let vault = Self { manifest: Arc::new(manifest), store, keys };
        vault.refresh_keys()?;
        Ok(vault)
    }

    /// Returns the manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Returns whose signatures count and who can open what is stored from now on.
    pub fn keys(&self) -> KeyState {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).state.clone()
    }

    /// Reads the changes of keys that the owner signed since; others are passed over.
    pub fn refresh_keys(&self) -> Result<(), VaultError> {
        let numbers = self.key_numbers()?;
        if self.keys.lock().unwrap_or_else(PoisonError::into_inner).numbers == numbers {
            return Ok(());
        }
        let changes = self.key_changes()?;
        let mut seen = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        // A listing that lost objects must not bring retired signers or an old data key back.
        if let Some(last) = changes.last().filter(|last| last.state.sequence >= seen.state.sequence) {
            seen.state = last.state.clone();
            let changed = changes.iter().filter_map(|change| change.state.owner);
            seen.owners = self.manifest.owner.into_iter().chain(changed).collect();
        }
        seen.numbers = numbers;
        Ok(())
    }

    /// Returns every key that was the owner's at some time: what it signed then still counts.
    pub(crate) fn owners(&self) -> Result<Vec<[u8; 32]>, VaultError> {
        self.refresh_keys()?;
        Ok(self.keys.lock().unwrap_or_else(PoisonError::into_inner).owners.clone())
    }

    pub(crate) fn key_numbers(&self) -> Result<Vec<u64>, VaultError> {
        let listed = self.store.list(names::KEYS)?;
        let mut numbers: Vec<u64> = listed.iter().filter_map(|blob| names::parse_keys(&blob.name)).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Returns the changes of keys in order, each with the keys that it wraps.
    pub(crate) fn key_changes(&self) -> Result<Vec<KeyChange>, VaultError> {
        let numbers = self.key_numbers()?;
        let mut state = KeyState::of(&self.manifest);
        let mut changes = Vec::new();
        for number in numbers {
            let bytes = match self.store.read(&names::keys(number)?) {
                Err(error @ BlobError::Unavailable { .. }) => return Err(error.into()),
                // One that is damaged ends nothing: those after it do not continue the chain and are found so.
                Err(_) => continue,
                Ok(bytes) => bytes,
            };
            if let Ok((next, wrapped)) = state.follow(self.manifest.vault, &bytes) {
                changes.push(KeyChange { number, state: next.clone(), wrapped: wrapped.to_vec() });
                state = next;
            }
        }
        Ok(changes)
    }

    /// Returns the store.
    pub fn store(&self) -> &Arc<dyn BlobStore> {
        &self.store
    }

    /// Lists the sources that have commits.
    pub fn sources(&self) -> Result<Vec<SourceName>, VaultError> {
        let commits = self.store.list(names::LOG)?;
        let mut sources: Vec<_> = commits
            .iter()
            .filter_map(|blob| names::parse_commit(&blob.name))
            .map(|(source, _)| source)
            .collect();
        sources.dedup();
        Ok(sources)
    }

    /// Returns the largest sequence number of a source, 0 when it has no commit.
    pub fn last_sequence(&self, source: &SourceName) -> Result<u64, VaultError> {
        let commits = self.store.list(&names::log(source))?;
        let last = commits.iter().rev().find_map(|blob| names::parse_commit(&blob.name));
        Ok(last.map_or(0, |(_, sequence)| sequence))
    }

    /// Reads one commit: its format, place, signature and body hash are checked, its chain is not.
    pub fn commit(&self, source: &SourceName, sequence: u64) -> Result<Commit, VaultError> {
        let name = names::commit(source, sequence)?;
        let bytes = self.store.read(&name)?;
        let wrong = |source| VaultError::Commit { object: name.to_string(), source };
        let mut parsed = Commit::parse(&bytes, self.manifest.vault, &self.keys());
        if matches!(parsed, Err(CommitError::Signer)) {
            // The signer may have been added since the vault was opened.
            self.refresh_keys()?;
            parsed = Commit::parse(&bytes, self.manifest.vault, &self.keys());
        }
        let commit = parsed.map_err(wrong)?;
        let envelope = &commit.envelope;
        if envelope.source != *source || envelope.sequence != sequence {
            let source_name = envelope.source.clone();
            return Err(wrong(CommitError::Misplaced { source_name, sequence: envelope.sequence }));
        }
        Ok(commit)
    }

    /// Reads the newest commit of a source.
    pub fn head(&self, source: &SourceName) -> Result<Option<Commit>, VaultError> {
        match self.last_sequence(source)? {
            0 => Ok(None),
            last => self.commit(source, last).map(Some),
        }
    }

    /// Reads the commits of a source in order and checks that each continues the one before it.
    ///
    /// After a damaged one it goes on, so that everything that is left is found.
    pub fn commits(&self, source: &SourceName) -> Result<Commits<'_>, VaultError> {
        let last = self.last_sequence(source)?;
        Ok(Commits { vault: self, source: source.clone(), next: 1, last, previous: Predecessor::None })
    }

    pub(crate) fn pack_object(id: &PackId) -> String {
        names::pack(id).map(|name| name.to_string()).unwrap_or_default()
    }
}

struct SeenKeys {
    state: KeyState,
    /// Every key that was the owner's at some time.
    owners: Vec<[u8; 32]>,
    /// The objects that were there when it was read: as long as there are no others, it is not read again.
    numbers: Vec<u64>,
}

/// A change of keys that the owner signed.
#[derive(Debug, Clone)]
pub(crate) struct KeyChange {
    pub(crate) number: u64,
    pub(crate) state: KeyState,
    pub(crate) wrapped: Vec<u8>,
}

/// The commits of a source, in order.
pub struct Commits<'a> {
    vault: &'a Vault,
    source: SourceName,
    next: u64,
    last: u64,
    previous: Predecessor,
}

enum Predecessor {
    None,
    Known(Box<Commit>),
    /// The one before could not be read: its successor cannot be checked against it.
    Unreadable,
}

impl Iterator for Commits<'_> {
    type Item = Result<Commit, VaultError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next > self.last {
            return None;
        }
        let sequence = self.next;
        self.next += 1;
        let commit = match self.vault.commit(&self.source, sequence) {
            Ok(commit) => commit,
            Err(error) => {
                self.previous = Predecessor::Unreadable;
                return Some(Err(error));
            }
        };
        let chained = match &self.previous {
            Predecessor::None => commit.check_follows(None),
            Predecessor::Known(previous) => commit.check_follows(Some(previous)),
            Predecessor::Unreadable => Ok(()),
        };
        // Bodies can be large and are not needed to check the chain.
        self.previous = Predecessor::Known(Box::new(Commit { body: Vec::new(), ..commit.clone() }));
        let object = names::commit(&self.source, sequence).map(|name| name.to_string()).unwrap_or_default();
        Some(match chained {
            Ok(()) => Ok(commit),
            Err(source) => Err(VaultError::Commit { object, source }),
        })
    }
}

/// What a new commit builds on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head {
    pub(crate) sequence: u64,
    pub(crate) hash: CommitHash,
    pub(crate) vault_time: Option<model::Moment>,
    pub(crate) retention_days: u32,
}

impl Head {
    pub(crate) const NONE: Self =
        Self { sequence: 0, hash: CommitHash::NONE, vault_time: None, retention_days: 0 };

    pub(crate) fn of(commit: &Commit) -> Self {
        Self {
            sequence: commit.envelope.sequence,
            hash: commit.hash,
            vault_time: Some(commit.envelope.vault_time),
            retention_days: commit.envelope.retention_days,
        }
    }
}
