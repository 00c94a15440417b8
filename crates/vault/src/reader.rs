//! Reading a vault with a key that opens it.

mod assemble;
mod content;
mod items;
mod open_pack;
mod restore;

use std::{
    borrow::Cow,
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use model::SourceName;
use ports::{BlobError, BlobStore};
use ring::signature::Ed25519KeyPair;

pub use content::ContentReader;
pub use items::ItemReader;
pub use open_pack::OpenPack;
pub use restore::{FileSink, RestoreError, RestoreJob, RestoreOptions, RestoreProgress, Sink};

use crate::{
    Commit, Content, PackId, RestoreKey, Vault, VaultError,
    content::ContentHasher,
    keys::{self, DataKeys, KeyError, KeyState},
    log::{self, ChangeBlock, CommitBody},
    names,
    pack::{PackError, PackIndex},
    seal::{BLOCK_BYTES_MAX, BlockKey, Label, Purpose},
};

/// Reads what a vault holds.
#[derive(Clone)]
pub struct VaultReader {
    vault: Vault,
    keys: DataKeys,
    hasher: ContentHasher,
    packs: Arc<Mutex<HashMap<PackId, Arc<OpenPack>>>>,
}

impl VaultReader {
    /// Opens a vault for reading.
    pub fn open(store: Arc<dyn BlobStore>, key: &RestoreKey) -> Result<Self, VaultError> {
        let vault = Vault::open(store)?;
        let keys = unlock(&vault, key)?;
        let hasher = ContentHasher::new(&keys.chunk_key);
        Ok(Self { vault, keys, hasher, packs: Arc::default() })
    }

    /// Returns the vault as it can be seen without a key.
    pub fn vault(&self) -> &Vault {
        &self.vault
    }

    /// Opens a commit's body.
    pub fn body(&self, commit: &Commit) -> Result<CommitBody, VaultError> {
        let mut changes = Vec::new();
        self.for_each_block(commit, |block| {
            changes.extend(block.changes);
            Ok(())
        })?;
        Ok(CommitBody { changes })
    }

    /// Reads and opens one commit.
    pub fn commit(&self, source: &SourceName, sequence: u64) -> Result<(Commit, CommitBody), VaultError> {
        let commit = self.vault.commit(source, sequence)?;
        let body = self.body(&commit)?;
        Ok((commit, body))
    }

    /// Hands out a commit's changes block by block, so that a large body needs little memory.
    pub fn for_each_block(
        &self,
        commit: &Commit,
        mut each: impl FnMut(ChangeBlock) -> Result<(), VaultError>,
    ) -> Result<(), VaultError> {
        let envelope = &commit.envelope;
        let object = names::commit(&envelope.source, envelope.sequence)?.to_string();
        let unsound = |source| VaultError::Changes { object: object.clone(), source };
        for entry in &envelope.body_packs {
            let pack = self.pack(&entry.id)?;
            for number in 0..pack.frames().len() {
                let raw = pack.read_frames(&**self.vault.store(), number..number + 1, Vec::new)?;
                each(ChangeBlock::parse(&raw.concat()).map_err(unsound)?)?;
            }
        }
        if envelope.body.blocks == 0 {
            return Ok(());
        }
        let closed = |source| VaultError::Body { object: object.clone(), source };
        let vault = self.vault.manifest().vault;
        let key = self.keys.unwrap(&vault, Purpose::Commit, &envelope.body.wrapped).map_err(closed)?;
        let key = BlockKey::new(vault, &key).map_err(closed)?;
        let blocks = log::split_blocks(&commit.body, envelope.body.blocks).map_err(unsound)?;
        for (number, sealed) in (0..).zip(blocks) {
            let raw = key.open(Label::Block, number, sealed.to_vec(), BLOCK_BYTES_MAX).map_err(closed)?;
            each(ChangeBlock::parse(&raw).map_err(unsound)?)?;
        }
        Ok(())
    }

    /// Reads a content from its beginning; its digest is checked at the end.
    pub fn read_content<'a>(&'a self, content: &'a Content) -> ContentReader<'a> {
        ContentReader::new(self, Cow::Borrowed(content))
    }

    /// Reads a content portion by portion whose place nobody else keeps.
    pub fn open_content(&self, content: Content) -> ContentReader<'_> {
        ContentReader::new(self, Cow::Owned(content))
    }

    /// Reads a part of a content. Every frame is authentic; the digest of the whole is not checked.
    pub fn read_range(&self, content: &Content, offset: u64, length: u64) -> Result<Vec<u8>, VaultError> {
        let mut bytes = Vec::new();
        assemble::Assembler::new(self).append(&content.range(offset, length), &mut bytes)?;
        Ok(bytes)
    }

    /// Reads a whole content into memory and checks its digest.
    pub fn read_all(&self, content: &Content) -> Result<Vec<u8>, VaultError> {
        if content.length > READ_ALL_BYTES_MAX {
            return Err(VaultError::TooLarge { length: content.length });
        }
        let bytes = self.read_range(content, 0, content.length)?;
        let mut digest = self.hasher.begin();
        for leaf in bytes.chunks(content.leaf_bytes as usize) {
            digest.leaf(&self.hasher.leaf(leaf));
        }
        if digest.finish(content.length) == content.digest { Ok(bytes) } else { Err(VaultError::Digest) }
    }

    /// Reads the index of a pack, for instance to know again which chunks it holds.
    pub fn pack_index(&self, id: &PackId) -> Result<PackIndex, VaultError> {
        Ok(OpenPack::open(&self.vault, &self.keys, *id)?.1)
    }

    /// Returns the owner's key, if it is the one that the manifest, or the last change of keys, names.
    pub fn owner(&self) -> Result<Option<Ed25519KeyPair>, VaultError> {
        let named = self.vault.keys().owner;
        let is_named = named.is_some() && named == Some(keys::change::owner_public(&self.keys.data_secret)?);
        Ok(if is_named { Some(keys::change::owner_pair(&self.keys.data_secret)?) } else { None })
    }

    /// Returns the hasher of leaves and contents.
    pub fn hasher(&self) -> &ContentHasher {
        &self.hasher
    }

    pub(crate) const fn data_keys(&self) -> &DataKeys {
        &self.keys
    }

    pub(crate) fn pack(&self, id: &PackId) -> Result<Arc<OpenPack>, VaultError> {
        if let Some(pack) = self.packs.lock().unwrap_or_else(PoisonError::into_inner).get(id) {
            return Ok(Arc::clone(pack));
        }
        let pack = Arc::new(OpenPack::open(&self.vault, &self.keys, *id)?.0);
        self.packs.lock().unwrap_or_else(PoisonError::into_inner).insert(*id, Arc::clone(&pack));
        Ok(pack)
    }
}

/// What is read at once must fit into memory, whatever a content that somebody planted claims to be.
const READ_ALL_BYTES_MAX: u64 = 1 << 30;

/// Tries the owner's changes, newest first, then all wrapped keys: some may be for other identities, damaged, or planted.
pub(crate) fn unlock(vault: &Vault, key: &RestoreKey) -> Result<DataKeys, VaultError> {
    let mut failure = KeyError::WrongIdentity;
    for change in vault.key_changes()?.iter().rev() {
        match key.unlock_for(vault.manifest(), &change.state.data_recipient, &change.wrapped) {
            Ok(keys) => return Ok(keys),
            Err(error @ (KeyError::OtherVault { .. } | KeyError::Fingerprint)) => return Err(error.into()),
            Err(KeyError::WrongIdentity) => {}
            Err(error) => failure = error,
        }
    }
    for blob in vault.store().list(names::KEYS)? {
        let unlocked = match vault.store().read(&blob.name) {
            Ok(bytes) if KeyState::is_change(&bytes) => continue,
            Ok(wrapped) => key.unlock(vault.manifest(), &wrapped),
            Err(error @ BlobError::Unavailable { .. }) => return Err(error.into()),
            Err(error) => Err(KeyError::Damaged { reason: error.to_string() }),
        };
        match unlocked {
            Ok(keys) => return Ok(keys),
            Err(error @ (KeyError::OtherVault { .. } | KeyError::Fingerprint)) => return Err(error.into()),
            Err(KeyError::WrongIdentity) => {}
            Err(error) => failure = error,
        }
    }
    Err(failure.into())
}

pub(crate) fn pack_error(id: &PackId, source: PackError) -> VaultError {
    VaultError::Pack { object: Vault::pack_object(id), source }
}
