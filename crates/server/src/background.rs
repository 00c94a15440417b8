//! What goes on behind the pages: a thread that looks again and again, and waits behind captures.

use std::{sync::Arc, thread::JoinHandle, time::Duration};

use connect::Stop;

use crate::{running::step_back, site::Site};

/// A thread that ends when it is dropped.
pub(crate) struct Background {
    stop: Stop,
    thread: Option<JoinHandle<()>>,
}

impl Background {
    /// Begins to look, and rests so long between looks.
    pub(crate) fn start(
        name: &str,
        site: Arc<Site>,
        rest: Duration,
        look: impl Fn(&Arc<Site>, &Stop) + Send + 'static,
    ) -> std::io::Result<Self> {
        let stop = Stop::default();
        let asked = stop.clone();
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            step_back();
            while !asked.is_requested() {
                look(&site, &asked);
                asked.wait(&*site.ports.clock, rest);
            }
        })?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.stop.request();
        if let Some(thread) = self.thread.take() {
            // A panic in it has been reported by the thread itself.
            drop(thread.join());
        }
    }
}
