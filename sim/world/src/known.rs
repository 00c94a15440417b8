use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use vault::{ChunkId, Extent, KnownChunks};

/// What a host remembers of the chunks that the vault holds, as its cache on disk does: what a commit added counts only
/// once the commit is in the vault.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    chunks: HashMap<ChunkId, Extent>,
    pending: Vec<(ChunkId, Extent)>,
}

impl Known {
    pub(crate) fn settle(&self, committed: bool) {
        let mut state = self.state();
        let pending = std::mem::take(&mut state.pending);
        if committed {
            state.chunks.extend(pending);
        }
    }

    /// Returns a memory of its own with the same chunks.
    pub(crate) fn fork(&self) -> Self {
        let state = State { chunks: self.state().chunks.clone(), pending: Vec::new() };
        Self(Arc::new(Mutex::new(state)))
    }

    pub(crate) fn forget(&self) {
        *self.state() = State::default();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KnownChunks for Known {
    fn find(&mut self, id: &ChunkId) -> Option<Extent> {
        let state = self.state();
        let pending = || state.pending.iter().find(|(other, _)| other == id).map(|(_, extent)| extent);
        state.chunks.get(id).or_else(pending).cloned()
    }

    fn remember(&mut self, id: ChunkId, extent: &Extent) {
        self.state().pending.push((id, extent.clone()));
    }
}
