//! A copy of the vault's structure in memory: manifest, keys, and the decoy's log with its packs.

use std::sync::Arc;

use blobs::MemoryStore;
use model::SourceName;
use ports::{BlobName, BlobStore, Clock, ManualClock, Random};
use vault::{
    CaptureKey, RestoreKey, Vault, VaultReader, VaultWriter, WriterOptions,
    verify::{Depth, Report, verify},
};

use crate::{Outcome, SiegeError, decoy};

/// A small vault that may be harmed: the user's own keys open it, and nothing of the user's is in it.
pub(crate) struct Miniature {
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) capture: CaptureKey,
    pub(crate) restore: RestoreKey,
    pub(crate) source: SourceName,
    pub(crate) last: u64,
    random: Arc<dyn Random>,
}

impl Miniature {
    pub(crate) fn new(
        objects: impl IntoIterator<Item = (BlobName, Vec<u8>)>,
        clock: &dyn Clock,
        random: Arc<dyn Random>,
        keys: (CaptureKey, RestoreKey),
        last: u64,
    ) -> Result<Self, SiegeError> {
        let store = Arc::new(MemoryStore::new());
        let now = clock.now();
        for (name, bytes) in objects {
            store.create(&name, &bytes, vault::retention::lock_until(now, 30))?;
        }
        let (capture, restore) = keys;
        let clock = Arc::new(ManualClock::new(now));
        Ok(Self { store, clock, capture, restore, source: decoy::source()?, last, random })
    }

    pub(crate) fn writer(&self) -> Result<VaultWriter, SiegeError> {
        self.writer_with(&self.capture, Arc::<ManualClock>::clone(&self.clock))
    }

    pub(crate) fn writer_with(
        &self,
        key: &CaptureKey,
        clock: Arc<dyn Clock>,
    ) -> Result<VaultWriter, SiegeError> {
        self.writer_on(Arc::<MemoryStore>::clone(&self.store), key, clock)
    }

    pub(crate) fn writer_on(
        &self,
        store: Arc<dyn BlobStore>,
        key: &CaptureKey,
        clock: Arc<dyn Clock>,
    ) -> Result<VaultWriter, SiegeError> {
        let options = WriterOptions { threads: 0, ..WriterOptions::default() };
        Ok(VaultWriter::open(store, key, clock, Arc::clone(&self.random), options)?)
    }

    pub(crate) fn reader(&self) -> Result<VaultReader, SiegeError> {
        Ok(VaultReader::open(Arc::<MemoryStore>::clone(&self.store), &self.restore)?)
    }

    pub(crate) fn vault(&self) -> Result<Vault, SiegeError> {
        Ok(Vault::open(Arc::<MemoryStore>::clone(&self.store))?)
    }

    pub(crate) fn verify(&self, depth: Depth) -> Result<Report, SiegeError> {
        let reader = self.reader()?;
        Ok(verify(reader.vault(), Some(&reader), depth, &mut |_| {})?)
    }

    pub(crate) fn commit_name(&self, sequence: u64) -> Result<BlobName, SiegeError> {
        Ok(BlobName::new(format!("log/{}/{sequence:010}", self.source))?)
    }

    pub(crate) fn first_pack(&self) -> Result<BlobName, SiegeError> {
        let packs = self.store.list("data/")?;
        let first = packs.into_iter().next();
        first.map(|blob| blob.name).ok_or_else(|| SiegeError::Untried("the decoy has no pack".to_owned()))
    }

    pub(crate) fn plant(&self, name: &BlobName, bytes: &[u8]) -> Result<(), SiegeError> {
        Ok(self.store.create(name, bytes, vault::retention::lock_until(self.clock.now(), 30))?)
    }

    pub(crate) fn remove(&self, name: &BlobName) {
        self.store.damage(name, |_| None);
    }

    pub(crate) fn change(&self, name: &BlobName, change: impl FnOnce(&mut Vec<u8>)) {
        self.store.damage(name, |bytes| {
            change(bytes);
            Some(())
        });
    }

    /// Says whether a check sees the damage.
    pub(crate) fn seen(&self, depth: Depth) -> Result<Outcome, SiegeError> {
        let report = self.verify(depth)?;
        Ok(match report.findings.first() {
            Some(first) => {
                let how = if depth == Depth::ReadData { "verify --read-data" } else { "verify" };
                Outcome::detected(format!("unwipe {how}: {}: {}", first.object, first.problem))
            }
            None => Outcome::not_held("no check sees it", "the vault verifies"),
        })
    }

    /// Says whether every version of the decoy still comes back.
    pub(crate) fn intact(&self, held_by: &str) -> Result<Outcome, SiegeError> {
        Ok(match decoy::first_lost(&self.reader()?, self.last)? {
            None => Outcome::held(held_by),
            Some(lost) => Outcome::not_held("a stored version is lost", lost),
        })
    }
}
