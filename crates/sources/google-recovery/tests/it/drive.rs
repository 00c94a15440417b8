//! Drives: an agent's work is undone, and everybody else's stays.

use std::collections::BTreeMap;

use connect::plan::{ApplyMode, Plan, PlanFolder, WriteError};
use google_recovery::{Destination, Request, Selection};
use google_tenant::{Effect, Fault, Tenant, When};
use serde_json::{Value, json};
use source_google::{
    Part,
    drive::{drive_stream, shared_drive_stream},
};

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

#[test]
fn a_folder_that_was_trashed_comes_out_with_what_is_in_it_and_what_lay_there_stays() {
    let mut stage = stage();
    let hand = stage.domain.hand(&stage.user);
    let tree = tree(&hand);
    hand.change(&tree.document, &json!({ "trashed": true }));
    let earlier = stage.capture();
    let before = seen(&stage);
    let hand = stage.domain.hand(&stage.user);
    hand.change(&tree.outer, &json!({ "trashed": true }));
    let after = stage.capture();
    let (plan, folder) = plan(&mut stage, earlier, after, after);
    assert_eq!((plan.counts.reverted, plan.counts.inserted), (1, 0), "{plan:#?}");
    let rehearsed = stage.try_apply(&plan, &folder, ApplyMode::Rehearsal).unwrap();
    assert_eq!(rehearsed.counts.reverted, 1);
    assert!(seen(&stage)[&tree.inner].trashed, "a rehearsal changes nothing");
    let report = stage.apply(&plan, &folder);
    assert_eq!((report.counts.reverted, report.counts.conflicts), (1, 0), "{report:#?}");
    assert_eq!(seen(&stage), before);
    stage.assert_verified(&plan, &folder);
    let again = stage.apply(&plan, &folder);
    assert_eq!((again.counts.reverted, again.counts.unchanged), (0, 1));
}

#[test]
fn what_was_deleted_for_good_is_made_anew_in_its_place() {
    let mut stage = stage();
    let hand = stage.domain.hand(&stage.user);
    let tree = tree(&hand);
    share(&hand, &tree.inner, &json!({ "type": "user", "role": "writer", "emailAddress": stage.other }));
    share(&hand, &tree.bytes, &json!({ "type": "anyone", "role": "reader" }));
    let earlier = stage.capture();
    let before = seen(&stage);
    stage.domain.hand(&stage.user).delete(&format!("files/{}", tree.outer));
    let after = stage.capture();
    assert_eq!(seen(&stage).len(), before.len() - 5);
    let (plan, folder) = plan(&mut stage, earlier, after, after);
    assert_eq!((plan.counts.inserted, plan.counts.objects), (5, 2), "{plan:#?}");
    assert!(plan.fidelity.iter().any(|promise| promise.kind == "document"));
    let report = stage.apply(&plan, &folder);
    assert_eq!((report.counts.inserted, report.counts.conflicts), (5, 0), "{report:#?}");
    assert_as(&seen(&stage), &before);
    stage.assert_verified(&plan, &folder);
    assert!(stage.domain.running.with_tenant(|tenant| tenant.drive_mails().is_empty()), "nobody gets a mail");
    let again = stage.apply(&plan, &folder);
    assert_eq!((again.counts.inserted, again.counts.objects), (0, 0), "{again:#?}");
    assert_eq!(seen(&stage).len(), before.len());
}

/// Asks for a file as its owner sees it.
fn file(stage: &Stage, user: &str, id: &str) -> Value {
    stage.domain.hand(user).get(&format!("files/{id}?supportsAllDrives=true&fields=*")).unwrap_or_default()
}

fn bytes(stage: &Stage, id: &str) -> Vec<u8> {
    stage.domain.running.with_tenant(|tenant| tenant.drive_bytes(id)).unwrap()
}

#[test]
fn what_was_overwritten_renamed_and_moved_goes_back_and_keeps_its_id() {
    let mut stage = stage();
    let hand = stage.domain.hand(&stage.user);
    let tree = tree(&hand);
    let large: Vec<u8> = (0..10_u64 << 20).map(|at| (at * 31 >> 7) as u8).collect();
    let big = hand.make(&json!({ "name": "big.bin", "parents": [tree.outer] }));
    hand.write(&big, "application/octet-stream", &large, "");
    let elsewhere = hand.make(&json!({ "name": "elsewhere", "mimeType": FOLDER }));
    let earlier = stage.capture();
    let (before, was) = (seen(&stage), file(&stage, &stage.user, &tree.bytes));
    stage.domain.clock.advance_micros(60_000_000);
    let hand = stage.domain.hand(&stage.user);
    for id in [&tree.bytes, &big, &tree.document] {
        let kind = if *id == tree.document { "text/plain" } else { "application/octet-stream" };
        hand.write(id, kind, b"encrypted", "");
    }
    hand.change(
        &tree.bytes,
        &json!({ "name": "notes.txt.locked", "description": "pay", "starred": false,
        "properties": { "a": "x", "b": null, "c": "3" } }),
    );
    hand.change(&big, &json!({ "contentRestrictions": [{ "readOnly": true, "reason": "pay" }] }));
    hand.patch(
        &format!("files/{}?addParents={elsewhere}&removeParents={}", tree.bytes, tree.inner),
        &json!({}),
    );
    // A folder comes into one that was in it before.
    hand.patch(&format!("files/{}?addParents=root&removeParents={}", tree.inner, tree.outer), &json!({}));
    hand.patch(&format!("files/{}?addParents={}&removeParents=root", tree.outer, tree.inner), &json!({}));
    let after = stage.capture();
    let (plan, folder) = plan(&mut stage, earlier, after, after);
    assert_eq!((plan.counts.reverted, plan.counts.conflicts), (5, 0), "{plan:#?}");
    let report = stage.apply(&plan, &folder);
    assert_eq!((report.counts.reverted, report.counts.conflicts), (5, 0), "{report:#?}");
    assert_eq!(seen(&stage), before);
    let is = file(&stage, &stage.user, &tree.bytes);
    for name in ["name", "description", "properties", "starred", "modifiedTime", "md5Checksum", "parents"] {
        assert_eq!(is[name], was[name], "{name}");
    }
    assert!(file(&stage, &stage.user, &big)["contentRestrictions"].is_null());
    let history =
        stage.domain.running.with_tenant(|tenant| tenant.drive_file(&tree.bytes).unwrap().revisions);
    assert!(history >= 3, "what was written over it stays in its history");
    stage.assert_verified(&plan, &folder);
    let again = stage.apply(&plan, &folder);
    assert_eq!((again.counts.reverted, again.counts.unchanged), (0, 5), "{again:#?}");
}

#[test]
fn what_the_owner_did_since_stays() {
    let mut stage = stage();
    let hand = stage.domain.hand(&stage.user);
    let tree = tree(&hand);
    let other = hand.make(&json!({ "name": "other.txt", "mimeType": "text/plain" }));
    hand.write(&other, "text/plain", b"first", "");
    let late = hand.make(&json!({ "name": "late", "mimeType": "text/plain" }));
    let earlier = stage.capture();
    let hand = stage.domain.hand(&stage.user);
    hand.write(&other, "text/plain", b"encrypted", "");
    hand.change(&other, &json!({ "name": "other.locked", "description": "pay" }));
    hand.change(&tree.bytes, &json!({ "trashed": true }));
    hand.change(&tree.document, &json!({ "name": "spoilt" }));
    hand.change(&late, &json!({ "name": "spoilt too" }));
    let came = hand.make(&json!({ "name": "came within the window", "mimeType": FOLDER }));
    let after = stage.capture();
    let hand = stage.domain.hand(&stage.user);
    hand.write(&other, "text/plain", b"written by its owner", "");
    hand.delete(&format!("files/{}", tree.bytes));
    hand.change(&tree.document, &json!({ "name": "spoilt", "description": "the owner's" }));
    let now = stage.capture();
    let (plan, folder) = plan(&mut stage, earlier, after, now);
    let conflicts: Vec<&str> = plan.conflicts.iter().map(|conflict| conflict.key.as_str()).collect();
    assert!(conflicts.contains(&&*other) && conflicts.contains(&&*tree.bytes), "{:#?}", plan.conflicts);
    stage.domain.hand(&stage.user).change(&late, &json!({ "name": "named by its owner" }));
    let report = stage.apply(&plan, &folder);
    assert_eq!(report.counts.conflicts, 1, "{report:#?}");
    assert_eq!(bytes(&stage, &other), b"written by its owner");
    let is = file(&stage, &stage.user, &other);
    assert_eq!((&is["name"], &is["description"]), (&json!("other.txt"), &Value::Null));
    let is = file(&stage, &stage.user, &tree.document);
    assert_eq!((&is["name"], &is["description"]), (&json!("Plan"), &json!("the owner's")));
    assert_eq!(file(&stage, &stage.user, &late)["name"], "named by its owner");
    assert!(file(&stage, &stage.user, &tree.bytes).is_null() && !file(&stage, &stage.user, &came).is_null());
}

fn granted(stage: &Stage, id: &str) -> Vec<String> {
    let file = file(stage, &stage.user, id);
    let all = file["permissions"].as_array().unwrap();
    let text = |one: &Value| {
        let who = one["emailAddress"].as_str().or(one["domain"].as_str()).unwrap_or("anyone").to_owned();
        format!("{who} {}", one["role"].as_str().unwrap())
    };
    let mut all: Vec<String> = all.iter().map(text).collect();
    all.sort();
    all
}

#[test]
fn who_may_see_what_goes_back_and_never_farther() {
    let mut stage = stage();
    let (user, other) = (stage.user.clone(), stage.other.clone());
    let hand = stage.domain.hand(&user);
    let tree = tree(&hand);
    let other_permission =
        share(&hand, &tree.inner, &json!({ "type": "user", "role": "reader", "emailAddress": other }));
    let file_link = share(&hand, &tree.document, &json!({ "type": "anyone", "role": "writer" }));
    let partner = share(
        &hand,
        &tree.shortcut,
        &json!({ "type": "user", "role": "reader", "emailAddress": "p@partner.test" }),
    );
    let loose = hand.make(&json!({ "name": "loose", "mimeType": "text/plain" }));
    let link = share(&hand, &loose, &json!({ "type": "anyone", "role": "writer" }));
    let earlier = stage.capture();
    let before: Vec<_> =
        [&tree.inner, &tree.bytes, &tree.document, &tree.outer].map(|id| granted(&stage, id)).into();
    let hand = stage.domain.hand(&user);
    // A public link to the folder, and to a file in it by itself.
    share(&hand, &tree.outer, &json!({ "type": "anyone", "role": "reader" }));
    share(&hand, &tree.bytes, &json!({ "type": "anyone", "role": "reader" }));
    share(
        &hand,
        &tree.inner,
        &json!({ "type": "user", "role": "writer", "emailAddress": "thief@evil.test" }),
    );
    hand.patch(&format!("files/{}/permissions/{other_permission}", tree.inner), &json!({ "role": "writer" }));
    hand.delete(&format!("files/{}/permissions/{file_link}", tree.document));
    hand.delete(&format!("files/{}/permissions/{partner}", tree.shortcut));
    hand.delete(&format!("files/{loose}/permissions/{link}"));
    let after = stage.capture();
    // The owner gives less to everybody than there was.
    share(&stage.domain.hand(&user), &loose, &json!({ "type": "anyone", "role": "reader" }));
    let now = stage.capture();
    let (plan, folder) = plan(&mut stage, earlier, after, now);
    assert!(plan.steps[0].title.contains("take away"), "{:#?}", plan.steps);
    let report = stage.apply(&plan, &folder);
    assert_eq!(report.counts.conflicts, 0, "{report:#?}");
    let is: Vec<_> =
        [&tree.inner, &tree.bytes, &tree.document, &tree.outer].map(|id| granted(&stage, id)).into();
    assert_eq!(is, before);
    assert!(granted(&stage, &tree.shortcut).iter().any(|one| one == "p@partner.test reader"));
    assert!(granted(&stage, &loose).contains(&"anyone reader".to_owned()), "narrower stays narrower");
    assert!(plan.conflicts.iter().any(|conflict| conflict.key == loose));
    assert!(stage.domain.running.with_tenant(|tenant| tenant.drive_mails().is_empty()));
    stage.assert_verified(&plan, &folder);
    let again = stage.apply(&plan, &folder);
    assert_eq!((again.counts.removed, again.counts.objects), (0, 0), "{again:#?}");
}

#[test]
fn a_restore_that_breaks_off_goes_on_without_twins() {
    let mut stage = stage();
    let hand = stage.domain.hand(&stage.user);
    let trees: Vec<Tree> = (0..4).map(|_| tree(&hand)).collect();
    let big = hand.make(&json!({ "name": "big.bin", "parents": [trees[0].outer] }));
    hand.write(&big, "application/octet-stream", &vec![7; 20 << 20], "");
    let kept: Vec<Tree> = (0..3).map(|_| tree(&hand)).collect();
    for tree in trees.iter().chain(&kept) {
        share(&hand, &tree.outer, &json!({ "type": "user", "role": "reader", "emailAddress": stage.other }));
        share(&hand, &tree.inner, &json!({ "type": "user", "role": "writer", "emailAddress": stage.other }));
    }
    let earlier = stage.capture();
    let before = seen(&stage);
    let hand = stage.domain.hand(&stage.user);
    trees.iter().for_each(|tree| hand.delete(&format!("files/{}", tree.outer)));
    for tree in &kept {
        hand.write(&tree.bytes, "application/octet-stream", b"encrypted", "");
        hand.write(&tree.document, "text/plain", b"encrypted", "");
        hand.change(&tree.document, &json!({ "name": "locked" }));
        hand.change(&tree.outer, &json!({ "trashed": true }));
        share(&hand, &tree.bytes, &json!({ "type": "anyone", "role": "writer" }));
    }
    let after = stage.capture();
    let (plan, folder) = plan(&mut stage, earlier, after, after);
    assert_eq!((plan.counts.inserted, plan.counts.reverted), (21, 9), "{plan:#?}");
    for round in 0..6_u64 {
        stage.domain.running.with_tenant(|tenant| {
            tenant.lift_faults();
            for (at, effect) in [
                Effect::Lost,
                Effect::Backend(500),
                Effect::UserRate,
                Effect::TooMany(None),
                Effect::Reset,
                Effect::Lost,
            ]
            .into_iter()
            .enumerate()
            {
                let nth = 2 + (round * 5 + at as u64 * 7) % 19;
                tenant.fault(Fault::new("drive.files.create", When::Nth(nth), effect));
            }
            // Whoever kills it lets nothing more come through.
            let end = When::Rate(if round < 4 { 0.25 } else { 0.0 });
            tenant.fault(Fault::new("drive.*", end, Effect::Backend(503)));
        });
        stage.try_apply(&plan, &folder, ApplyMode::Lasting).ok();
        // And takes the end of what was written down with it.
        let journal = folder.path().join("applied.jsonl");
        let text = std::fs::read(&journal).unwrap_or_default();
        if !text.is_empty() {
            ports::files::replace(&journal, &text[..text.len() - (text.len() / 9).min(300)]).unwrap();
        }
    }
    stage.domain.running.with_tenant(Tenant::lift_faults);
    let report = stage.apply(&plan, &folder);
    assert_eq!(report.counts.conflicts, 0, "{report:#?}");
    assert_as(&seen(&stage), &before);
    stage.assert_verified(&plan, &folder);
}

#[test]
fn a_restore_whose_journal_is_lost_finds_what_it_made() {
    let mut stage = stage();
    let tree = tree(&stage.domain.hand(&stage.user));
    let earlier = stage.capture();
    let before = seen(&stage);
    stage.domain.hand(&stage.user).delete(&format!("files/{}", tree.outer));
    let after = stage.capture();
    let (plan, folder) = plan(&mut stage, earlier, after, after);
    stage.apply(&plan, &folder);
    ports::files::replace(&folder.path().join("applied.jsonl"), b"").unwrap();
    let report = stage.apply(&plan, &folder);
    assert_eq!((report.counts.inserted, report.counts.unchanged), (0, 5), "{report:#?}");
    assert_as(&seen(&stage), &before);
}

#[test]
fn an_identity_that_may_not_write_is_told_what_it_lacks() {
    let mut stage = stage();
    let tree = tree(&stage.domain.hand(&stage.user));
    let earlier = stage.capture();
    stage.domain.hand(&stage.user).change(&tree.outer, &json!({ "trashed": true }));
    let after = stage.capture();
    let (plan, folder) = plan(&mut stage, earlier, after, after);
    stage.domain.running.with_tenant(|tenant| {
        let id = tenant.service_accounts().nth(1).unwrap().client_id.clone();
        tenant.delegate(&id, [google_tenant::scopes::DRIVE_READONLY]);
    });
    let error = stage.try_apply(&plan, &folder, ApplyMode::Lasting).unwrap_err();
    assert!(matches!(error, WriteError::Privilege { .. }), "{error:?}");
    assert!(error.hint().unwrap().ends_with("auth/drive"), "{:?}", error.hint());
}

#[test]
fn a_drive_comes_to_another_user_once_in_a_folder_of_its_own() {
    let mut stage = stage();
    let hand = stage.domain.hand(&stage.user);
    let tree = tree(&hand);
    share(&hand, &tree.inner, &json!({ "type": "anyone", "role": "reader" }));
    let now = stage.capture();
    let (was, other) = (seen(&stage), stage.other.clone());
    let own = seen_of(&stage, &other);
    let request = Request {
        destination: Destination::OtherUser { email: other.clone() },
        ..request(&stage, now, now, now)
    };
    let settings = stage.settings();
    let (plan, folder) = stage.plan_with(&settings, |planner| planner.drive(&request));
    assert!(plan.losses.iter().any(|loss| loss.target.contains("permissions")), "{:#?}", plan.losses);
    let report = stage.apply(&plan, &folder);
    assert_eq!(report.counts.conflicts, 0, "{report:#?}");
    stage.assert_verified(&plan, &folder);
    let again = stage.apply(&plan, &folder);
    assert_eq!(again.counts.inserted, 0);
    let is = seen_of(&stage, &other);
    for (id, file) in &own {
        assert_eq!(is.get(id), Some(file), "what was there is as it was");
    }
    let top = format!("My Drive / From {}", stage.user);
    let come: Vec<&Seen> = is.iter().filter(|(id, _)| !own.contains_key(*id)).map(|(_, file)| file).collect();
    assert_eq!(come.len() as u64, plan.counts.inserted);
    for file in &come {
        assert!(file.path.starts_with(&top) && file.permissions.len() == 1, "{}", file.path);
    }
    let names = |seen: &Seen| seen.path.trim_start_matches(&top).trim_start_matches("My Drive").to_owned();
    let (mut come, mut wanted): (Vec<_>, Vec<_>) = (
        come.iter().filter(|file| file.path != top).map(|file| (names(file), file.content.clone())).collect(),
        was.values()
            .filter(|file| !file.trashed && file.path != "My Drive")
            .filter(|file| !["form", "site", "map"].iter().any(|kind| file.media_type.ends_with(kind)))
            .map(|file| (names(file), file.content.clone()))
            .collect(),
    );
    // A drawing becomes a picture, and what may not be downloaded is not stored.
    let lost = plan.losses.iter().filter(|loss| loss.reason.contains("could not be read")).count();
    assert!(wanted.len() - come.len() <= lost);
    come.sort();
    wanted.sort();
    let found = wanted.iter().filter(|file| come.binary_search(file).is_ok()).count();
    assert!(found + lost + 3 >= wanted.len() && found > 12, "{found} of {}", wanted.len());
    assert_eq!(seen(&stage), was, "whose files they are keeps them");
}

#[test]
fn only_what_was_chosen_comes_back_with_what_is_in_it() {
    let mut stage = stage();
    let hand = stage.domain.hand(&stage.user);
    let (one, two) = (tree(&hand), tree(&hand));
    let earlier = stage.capture();
    let hand = stage.domain.hand(&stage.user);
    hand.delete(&format!("files/{}", one.outer));
    hand.delete(&format!("files/{}", two.outer));
    let after = stage.capture();
    let settings = stage.settings();
    for (key, count) in [(&one.inner, 3), (&two.document, 1)] {
        let chosen = Selection { keys: vec![format!("file/{key}")] };
        let request = Request { selection: chosen, ..request(&stage, earlier, after, after) };
        let (plan, folder) = stage.plan_with(&settings, |planner| planner.drive(&request));
        assert_eq!(plan.counts.inserted, count, "{plan:#?}");
        assert!(plan.notes.iter().any(|note| note.contains("top folder")), "{:?}", plan.notes);
        stage.apply(&plan, &folder);
        stage.assert_verified(&plan, &folder);
    }
    let is = seen(&stage);
    assert!(
        is.values().any(|file| file.path == "My Drive / in/ner / notes.txt"),
        "{:#?}",
        is.values().map(|file| &file.path).collect::<Vec<_>>()
    );
    assert!(is.values().any(|file| file.path == "My Drive / Plan"));
}

#[test]
fn the_time_that_a_plan_states_is_the_time_that_it_takes() {
    use connect::{Silent, plan::SourceWriter as _};
    use google_recovery::GoogleWriter;
    use ports::Clock as _;

    let mut stage = stage();
    let hand = stage.domain.hand(&stage.user);
    let folder = hand.make(&json!({ "name": "many", "mimeType": FOLDER }));
    for number in 0..40 {
        hand.make(&json!({ "name": number.to_string(), "mimeType": "text/plain", "parents": [folder] }));
    }
    let trees: Vec<Tree> = (0..4).map(|_| tree(&hand)).collect();
    let earlier = stage.capture();
    let hand = stage.domain.hand(&stage.user);
    hand.delete(&format!("files/{folder}"));
    for tree in &trees {
        hand.change(&tree.inner, &json!({ "name": "renamed" }));
        share(&hand, &tree.bytes, &json!({ "type": "anyone", "role": "reader" }));
        hand.write(&tree.bytes, "text/plain", b"encrypted", "");
    }
    let after = stage.capture();
    stage.domain.clock.advance_micros(600_000_000);
    let mut slow = stage.settings();
    for pool in slow.pools.values_mut() {
        (pool.units, pool.burst) = (1200, 200);
    }
    let request = request(&stage, earlier, after, after);
    let (plan, folder) = stage.plan_with(&slow, |planner| planner.drive(&request));
    let started = stage.domain.clock.elapsed();
    let api = stage.api_with(slow);
    let mut writer = GoogleWriter::new(&api, &stage.history, folder.path().join("applied.jsonl"), 4);
    writer.apply(&plan, &folder, ApplyMode::Lasting, &Silent).unwrap();
    assert!(writer.verify(&plan, &folder, &Silent).unwrap().is_good());
    let took_s = stage.domain.clock.elapsed().saturating_sub(started).as_secs_f64();
    let stated_s = plan.duration_s.unwrap() as f64;
    assert!((took_s / stated_s - 1.0).abs() < 0.15, "stated {stated_s} s, took {took_s} s");
}

#[test]
fn an_emptied_trash_lies_in_the_trash_again() {
    let mut stage = stage();
    let hand = stage.domain.hand(&stage.user);
    let tree = tree(&hand);
    hand.change(&tree.inner, &json!({ "trashed": true }));
    let earlier = stage.capture();
    let before = seen(&stage);
    stage.domain.hand(&stage.user).delete("files/trash");
    let after = stage.capture();
    let (plan, folder) = plan(&mut stage, earlier, after, after);
    let report = stage.apply(&plan, &folder);
    assert_eq!(report.counts.conflicts, 0, "{report:#?}");
    // A shortcut that is still there leads to what is gone for good.
    let blind = |seen: BTreeMap<String, Seen>| -> BTreeMap<String, Seen> {
        // And of a form nothing is stored but its name.
        let stored =
            seen.into_iter().filter(|(_, file)| !(file.trashed && file.media_type.ends_with("form")));
        stored.map(|(id, file)| (id, Seen { target: None, ..file })).collect()
    };
    assert_as(&blind(seen(&stage)), &blind(before));
    stage.assert_verified(&plan, &folder);
}

#[test]
fn a_tree_of_four_hundred_folders_is_made_anew() {
    let mut stage = stage();
    let hand = stage.domain.hand(&stage.user);
    let mut folders = vec![hand.make(&json!({ "name": "deep", "mimeType": FOLDER }))];
    for depth in 1..400 {
        let parent = &folders[depth - 1];
        folders.push(
            hand.make(&json!({ "name": format!("level {depth}"), "mimeType": FOLDER, "parents": [parent] })),
        );
    }
    let bottom = hand.make(&json!({ "name": "bottom", "mimeType": "text/plain", "parents": [folders[399]] }));
    hand.write(&bottom, "text/plain", b"down here", "");
    // Shortcuts may lead in a circle.
    let back = json!({ "name": "up", "mimeType": SHORTCUT, "parents": [folders[399]],
        "shortcutDetails": { "targetId": folders[0] } });
    hand.make(&back);
    let earlier = stage.capture();
    let before = seen(&stage);
    stage.domain.hand(&stage.user).delete(&format!("files/{}", folders[0]));
    let after = stage.capture();
    let (plan, folder) = plan(&mut stage, earlier, after, after);
    let report = stage.apply(&plan, &folder);
    assert_eq!((report.counts.inserted, report.counts.conflicts), (402, 0));
    assert_as(&seen(&stage), &before);
    stage.assert_verified(&plan, &folder);
}

#[test]
fn a_shared_drive_is_set_back_in_the_name_of_an_organizer() {
    let mut stage = stage();
    let (admin, drive) = (stage.domain.administrator(), stage.domain.shared_drives()[0].clone());
    stage.domain.only = [admin.clone()].into();
    let hand = stage.domain.hand(&admin);
    let make = |name: &str, kind: &str, parent: &str| {
        hand.make(&json!({ "name": name, "mimeType": kind, "parents": [parent] }))
    };
    let folder = make("folder", FOLDER, &drive);
    let kept = make("kept.txt", "text/plain", &folder);
    hand.write(&kept, "text/plain", b"kept", "");
    let gone = make("gone", FOLDER, &folder);
    let inside = make("inside.txt", "text/plain", &gone);
    hand.write(&inside, "text/plain", b"inside", "");
    share(&hand, &kept, &json!({ "type": "user", "role": "reader", "emailAddress": "p@partner.test" }));
    let earlier = stage.capture();
    let names = |stage: &Stage| {
        let files = stage.domain.inside(&drive);
        let mut all: Vec<_> = stage.domain.running.with_tenant(|tenant| {
            files
                .iter()
                .map(|file| {
                    let content = tenant.drive_bytes(&file.id).unwrap_or_default();
                    (path(tenant, &file.id), content, file.trashed, format!("{:?}", file.permissions))
                })
                .collect()
        });
        all.sort();
        all
    };
    let before = names(&stage);
    let hand = stage.domain.hand(&admin);
    hand.delete(&format!("files/{gone}?supportsAllDrives=true"));
    hand.change(&folder, &json!({ "trashed": true }));
    share(&hand, &kept, &json!({ "type": "user", "role": "writer", "emailAddress": "thief@evil.test" }));
    let after = stage.capture();
    let request = Request {
        account: drive.clone(),
        ..stage.request(shared_drive_stream(&drive).unwrap(), earlier, after, after)
    };
    let settings = stage.settings();
    let (plan, folder) = stage.plan_with(&settings, |planner| planner.drive(&request));
    assert_eq!((plan.counts.reverted, plan.counts.inserted, plan.counts.removed), (1, 2, 1), "{plan:#?}");
    let report = stage.apply(&plan, &folder);
    assert_eq!(report.counts.conflicts, 0, "{report:#?}");
    assert_eq!(names(&stage), before);
    stage.assert_verified(&plan, &folder);
}

/// What is told of a file that an act may change.
const TOLD: [&str; 5] = ["name", "parents", "explicitlyTrashed", "description", "md5Checksum"];

/// Draws numbers, always the same ones.
struct Drawn(u64);

impl Drawn {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end
    }
}

#[test]
fn whatever_an_agent_did_is_undone_and_whatever_its_owner_did_since_stays() {
    let mut stage = stage();
    for seed in 0..20_u64 {
        let mut drawn = Drawn(seed * 977 + 5);
        let hand = stage.domain.hand(&stage.user);
        let top = hand.make(&json!({ "name": format!("top {seed}"), "mimeType": FOLDER }));
        let mut folders = vec![top.clone()];
        let mut files = Vec::new();
        for number in 0..12 {
            let parent = folders[drawn.below(folders.len())].clone();
            if number % 3 == 0 {
                folders.push(
                    hand.make(
                        &json!({ "name": format!("f{number}"), "mimeType": FOLDER, "parents": [parent] }),
                    ),
                );
            } else {
                let id = hand.make(
                    &json!({ "name": format!("n{number}"), "mimeType": "text/plain", "parents": [parent] }),
                );
                hand.write(&id, "text/plain", format!("text {number}").as_bytes(), "");
                files.push(id);
            }
        }
        let all: Vec<String> = folders[1..].iter().chain(&files).cloned().collect();
        let earlier = stage.capture();
        let told = |stage: &Stage| -> BTreeMap<String, Value> {
            all.iter().map(|id| (id.clone(), file(stage, &stage.user, id))).collect()
        };
        let before = told(&stage);

        let hand = stage.domain.hand(&stage.user);
        let is_there = |id: &str| !file(&stage, &stage.user, id).is_null();
        for act in 0..10 {
            let id = &all[drawn.below(all.len())];
            if !is_there(id) {
                continue;
            }
            let is_file = files.contains(id);
            match drawn.below(6) {
                0 => hand.delete(&format!("files/{id}")),
                1 => hand.change(id, &json!({ "trashed": true })),
                2 => hand.change(id, &json!({ "name": format!("spoilt {act}") })),
                3 => hand.change(id, &json!({ "description": format!("pay {act}") })),
                4 if is_file => hand.write(id, "text/plain", format!("encrypted {act}").as_bytes(), ""),
                // Only into what is no folder of its own: the top.
                4 => hand.change(id, &json!({ "starred": true })),
                _ => {
                    let parent = file(&stage, &stage.user, id)["parents"][0].as_str().unwrap().to_owned();
                    hand.patch(&format!("files/{id}?addParents={top}&removeParents={parent}"), &json!({}));
                }
            }
        }
        let after = stage.capture();
        let mut touched = std::collections::BTreeSet::new();
        let hand = stage.domain.hand(&stage.user);
        for act in 0..5 {
            let id = &files[drawn.below(files.len())];
            let was = file(&stage, &stage.user, id);
            if was.is_null() {
                continue;
            }
            let name = TOLD[[0, 2, 3, 4][drawn.below(4)]];
            match name {
                "name" => hand.change(id, &json!({ "name": format!("own {act}") })),
                "description" => hand.change(id, &json!({ "description": format!("own {act}") })),
                "explicitlyTrashed" => hand.change(id, &json!({ "trashed": act % 2 == 0 })),
                _ => hand.write(id, "text/plain", format!("own {act}").as_bytes(), ""),
            }
            // What is in the trash can be put there without anything being changed.
            if file(&stage, &stage.user, id)[name] != was[name] {
                touched.insert((id.clone(), name));
            }
        }
        let now = stage.capture();
        let present = told(&stage);
        let (plan, folder) = plan(&mut stage, earlier, after, now);
        let report = stage.apply(&plan, &folder);
        assert_eq!(report.counts.conflicts, 0, "seed {seed}: {report:#?}");
        stage.assert_verified(&plan, &folder);

        let journal = std::fs::read_to_string(folder.path().join("applied.jsonl")).unwrap_or_default();
        let made: BTreeMap<String, String> = journal
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .filter(|made| made["kind"] == "file")
            .map(|made| (made["old"].as_str().unwrap().to_owned(), made["new"].as_str().unwrap().to_owned()))
            .collect();
        let id_now = |id: &str| made.get(id).map_or(id, String::as_str).to_owned();
        for id in &all {
            let found = file(&stage, &stage.user, &id_now(id));
            for name in TOLD {
                let changed_since =
                    touched.contains(&(id.clone(), name)) && present[id][name] != before[id][name];
                let mut wanted =
                    if changed_since { present[id][name].clone() } else { before[id][name].clone() };
                if name == "parents" {
                    wanted = json!([id_now(wanted[0].as_str().unwrap())]);
                }
                assert_eq!(found[name], wanted, "seed {seed}: the {name} of {}", before[id]["name"]);
            }
        }
        let again = stage.apply(&plan, &folder);
        assert_eq!(
            (again.counts.inserted, again.counts.reverted, again.counts.conflicts),
            (0, 0, 0),
            "seed {seed}: {again:#?}"
        );
    }
}
