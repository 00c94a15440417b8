use std::{
    collections::BTreeMap,
    fmt, io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use model::Moment;
use ports::{
    Blob, BlobError, BlobName, BlobStore, Clock, ForeignKind, ForeignObject, LapsedBlobs, LapsedProof,
};

/// A simulator of an object store with a lock that nobody can lift: in memory, with every version kept.
///
/// Locks count by the store's own clock, whatever the writer's clock says. Whoever holds the store's credentials may try
/// [`Deed`]s; what a lock forbids is refused, and all attempts are recorded.
pub struct WormStore {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Clone, Default)]
struct State {
    objects: BTreeMap<BlobName, Object>,
    attempts: Vec<Attempt>,
}

#[derive(Clone)]
struct Object {
    content: Arc<Vec<u8>>,
    locked_until: Moment,
    /// What stands over the first version: it is never read.
    later: Vec<ForeignKind>,
}

/// Something that no vault does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// Removes the first version for good.
    Delete,
    /// Puts a delete marker over it.
    Hide,
    /// Puts another version over it.
    Overwrite,
    /// Brings its lock's end nearer.
    Shorten,
}

/// One attempt and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// What was tried.
    pub deed: Deed,
    /// On which object.
    pub name: BlobName,
    /// Whether the store refused.
    pub refused: bool,
}

impl fmt::Display for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Delete => "delete",
            Self::Hide => "hide",
            Self::Overwrite => "overwrite",
            Self::Shorten => "shorten",
        })
    }
}

impl WormStore {
    /// Makes an empty store with this clock.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, state: Mutex::default() }
    }

    /// Returns another store with the same objects, as they are now, under another clock.
    #[must_use]
    pub fn fork(&self, clock: Arc<dyn Clock>) -> Self {
        let state = State { objects: self.state().objects.clone(), attempts: Vec::new() };
        Self { clock, state: Mutex::new(state) }
    }

    /// Tries a deed with the store's full credentials; returns whether it was done.
    pub fn attempt(&self, deed: Deed, name: &BlobName) -> bool {
        let now = self.clock.now();
        let mut state = self.state();
        let Some(object) = state.objects.get_mut(name) else { return false };
        let locked = object.locked_until > now;
        let refused = match deed {
            Deed::Delete | Deed::Shorten if locked => true,
            Deed::Delete => {
                state.objects.remove(name);
                false
            }
            Deed::Shorten => {
                object.locked_until = now;
                false
            }
            // A store that keeps versions takes both at any time; neither touches what is locked.
            Deed::Hide => {
                object.later.push(ForeignKind::DeleteMarker);
                false
            }
            Deed::Overwrite => {
                object.later.push(ForeignKind::LaterVersion);
                false
            }
        };
        state.attempts.push(Attempt { deed, name: name.clone(), refused });
        !refused
    }

    /// Returns all attempts so far.
    pub fn attempts(&self) -> Vec<Attempt> {
        self.state().attempts.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn get(&self, name: &BlobName) -> Result<&Object, BlobError> {
        self.objects.get(name).ok_or_else(|| BlobError::Missing { name: name.clone() })
    }
}

impl Object {
    fn blob(&self, name: &BlobName) -> Blob {
        Blob {
            name: name.clone(),
            size_bytes: self.content.len() as u64,
            locked_until: Some(self.locked_until),
        }
    }
}

impl BlobStore for WormStore {
    fn create(&self, name: &BlobName, content: &[u8], locked_until: Moment) -> Result<(), BlobError> {
        let mut state = self.state();
        if state.objects.contains_key(name) {
            return Err(BlobError::Exists { name: name.clone() });
        }
        let object = Object { content: Arc::new(content.to_vec()), locked_until, later: Vec::new() };
        state.objects.insert(name.clone(), object);
        Ok(())
    }

    fn read(&self, name: &BlobName) -> Result<Vec<u8>, BlobError> {
        self.state().get(name).map(|object| object.content.to_vec())
    }

    fn read_range(&self, name: &BlobName, offset: u64, length: u64) -> Result<Vec<u8>, BlobError> {
        let state = self.state();
        let content = &state.get(name)?.content;
        let size = content.len() as u64;
        let (start, end) = (offset.min(size), offset.saturating_add(length).min(size));
        Ok(content[start as usize..end as usize].to_vec())
    }

    fn head(&self, name: &BlobName) -> Result<Blob, BlobError> {
        self.state().get(name).map(|object| object.blob(name))
    }

    fn list(&self, prefix: &str) -> Result<Vec<Blob>, BlobError> {
        let state = self.state();
        let wanted = state.objects.iter().filter(|(name, _)| name.as_str().starts_with(prefix));
        Ok(wanted.map(|(name, object)| object.blob(name)).collect())
    }

    fn foreign(&self, prefix: &str) -> Result<Vec<ForeignObject>, BlobError> {
        let state = self.state();
        let wanted = state.objects.iter().filter(|(name, _)| name.as_str().starts_with(prefix));
        let foreign = |name: &BlobName, number: usize, what: ForeignKind| ForeignObject {
            name: name.to_string(),
            what,
            detail: format!("version {}", number + 2),
        };
        Ok(wanted
            .flat_map(|(name, object)| {
                object.later.iter().enumerate().map(move |(number, what)| foreign(name, number, *what))
            })
            .collect())
    }

    fn extend_lock(&self, name: &BlobName, locked_until: Moment) -> Result<(), BlobError> {
        let mut state = self.state();
        let object = state.objects.get_mut(name).ok_or_else(|| BlobError::Missing { name: name.clone() })?;
        object.locked_until = object.locked_until.max(locked_until);
        Ok(())
    }
}

impl<Proof: LapsedProof> LapsedBlobs<Proof> for WormStore {
    fn reap(&self, proof: Proof) -> Result<(), BlobError> {
        let name = proof.name().clone();
        self.state().get(&name)?;
        if self.attempt(Deed::Delete, &name) {
            return Ok(());
        }
        let source = io::Error::new(io::ErrorKind::PermissionDenied, "the object is locked");
        Err(BlobError::Refused { name, source })
    }
}

#[cfg(test)]
mod tests {
    use ports::ManualClock;

    use super::*;

    #[test]
    fn a_lock_counts_by_the_clock_of_the_store_and_cannot_be_lifted() {
        let clock = Arc::new(ManualClock::new(Moment::from_micros(1_000)));
        let store = WormStore::new(clock.clone());
        let name = BlobName::new("data/aa/x").unwrap();
        store.create(&name, b"bytes", Moment::from_micros(2_000)).unwrap();
        assert!(!store.attempt(Deed::Delete, &name));
        assert!(!store.attempt(Deed::Shorten, &name));
        assert!(store.attempt(Deed::Hide, &name) && store.attempt(Deed::Overwrite, &name));
        assert_eq!(store.read(&name).unwrap(), b"bytes");
        assert_eq!(store.foreign("").unwrap().len(), 2);
        clock.advance_micros(1_000);
        assert!(store.attempt(Deed::Delete, &name));
        assert!(store.read(&name).is_err());
        assert_eq!(store.attempts().iter().filter(|attempt| attempt.refused).count(), 2);
    }
}
