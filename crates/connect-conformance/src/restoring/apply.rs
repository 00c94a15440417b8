//! What applying a plan does.

use std::sync::Arc;

use connect::plan::ApplyMode;
use connect_http::{Fault, Faulty, When, http::StatusCode};
use ports::Clock as _;

use super::stage::{Damaged, facts, without};
use crate::{
    reading::secrets::{clean, secrets},
    rule::{StartRestorable, Unmet},
    stage::{Checked, SMALL, chain, demand},
    subject::{Act, Furnishing},
};

/// How far the time that a plan takes may be from the time that it states.
const DURATION_TOLERANCE: f64 = 0.15;

pub(crate) fn what_happened_is_undone(start: &StartRestorable<'_>) -> Checked {
    let stage = Damaged::new(start)?;
    let (plan, folder) = stage.plan("p")?;
    let report = stage.apply(&plan, &folder)?;
    stage.demand_whole()?;
    demand(report.conflicts.is_empty(), || format!("nobody did anything since: {:?}", report.conflicts))?;
    let verification = stage.verify(&plan, &folder)?;
    demand(verification.is_good(), || format!("everything is as it was, and verifying says {verification:?}"))
}

pub(crate) fn applying_twice_does_nothing_twice(start: &StartRestorable<'_>) -> Checked {
    let stage = Damaged::new(start)?;
    let (plan, folder) = stage.plan("p")?;
    stage.apply(&plan, &folder)?;
    let again = stage.apply(&plan, &folder)?;
    stage.demand_whole()?;
    let counts = again.counts;
    demand(counts.inserted + counts.reverted + counts.removed == 0, || {
        format!("the second application says that it changed something: {counts:?}")
    })
}

pub(crate) fn a_rehearsal_changes_nothing(start: &StartRestorable<'_>) -> Checked {
    let stage = Damaged::new(start)?;
    let (plan, folder) = stage.plan("p")?;
    let (damaged, grants) = (stage.subject.real(), stage.subject.grants().ok());
    let transport = Arc::clone(&stage.scene.tap);
    let report = stage
        .apply_through(transport, &plan, &folder, ApplyMode::Rehearsal)
        .map_err(|error| Unmet::Broken(format!("the rehearsal failed: {}", chain(&error))))?;
    demand(stage.subject.real() == damaged, || "the rehearsal changed the source".to_owned())?;
    demand(stage.subject.grants().ok() == grants, || "the rehearsal changed permissions".to_owned())?;
    let counts = report.counts;
    demand(counts.inserted + counts.reverted + counts.removed > 0, || {
        format!("the rehearsal does not tell what would be done: {counts:?}")
    })?;
    stage.apply(&plan, &folder)?;
    stage.demand_whole()
}

pub(crate) fn the_stated_duration_holds(start: &StartRestorable<'_>) -> Checked {
    let furnishing = Furnishing { users: 2, items: 60, seed: 3, limited: true };
    let stage = Damaged::with(start, &furnishing, 12)?;
    stage.subject.spending()?;
    let clock = stage.subject.clock();
    let (plan, folder) = stage.plan("p")?;
    let Some(stated_s) = plan.duration_s else {
        return Err(Unmet::Broken("the plan states no duration".to_owned()));
    };
    // Every pool is full.
    clock.advance_micros(3_600_000_000);
    let started = clock.elapsed();
    stage.apply(&plan, &folder)?;
    stage.verify(&plan, &folder)?;
    let took_s = clock.elapsed().saturating_sub(started).as_secs_f64();
    stage.demand_whole()?;
    demand((took_s / stated_s as f64 - 1.0).abs() <= DURATION_TOLERANCE, || {
        format!("the plan states {stated_s} s, and applying and verifying it took {took_s:.0} s")
    })
}

pub(crate) fn a_writer_shows_no_secrets(start: &StartRestorable<'_>) -> Checked {
    let stage = Damaged::new(start)?;
    let (plan, folder) = stage.plan("p")?;
    let mut shown = vec![("the plan", format!("{plan:?}"))];
    for fault in [Fault::Fail(StatusCode::UNAUTHORIZED), Fault::Fail(StatusCode::FORBIDDEN), Fault::Replace] {
        // A fault far behind the last request is none: then the plan is applied.
        for at in 0.. {
            let faulty = Faulty::new(Arc::clone(&stage.scene.tap), stage.subject.clock(), at);
            let faulty = Arc::new(faulty.rule(When::Call(at), fault));
            let transport = Arc::clone(&faulty);
            match stage.apply_through(transport, &plan, &folder, ApplyMode::Rehearsal) {
                Ok(report) => shown.push(("the report", format!("{report:?}"))),
                Err(error) => {
                    let hint = error.hint().unwrap_or_default();
                    shown.push(("an error", format!("{} {error:?} {hint}", chain(&error))));
                }
            }
            if faulty.happened().is_empty() {
                break;
            }
        }
    }
    let report = stage.apply(&plan, &folder)?;
    shown.push(("the report", format!("{report:?}")));
    let secrets = secrets(&stage.scene);
    demand(!secrets.is_empty(), || "neither the subject nor its requests have any secret".to_owned())?;
    shown.iter().try_for_each(|(place, text)| clean(text, &secrets, place))
}

pub(crate) fn what_came_in_the_window_and_other_streams_stay(start: &StartRestorable<'_>) -> Checked {
    let mut stage = Damaged::whole(start, &SMALL)?;
    stage.hurt(1)?;
    let hurt = facts(&*stage.subject);
    for stream in stage.scene.places().keys() {
        stage.subject.act(Act::Add(stream))?;
    }
    let came = without(facts(&*stage.subject), &hurt);
    stage.see()?;
    let (plan, folder) = stage.plan("p")?;
    stage.apply(&plan, &folder)?;
    let expected: Vec<_> = stage.before.iter().cloned().chain(came).collect();
    stage.demand_facts(&expected)
}
