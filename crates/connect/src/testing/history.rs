//! What captures saw, one after the other, in memory.

use std::collections::BTreeSet;

use super::{HeldItem, HeldItems};
use crate::{
    Progress, StoredBody, StoredError, StoredHistory, StoredItem, StoredItems, StoredVersion, TakeItem,
};
use model::{Item, StreamName};

/// The state after each capture; the first one is commit 1. For tests of what plans a restore.
#[derive(Debug, Clone, Default)]
pub struct MemoryHistory {
    states: Vec<HeldItems>,
}

impl MemoryHistory {
    /// Takes what a sink holds after a capture, and returns the number of its commit.
    pub fn push(&mut self, held: &HeldItems) -> u64 {
        self.states.push(held.clone());
        self.states.len() as u64
    }

    fn state(&self, at: u64) -> Option<&HeldItems> {
        self.states.get(usize::try_from(at).ok()?.checked_sub(1)?)
    }

    fn held(&self, stream: &StreamName, key: &str, at: u64) -> Option<&HeldItem> {
        self.state(at)?.get(&(stream.clone(), key.to_owned()))
    }
}

fn version(stream: &StreamName, key: &str, at: u64, held: &HeldItem) -> StoredVersion {
    let item = Item { stream: stream.clone(), key: key.to_owned(), attributes: held.attributes.clone() };
    let size_bytes = held.content.as_ref().map_or(0, |content| content.len() as u64);
    StoredVersion { item: StoredItem { item, sequence: at, size_bytes }, has_content: held.content.is_ok() }
}

impl StoredHistory for MemoryHistory {
    fn changed(&self, stream: &StreamName, after: u64, until: u64) -> Result<Vec<String>, StoredError> {
        let mut keys = BTreeSet::new();
        for at in after + 1..=until {
            let both = [at - 1, at].into_iter().filter_map(|at| self.state(at));
            for (of, key) in both.flat_map(|state| state.keys()).filter(|(of, _)| of == stream) {
                if self.held(of, key, at - 1) != self.held(of, key, at) {
                    keys.insert(key.clone());
                }
            }
        }
        Ok(keys.into_iter().collect())
    }

    fn live_keys(
        &self,
        stream: &StreamName,
        at: u64,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<String>, StoredError> {
        let keys = self.state(at).into_iter().flat_map(|state| state.keys());
        let keys = keys.filter(|(of, key)| of == stream && after.is_none_or(|after| key.as_str() > after));
        Ok(keys.map(|(_, key)| key.clone()).take(limit as usize).collect())
    }

    fn version(&self, stream: &StreamName, key: &str, at: u64) -> Result<Option<StoredVersion>, StoredError> {
        Ok(self.held(stream, key, at).map(|held| version(stream, key, at, held)))
    }

    fn versions(
        &self,
        stream: &StreamName,
        key: &str,
        after: u64,
        until: u64,
    ) -> Result<Vec<StoredVersion>, StoredError> {
        let changed = |at: &u64| self.held(stream, key, *at) != self.held(stream, key, *at - 1);
        let versions = (after + 1..=until).filter(changed);
        Ok(versions.filter_map(|at| Some(version(stream, key, at, self.held(stream, key, at)?))).collect())
    }

    fn content(&self, stream: &StreamName, key: &str, at: u64) -> Result<Vec<u8>, StoredError> {
        let missing = || StoredError::Missing { what: key.to_owned() };
        self.held(stream, key, at).ok_or_else(missing)?.content.clone().map_err(|_| missing())
    }
}

/// A content that is handed out in two portions.
struct Halves<'c>(&'c [u8]);

impl StoredBody for Halves<'_> {
    fn next_portion(&mut self) -> Result<Option<&[u8]>, StoredError> {
        let (next, rest) = self.0.split_at(self.0.len().div_ceil(2));
        self.0 = rest;
        Ok((!next.is_empty()).then_some(next))
    }
}

impl StoredItems for MemoryHistory {
    fn each(
        &self,
        stream: &StreamName,
        at: u64,
        take: &TakeItem<'_>,
        _progress: &dyn Progress,
    ) -> Result<(), StoredError> {
        let state = self.state(at).into_iter().flatten();
        for ((_, key), held) in state.filter(|((of, _), _)| of == stream) {
            if let Ok(content) = &held.content {
                take(&version(stream, key, at, held).item, &mut Halves(content))?;
            }
        }
        Ok(())
    }

    fn unread(&self, stream: &StreamName, at: u64, limit: u32) -> Result<Vec<String>, StoredError> {
        let state = self.state(at).into_iter().flatten();
        let unread = state.filter(|((of, _), held)| of == stream && held.content.is_err());
        Ok(unread.map(|((_, key), _)| key.clone()).take(limit as usize).collect())
    }
}
