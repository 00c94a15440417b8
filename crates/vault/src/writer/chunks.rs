use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{ChunkId, Extent};

/// Where capture remembers which chunks the vault already holds.
///
/// It is a cache and may forget. What it says is not trusted: a commit checks that the packs exist.
pub trait KnownChunks: Send {
    /// Returns where a chunk is.
    fn find(&mut self, id: &ChunkId) -> Option<Extent>;

    /// Takes note of a chunk. If the commit fails, its extents are void and must be forgotten.
    fn remember(&mut self, id: ChunkId, extent: &Extent);
}

/// Knows nothing: everything is stored anew.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoChunks;

impl KnownChunks for NoChunks {
    fn find(&mut self, _: &ChunkId) -> Option<Extent> {
        None
    }

    fn remember(&mut self, _: ChunkId, _: &Extent) {}
}

/// Known chunks in memory: about 100 bytes each, up to a limit. Clones share the same memory.
#[derive(Debug, Clone)]
pub struct MemoryChunks {
    chunks: Arc<Mutex<HashMap<ChunkId, Extent>>>,
    chunks_max: usize,
}

impl MemoryChunks {
    /// Makes an empty memory; beyond the limit nothing more is remembered.
    pub fn new(chunks_max: usize) -> Self {
        Self { chunks: Arc::default(), chunks_max }
    }

    /// Returns how many chunks are remembered.
    pub fn count(&self) -> usize {
        self.chunks.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Forgets everything.
    pub fn clear(&self) {
        self.chunks.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl KnownChunks for MemoryChunks {
    fn find(&mut self, id: &ChunkId) -> Option<Extent> {
        self.chunks.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    fn remember(&mut self, id: ChunkId, extent: &Extent) {
        let mut chunks = self.chunks.lock().unwrap_or_else(PoisonError::into_inner);
        if chunks.len() < self.chunks_max {
            chunks.insert(id, extent.clone());
        }
    }
}
