//! What goes wrong on the way, at every request.

use std::sync::{Arc, Mutex, PoisonError};

use connect::testing::MemorySink;
use connect_http::{Fault, Faulty, Transport, When, http::StatusCode};
use model::UnreadableReason;

use crate::{
    rule::{Start, Unmet},
    stage::{Checked, Run, Scene, broken, demand},
};

/// Runs once with a fault at one request, counted from 0, into an empty sink.
fn run_with_fault(scene: &mut Scene, at: u64, fault: Fault) -> Run {
    scene.sink = MemorySink::new();
    let clock = scene.subject.clock();
    let faulty = Faulty::new(Arc::clone(&scene.tap), clock, at).rule(When::Call(at), fault);
    let mut reader = scene.reader_through(Arc::new(faulty) as Arc<dyn Transport>);
    scene.run(&mut *reader)
}

/// Demands of each request of a first capture: a fault there leads to the same held state after the next run, removes
/// nothing, and tells of no permanent cause.
fn sweep(start: &Start<'_>, fault: Fault) -> Checked {
    let mut scene = Scene::new(start);
    scene.threads = 1;
    let requests = scene.capture()?.requests;
    let real = scene.subject.real();
    for at in 0..requests {
        let here = |what: String| Unmet::Broken(format!("{fault:?} at request {at} of {requests}: {what}"));
        let run = run_with_fault(&mut scene, at, fault);
        demand(run.removed() == 0, || here("items were taken for deleted".to_owned()).to_string())?;
        let (held, missing) = scene.held();
        for (place, reason) in missing.iter().filter(|(place, _)| real.contains_key(place)) {
            if !matches!(reason, UnreadableReason::Failed { .. }) {
                return Err(here(format!("{place} is told as {reason:?}, and the cause had passed")));
            }
        }
        if let Some((place, _)) = held.iter().find(|(place, fact)| real.get(place) != Some(fact)) {
            return Err(here(format!("{place} is held as it never was")));
        }
        scene.capture().map_err(|unmet| here(format!("in the next run, {unmet}")))?;
        scene.compare_with(&real).map_err(|unmet| here(format!("after the next run, {unmet}")))?;
    }
    Ok(())
}

pub(crate) fn a_refused_connection_changes_nothing(start: &Start<'_>) -> Checked {
    sweep(start, Fault::Refuse)
}

pub(crate) fn a_broken_connection_changes_nothing(start: &Start<'_>) -> Checked {
    sweep(start, Fault::BreakAfter)
}

pub(crate) fn silence_changes_nothing(start: &Start<'_>) -> Checked {
    sweep(start, Fault::TimeOut)
}

pub(crate) fn being_asked_to_wait_changes_nothing(start: &Start<'_>) -> Checked {
    sweep(start, Fault::Throttle(Some(7)))
}

pub(crate) fn a_failing_server_changes_nothing(start: &Start<'_>) -> Checked {
    sweep(start, Fault::Fail(StatusCode::SERVICE_UNAVAILABLE))
}

pub(crate) fn a_token_that_is_not_taken_changes_nothing(start: &Start<'_>) -> Checked {
    sweep(start, Fault::Fail(StatusCode::UNAUTHORIZED))
}

pub(crate) fn an_answer_that_breaks_off_changes_nothing(start: &Start<'_>) -> Checked {
    sweep(start, Fault::Cut)
}

pub(crate) fn an_answer_of_somebody_else_changes_nothing(start: &Start<'_>) -> Checked {
    sweep(start, Fault::Replace)
}

pub(crate) fn a_wrong_bit_in_a_content_is_found(start: &Start<'_>) -> Checked {
    let mut scene = Scene::new(start);
    scene.subject.digests()?;
    scene.threads = 1;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&seen);
    let mut reader = scene.reader();
    scene.tap.watch(move |number, contents| {
        if !contents.is_empty() {
            noted.lock().unwrap_or_else(PoisonError::into_inner).push(number);
        }
    });
    scene.run(&mut *reader).good()?;
    scene.tap.unwatch();
    let real = scene.subject.real();
    let numbers = seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
    for at in numbers {
        run_with_fault(&mut scene, at, Fault::Corrupt);
        let (held, _) = scene.held();
        let wrong =
            held.iter().find(|(place, fact)| real.get(place).is_none_or(|real| real.content != fact.content));
        if let Some((place, _)) = wrong {
            return broken(format!(
                "a bit of the answer to request {at} was wrong, and {place} is held with it"
            ));
        }
        scene.capture()?;
        scene.compare_with(&real)?;
    }
    Ok(())
}

pub(crate) fn a_passing_fault_is_overcome_within_the_run(start: &Start<'_>) -> Checked {
    let mut scene = Scene::new(start);
    scene.threads = 1;
    let requests = scene.capture()?.requests;
    let real = scene.subject.real();
    let unavailable = Fault::Fail(StatusCode::SERVICE_UNAVAILABLE);
    for fault in [Fault::Refuse, Fault::BreakAfter, Fault::Throttle(None), unavailable, Fault::Cut] {
        for at in 0..requests {
            let run = run_with_fault(&mut scene, at, fault);
            let here =
                |unmet: Unmet| Unmet::Broken(format!("{fault:?} at request {at} of {requests}: {unmet}"));
            run.good().map_err(here)?;
            scene.compare_with(&real).map_err(here)?;
        }
    }
    Ok(())
}
