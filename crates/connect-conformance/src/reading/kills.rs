//! Kills and requests to end, at every call.

use connect::{ReadEnd, Stop, testing::MemorySink};

use crate::{
    rule::{Start, Unmet},
    stage::{Checked, STEP_MICROS, Scene, broken, demand, fetched_again},
};

/// Kills at each call of the sink of one run, from the same beginning each time, and demands of the next run that it
/// holds everything and fetches nothing that was committed.
fn sweep(scene: &mut Scene, beginning: &MemorySink) -> Checked {
    let mut reader = scene.reader();
    scene.sink.clone_from(beginning);
    let calls = scene.run_with(&mut *reader, |sink| sink.step_micros = STEP_MICROS).good()?.sink_calls;
    let mut commits = 0;
    for at in 1..=calls {
        scene.sink.clone_from(beginning);
        let mut reader = scene.reader();
        let killed = scene.run_with(&mut *reader, |sink| {
            (sink.step_micros, sink.dies_at) = (STEP_MICROS, Some(at));
        });
        if killed.sink_calls < at {
            // Several workers do not always make the same number of calls: it came to its end before this one.
            continue;
        }
        let early = killed.ended.is_some_and(|ended| ended.is_ok());
        demand(!early, || format!("the sink failed at call {at}, and the reader ended well"))?;
        commits += scene.sink.commits.len() - beginning.commits.len();
        let committed = scene.held().0;
        let run = scene.capture().map_err(|unmet| at_call(at, calls, &unmet))?;
        scene.compare().map_err(|unmet| at_call(at, calls, &unmet))?;
        let twice = fetched_again(&committed, &scene.subject.real(), &run.contents);
        demand(twice.is_none(), || {
            format!("killed at call {at} of {calls}: {twice:?} was committed and is fetched again")
        })?;
    }
    demand(commits > 0, || "no kill came after a commit: is it made by the subject's clock?".to_owned())
}

fn at_call(at: u64, calls: u64, unmet: &Unmet) -> Unmet {
    Unmet::Broken(format!("killed at call {at} of {calls}: {unmet}"))
}

pub(crate) fn a_kill_during_a_first_capture_loses_nothing(start: &Start<'_>) -> Checked {
    let mut scene = Scene::new(start);
    sweep(&mut scene, &MemorySink::new())
}

pub(crate) fn a_kill_during_a_later_capture_loses_nothing(start: &Start<'_>) -> Checked {
    let mut scene = Scene::captured(start)?;
    super::feed::upheaval(&scene)?;
    let beginning = scene.sink.clone();
    sweep(&mut scene, &beginning)
}

pub(crate) fn a_request_to_end_is_heard_soon(start: &Start<'_>) -> Checked {
    let mut scene = Scene::new(start);
    let all = scene.capture()?.requests;
    for at in 0..all {
        scene.sink = MemorySink::new();
        let stop = Stop::default();
        let asks = stop.clone();
        let mut reader = scene.reader();
        scene.tap.watch(move |number, _| {
            if number == at {
                asks.request();
            }
        });
        let run = scene.run_until(&mut *reader, &stop, |_| ());
        scene.tap.unwatch();
        let more = run.requests.saturating_sub(at + 1);
        let allowed = scene.threads as u64;
        demand(more <= allowed, || {
            format!("asked to end at request {at}, it made {more} more; {allowed} may be under way")
        })?;
        match &run.ended {
            Some(Ok(ReadEnd::Stopped)) => {}
            Some(Ok(ReadEnd::UpToDate)) if at + 1 >= all => {}
            other => {
                return broken(format!("asked to end at request {at} of {all}, it ended with {other:?}"));
            }
        }
        if at % 4 == 0 {
            scene.capture()?;
            scene.compare()?;
        }
    }
    Ok(())
}
