//! Drives: an agent's work is undone, and everybody else's stays.

mod actor;
mod places;
mod random;
mod sharing;
mod trouble;
mod undo;
mod whole;

use std::collections::BTreeMap;

use connect::plan::{Plan, PlanFolder};
use google_recovery::Request;
use google_tenant::Tenant;
use serde_json::{Value, json};
use source_google::{Part, drive::drive_stream};

use crate::{
    drives::{DOCUMENT, FOLDER, Hand, small},
    stage::Stage,
};

const SHORTCUT: &str = "application/vnd.google-apps.shortcut";

fn stage() -> Stage {
    Stage::of(small(&[Part::Drive]))
}

fn request(stage: &Stage, before: u64, after: u64, now: u64) -> Request {
    stage.request(drive_stream(&stage.user).unwrap(), before, after, now)
}

fn plan(stage: &mut Stage, before: u64, after: u64, now: u64) -> (Plan, PlanFolder) {
    let request = request(stage, before, after, now);
    let settings = stage.settings();
    stage.plan_with(&settings, |planner| planner.drive(&request))
}

/// A file as people see it, whatever its id is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Seen {
    path: String,
    media_type: String,
    content: Vec<u8>,
    trashed: bool,
    permissions: Vec<String>,
    target: Option<String>,
}

fn path(tenant: &Tenant, id: &str) -> String {
    let (mut names, mut next) = (Vec::new(), Some(std::sync::Arc::from(id)));
    while let Some(file) = next.and_then(|id: std::sync::Arc<str>| tenant.drive_file(&id)) {
        names.push(file.name);
        next = file.parent;
    }
    names.reverse();
    names.join(" / ")
}

/// Everything that a user owns, as people see it.
fn seen_of(stage: &Stage, user: &str) -> BTreeMap<String, Seen> {
    let files = stage.domain.owned(user);
    stage.domain.running.with_tenant(|tenant| {
        let seen = |file: google_tenant::FileView| {
            let text = tenant.drive_text(&file.id).map(String::into_bytes);
            let mut permissions: Vec<String> =
                file.permissions.iter().map(|own| format!("{own:?}")).collect();
            permissions.sort();
            let seen = Seen {
                path: path(tenant, &file.id),
                media_type: file.media_type.clone(),
                content: tenant.drive_bytes(&file.id).or(text).unwrap_or_default(),
                trashed: file.trashed,
                permissions,
                target: file.target.as_ref().map(|target| path(tenant, target)),
            };
            (file.id.to_string(), seen)
        };
        files.into_iter().map(seen).collect()
    })
}

fn seen(stage: &Stage) -> BTreeMap<String, Seen> {
    seen_of(stage, &stage.user)
}

fn sorted(seen: &BTreeMap<String, Seen>) -> Vec<&Seen> {
    let mut all: Vec<&Seen> = seen.values().collect();
    all.sort();
    all
}

#[track_caller]
fn assert_as(found: &BTreeMap<String, Seen>, wanted: &BTreeMap<String, Seen>) {
    let (found, wanted) = (sorted(found), sorted(wanted));
    for (found, wanted) in found.iter().zip(&wanted) {
        if found != wanted {
            let short = |seen: &Seen| Seen {
                content: seen.content.iter().take(4).copied().collect(),
                ..seen.clone()
            };
            panic!("found  {:#?}\nwanted {:#?}", short(found), short(wanted));
        }
    }
    assert_eq!(found.len(), wanted.len());
}

/// A folder with folders and files of all kinds in it; returns their ids, the outermost first.
struct Tree {
    outer: String,
    inner: String,
    bytes: String,
    document: String,
    shortcut: String,
}

fn tree(hand: &Hand<'_>) -> Tree {
    let outer = hand.make(&json!({ "name": "Outer", "mimeType": FOLDER, "folderColorRgb": "#16a765" }));
    let inner = hand.make(&json!({ "name": "in/ner", "mimeType": FOLDER, "parents": [outer] }));
    let bytes = hand.make(&json!({
        "name": "notes.txt", "mimeType": "text/plain", "parents": [inner], "description": "Mine",
        "properties": { "a": "1", "b": "2" }, "starred": true,
    }));
    hand.write(&bytes, "text/plain", b"what was written", "");
    let document = hand.make(&json!({ "name": "Plan", "mimeType": DOCUMENT, "parents": [inner] }));
    hand.write(&document, "text/plain", b"First line\nSecond line", "");
    let shortcut = hand.make(&json!({
        "name": "to notes", "mimeType": SHORTCUT, "parents": [outer], "shortcutDetails": { "targetId": bytes },
    }));
    Tree { outer, inner, bytes, document, shortcut }
}

fn share(hand: &Hand<'_>, id: &str, body: &Value) -> String {
    let path = format!("files/{id}/permissions?sendNotificationEmail=false&supportsAllDrives=true");
    hand.post(&path, body)["id"].as_str().unwrap().to_owned()
}

/// Asks for a file as its owner sees it.
fn file(stage: &Stage, user: &str, id: &str) -> Value {
    stage.domain.hand(user).get(&format!("files/{id}?supportsAllDrives=true&fields=*")).unwrap_or_default()
}

fn bytes(stage: &Stage, id: &str) -> Vec<u8> {
    stage.domain.running.with_tenant(|tenant| tenant.drive_bytes(id)).unwrap()
}
