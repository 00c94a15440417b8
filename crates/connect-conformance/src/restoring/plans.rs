//! What a plan is.

use connect::plan::Plan;

use super::stage::Damaged;
use crate::{
    rule::StartRestorable,
    stage::{Checked, SMALL, demand},
};

pub(crate) fn where_nothing_happened_the_plan_is_empty(start: &StartRestorable<'_>) -> Checked {
    let mut stage = Damaged::whole(start, &SMALL)?;
    stage.see()?;
    let (plan, _) = stage.plan("p")?;
    demand(plan.is_empty(), || format!("nothing happened, and the plan has {} steps", plan.steps.len()))
}

pub(crate) fn planning_twice_gives_the_same_plan(start: &StartRestorable<'_>) -> Checked {
    let stage = Damaged::new(start)?;
    let bytes = |plan: Plan| plan.canonical_bytes().map_err(|error| broken(&error));
    let (one, other) = (stage.plan("p")?.0, stage.plan("q")?.0);
    demand(!one.is_empty(), || "a stream was damaged, and the plan is empty".to_owned())?;
    demand(bytes(one)? == bytes(other)?, || "two plans for the same damage differ".to_owned())
}

fn broken(error: &dyn std::error::Error) -> crate::Unmet {
    crate::Unmet::Broken(crate::stage::chain(error))
}

pub(crate) fn a_plan_promises_what_becomes_of_each_kind(start: &StartRestorable<'_>) -> Checked {
    let stage = Damaged::new(start)?;
    let (plan, _) = stage.plan("p")?;
    demand(!plan.fidelity.is_empty(), || "the plan promises nothing".to_owned())?;
    for promise in &plan.fidelity {
        demand(!promise.aspects.is_empty(), || format!("the promise for {} has no aspects", promise.kind))?;
        let silent = promise
            .aspects
            .iter()
            .find(|aspect| aspect.grade != connect::fidelity::Grade::Exact && aspect.reason.is_none());
        demand(silent.is_none(), || format!("not exact, and nobody says why: {silent:?}"))?;
    }
    demand(plan.steps.iter().all(|step| step.rows > 0), || "a step of the plan does nothing".to_owned())
}
