use std::sync::{Mutex, PoisonError};

/// Buffers that are used again: frames and packs come and go on several threads, and an allocator keeps what each of
/// them once had.
#[derive(Debug)]
pub(crate) struct Buffers {
    free: Mutex<Vec<Vec<u8>>>,
    kept_max: usize,
}

impl Buffers {
    /// Keeps so many at most.
    pub(crate) const fn new(kept_max: usize) -> Self {
        Self { free: Mutex::new(Vec::new()), kept_max }
    }

    /// Returns an empty buffer with room for so much.
    pub(crate) fn take(&self, bytes: usize) -> Vec<u8> {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut buffer = free.unwrap_or_default();
        buffer.reserve_exact(bytes.saturating_sub(buffer.len()));
        buffer
    }

    /// Takes a buffer back.
    pub(crate) fn give(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < self.kept_max {
            free.push(buffer);
        }
    }
}
