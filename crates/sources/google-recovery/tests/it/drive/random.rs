//! Random histories of an agent and an owner.

use std::collections::{BTreeMap, BTreeSet};

use connect::plan::PlanFolder;
use serde_json::{Value, json};

use super::{file, plan, share, stage};
use crate::{drives::FOLDER, stage::Stage};

/// What is told of a file that an act may change.
const TOLD: [&str; 6] = ["name", "parents", "explicitlyTrashed", "description", "md5Checksum", "permissions"];
/// Which of it the owner changes.
const OWN: [&str; 4] = ["name", "explicitlyTrashed", "description", "md5Checksum"];

/// Draws numbers, always the same ones.
struct Drawn(u64);

impl Drawn {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end
    }
}

/// Folders in a folder, with files in them.
struct Grove {
    top: String,
    files: Vec<String>,
    /// Everything but the top.
    all: Vec<String>,
}

type Told = BTreeMap<String, Value>;

fn told(stage: &Stage, id: &str) -> Value {
    let mut found = file(stage, &stage.user, id);
    if let Some(permissions) = found["permissions"].as_array() {
        let mut who: Vec<String> = permissions
            .iter()
            .map(|one| format!("{} {} {}", one["type"], one["emailAddress"], one["role"]))
            .collect();
        who.sort();
        found["permissions"] = json!(who);
    }
    found
}

fn all_told(stage: &Stage, grove: &Grove) -> Told {
    grove.all.iter().map(|id| (id.clone(), told(stage, id))).collect()
}

fn grow(stage: &Stage, seed: u64, drawn: &mut Drawn) -> Grove {
    let hand = stage.domain.hand(&stage.user);
    let top = hand.make(&json!({ "name": format!("top {seed}"), "mimeType": FOLDER }));
    let (mut folders, mut files) = (vec![top.clone()], Vec::new());
    for number in 0..12 {
        let parent = folders[drawn.below(folders.len())].clone();
        let kind = if number % 3 == 0 { FOLDER } else { "text/plain" };
        let id = hand.make(&json!({ "name": format!("n{number}"), "mimeType": kind, "parents": [parent] }));
        if drawn.below(3) == 0 {
            share(&hand, &id, &json!({ "type": "user", "role": "reader", "emailAddress": stage.other }));
        }
        if number % 3 == 0 {
            folders.push(id);
        } else {
            hand.write(&id, "text/plain", format!("text {number}").as_bytes(), "");
            files.push(id);
        }
    }
    let all = folders[1..].iter().chain(&files).cloned().collect();
    Grove { top, files, all }
}

fn spoil(stage: &Stage, grove: &Grove, drawn: &mut Drawn) {
    let hand = stage.domain.hand(&stage.user);
    for act in 0..10 {
        let id = &grove.all[drawn.below(grove.all.len())];
        let now = file(stage, &stage.user, id);
        if now.is_null() {
            continue;
        }
        match drawn.below(8) {
            0 => hand.delete(&format!("files/{id}")),
            1 => hand.change(id, &json!({ "trashed": true })),
            2 => hand.change(id, &json!({ "name": format!("spoilt {act}") })),
            3 => hand.change(id, &json!({ "description": format!("pay {act}") })),
            4 if grove.files.contains(id) => {
                hand.write(id, "text/plain", format!("encrypted {act}").as_bytes(), "");
            }
            4 => drop(share(&hand, id, &json!({ "type": "anyone", "role": "reader" }))),
            5 => drop(share(
                &hand,
                id,
                &json!({ "type": "user", "role": "writer", "emailAddress": "thief@evil.test" }),
            )),
            6 => {
                let own = now["permissions"].as_array().unwrap().iter().find(|one| one["role"] == "reader");
                if let Some(own) = own.and_then(|own| own["id"].as_str()) {
                    // What a folder gives cannot be taken here.
                    let path = format!("files/{id}/permissions/{own}");
                    stage.domain.hand(&stage.user).try_delete(&path);
                }
            }
            _ => {
                let parent = now["parents"][0].as_str().unwrap().to_owned();
                let top = &grove.top;
                hand.patch(&format!("files/{id}?addParents={top}&removeParents={parent}"), &json!({}));
            }
        }
    }
}

/// Lets the owner go on; returns what was changed.
fn go_on(stage: &Stage, grove: &Grove, drawn: &mut Drawn) -> BTreeSet<(String, &'static str)> {
    let hand = stage.domain.hand(&stage.user);
    let mut touched = BTreeSet::new();
    for act in 0..5 {
        let id = &grove.files[drawn.below(grove.files.len())];
        let was = file(stage, &stage.user, id);
        if was.is_null() {
            continue;
        }
        let name = OWN[drawn.below(OWN.len())];
        match name {
            "name" => hand.change(id, &json!({ "name": format!("own {act}") })),
            "description" => hand.change(id, &json!({ "description": format!("own {act}") })),
            "explicitlyTrashed" => hand.change(id, &json!({ "trashed": act % 2 == 0 })),
            _ => hand.write(id, "text/plain", format!("own {act}").as_bytes(), ""),
        }
        // What is in the trash can be put there without anything being changed.
        if file(stage, &stage.user, id)[name] != was[name] {
            touched.insert((id.clone(), name));
        }
    }
    touched
}

/// Returns the ids of what was made anew by those that it had.
fn made(folder: &PlanFolder) -> BTreeMap<String, String> {
    let journal = std::fs::read_to_string(folder.path().join("applied.jsonl")).unwrap_or_default();
    let lines = journal.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    lines.filter(|made| made["kind"] == "file").map(|made| (text(&made["old"]), text(&made["new"]))).collect()
}

#[test]
fn whatever_an_agent_did_is_undone_and_whatever_its_owner_did_since_stays() {
    let mut stage = stage();
    for seed in 0..20_u64 {
        let mut drawn = Drawn(seed * 977 + 5);
        let grove = grow(&stage, seed, &mut drawn);
        let earlier = stage.capture();
        let before = all_told(&stage, &grove);
        spoil(&stage, &grove, &mut drawn);
        let after = stage.capture();
        let touched = go_on(&stage, &grove, &mut drawn);
        let now = stage.capture();
        let present = all_told(&stage, &grove);
        let (plan, folder) = plan(&mut stage, earlier, after, now);
        let report = stage.apply(&plan, &folder);
        assert_eq!(report.counts.conflicts, 0, "seed {seed}: {report:#?}");
        stage.assert_verified(&plan, &folder);

        let made = made(&folder);
        let id_now = |id: &str| made.get(id).map_or(id, String::as_str).to_owned();
        for id in &grove.all {
            let found = told(&stage, &id_now(id));
            for name in TOLD {
                let is_own = touched.contains(&(id.clone(), name)) && present[id][name] != before[id][name];
                let mut wanted = if is_own { &present } else { &before }[id][name].clone();
                if name == "parents" {
                    wanted = json!([id_now(wanted[0].as_str().unwrap())]);
                }
                assert_eq!(found[name], wanted, "seed {seed}: the {name} of {}", before[id]["name"]);
            }
        }
        let again = stage.apply(&plan, &folder);
        let counts = again.counts;
        let done = counts.inserted + counts.reverted + counts.removed + counts.objects;
        assert_eq!((done, counts.conflicts), (0, 0), "seed {seed}: {again:#?}");
    }
}
