//! Looks at the installation again and again, so that pages need not.

use std::{sync::Arc, time::Duration};

use service::overview::Overview;

use crate::{background::Background, site::Site};

/// How long it rests between looks.
const REST: Duration = Duration::from_secs(5);
/// How often it tries what the vault's place enforces: that costs calls, and attacks on objects of its own.
const MEASURE_EVERY_MICROS: i64 = 3_600_000_000;

/// Begins to look.
pub(crate) fn start(site: Arc<Site>) -> std::io::Result<Background> {
    Background::start("overview", site, REST, |site, _| {
        look(site);
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
