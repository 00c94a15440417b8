//! What becomes of the ground.

use drill::{Ground, hold};

use super::{
    finding::unchanged,
    stage::{Killed, demand_proven, ground, held_after, killed, killed_while_putting, proven},
};
use crate::{
    drillable::{Drillable, Wanted},
    rule::{StartDrillable, Unmet},
    stage::{Checked, SMALL, demand},
};

const GROUND: &str = "the ground";
/// A drill that is killed at more writes than these is one of a source that is not small.
const WRITES_MAX: u64 = 10_000;

pub(crate) fn a_drill_leaves_nothing_and_takes_nothing_of_others(start: &StartDrillable<'_>) -> Checked {
    let subject = start(&SMALL);
    subject.add_foreign();
    let before = subject.left();
    demand(!before.is_empty(), || "what somebody else has there does not show".to_owned())?;
    proven(&*subject, Wanted::Whole)?;
    unchanged(GROUND, &before, &subject.left())?;
    // One that cannot be ended clears the ground as well.
    let mut broken_off = Unfinished(ground(&*subject, Wanted::Whole)?);
    let ended = hold(&mut broken_off, &mut |_| ());
    demand(ended.is_err(), || "nothing was compared, and the drill is over".to_owned())?;
    unchanged(GROUND, &before, &subject.left())
}

/// A ground on which nothing can be compared.
struct Unfinished<'g>(crate::drillable::DrillGround<'g>);

impl Ground for Unfinished<'_> {
    type Error = String;

    fn refuse_production(&mut self) -> Result<(), String> {
        self.0.refuse_production()
    }

    fn sweep(&mut self) -> Result<drill::Swept, String> {
        self.0.sweep()
    }

    fn put(&mut self) -> Result<(), String> {
        self.0.put()
    }

    fn compare(&mut self) -> Result<drill::Findings, String> {
        Err("the time is over".to_owned())
    }
}

/// Demands that the next drill takes away what a killed one left, says so, and proves what there is to prove.
fn demand_cleared(subject: &dyn Drillable, before: &[String]) -> Checked {
    let (findings, swept) = held_after(subject, Wanted::Whole, || ())?;
    demand(!swept.is_empty(), || "nobody says that something was taken away".to_owned())?;
    demand_proven(&findings)?;
    unchanged(GROUND, before, &subject.left())
}

pub(crate) fn what_a_killed_drill_left_goes_with_the_next_one(start: &StartDrillable<'_>) -> Checked {
    for at in [Killed::AfterPutting, Killed::AfterComparing] {
        let subject = start(&SMALL);
        subject.add_foreign();
        let before = subject.left();
        killed(&*subject, at)?;
        let here = |unmet: Unmet| Unmet::Broken(format!("killed {at:?}: {unmet}"));
        if subject.left() != before {
            demand_cleared(&*subject, &before).map_err(here)?;
            continue;
        }
        // Comparing may be the end of what was restored; putting in cannot be.
        demand(matches!(at, Killed::AfterComparing), || "nothing was put in".to_owned()).map_err(here)?;
    }
    Ok(())
}

pub(crate) fn what_a_drill_left_that_was_killed_while_putting_goes(start: &StartDrillable<'_>) -> Checked {
    let subject = start(&SMALL);
    subject.starve(None)?;
    subject.add_foreign();
    let before = subject.left();
    for writes in 1..WRITES_MAX {
        let here = |unmet: Unmet| Unmet::Broken(format!("killed after {writes} writes: {unmet}"));
        if !killed_while_putting(&*subject, writes).map_err(here)? {
            return Ok(());
        }
        demand_cleared(&*subject, &before).map_err(here)?;
    }
    Ok(())
}

pub(crate) fn the_place_that_was_captured_is_refused(start: &StartDrillable<'_>) -> Checked {
    let mut way = 0;
    loop {
        let subject = start(&SMALL);
        if !subject.misaim(way) {
            return demand(way > 0, || "nobody says how a drill would reach production".to_owned());
        }
        let (production, left) = (subject.production(), subject.left());
        let held = subject.ground(Wanted::Whole).and_then(|mut ground| hold(&mut *ground, &mut |_| ()));
        let here = |unmet: Unmet| Unmet::Broken(format!("way {way}: {unmet}"));
        demand(held.is_err(), || "a drill was held in the place that it had to prove".to_owned())
            .map_err(here)?;
        unchanged("the place that was captured", &production, &subject.production()).map_err(here)?;
        unchanged(GROUND, &left, &subject.left()).map_err(here)?;
        way += 1;
    }
}
