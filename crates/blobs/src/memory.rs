use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use model::Moment;
use ports::{Blob, BlobError, BlobName, BlobStore, Clock, LapsedBlobs, LapsedProof};

/// A store in memory, for tests and simulations.
#[derive(Debug, Default)]
pub struct MemoryStore {
    objects: Mutex<BTreeMap<BlobName, (Vec<u8>, Moment)>>,
}

impl MemoryStore {
    /// Makes an empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Changes an object behind the store's back, as a failing disk or an attacker would; `None` loses it.
    ///
    /// For tests of what a reader notices. Not part of [`BlobStore`], so no vault code can reach it.
    pub fn damage(&self, name: &BlobName, change: impl FnOnce(&mut Vec<u8>) -> Option<()>) {
        let mut objects = self.objects();
        if let Some((content, _)) = objects.get_mut(name)
            && change(content).is_none()
        {
            objects.remove(name);
        }
    }

    fn objects(&self) -> MutexGuard<'_, BTreeMap<BlobName, (Vec<u8>, Moment)>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes lapsed objects from a store in memory, which refuses by its own clock what is still locked.
pub struct MemoryReaper {
    store: Arc<MemoryStore>,
    clock: Arc<dyn Clock>,
}

impl MemoryReaper {
    /// Makes a reaper; the clock is the store's.
    pub const fn new(store: Arc<MemoryStore>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }
}

impl<P: LapsedProof> LapsedBlobs<P> for MemoryReaper {
    fn reap(&self, proof: P) -> Result<(), BlobError> {
        let name = proof.name();
        let mut objects = self.store.objects();
        let (_, lock) = objects.get(name).ok_or_else(|| BlobError::Missing { name: name.clone() })?;
        if *lock > self.clock.now() {
            let source = io::Error::new(io::ErrorKind::PermissionDenied, "the object is locked");
            return Err(BlobError::Refused { name: name.clone(), source });
        }
        objects.remove(name);
        Ok(())
    }
}

impl BlobStore for MemoryStore {
    fn create(&self, name: &BlobName, content: &[u8], locked_until: Moment) -> Result<(), BlobError> {
        let mut objects = self.objects();
        if objects.contains_key(name) {
            return Err(BlobError::Exists { name: name.clone() });
        }
        objects.insert(name.clone(), (content.to_vec(), locked_until));
        Ok(())
    }

    fn read(&self, name: &BlobName) -> Result<Vec<u8>, BlobError> {
        self.objects()
            .get(name)
            .map(|(content, _)| content.clone())
            .ok_or_else(|| BlobError::Missing { name: name.clone() })
    }

    fn read_range(&self, name: &BlobName, offset: u64, length: u64) -> Result<Vec<u8>, BlobError> {
        let objects = self.objects();
        let (content, _) = objects.get(name).ok_or_else(|| BlobError::Missing { name: name.clone() })?;
        let size = content.len() as u64;
        let (start, end) = (offset.min(size), offset.saturating_add(length).min(size));
        Ok(content[start as usize..end as usize].to_vec())
    }

    fn head(&self, name: &BlobName) -> Result<Blob, BlobError> {
        let objects = self.objects();
        let (content, locked_until) =
            objects.get(name).ok_or_else(|| BlobError::Missing { name: name.clone() })?;
        Ok(Blob { name: name.clone(), size_bytes: content.len() as u64, locked_until: Some(*locked_until) })
    }

    fn list(&self, prefix: &str) -> Result<Vec<Blob>, BlobError> {
        Ok(self
            .objects()
            .iter()
            .filter(|(name, _)| name.as_str().starts_with(prefix))
            .map(|(name, (content, locked_until))| Blob {
                name: name.clone(),
                size_bytes: content.len() as u64,
                locked_until: Some(*locked_until),
            })
            .collect())
    }

    fn extend_lock(&self, name: &BlobName, locked_until: Moment) -> Result<(), BlobError> {
        let mut objects = self.objects();
        let (_, lock) = objects.get_mut(name).ok_or_else(|| BlobError::Missing { name: name.clone() })?;
        *lock = (*lock).max(locked_until);
        Ok(())
    }
}
