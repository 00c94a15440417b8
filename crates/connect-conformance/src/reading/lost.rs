//! Lost feeds and lost sight: what they do not say.

use model::UnreadableReason;

use crate::{
    rule::Start,
    sink::Told,
    stage::{Checked, Scene, broken, demand, fetched_again},
    subject::Act,
};

fn expire_all(scene: &Scene) -> Checked {
    for stream in scene.places().keys() {
        scene.subject.act(Act::ExpireFeed(stream))?;
    }
    Ok(())
}

pub(crate) fn a_lost_feed_costs_no_content_and_deletes_nothing(start: &Start<'_>) -> Checked {
    let mut scene = Scene::captured(start)?;
    expire_all(&scene)?;
    let run = scene.capture()?;
    demand(run.contents.is_empty(), || format!("content was fetched that is held: {:?}", run.contents))?;
    demand(run.removed() == 0, || format!("{} items were taken for deleted", run.removed()))?;
    scene.compare()
}

pub(crate) fn a_lost_feed_hides_no_change(start: &Start<'_>) -> Checked {
    let mut scene = Scene::captured(start)?;
    let before = scene.subject.real();
    super::feed::upheaval(&scene)?;
    expire_all(&scene)?;
    let real = scene.subject.real();
    let run = scene.capture_later()?;
    scene.compare()?;
    let again = fetched_again(&before, &real, &run.contents);
    demand(again.is_none(), || format!("the content of {again:?} is held and was fetched again"))?;
    let gone = before.keys().filter(|place| !real.contains_key(place)).count();
    demand(run.items_removed == gone, || {
        format!("{gone} items are gone, and {} were told", run.items_removed)
    })
}

fn assert_nothing_gone(scene: &Scene, run: &crate::stage::Run, held: usize) -> Checked {
    demand(run.removed() == 0, || format!("{} items were taken for deleted", run.removed()))?;
    let now = scene.held().0.len();
    demand(now == held, || format!("{held} items were held, and {now} are"))
}

pub(crate) fn a_suspended_owner_is_blinded_and_loses_nothing(start: &Start<'_>) -> Checked {
    let mut scene = Scene::captured(start)?;
    let (stream, held) = (scene.first_stream()?, scene.held().0.len());
    scene.subject.act(Act::Suspend(&stream))?;
    let mut reader = scene.reader();
    let run = scene.run(&mut *reader).good()?;
    assert_nothing_gone(&scene, &run, held)?;
    let told = run.told.iter().filter(|told| match told {
        Told::Unreadable { reason: UnreadableReason::Blinded { detail }, .. } => !detail.is_empty(),
        _ => false,
    });
    demand(told.count() > 0, || "nobody was told that a unit cannot be seen".to_owned())?;
    let commits = scene.sink.commits.len();
    scene.run(&mut *reader).good()?;
    demand(scene.sink.commits.len() == commits, || "the next pass told it again".to_owned())?;

    scene.subject.act(Act::Reinstate(&stream))?;
    super::feed::upheaval(&scene)?;
    scene.capture_later()?;
    scene.compare()?;
    let blind = scene.sink.stream("blinded");
    let names: Vec<_> = blind.keys().filter(|name| run.told.iter().any(|told| is_of(told, name))).collect();
    demand(names.is_empty(), || format!("{names:?} are still told to be blinded"))
}

fn is_of(told: &Told, name: &str) -> bool {
    matches!(told, Told::Unreadable { stream, key, .. } if stream == "blinded" && key == name)
}

pub(crate) fn a_right_that_is_taken_away_deletes_nothing(start: &Start<'_>) -> Checked {
    let mut scene = Scene::captured(start)?;
    let held = scene.held().0.len();
    scene.subject.act(Act::DenyScope)?;
    let mut reader = scene.reader();
    let run = scene.run(&mut *reader);
    assert_nothing_gone(&scene, &run, held)?;
    let blinded =
        run.told.iter().any(|told| matches!(told, Told::Unreadable { stream, .. } if stream == "blinded"));
    match &run.ended {
        Some(Ok(_)) if !blinded => {
            return broken("the run ended well, and nobody was told what cannot be seen");
        }
        Some(Err(error)) if error.hint().is_none() => {
            return broken(format!("the run failed and does not say what a person can do: {error}"));
        }
        _ => {}
    }
    scene.subject.act(Act::Lift)?;
    super::feed::upheaval(&scene)?;
    scene.capture_later()?;
    scene.compare()
}
