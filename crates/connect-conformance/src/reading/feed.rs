//! What a change costs, and what it leads to.

use connect::testing::MemorySink;

use crate::{
    rule::{Start, Unmet},
    stage::{Checked, Scene, demand},
    subject::{Act, Never, Place},
};

/// Lets everything happen that can, to different items of each stream; returns how much did.
pub(crate) fn upheaval(scene: &Scene) -> Result<usize, Unmet> {
    let mut done = 0;
    for (stream, places) in scene.places() {
        let mut places = places.iter();
        let mut acts = vec![Act::Add(&stream)];
        let kinds: [fn(&Place) -> Act<'_>; 5] = [
            |place| Act::ChangeAttributes(place),
            |place| Act::RemoveForGood(place),
            |place| Act::Move(place),
            |place| Act::Remove(place),
            |place| Act::ChangeContent(place),
        ];
        acts.extend(kinds.iter().zip(&mut places).map(|(kind, place)| kind(place)));
        done += acts.into_iter().filter(|act| scene.subject.act(*act).is_ok()).count();
    }
    if done == 0 { Err(Unmet::Never("nothing ever happens in this source")) } else { Ok(done) }
}

pub(crate) fn the_change_feed_and_a_full_capture_agree(start: &Start<'_>) -> Checked {
    let mut scene = Scene::captured(start)?;
    upheaval(&scene)?;
    scene.capture_later()?;
    scene.compare()?;
    let followed = std::mem::replace(&mut scene.sink, MemorySink::new());
    scene.capture()?;
    scene.compare()?;
    let full = &scene.sink;
    let differ = full.held.iter().find(|((stream, key), item)| {
        let place = Place::new(stream.as_str(), key);
        let found = followed.held.get(&(stream.clone(), key.clone()));
        scene.covers(&place) && found != Some(*item)
    });
    demand(differ.is_none(), || {
        let found = differ.and_then(|(place, _)| followed.held.get(place));
        format!("followed and captured anew are not the same: {found:?} and {differ:?}")
    })
}

pub(crate) fn a_change_of_attributes_fetches_no_content(start: &Start<'_>) -> Checked {
    let mut scene = Scene::captured(start)?;
    let (one, other) = (scene.place(0)?, scene.place(1)?);
    let acts = [scene.subject.act(Act::ChangeAttributes(&one)), scene.subject.act(Act::Move(&other))];
    if let [Err(Never(reason)), Err(_)] = acts {
        return Err(Unmet::Never(reason));
    }
    let run = scene.capture_later()?;
    scene.compare()?;
    demand(run.contents.is_empty(), || format!("content was fetched: {:?}", run.contents))
}

pub(crate) fn new_content_is_fetched_once(start: &Start<'_>) -> Checked {
    let mut scene = Scene::captured(start)?;
    let (stream, changed) = (scene.first_stream()?, scene.place(2)?);
    let before = scene.subject.real();
    let added = scene.subject.act(Act::Add(&stream));
    let replaced = scene.subject.act(Act::ChangeContent(&changed));
    added.or(replaced)?;
    let real = scene.subject.real();
    let mut expected: Vec<String> = real
        .iter()
        .filter(|(place, fact)| before.get(place).is_none_or(|old| old.content != fact.content))
        .map(|(place, _)| place.key.clone())
        .collect();
    let mut run = scene.capture_later()?;
    scene.compare()?;
    expected.sort();
    run.contents.sort();
    demand(run.contents == expected, || {
        format!("the content of {expected:?} is new, and that of {:?} was fetched", run.contents)
    })
}

pub(crate) fn what_is_removed_is_told_and_nothing_else(start: &Start<'_>) -> Checked {
    let mut scene = Scene::captured(start)?;
    let (one, other) = (scene.place(0)?, scene.place(3)?);
    let before = scene.subject.real();
    scene.subject.act(Act::RemoveForGood(&one))?;
    // A trash is a place: what lies in it is not gone.
    scene.subject.act(Act::Remove(&other)).ok();
    let real = scene.subject.real();
    let gone = before.keys().filter(|place| !real.contains_key(place)).count();
    let run = scene.capture_later()?;
    scene.compare()?;
    demand(run.items_removed == gone, || {
        format!("{gone} items are gone, and {} were told", run.items_removed)
    })
}

pub(crate) fn a_change_during_a_capture_is_not_lost(start: &Start<'_>) -> Checked {
    let requests = Scene::captured(start)?.tap.calls();
    for part in 1..=3 {
        let at = requests * part / 4;
        let mut scene = Scene::new(start);
        scene.threads = 1;
        let (stream, one, other) = (scene.first_stream()?, scene.place(0)?, scene.place(4)?);
        let subject = std::sync::Arc::clone(&scene.subject);
        let mut reader = scene.reader();
        // `run` counts anew as well, so the numbers begin with its first request.
        scene.tap.watch(move |number, _| {
            if number == at {
                for act in [Act::Add(&stream), Act::ChangeAttributes(&one), Act::RemoveForGood(&other)] {
                    subject.act(act).ok();
                }
            }
        });
        scene.run(&mut *reader).good()?;
        scene.tap.unwatch();
        scene.capture_later()?;
        scene.compare().map_err(|unmet| {
            Unmet::Broken(format!("what changed before request {at} of {requests}: {unmet}"))
        })?;
    }
    Ok(())
}
