//! Kills and faults while a plan is applied, at every request.

use std::sync::Arc;

use connect::plan::ApplyMode;
use connect_http::{Fault, Faulty, When, http::StatusCode};

use super::stage::{Damaged, Snapshot};
use crate::{
    rule::{StartRestorable, Unmet},
    stage::{Checked, demand},
    tap::Death,
};

/// Returns how many requests applying a plan takes.
fn requests(start: &StartRestorable<'_>) -> Result<u64, Unmet> {
    let stage = Damaged::new(start)?;
    let (plan, folder) = stage.plan("p")?;
    stage.apply(&plan, &folder)?;
    Ok(stage.scene.tap.calls())
}

/// Kills at each request; what the process wrote into the plan's folder after it was killed is taken back.
fn killed(start: &StartRestorable<'_>, sent: bool) -> Checked {
    let requests = requests(start)?;
    for at in 0..requests {
        let stage = Damaged::new(start)?;
        let (plan, folder) = stage.plan("p")?;
        let (moment, path) = (Arc::default(), folder.path().to_owned());
        let seen: Arc<std::sync::Mutex<Option<Snapshot>>> = Arc::clone(&moment);
        let witness = Box::new(move || {
            *seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(Snapshot::take(&path));
        });
        stage.scene.tap.die(Death { at, sent, witness });
        let transport = Arc::clone(&stage.scene.tap);
        let ended = stage.apply_through(transport, &plan, &folder, ApplyMode::Lasting);
        demand(stage.scene.tap.is_dead(), || format!("there was no request {at} of {requests}"))?;
        let here = |unmet: Unmet| Unmet::Broken(format!("killed at request {at} of {requests}: {unmet}"));
        demand(ended.is_err() || at + 1 == requests, || {
            format!("nothing could be reached after request {at} of {requests}, and applying ended well")
        })?;
        if let Some(moment) = moment.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take() {
            moment.put_back(folder.path()).map_err(here)?;
        }
        stage.apply(&plan, &folder).map_err(here)?;
        stage.demand_whole().map_err(here)?;
    }
    Ok(())
}

pub(crate) fn a_kill_before_a_request_leads_to_no_twins(start: &StartRestorable<'_>) -> Checked {
    killed(start, false)
}

pub(crate) fn a_kill_after_a_request_leads_to_no_twins(start: &StartRestorable<'_>) -> Checked {
    killed(start, true)
}

/// Lets each request fail in one way, and applies the plan again.
fn failing(start: &StartRestorable<'_>, fault: Fault) -> Checked {
    let requests = requests(start)?;
    for at in 0..requests {
        let stage = Damaged::new(start)?;
        let (plan, folder) = stage.plan("p")?;
        stage.scene.tap.forget();
        let faulty = Faulty::new(Arc::clone(&stage.scene.tap), stage.subject.clock(), at);
        let transport = Arc::new(faulty.rule(When::Call(at), fault));
        let here = |unmet: Unmet| Unmet::Broken(format!("{fault:?} at request {at} of {requests}: {unmet}"));
        // Whether it says that it failed is its own; that nothing is there twice, or lacking, is not.
        drop(stage.apply_through(transport, &plan, &folder, ApplyMode::Lasting));
        stage.apply(&plan, &folder).map_err(here)?;
        stage.demand_whole().map_err(here)?;
    }
    Ok(())
}

pub(crate) fn a_lost_answer_leads_to_no_twins(start: &StartRestorable<'_>) -> Checked {
    failing(start, Fault::BreakAfter)
}

pub(crate) fn an_answer_that_is_cut_leads_to_no_twins(start: &StartRestorable<'_>) -> Checked {
    failing(start, Fault::Cut)
}

pub(crate) fn a_failing_server_leads_to_no_twins(start: &StartRestorable<'_>) -> Checked {
    failing(start, Fault::Fail(StatusCode::SERVICE_UNAVAILABLE))
}
