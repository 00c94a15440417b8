use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Bytes that may wait between the threads that fetch and the one that stores.
pub(super) struct Budget {
    state: Mutex<State>,
    changed: Condvar,
    total: u64,
}

struct State {
    free: u64,
    closed: bool,
}

impl Budget {
    pub(super) const fn new(total: u64) -> Self {
        Self { state: Mutex::new(State { free: total, closed: false }), changed: Condvar::new(), total }
    }

    /// Waits until so many bytes are free; more than there are at all wait until everything is free. Returns what was
    /// taken, or `None` when nobody stores any more.
    pub(super) fn take(&self, bytes: u64) -> Option<u64> {
        let wanted = bytes.min(self.total);
        let mut state = self
            .changed
            .wait_while(self.lock(), |state| !state.closed && state.free < wanted)
            .unwrap_or_else(PoisonError::into_inner);
        if state.closed {
            return None;
        }
        state.free -= wanted;
        Some(wanted)
    }

    pub(super) fn give(&self, taken: u64) {
        if taken > 0 {
            self.lock().free += taken;
            self.changed.notify_all();
        }
    }

    /// Sends everybody away who waits, now and later.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
