//! Looks every second whether an incident has changed, tells pages that are open, and sees that what was being applied
//! when a process ended is gone on with.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use crate::{
    resume,
    site::{Happening, Site},
};

/// How often it looks.
const EVERY: Duration = Duration::from_secs(1);
const STOP_CHECK: Duration = Duration::from_millis(100);

/// The thread that looks.
pub(crate) struct Watcher {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watcher {
    /// Begins to look.
    pub(crate) fn start(site: Arc<Site>) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&stop);
        let thread = std::thread::Builder::new().name("incidents".to_owned()).spawn(move || {
            while !asked.load(Ordering::SeqCst) {
                look(&site);
                resume::go_on(&site);
                let until = site.ports.clock.elapsed() + EVERY;
                while site.ports.clock.elapsed() < until && !asked.load(Ordering::SeqCst) {
                    site.ports.clock.sleep(STOP_CHECK);
                }
            }
        })?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

/// Looks once. What cannot be read now is looked for again; the pages themselves say what is wrong with it.
pub(crate) fn look(site: &Site) {
    for id in site.incidents.look().unwrap_or_default() {
        site.happenings.send(Happening::Incident(id)).ok();
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            // A panic in it has been reported by the thread itself.
            drop(thread.join());
        }
    }
}
