//! Drills that are held, meddled with, and killed.

use std::mem::ManuallyDrop;

use drill::{Findings, Ground, Outcome, Swept, hold, outcome};

use crate::{
    drillable::{DrillGround, Drillable, Wanted},
    rule::Unmet,
    stage::{Checked, broken, demand},
};

/// Judges what was found as every reader of its certificate does.
pub(super) fn judged(findings: &Findings) -> Outcome {
    let Findings { against, tally, checks, probes, .. } = findings;
    outcome(*against, &tally.counts, tally.total, checks, probes)
}

/// Makes a ground; that there is none is no answer here.
pub(super) fn ground(subject: &dyn Drillable, wanted: Wanted) -> Result<DrillGround<'_>, Unmet> {
    subject.ground(wanted).map_err(|error| Unmet::Broken(format!("there is no ground: {error}")))
}

/// Holds a drill that must be held, and returns what it found and what it took away first.
pub(super) fn held_after(
    subject: &dyn Drillable,
    wanted: Wanted,
    meddle: impl FnOnce(),
) -> Result<(Findings, Swept), Unmet> {
    let mut meddled = Meddled { inner: ground(subject, wanted)?, meddle: Some(meddle) };
    let mut before = Swept::new();
    let findings = hold(&mut meddled, &mut |swept| before.clone_from(swept));
    let findings = findings.map_err(|error| Unmet::Broken(format!("no drill was held: {error}")))?;
    demand(findings.tally.counts.balance(), || {
        format!("the numbers do not fit each other: {:?}", findings.tally)
    })?;
    Ok((findings, before))
}

/// Holds a drill that must prove what it restored.
pub(super) fn proven(subject: &dyn Drillable, wanted: Wanted) -> Result<Findings, Unmet> {
    let (findings, _) = held_after(subject, wanted, || ())?;
    demand_proven(&findings)?;
    Ok(findings)
}

pub(super) fn demand_proven(findings: &Findings) -> Checked {
    demand(judged(findings) == Outcome::Proven, || {
        let (named, checks) = (&findings.tally.named, &findings.checks);
        format!("nothing is otherwise, and nothing is proven: {named:?}, {checks:?}")
    })
}

/// A ground on which something happens after everything was put in.
struct Meddled<'g, M> {
    inner: DrillGround<'g>,
    meddle: Option<M>,
}

impl<M: FnOnce()> Ground for Meddled<'_, M> {
    type Error = String;

    fn refuse_production(&mut self) -> Result<(), String> {
        self.inner.refuse_production()
    }

    fn sweep(&mut self) -> Result<Swept, String> {
        self.inner.sweep()
    }

    fn put(&mut self) -> Result<(), String> {
        self.inner.put()
    }

    fn compare(&mut self) -> Result<Findings, String> {
        if let Some(meddle) = self.meddle.take() {
            meddle();
        }
        self.inner.compare()
    }
}

/// How far a drill gets before it is killed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Killed {
    /// Everything was put in.
    AfterPutting,
    /// It was compared as well.
    AfterComparing,
}

/// Holds a drill that is killed: nothing of it is closed, taken back or cleared by the process itself.
pub(super) fn killed(subject: &dyn Drillable, at: Killed) -> Checked {
    let mut ground = ManuallyDrop::new(ground(subject, Wanted::Whole)?);
    let mut work = || {
        ground.refuse_production()?;
        ground.sweep()?;
        ground.put()?;
        match at {
            Killed::AfterPutting => Ok(()),
            Killed::AfterComparing => ground.compare().map(drop),
        }
    };
    let done: Result<(), String> = work();
    done.or_else(|error| broken(format!("a drill that was to be killed was not held: {error}")))
}

/// Begins a drill that is killed while it puts things in; returns whether it was.
pub(super) fn killed_while_putting(subject: &dyn Drillable, writes: u64) -> Result<bool, Unmet> {
    let mut ground = ManuallyDrop::new(ground(subject, Wanted::Whole)?);
    let ready = ground.refuse_production().and_then(|()| ground.sweep());
    ready.map_err(|error| Unmet::Broken(format!("the ground was not cleared: {error}")))?;
    subject.starve(Some(writes))?;
    let was_killed = ground.put().is_err();
    subject.starve(None)?;
    Ok(was_killed)
}
