use std::{
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::JoinHandle,
};

use super::{WriteError, buffers::Buffers};
use crate::{
    pack::Frame,
    seal::{SealError, sealed_capacity},
};

/// Threads that compress and seal frames; the order of results is the caller's.
pub(crate) struct SealPool {
    jobs: Option<SyncSender<Job>>,
    threads: Vec<JoinHandle<()>>,
    buffers: Arc<Buffers>,
}

/// Each frame on its way has a raw and a sealed buffer at one time or another.
const BUFFERS_PER_THREAD: usize = 4;
const BUFFERS_INLINE: usize = 2;

struct Job {
    frame: Frame,
    answer: SyncSender<Result<Vec<u8>, SealError>>,
}

/// A frame on its way through the pool.
pub(crate) struct PendingFrame {
    pub(crate) raw_length: usize,
    state: PendingState,
}

enum PendingState {
    Sealed(Vec<u8>),
    Waiting(Receiver<Result<Vec<u8>, SealError>>),
}

impl SealPool {
    pub(crate) fn new(threads: usize) -> Self {
        if threads == 0 {
            return Self { jobs: None, threads: Vec::new(), buffers: Arc::new(Buffers::new(BUFFERS_INLINE)) };
        }
        let buffers = Arc::new(Buffers::new(threads * BUFFERS_PER_THREAD));
        let (jobs, queue) = sync_channel::<Job>(threads);
        let queue = Arc::new(Mutex::new(queue));
        let threads = (0..threads)
            .map(|_| {
                let (queue, buffers) = (Arc::clone(&queue), Arc::clone(&buffers));
                std::thread::spawn(move || work(&queue, &buffers))
            })
            .collect();
        Self { jobs: Some(jobs), threads, buffers }
    }

    /// Returns the buffers of frames, raw and sealed.
    pub(crate) fn buffers(&self) -> &Buffers {
        &self.buffers
    }

    /// Returns how many frames may be on their way for each pack.
    pub(crate) fn depth(&self) -> usize {
        self.threads.len() * 2
    }

    pub(crate) fn submit(&self, frame: Frame) -> Result<PendingFrame, WriteError> {
        let raw_length = frame.raw.len();
        let Some(jobs) = &self.jobs else {
            let sealed = seal(frame, &self.buffers)?;
            return Ok(PendingFrame { raw_length, state: PendingState::Sealed(sealed) });
        };
        let (answer, receiver) = sync_channel(1);
        jobs.send(Job { frame, answer }).map_err(|_| WriteError::Thread)?;
        Ok(PendingFrame { raw_length, state: PendingState::Waiting(receiver) })
    }
}

impl PendingFrame {
    pub(crate) fn wait(self) -> Result<Vec<u8>, WriteError> {
        match self.state {
            PendingState::Sealed(sealed) => Ok(sealed),
            PendingState::Waiting(receiver) => Ok(receiver.recv().map_err(|_| WriteError::Thread)??),
        }
    }
}

impl Drop for SealPool {
    fn drop(&mut self) {
        self.jobs = None;
        for thread in self.threads.drain(..) {
            // A thread that panicked has already failed the frame it worked on.
            drop(thread.join());
        }
    }
}

/// Seals a frame in buffers that are used again.
fn seal(frame: Frame, buffers: &Buffers) -> Result<Vec<u8>, SealError> {
    let sealed = frame.sealer.seal(&frame.raw, buffers.take(sealed_capacity(frame.raw.len())));
    buffers.give(frame.raw);
    sealed
}

fn work(queue: &Mutex<Receiver<Job>>, buffers: &Buffers) {
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { frame, answer }) = job else { return };
        // The commit may have been abandoned; then nobody waits for the answer.
        drop(answer.send(seal(frame, buffers)));
    }
}
