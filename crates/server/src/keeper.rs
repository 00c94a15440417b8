//! Looks at the installation again and again, so that pages need not.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use service::overview::Overview;

use crate::site::Site;

/// How often it looks.
const EVERY: Duration = Duration::from_secs(5);
/// How often it tries what the vault's place enforces: that costs calls, and attacks on objects of its own.
const MEASURE_EVERY_MICROS: i64 = 3_600_000_000;
const STOP_CHECK: Duration = Duration::from_millis(100);

/// The thread that keeps the overview new.
pub(crate) struct Keeper {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    /// Begins to look.
    pub(crate) fn start(site: Arc<Site>) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&stop);
        let thread = std::thread::Builder::new().name("overview".to_owned()).spawn(move || {
            while !asked.load(Ordering::SeqCst) {
                look(&site);
                let until = site.ports.clock.elapsed() + EVERY;
                while site.ports.clock.elapsed() < until && !asked.load(Ordering::SeqCst) {
                    site.ports.clock.sleep(STOP_CHECK);
                }
            }
        })?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

/// Looks once. Where that fails the overview before stays, with its time, and the failure is counted.
pub(crate) fn look(site: &Site) {
    let before = site.overview();
    let measured_after = site.now().plus_micros(-MEASURE_EVERY_MICROS);
    let looked = site.installation().and_then(|installation| {
        let known = before.as_ref().map(|overview| &overview.vault);
        Overview::of(&installation, site.environment, known, measured_after)
    });
    match looked {
        Ok(overview) => {
            site.metrics.observe(&overview, site.now());
            site.renew_overview(overview);
        }
        Err(_) => {
            site.metrics.overview_failures.inc();
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            // A panic in it has been reported by the thread itself.
            drop(thread.join());
        }
    }
}
