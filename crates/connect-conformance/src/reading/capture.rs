//! What a capture holds.

use std::collections::BTreeSet;

use crate::{
    rule::Start,
    stage::{Checked, Scene, demand},
};

pub(crate) fn a_first_capture_holds_everything_and_fetches_it_once(start: &Start<'_>) -> Checked {
    let mut scene = Scene::new(start);
    let run = scene.capture()?;
    scene.compare()?;
    demand(!scene.subject.real().is_empty(), || "the simulated source is empty".to_owned())?;
    let asked: BTreeSet<&String> = run.contents.iter().collect();
    demand(asked.len() == run.contents.len(), || "some content was fetched twice".to_owned())?;
    let covered: BTreeSet<String> = scene.committed();
    let wrong = covered.iter().find(|key| !asked.contains(key));
    demand(wrong.is_none(), || {
        format!("nobody saw the content of {wrong:?} being asked for: is Subject::contents right?")
    })
}

pub(crate) fn every_ledger_balances(start: &Start<'_>) -> Checked {
    let mut scene = Scene::new(start);
    let mut reader = scene.reader();
    scene.run_with(&mut *reader, |sink| sink.step_micros = crate::stage::STEP_MICROS).good()?;
    let commits = &scene.sink.commits;
    demand(commits.len() > 1, || {
        "there was one commit at most: is it made by the subject's clock?".to_owned()
    })?;
    let wrong = commits.iter().find(|commit| !commit.ledger.balances());
    demand(wrong.is_none(), || format!("a ledger does not balance: {wrong:?}"))?;
    let stored: u64 = commits.iter().map(|commit| commit.ledger.stored).sum();
    let real = scene.subject.real().len() as u64;
    demand(stored >= real, || format!("{real} items are in the source, and the ledgers tell of {stored}"))
}

pub(crate) fn several_workers_hold_what_one_holds(start: &Start<'_>) -> Checked {
    let mut held = Vec::new();
    for threads in [1, 4] {
        let mut scene = Scene::new(start);
        scene.threads = threads;
        scene.capture()?;
        scene.compare()?;
        held.push(scene.sink.held);
    }
    demand(held[0] == held[1], || "one worker and four workers hold different things".to_owned())
}

pub(crate) fn the_same_seed_gives_the_same_commits(start: &Start<'_>) -> Checked {
    let mut runs = Vec::new();
    for _ in 0..2 {
        let mut scene = Scene::new(start);
        scene.threads = 1;
        let run = scene.capture()?;
        runs.push((run.told, scene.sink.commits, scene.sink.held));
    }
    let second = runs.pop();
    let first = runs.pop();
    let differ = first.iter().zip(&second).find_map(|(first, second)| {
        first.0.iter().zip(&second.0).find(|(one, other)| one != other).map(|pair| format!("{pair:?}"))
    });
    demand(first == second, || {
        format!("two runs over equal sources differ: {}", differ.unwrap_or_else(|| "in number".to_owned()))
    })
}
