//! Adding to a vault with the put-only key.

mod buffers;
mod chunks;
mod commit;
mod content;
mod packs;
mod pool;
mod unstored;

use std::{
    collections::{BTreeMap, HashMap},
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use model::{Completeness, Ledger, Moment, SourceName};
use ports::{BlobError, BlobName, BlobStore, Clock, Random};
use ring::signature::Ed25519KeyPair;

pub use chunks::{KnownChunks, MemoryChunks, NoChunks};
pub use commit::CommitWriter;
pub use content::ContentWriter;

use self::{buffers::Buffers, pool::SealPool, unstored::Unstored};
use crate::{
    CaptureKey, CommitHash, PackId, Vault, VaultError,
    content::{ContentHasher, UnwrittenPack},
    encoding::DecodeError,
    keys::{KeyError, change::Standing},
    log::{FieldTooLong, PackEntry},
    names,
    pack::PackSettings,
    retention,
    seal::SealError,
    tree::{OWN_COMMITS_MAX, TreeState},
    vault::Head,
};

/// A pack grows while another one is stored; a third one may wait for the end of its commit.
const PACK_BUFFERS: usize = 3;

/// How a writer works.
#[derive(Debug, Clone, Copy)]
pub struct WriterOptions {
    /// The zstd level.
    pub compression_level: i32,
    /// The zstd level of small items: compressing them is nearly all the work, and grouped they become small at a low one.
    pub small_compression_level: i32,
    /// How many threads compress and seal; with 0 everything happens in the caller's thread, in a fixed order.
    pub threads: usize,
    /// A pack is closed once its sealed frames reach this size.
    pub pack_bytes_target: u64,
    /// The size of a frame of database pages before compression.
    pub page_frame_bytes: usize,
    /// The size of a frame of anything else before compression.
    pub frame_bytes: usize,
}

impl Default for WriterOptions {
    fn default() -> Self {
        Self {
            compression_level: 3,
            small_compression_level: 1,
            threads: 2,
            pack_bytes_target: 6 << 20,
            page_frame_bytes: 512 << 10,
            frame_bytes: 512 << 10,
        }
    }
}

/// Where capture resumes: opaque to the vault, and not secret.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cursor(pub Vec<u8>);

/// What a finished commit is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitReceipt {
    /// The source.
    pub source: SourceName,
    /// Its place in the log.
    pub sequence: u64,
    /// Its hash.
    pub hash: CommitHash,
    /// The hash of the commit that it builds on.
    pub previous: CommitHash,
    /// When it was made, by the vault's time.
    pub vault_time: Moment,
    /// Until when all that it needs is locked at least.
    pub locked_until: Moment,
    /// The packs that were written for it, bodies included.
    pub packs: Vec<PackEntry>,
    /// Bytes that were added to the store.
    pub new_bytes: u64,
    /// The account of the items.
    pub ledger: Ledger,
    /// Whether all items could be read.
    pub completeness: Completeness,
    /// How many commits of other writers came in between.
    pub overtaken_by: u32,
}

/// Why nothing was committed.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The vault cannot be opened or its log cannot be read.
    #[error("cannot use the vault")]
    Vault(#[from] VaultError),
    /// The key does not fit.
    #[error("cannot use the capture key")]
    Key(#[from] KeyError),
    /// The store failed; [`BlobError::Full`] among others.
    #[error("cannot write to the vault")]
    Store(#[from] BlobError),
    /// What was to be stored could not be read.
    #[error("cannot read what is to be stored")]
    Source(#[source] io::Error),
    /// Something cannot be sealed.
    #[error("cannot seal")]
    Seal(#[from] SealError),
    /// A pack that duplicates refer to is not in the vault. Whoever keeps known chunks must forget them.
    #[error("pack {id} is referred to but is not in the vault")]
    MissingPack {
        /// The pack.
        id: PackId,
    },
    /// A content refers to a pack of a commit that was abandoned.
    #[error(transparent)]
    UnwrittenPack(#[from] UnwrittenPack),
    /// A field is longer than the format allows.
    #[error(transparent)]
    TooLong(#[from] FieldTooLong),
    /// One change, or all of the envelope, is larger than the format allows.
    #[error("the commit is larger than the format allows")]
    TooLarge,
    /// The layout's unit is not a power of two within the format's limits.
    #[error("a unit of {bytes} bytes is not possible")]
    Unit {
        /// The unit asked for.
        bytes: u32,
    },
    /// A page was handed over that is not one leaf, or not at the border of one.
    #[error("pages must be handed over whole, one by one")]
    Page,
    /// The counts do not add up.
    #[error("{enumerated} items were enumerated, but {accounted} are stored, unchanged or unreadable")]
    Ledger {
        /// What the caller says.
        enumerated: u64,
        /// What was handed over.
        accounted: u64,
    },
    /// The log forks: a commit does not continue the one before it.
    #[error("the log of {source_name} forks at {sequence}")]
    Fork {
        /// The source.
        source_name: SourceName,
        /// Where.
        sequence: u64,
    },
    /// The tree heads fork: one does not continue the one before it.
    #[error("the tree heads fork at {number}")]
    HeadFork {
        /// Where.
        number: u64,
    },
    /// An earlier call on this commit failed.
    #[error("an earlier part of this commit failed, so it cannot be finished")]
    Broken,
    /// A thread of the writer died.
    #[error("a writer thread died")]
    Thread,
}

impl WriteError {
    /// Returns whether the store is full: the source is unharmed, and a later attempt can succeed.
    pub const fn is_full(&self) -> bool {
        matches!(
            self,
            Self::Store(BlobError::Full { .. }) | Self::Vault(VaultError::Store(BlobError::Full { .. }))
        )
    }

    /// Returns what a person can do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Key(error) => error.hint(),
            Self::Vault(error) => error.hint(),
            Self::Fork { .. } | Self::HeadFork { .. } => {
                Some("unwipe verify shows where the history was changed".to_owned())
            }
            error if error.is_full() => {
                Some("make room in the vault's store; capture goes on by itself".to_owned())
            }
            _ => None,
        }
    }
}

impl From<DecodeError> for WriteError {
    /// The encoder's only complaint is size.
    fn from(_: DecodeError) -> Self {
        Self::TooLarge
    }
}

/// Adds commits to a vault. It holds no secret with which anything can be read.
pub struct VaultWriter {
    pub(crate) shared: Arc<Shared>,
}

/// What all commits of a writer share.
pub(crate) struct Shared {
    pub(crate) vault: Vault,
    settings: PackSettings,
    pub(crate) hasher: ContentHasher,
    pub(crate) signer: Ed25519KeyPair,
    pub(crate) signer_public: [u8; 32],
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) options: WriterOptions,
    pub(crate) pool: SealPool,
    pub(crate) pack_buffers: Buffers,
    unstored: Mutex<HashMap<SourceName, Arc<Unstored>>>,
    state: Mutex<State>,
    /// Held while heads are made, which may take long; commits go on meanwhile.
    pub(crate) tree: Mutex<TreeState>,
}

struct State {
    heads: HashMap<SourceName, Head>,
    /// Predecessor and hash of the commits made here that no tree head covers yet.
    own_commits: BTreeMap<(SourceName, u64), (CommitHash, CommitHash)>,
    lock_days: u32,
    /// The latest vault time that this writer has seen.
    latest: Moment,
    keys_locked_until: Option<Moment>,
}

impl VaultWriter {
    /// Opens a vault for adding.
    pub fn open(
        store: Arc<dyn BlobStore>,
        key: &CaptureKey,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        options: WriterOptions,
    ) -> Result<Self, WriteError> {
        let vault = Vault::open(store)?;
        let manifest = vault.manifest();
        manifest.check_key(Some(key.vault), Some(key.fingerprint))?;
        let signer_public = key.signer_public()?;
        let settings = PackSettings {
            vault: manifest.vault,
            data_recipient: vault.keys().data_recipient,
            compression_level: options.compression_level,
        };
        let state = State {
            heads: HashMap::new(),
            lock_days: manifest.lock_days,
            latest: manifest.created,
            own_commits: BTreeMap::new(),
            keys_locked_until: None,
        };
        let shared = Shared {
            settings,
            hasher: key.hasher(),
            signer: key.signer()?,
            signer_public,
            clock,
            random,
            options,
            pool: SealPool::new(options.threads),
            pack_buffers: Buffers::new(PACK_BUFFERS),
            unstored: Mutex::default(),
            state: Mutex::new(state),
            tree: Mutex::new(TreeState::default()),
            vault,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Returns the vault as it can be seen without a key.
    pub fn vault(&self) -> &Vault {
        &self.shared.vault
    }

    /// Returns what time it is by the writer's clock.
    pub fn now(&self) -> Moment {
        self.shared.clock.now()
    }

    /// Takes note that it is at least this late: locks of what is stored from now on are counted from it.
    ///
    /// A host whose own clock is slow would otherwise make locks that lapse too early.
    pub fn note_time(&self, latest: Moment) {
        let mut state = self.shared.state();
        state.latest = state.latest.max(latest);
    }

    /// Returns where the last commit of a source left off.
    pub fn cursor(&self, source: &SourceName) -> Result<Option<Cursor>, WriteError> {
        Ok(self.shared.vault.head(source)?.map(|head| Cursor(head.envelope.cursor)))
    }

    /// Begins a commit that looks for no duplicates.
    pub fn begin(&self, source: &SourceName) -> CommitWriter {
        self.begin_with(source, Box::new(NoChunks))
    }

    /// Begins a commit that looks for duplicates among the known chunks.
    pub fn begin_with(&self, source: &SourceName, known: Box<dyn KnownChunks>) -> CommitWriter {
        CommitWriter::new(Arc::clone(&self.shared), source.clone(), known)
    }

    /// Reads changes of keys that the owner signed, so that what follows is sealed to the data key now in force.
    pub fn refresh_keys(&self) -> Result<(), WriteError> {
        Ok(self.shared.vault.refresh_keys()?)
    }

    /// Lengthens the retention: extends the locks of all that is there, and makes the next commits say so.
    ///
    /// A shorter term than the one in force changes nothing. Returns how many objects were extended.
    pub fn lengthen(&self, lock_days: u32) -> Result<u64, WriteError> {
        let days = {
            let mut state = self.shared.state();
            state.lock_days = state.lock_days.max(lock_days);
            state.lock_days
        };
        let until = retention::lock_until(self.shared.clock.now(), days);
        Ok(retention::extend_all(&**self.shared.vault.store(), until)?)
    }
}

impl Shared {
    /// Returns how packs are made now; the data key may have been rotated since the writer was opened.
    pub(crate) fn settings(&self) -> PackSettings {
        PackSettings { data_recipient: self.vault.keys().data_recipient, ..self.settings }
    }

    /// Makes sure that the vault still takes what this writer signs.
    pub(crate) fn check_signer(&self, source: &SourceName, sequence: u64) -> Result<(), WriteError> {
        match self.vault.keys().may_sign(&self.signer_public, source, sequence) {
            Standing::Counts => Ok(()),
            Standing::OtherSource => Err(KeyError::OtherSource { source_name: source.clone() }.into()),
            Standing::Unknown | Standing::Retired => Err(KeyError::Retired.into()),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns until when an object made now is to be locked.
    pub(crate) fn lock_for_new(&self) -> Moment {
        let state = self.state();
        // A clock that stands behind what was seen already must not make locks too short.
        retention::lock_until(self.clock.now().max(state.latest), state.lock_days)
    }

    /// Returns the count of a source's packs that wait for storage.
    pub(crate) fn unstored(&self, source: &SourceName) -> Arc<Unstored> {
        let mut all = self.unstored.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(source.clone()).or_default())
    }

    pub(crate) fn lock_days(&self) -> u32 {
        self.state().lock_days
    }

    /// Returns the last known head of a source, read from the store the first time.
    pub(crate) fn head(&self, source: &SourceName) -> Result<Head, WriteError> {
        if let Some(head) = self.state().heads.get(source) {
            return Ok(*head);
        }
        let head = self.vault.head(source)?.as_ref().map_or(Head::NONE, Head::of);
        self.remember_head(source, head);
        Ok(head)
    }

    pub(crate) fn remember_head(&self, source: &SourceName, head: Head) {
        let mut state = self.state();
        state.lock_days = state.lock_days.max(head.retention_days);
        state.latest = head.vault_time.map_or(state.latest, |time| time.max(state.latest));
        state.heads.insert(source.clone(), head);
    }

    /// Remembers a commit until a tree head covers it, so that it need not be read back.
    pub(crate) fn remember_commit(&self, source: &SourceName, head: Head, previous: CommitHash) {
        let own = &mut self.state().own_commits;
        if own.len() == OWN_COMMITS_MAX {
            own.pop_first();
        }
        own.insert((source.clone(), head.sequence), (previous, head.hash));
    }

    /// Returns predecessor and hash of a commit that was made here lately.
    pub(crate) fn own_commit(&self, source: &SourceName, sequence: u64) -> Option<(CommitHash, CommitHash)> {
        self.state().own_commits.get(&(source.clone(), sequence)).copied()
    }

    /// Forgets commits that a tree head covers.
    pub(crate) fn forget_own_commits(&self, covered: impl Fn(&SourceName, u64) -> bool) {
        self.state().own_commits.retain(|(source, sequence), _| !covered(source, *sequence));
    }

    /// Returns the sources whose logs this writer knows.
    pub(crate) fn committed_sources(&self) -> Vec<SourceName> {
        self.state().heads.keys().cloned().collect()
    }

    /// Makes sure that an object is there and locked at least so long.
    pub(crate) fn ensure_locked(&self, name: &BlobName, until: Moment) -> Result<(), BlobError> {
        let store = self.vault.store();
        if store.head(name)?.locked_until.is_none_or(|lock| lock < until) {
            store.extend_lock(name, self.lock_for_new().max(until))?;
        }
        Ok(())
    }

    /// Makes sure that the manifest and the wrapped keys outlive what they open.
    pub(crate) fn ensure_keys_locked(&self, until: Moment) -> Result<(), WriteError> {
        if self.state().keys_locked_until.is_some_and(|lock| lock >= until) {
            return Ok(());
        }
        let store = self.vault.store();
        self.ensure_locked(&names::manifest()?, until)?;
        let mut least = store.head(&names::manifest()?)?.locked_until;
        for blob in store.list(names::KEYS)? {
            self.ensure_locked(&blob.name, until)?;
            least = least.min(store.head(&blob.name)?.locked_until);
        }
        self.state().keys_locked_until = least;
        Ok(())
    }
}
