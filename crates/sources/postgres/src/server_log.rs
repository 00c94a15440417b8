//! Who ran what, by the server's own log, where its owner lets us read it.
//!
//! A csvlog or jsonlog bears the number of the transaction that a line belongs to, if it has one by then: that is as
//! good as a record. Lines of `log_statement` and of pgaudit are mostly written before, those of a duration after a
//! statement that was a transaction of its own; they name a session and a time, which makes a guess. See the guide for
//! what writes lines with a number.
//!
//! The log is read by a thread, so that neither a slow disk nor a broken mount holds up the capture.

use std::{
    collections::HashSet,
    mem::Discriminant,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use connect::{Finding, Stop};
use ports::Clock;

use crate::activity::Sightings;

mod csv;
mod files;
mod line;
mod message;
mod records;
#[cfg(test)]
mod tests;

use files::{Files, Trouble};
pub(crate) use line::Line;
pub(crate) use records::Records;

/// How often it is looked whether the log has grown.
const INTERVAL: Duration = Duration::from_millis(200);
/// How often a sleeping thread looks whether it is asked.
const NAP: Duration = Duration::from_millis(20);
/// How long somebody who asks waits; a thread that reads a long log or hangs is not waited for.
const PATIENCE: Duration = Duration::from_millis(500);

/// Checks that the logs in a folder can be read.
pub(crate) fn check(folder: &Path) -> Finding {
    let subject = "the server's own log can be read";
    match Files::new(folder).look() {
        Ok(path) => Finding::good(subject, format!("the newest is {}", path.display())),
        Err(trouble) => Finding::advice(
            subject,
            trouble.to_string(),
            "ALTER SYSTEM SET log_destination = 'csvlog'; ALTER SYSTEM SET log_file_mode = '0640'; \
             then let this account read the folder",
        ),
    }
}

/// What the thread and its owner share.
#[derive(Debug, Default)]
struct Shared {
    asked: AtomicU64,
    answered: AtomicU64,
    remarks: Mutex<Vec<String>>,
}

/// Follows the server's log until it is dropped.
pub(crate) struct ServerLog {
    stop: Stop,
    shared: Arc<Shared>,
    clock: Arc<dyn Clock>,
}

impl ServerLog {
    /// Begins to read the logs in a folder; what they say goes into `sightings`.
    pub(crate) fn start(folder: &Path, clock: Arc<dyn Clock>, sightings: Arc<Mutex<Sightings>>) -> Self {
        let (stop, shared) = (Stop::default(), Arc::new(Shared::default()));
        let log = Self { stop: stop.clone(), shared: Arc::clone(&shared), clock: Arc::clone(&clock) };
        let mut files = Files::new(folder);
        thread::spawn(move || {
            let mut told = HashSet::new();
            while !stop.is_requested() {
                let asked = shared.asked.load(Ordering::Acquire);
                let now = clock.now();
                let result = files.pass(&stop, &mut |line| {
                    sightings.lock().unwrap_or_else(PoisonError::into_inner).take_line(line, now);
                });
                if let Err(troubles) = result {
                    shared.tell(&troubles, &mut told);
                }
                shared.answered.store(asked, Ordering::Release);
                let until = clock.elapsed() + INTERVAL;
                let is_asked = || shared.asked.load(Ordering::Acquire) != asked;
                while !stop.is_requested() && !is_asked() && clock.elapsed() < until {
                    clock.sleep(NAP);
                }
            }
        });
        log
    }

    /// Waits a little until everything is read that is in the files now.
    pub(crate) fn catch_up(&self) {
        let before = self.shared.asked.load(Ordering::Acquire);
        // Whoever did not answer the last time is not waited for again.
        if self.shared.answered.load(Ordering::Acquire) != before {
            return;
        }
        let asked = before + 1;
        self.shared.asked.store(asked, Ordering::Release);
        let until = self.clock.elapsed() + PATIENCE;
        while self.shared.answered.load(Ordering::Acquire) != asked && self.clock.elapsed() < until {
            self.clock.sleep(Duration::from_millis(2));
        }
    }

    /// Returns what a person should know about the log, once.
    pub(crate) fn remarks(&self) -> Vec<String> {
        std::mem::take(&mut *self.shared.remarks.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for ServerLog {
    /// The thread ends by itself: waiting for it could mean waiting for a broken mount.
    fn drop(&mut self) {
        self.stop.request();
    }
}

impl Shared {
    fn tell(&self, troubles: &[Trouble], told: &mut HashSet<Discriminant<Trouble>>) {
        let mut remarks = self.remarks.lock().unwrap_or_else(PoisonError::into_inner);
        for trouble in troubles {
            if told.insert(std::mem::discriminant(trouble)) {
                remarks.push(format!("{trouble}; whoever only the log knows is not named"));
            }
        }
    }
}
