//! Looks at the installation again and again, so that pages need not.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use service::overview::{Overview, Revision};

use crate::{background::Background, site::Site};

/// How long it rests between looks.
const REST: Duration = Duration::from_secs(5);
/// After so long it looks although no file has changed: locks run out, proofs lapse, and others write into a vault elsewhere.
const LOOK_EVERY: Duration = Duration::from_mins(1);
/// How often it tries what the vault's place enforces: that costs calls, and attacks on objects of its own.
const MEASURE_EVERY_MICROS: i64 = 3_600_000_000;

/// Begins to look.
pub(crate) fn start(site: Arc<Site>) -> std::io::Result<Background> {
    let keeper = Mutex::new(Keeper::default());
    Background::start("overview", site, REST, move |site, _| {
        keeper.lock().unwrap_or_else(PoisonError::into_inner).look(site);
        deliver(site);
    })
}

/// Has written to the vault what could not be written before. What still cannot be waits in its files.
fn deliver(site: &Site) {
    site.access.deliver().ok();
    site.access.sweep().ok();
    if let Ok(cases) = site.cases() {
        cases.record_pending().ok();
    }
}

/// Remembers how the files stood out of which the overview was made.
#[derive(Default)]
pub(crate) struct Keeper {
    looked: Option<(Revision, Duration)>,
}

impl Keeper {
    /// Looks once, unless nothing has changed. Where that fails the overview before stays, with its time, and the failure
    /// is counted. Open pages hear of it each time: what they show of an age changes by itself.
    pub(crate) fn look(&mut self, site: &Site) {
        let before = site.overview();
        let looked = site.installation().and_then(|installation| {
            // Before the look: what changes meanwhile is seen by the next one.
            let revision = Revision::of(&installation);
            let now = site.ports.clock.elapsed();
            if before.is_some() && self.is_as(&revision, now) {
                return Ok(None);
            }
            let known = before.as_ref().map(|overview| &overview.vault);
            let measured_after = site.now().plus_micros(-MEASURE_EVERY_MICROS);
            let overview = Overview::of(&installation, site.environment, known, measured_after)?;
            self.looked = Some((revision, now));
            Ok(Some(overview))
        });
        match looked {
            Ok(Some(overview)) => site.renew_overview(overview),
            Ok(None) => {}
            Err(_) => {
                self.looked = None;
                site.metrics.overview_failures.inc();
                return;
            }
        }
        if let Some(overview) = site.overview() {
            site.metrics.observe(&overview, site.now());
        }
        site.tell_of_overview();
    }

    fn is_as(&self, revision: &Revision, now: Duration) -> bool {
        let is_young = |looked_at: &Duration| now.saturating_sub(*looked_at) < LOOK_EVERY;
        self.looked.as_ref().is_some_and(|(known, looked_at)| known == revision && is_young(looked_at))
    }
}
