//! Items that are listed and cannot be had.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use model::UnreadableReason;

use crate::{
    rule::{Start, Unmet},
    sink::Told,
    stage::{Checked, Scene, broken, demand},
    subject::{Act, Place},
};

pub(crate) fn what_vanishes_before_it_is_read_is_told(start: &Start<'_>) -> Checked {
    let mut scene = Scene::new(start);
    let place = scene.place(1)?;
    let (subject, wanted) = (Arc::clone(&scene.subject), place.clone());
    let met = Arc::new(AtomicBool::new(false));
    let meets = Arc::clone(&met);
    let mut reader = scene.reader();
    scene.tap.watch(move |_, contents| {
        if contents.contains(&wanted.key) && !meets.swap(true, Ordering::SeqCst) {
            subject.act(Act::RemoveForGood(&wanted)).ok();
        }
    });
    let run = scene.run(&mut *reader).good()?;
    scene.tap.unwatch();
    if !met.load(Ordering::SeqCst) {
        return broken(format!("nobody asked for the content of {place}"));
    }
    if scene.subject.real().contains_key(&place) {
        return Err(Unmet::Never("nothing is ever removed for good"));
    }
    match scene.look(&place) {
        None | Some(Err(UnreadableReason::Vanished)) => {}
        Some(Err(reason)) => return broken(format!("{place} vanished and is told as {reason:?}")),
        Some(Ok(content)) => {
            return broken(format!("{place} vanished and is held with {} bytes of content", content.len()));
        }
    }
    let told = run.told.iter().any(|told| match told {
        Told::Unreadable { key, reason, .. } => *key == place.key && *reason == UnreadableReason::Vanished,
        _ => false,
    });
    demand(told, || format!("{place} was listed and vanished, and nobody was told"))?;
    scene.capture_later()?;
    scene.compare()
}

/// Captures a source in which one item cannot be had, and demands that it is told once, with its reason.
fn told_once(
    start: &Start<'_>,
    act: fn(&Place) -> Act<'_>,
    is_right: fn(&UnreadableReason) -> bool,
) -> Result<(Scene, Place), Unmet> {
    let mut scene = Scene::new(start);
    let place = scene.place(1)?;
    scene.subject.act(act(&place))?;
    let mut reader = scene.reader();
    scene.run(&mut *reader).good()?;
    match scene.look(&place) {
        Some(Err(reason)) if is_right(reason) => {}
        other => return broken(format!("{place} cannot be had and is held as {other:?}")),
    }
    let commits = scene.sink.commits.len();
    scene.subject.clock().advance_micros(30_000_000);
    scene.run(&mut *reader).good()?;
    demand(scene.sink.commits.len() == commits, || format!("the next pass told {place} again"))?;
    Ok((scene, place))
}

fn told_once_for_good(
    start: &Start<'_>,
    act: fn(&Place) -> Act<'_>,
    is_right: fn(&UnreadableReason) -> bool,
) -> Checked {
    let (mut scene, place) = told_once(start, act, is_right)?;
    let run = scene.capture_later()?;
    let again = run.told.iter().any(|told| matches!(told, Told::Unreadable { key, .. } if *key == place.key));
    demand(!again, || format!("a run that was started anew told {place} again"))
}

pub(crate) fn a_denied_item_is_told_once_with_its_reason(start: &Start<'_>) -> Checked {
    told_once_for_good(
        start,
        |place| Act::DenyItem(place),
        |reason| matches!(reason, UnreadableReason::Denied { detail } if !detail.is_empty()),
    )
}

pub(crate) fn an_unsupported_item_is_told_once_with_its_reason(start: &Start<'_>) -> Checked {
    told_once_for_good(
        start,
        |place| Act::MakeUnsupported(place),
        |reason| matches!(reason, UnreadableReason::Unsupported { detail } if !detail.is_empty()),
    )
}

fn is_failed(reason: &UnreadableReason) -> bool {
    matches!(reason, UnreadableReason::Failed { detail } if !detail.is_empty())
}

pub(crate) fn a_failed_item_is_told_and_tried_again(start: &Start<'_>) -> Checked {
    let (mut scene, _) = told_once(start, |place| Act::FailItem(place), is_failed)?;
    scene.subject.act(Act::Lift)?;
    scene.capture_later()?;
    scene.compare()
}

pub(crate) fn what_fails_again_is_not_told_again(start: &Start<'_>) -> Checked {
    let (mut scene, place) = told_once(start, |place| Act::FailItem(place), is_failed)?;
    let run = scene.capture_later()?;
    demand(run.contents.contains(&place.key), || format!("nobody tried {place} again"))?;
    let again = run.told.iter().any(|told| matches!(told, Told::Unreadable { key, .. } if *key == place.key));
    demand(!again, || format!("{place} failed again in the same way and was told again"))
}
