//! Positions: what a later run goes on from.

use serde_json::{Value, json};

use crate::{
    rule::{Start, Unmet},
    stage::{Checked, Run, Scene, broken, demand, fetched_again},
    subject::State,
};

fn some_positions(scene: &Scene) -> Result<Vec<(String, String)>, Unmet> {
    let positions = scene.positions();
    if positions.is_empty() { broken("no unit said how far it came") } else { Ok(positions) }
}

pub(crate) fn a_position_is_json_and_read_by_its_members(start: &Start<'_>) -> Checked {
    let mut scene = Scene::captured(start)?;
    for (unit, text) in some_positions(&scene)? {
        let is_object = serde_json::from_str::<Value>(&text).is_ok_and(|value| value.is_object());
        demand(is_object, || format!("the position of {unit} is no JSON object: {text}"))?;
    }
    // The members in another order, with spaces: what another version of the same text looks like.
    scene.rewrite_positions(|text| {
        let value: Value = serde_json::from_str(text).unwrap_or_default();
        let members: Vec<String> = value
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, member)| format!("{} : {member}", Value::String(name.clone())))
            .collect();
        format!("{{ {} }}", members.into_iter().rev().collect::<Vec<_>>().join(" ,\n "))
    });
    let before = scene.subject.real();
    super::feed::upheaval(&scene)?;
    let run = scene.capture_later()?;
    scene.compare()?;
    nothing_twice(&scene, &before, &run)
}

fn nothing_twice(scene: &Scene, before: &State, run: &Run) -> Checked {
    let again = fetched_again(before, &scene.subject.real(), &run.contents);
    demand(again.is_none(), || format!("the content of {again:?} is held and was fetched again"))
}

pub(crate) fn an_old_position_leads_to_the_present(start: &Start<'_>) -> Checked {
    let mut scene = Scene::captured(start)?;
    some_positions(&scene)?;
    let old = scene.sink.clone();
    super::feed::upheaval(&scene)?;
    scene.capture_later()?;
    scene.compare()?;
    super::feed::upheaval(&scene)?;
    scene.capture_later()?;
    scene.compare()?;
    scene.sink = old;
    scene.capture()?;
    scene.compare()
}

pub(crate) fn a_position_of_another_version_is_a_lost_feed(start: &Start<'_>) -> Checked {
    let mut scene = Scene::captured(start)?;
    some_positions(&scene)?;
    let before = scene.subject.real();
    super::feed::upheaval(&scene)?;
    scene.rewrite_positions(|_| json!({ "made-by": "another version" }).to_string());
    let run = scene.capture_later()?;
    scene.compare()?;
    nothing_twice(&scene, &before, &run)
}
