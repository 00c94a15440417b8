//! What waits to be sent: bounded, so that a collector that is gone costs no memory.

use std::{
    collections::VecDeque,
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use ports::span::{Span, Spans};

use crate::Pace;

/// Spans between those who work and the thread that sends.
pub(crate) struct Queue {
    pace: Pace,
    waiting: Mutex<Waiting>,
    /// Wakes the thread: a batch is full, or it is time to end.
    wake: Condvar,
    dropped: AtomicU64,
}

#[derive(Default)]
struct Waiting {
    spans: VecDeque<Span>,
    stopping: bool,
}

impl Queue {
    pub(crate) fn new(pace: Pace) -> Self {
        Self { pace, waiting: Mutex::default(), wake: Condvar::new(), dropped: AtomicU64::new(0) }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn stop(&self) {
        self.lock().stopping = true;
        self.wake.notify_all();
    }

    pub(crate) fn drop_spans(&self, count: u64) {
        self.dropped.fetch_add(count, Ordering::Relaxed);
    }

    /// Drops all that waits.
    pub(crate) fn clear(&self) {
        let count = std::mem::take(&mut self.lock().spans).len();
        self.drop_spans(count as u64);
    }

    /// Waits for the next spans and returns them; nothing once it is time to end and all is sent.
    pub(crate) fn batch(&self) -> Option<Vec<Span>> {
        let waiting = self.lock();
        let waiting = self
            .wake
            .wait_while(waiting, |waiting| waiting.spans.is_empty() && !waiting.stopping)
            .unwrap_or_else(PoisonError::into_inner);
        let (mut waiting, _) = self
            .wake
            .wait_timeout_while(waiting, self.pace.gather, |waiting| {
                waiting.spans.len() < self.pace.batch_max && !waiting.stopping
            })
            .unwrap_or_else(PoisonError::into_inner);
        let count = waiting.spans.len().min(self.pace.batch_max);
        (count > 0).then(|| waiting.spans.drain(..count).collect())
    }

    /// Waits after a failure, but no longer than until it is time to end; returns whether it is.
    pub(crate) fn rest(&self) -> bool {
        let waiting = self.lock();
        let (waiting, _) = self
            .wake
            .wait_timeout_while(waiting, self.pace.retry, |waiting| !waiting.stopping)
            .unwrap_or_else(PoisonError::into_inner);
        waiting.stopping
    }
}

impl Spans for Queue {
    fn take(&self, span: Span) {
        let mut waiting = self.lock();
        if waiting.stopping || waiting.spans.len() >= self.pace.waiting_max {
            drop(waiting);
            return self.drop_spans(1);
        }
        waiting.spans.push_back(span);
        let count = waiting.spans.len();
        drop(waiting);
        if count == 1 || count == self.pace.batch_max {
            self.wake.notify_one();
        }
    }

    fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}
