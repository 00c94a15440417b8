//! Two threads that ask the kernel, so that the others need not wait; answers are taken in the order of the questions.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::JoinHandle,
};

type Job = Box<dyn FnOnce() + Send>;

pub(crate) struct Pool {
    jobs: Option<SyncSender<Job>>,
    threads: Vec<JoinHandle<()>>,
}

/// An answer on its way; `None` when its thread died.
pub(crate) struct Answer<T>(Receiver<T>);

const THREADS: usize = 2;
const WAITING_MAX: usize = 16;

impl Pool {
    pub(crate) fn new() -> Self {
        let (jobs, queue) = sync_channel::<Job>(WAITING_MAX);
        let queue = Arc::new(Mutex::new(queue));
        let work = |queue: Arc<Mutex<Receiver<Job>>>| {
            move || {
                loop {
                    let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok(job) = job else { return };
                    job();
                }
            }
        };
        let threads = (0..THREADS).map(|_| std::thread::spawn(work(Arc::clone(&queue)))).collect();
        Self { jobs: Some(jobs), threads }
    }

    pub(crate) fn ask<T: Send + 'static>(&self, question: impl FnOnce() -> T + Send + 'static) -> Answer<T> {
        let (answer, receiver) = sync_channel(1);
        let job = Box::new(move || {
            // Whoever asked may have given up.
            drop(answer.send(question()));
        });
        if let Some(jobs) = &self.jobs {
            // Without threads the answer never comes, and whoever waits for it is told.
            drop(jobs.send(job));
        }
        Answer(receiver)
    }
}

impl<T> Answer<T> {
    pub(crate) fn wait(self) -> Option<T> {
        self.0.recv().ok()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.jobs = None;
        for thread in self.threads.drain(..) {
            drop(thread.join());
        }
    }
}
