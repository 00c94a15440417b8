//! The source that the siege made for itself: small commits whose contents can be computed again.

use std::collections::BTreeMap;

use model::{Item, SourceName, StreamName};
use ports::{BlobName, BlobStore, Random, SeededRandom};
use vault::{Change, Cursor, Layout, VaultReader, VaultWriter, WriteError};

use crate::SiegeError;

/// The decoy's name; no source may be called so.
pub const DECOY_SOURCE: &str = "siege-decoy";

/// A new decoy gets so many commits, and every siege adds one, so that its locks are fresh.
const COMMITS_AT_FIRST: u64 = 3;
const STREAM: &str = "decoy";
const ITEM: &str = "ledger";
const CONTENT_BYTES: usize = 20_000;

/// The decoy's objects as they must be.
pub(crate) struct Decoy {
    pub(crate) source: SourceName,
    pub(crate) objects: BTreeMap<BlobName, Vec<u8>>,
    pub(crate) last: u64,
}

pub(crate) fn source() -> Result<SourceName, SiegeError> {
    SourceName::new(DECOY_SOURCE).map_err(|error| SiegeError::Untried(error.to_string()))
}

pub(crate) fn stream() -> Result<StreamName, SiegeError> {
    StreamName::new(STREAM).map_err(|error| SiegeError::Untried(error.to_string()))
}

/// Returns what the decoy's item holds after this commit.
pub(crate) fn content(sequence: u64) -> Vec<u8> {
    let mut bytes = vec![0; CONTENT_BYTES];
    SeededRandom::new(sequence).fill(&mut bytes);
    bytes
}

/// Commits the next version of the decoy's item.
pub(crate) fn commit_next(writer: &VaultWriter, source: &SourceName) -> Result<u64, SiegeError> {
    let next = writer.vault().last_sequence(source)? + 1;
    let mut commit = writer.begin(source);
    let stored = commit.store_bytes(Layout::Small, &content(next))?;
    let stream = stream()?;
    commit.upsert(Item { stream, key: ITEM.to_owned(), attributes: "{}".to_owned() }, stored)?;
    let receipt = commit.finish(&Cursor(Vec::new()))?;
    if receipt.sequence == next { Ok(next) } else { Err(WriteError::Broken.into()) }
}

impl Decoy {
    /// Adds to the decoy and reads all its objects.
    pub(crate) fn make(writer: &VaultWriter, store: &dyn BlobStore) -> Result<Self, SiegeError> {
        let source = source()?;
        loop {
            if commit_next(writer, &source)? >= COMMITS_AT_FIRST {
                break;
            }
        }
        Self::read(writer.vault(), store)
    }

    pub(crate) fn read(vault: &vault::Vault, store: &dyn BlobStore) -> Result<Self, SiegeError> {
        let source = source()?;
        let mut objects = BTreeMap::new();
        let mut last = 0;
        for commit in vault.commits(&source)? {
            let envelope = commit?.envelope;
            last = envelope.sequence;
            let sequence = format!("log/{source}/{:010}", envelope.sequence);
            let packs = envelope.packs.iter().chain(&envelope.body_packs).map(|pack| {
                let id = pack.id.to_string();
                format!("data/{}/{id}", &id[..2])
            });
            for name in packs.chain([sequence]) {
                let name = BlobName::new(name)?;
                let bytes = store.read(&name)?;
                objects.insert(name, bytes);
            }
        }
        Ok(Self { source, objects, last })
    }

    pub(crate) fn commit_name(&self, sequence: u64) -> Result<BlobName, SiegeError> {
        Ok(BlobName::new(format!("log/{}/{sequence:010}", self.source))?)
    }
}

/// Reads every version of the decoy back; returns the first that is not what was stored.
pub(crate) fn first_lost(reader: &VaultReader, last: u64) -> Result<Option<String>, SiegeError> {
    let source = source()?;
    for sequence in 1..=last {
        match read_version(reader, &source, sequence) {
            Ok(bytes) if bytes == content(sequence) => {}
            Ok(_) => return Ok(Some(format!("version {sequence} came back with other bytes"))),
            Err(error) => {
                return Ok(Some(format!(
                    "version {sequence} does not come back: {}",
                    vault::error_text(&error)
                )));
            }
        }
    }
    Ok(None)
}

pub(crate) fn read_version(
    reader: &VaultReader,
    source: &SourceName,
    sequence: u64,
) -> Result<Vec<u8>, SiegeError> {
    let (_, body) = reader.commit(source, sequence)?;
    for change in &body.changes {
        let Change::Upsert { item, content } = change else { continue };
        if item.key == ITEM {
            let mut bytes = Vec::new();
            let mut portions = reader.read_content(content);
            while let Some(portion) = portions.next_portion()? {
                bytes.extend_from_slice(portion);
            }
            return Ok(bytes);
        }
    }
    Err(SiegeError::Untried("the commit has no such item".to_owned()))
}
