//! What a look costs.

use ports::Clock as _;

use crate::{
    rule::{Start, Unmet},
    stage::{Checked, Scene, demand},
    subject::Furnishing,
};

/// Requests that a quiet unit may cost, and the source beside its units.
const QUIET_REQUESTS: u64 = 3;
/// The least part of a modelled quota that is used.
const USED_MIN: f64 = 0.95;
/// Of so many requests one may be refused for want of quota.
const REFUSED_MAX: u64 = 20;

pub(crate) fn a_quiet_source_stores_nothing_and_costs_little(start: &Start<'_>) -> Checked {
    let mut scene = Scene::new(start);
    let mut reader = scene.reader();
    scene.run(&mut *reader).good()?;
    let units = scene.positions().len().max(scene.places().len()) as u64;
    let allowed = QUIET_REQUESTS * (units + 1);
    let commits = scene.sink.commits.len();
    scene.subject.clock().advance_micros(30_000_000);
    let again = scene.run(&mut *reader).good()?;
    let anew = scene.capture()?;
    for (run, whose) in [(again, "the same reader"), (anew, "a reader that was started anew")] {
        demand(run.told.is_empty() && run.contents.is_empty(), || {
            format!("nothing happened, and {whose} told {:?} and fetched {:?}", run.told, run.contents)
        })?;
        demand(run.requests <= allowed, || {
            format!("{whose} made {} requests for {units} quiet units; {allowed} are allowed", run.requests)
        })?;
    }
    demand(scene.sink.commits.len() == commits, || "nothing happened, and a commit was made".to_owned())
}

pub(crate) fn the_quota_is_used_and_not_exceeded(start: &Start<'_>) -> Checked {
    let furnishing = Furnishing { users: 2, items: 40, seed: 5, limited: true };
    let mut scene = Scene::with(start, &furnishing);
    scene.threads = 1;
    let before = scene.subject.spending()?;
    let clock = scene.subject.clock();
    let started = clock.elapsed();
    let run = scene.capture()?;
    let took_s = clock.elapsed().saturating_sub(started).as_secs_f64();
    let after = scene.subject.spending()?;
    scene.compare()?;
    let (units, refused) = (after.units - before.units, after.refusals - before.refusals);
    let waited = units.saturating_sub(after.burst_units) as f64;
    if waited < 2.0 * after.burst_units as f64 {
        return Err(Unmet::Broken(format!(
            "only {units} units were spent of which {} come at once: furnish more",
            after.burst_units
        )));
    }
    let used = waited / (after.units_per_second * took_s.max(f64::MIN_POSITIVE));
    demand(used >= USED_MIN, || {
        format!("{:.1} % of the quota were used: {units} units in {took_s:.1} s", used * 100.0)
    })?;
    demand(refused * REFUSED_MAX <= run.requests, || {
        format!("{refused} of {} requests were refused for want of quota", run.requests)
    })
}
