//! What one program did to a drive is undone, and what anybody else did there at the same time stays.

use std::collections::{BTreeMap, BTreeSet};

use connect::plan::{Plan, PlanFolder};
use google_recovery::{Request, Selection};
use ports::SeededRandom;
use serde_json::{Value, json};

use super::{file, request, stage};
use crate::{drives::FOLDER, stage::Stage};

const HISTORIES: u64 = 12;
const TOLD: [&str; 4] = ["name", "description", "explicitlyTrashed", "md5Checksum"];

fn deeds(stage: &Stage, commits: (u64, u64), keys: &BTreeSet<String>) -> Request {
    let keys = keys.iter().map(|id| format!("file/{id}")).collect();
    let selection = Selection { keys, deeds: true };
    Request { selection, ..request(stage, commits.0, commits.1, commits.1) }
}

fn undo(
    stage: &mut Stage,
    commits: (u64, u64),
    own: &BTreeSet<String>,
    contested: &BTreeSet<String>,
) -> (Plan, PlanFolder) {
    let request = deeds(stage, commits, own);
    let settings = stage.settings();
    let contested: Vec<String> = contested.iter().map(|id| format!("file/{id}")).collect();
    stage.plan_with(&settings, |planner| {
        planner.contest(&request, &contested, "somebody else was active, too")?;
        planner.drive(&request)
    })
}

/// What is told of a file, or that it is gone.
fn told(stage: &Stage, id: &str) -> BTreeMap<&'static str, Value> {
    let found = file(stage, &stage.user, id);
    TOLD.iter().map(|name| (*name, found[*name].clone())).collect()
}

/// One history: files that several actors work on.
#[derive(Default)]
struct Grove {
    files: Vec<String>,
    bad: BTreeSet<String>,
    good: BTreeSet<String>,
    made_by_bad: BTreeSet<String>,
}

impl Grove {
    fn plant(stage: &Stage, seed: u64) -> Self {
        let hand = stage.domain.hand(&stage.user);
        let top = hand.make(&json!({ "name": format!("grove {seed}"), "mimeType": FOLDER }));
        let files = (0..5).map(|number| {
            let id = hand
                .make(&json!({ "name": format!("f{number}"), "mimeType": "text/plain", "parents": [top] }));
            hand.write(&id, "text/plain", format!("text {seed} {number}").as_bytes(), "");
            id
        });
        Self { files: files.collect(), ..Self::default() }
    }

    fn act(&mut self, stage: &Stage, random: &SeededRandom, act: u64) {
        let hand = stage.domain.hand(&stage.user);
        let bad = random.below(2) == 0;
        if random.below(5) == 0 {
            let id = hand.make(&json!({ "name": format!("made {act}"), "mimeType": "text/plain" }));
            hand.write(&id, "text/plain", b"made", "");
            if bad {
                self.made_by_bad.insert(id.clone());
                self.bad.insert(id);
            } else {
                self.good.insert(id.clone());
            }
            return;
        }
        let id = self.files[usize::try_from(random.below(self.files.len() as u64)).unwrap()].clone();
        if file(stage, &stage.user, &id).is_null() {
            return;
        }
        match random.below(5) {
            0 => hand.change(&id, &json!({ "trashed": true })),
            1 => hand.change(&id, &json!({ "name": format!("renamed {act}") })),
            2 => hand.change(&id, &json!({ "description": format!("told {act}") })),
            3 => hand.write(&id, "text/plain", format!("written {act}").as_bytes(), ""),
            _ => hand.delete(&format!("files/{id}")),
        }
        let by = if bad { &mut self.bad } else { &mut self.good };
        by.insert(id);
    }
}

#[test]
fn an_actor_is_undone_and_everybody_else_stays() {
    let mut stage = stage();
    let mut groves: Vec<Grove> = (0..HISTORIES).map(|seed| Grove::plant(&stage, seed)).collect();
    let earlier = stage.capture();
    let all: Vec<String> = groves.iter().flat_map(|grove| grove.files.clone()).collect();
    let before: BTreeMap<String, _> = all.iter().map(|id| (id.clone(), told(&stage, id))).collect();
    stage.domain.clock.advance_micros(60_000_000);
    for (seed, grove) in groves.iter_mut().enumerate() {
        let random = SeededRandom::new(seed as u64);
        (0..8).for_each(|act| grove.act(&stage, &random, act));
    }
    let after = stage.capture();
    let bad: BTreeSet<String> = groves.iter().flat_map(|grove| grove.bad.clone()).collect();
    let good: BTreeSet<String> = groves.iter().flat_map(|grove| grove.good.clone()).collect();
    let contested: BTreeSet<String> = bad.intersection(&good).cloned().collect();
    let own: BTreeSet<String> = bad.difference(&good).cloned().collect();
    let left: BTreeMap<String, _> =
        all.iter().chain(&good).map(|id| (id.clone(), told(&stage, id))).collect();
    let (plan, folder) = undo(&mut stage, (earlier, after), &own, &contested);
    let report = stage.apply(&plan, &folder);
    assert_eq!(report.counts.conflicts, 0, "{report:#?}");
    stage.assert_verified(&plan, &folder);
    let again = stage.apply(&plan, &folder).counts;
    assert_eq!((again.inserted, again.reverted, again.removed), (0, 0, 0), "{again:?}");

    let names: BTreeMap<String, Vec<Value>> = stage.domain.running.with_tenant(|tenant| {
        let mut names: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for view in stage.domain.owned(&stage.user) {
            let text = tenant.drive_bytes(&view.id).unwrap_or_default();
            names.entry(String::from_utf8_lossy(&text).into_owned()).or_default().push(json!(view.name));
        }
        names
    });
    for (seed, grove) in groves.iter().enumerate() {
        for (number, id) in grove.files.iter().enumerate() {
            let is = told(&stage, id);
            if grove.good.contains(id) || !grove.bad.contains(id) {
                assert_eq!(is, left[id], "others were at it: {id}, seed {seed}");
            } else if is["name"].is_null() {
                // What was deleted for good has another id now, and the same content and name.
                let text = format!("text {seed} {number}");
                assert_eq!(names.get(&text), Some(&vec![before[id]["name"].clone()]), "{id}, seed {seed}");
            } else {
                assert_eq!(is, before[id], "{id}, seed {seed}");
            }
        }
        for id in &grove.made_by_bad {
            let is = told(&stage, id);
            assert_eq!(
                is["explicitlyTrashed"],
                json!(true),
                "{id} was made by the actor, seed {seed}: {is:?}"
            );
        }
    }
    let listed: BTreeSet<&str> = plan.conflicts.iter().map(|conflict| conflict.key.as_str()).collect();
    assert!(contested.iter().all(|id| listed.contains(format!("file/{id}").as_str())));
    assert!(plan.counts.removed > 0 && plan.counts.inserted > 0 && plan.counts.reverted > 0);
}

#[test]
fn a_folder_that_was_made_stays_when_somebody_put_something_into_it() {
    let mut stage = stage();
    let earlier = stage.capture();
    let hand = stage.domain.hand(&stage.user);
    let folders = ["used", "unused"].map(|name| hand.make(&json!({ "name": name, "mimeType": FOLDER })));
    let inner = hand.make(&json!({ "name": "spam", "mimeType": "text/plain", "parents": [folders[1]] }));
    let theirs = hand.make(&json!({ "name": "report", "mimeType": "text/plain", "parents": [folders[0]] }));
    let after = stage.capture();
    let own: BTreeSet<String> = [folders[0].clone(), folders[1].clone(), inner.clone()].into();
    let (plan, folder) = undo(&mut stage, (earlier, after), &own, &[theirs.clone()].into());
    assert_eq!((plan.counts.removed, plan.counts.conflicts), (2, 2), "{plan:#?}");
    stage.apply(&plan, &folder);
    let trashed = |id: &str| told(&stage, id)["explicitlyTrashed"].clone();
    assert_eq!([&folders[0], &folders[1], &inner, &theirs].map(|id| trashed(id)), [false, true, true, false]);
}
