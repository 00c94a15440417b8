//! Drives: what is captured, what a change costs, what a removal does not say.

use std::collections::BTreeMap;

use connect::{SourceReader, Stop, testing::MemorySink};
use serde_json::{Value, json};
use source_google::{
    Part,
    drive::{DrivePosition, FileKind},
};

use crate::{
    domain::{Domain, SECOND},
    drives::{DOCUMENT, FOLDER, attributes},
};

/// Returns how many contents were fetched so far.
fn contents(domain: &Domain) -> usize {
    domain.running.with_tenant(|tenant| {
        let read = tenant.activities().filter(|one| one.impersonation && one.name == "access_item_content");
        read.count()
    })
}

fn captured() -> (Domain, MemorySink) {
    let domain = Domain::start(&[Part::Drive]);
    let mut sink = MemorySink::new();
    domain.capture(&mut sink);
    (domain, sink)
}

/// Somebody without anything special, and their stream.
fn somebody(domain: &Domain) -> (String, String) {
    let user = domain.people()[1].clone();
    let stream = format!("drive/{user}");
    (user, stream)
}

/// Makes the position of a unit one whose token is taken no more.
fn lose_token(sink: &mut MemorySink, unit: &str) {
    let position =
        sink.held.iter_mut().find(|((stream, key), _)| stream.as_str() == "position" && key == unit);
    let (_, item) = position.unwrap();
    let mut position: DrivePosition = serde_json::from_str(&item.attributes).unwrap();
    "999999999".clone_into(&mut position.changes);
    item.attributes = serde_json::to_string(&position).unwrap();
}

#[test]
fn every_file_is_held_with_its_content_and_all_that_is_known_of_it() {
    let (domain, mut sink) = captured();
    domain.assert_drives_held(&sink);
    let streams = domain.people().into_iter().map(|user| attributes(&sink, &format!("drive/{user}")));
    let all: Vec<_> = streams.flat_map(BTreeMap::into_values).collect();
    assert!(all.len() > 500, "the deepest folder lies four hundred folders deep");
    assert!(all.iter().any(|file| file.name.contains('/')) && all.iter().any(|file| file.trashed));
    assert!(all.iter().any(|file| file.kind() == FileKind::Shortcut && file.shortcut_details.is_some()));
    assert!(all.iter().any(|file| !file.content_restrictions.is_empty()));
    let drives = sink.stream("shared-drives");
    assert_eq!(drives.keys().filter(|key| key.starts_with("drive/")).count(), domain.shared_drives().len());
    assert!(drives.keys().any(|key| key.starts_with("member/")));

    let (held, bodies) = (sink.held.clone(), sink.bodies);
    domain.capture(&mut sink);
    assert!(sink.held == held, "where nothing happened, nothing is stored");
    assert_eq!(sink.bodies, bodies);
}

#[test]
fn what_is_known_of_a_file_changes_without_its_content() {
    let (domain, mut sink) = captured();
    let (user, stream) = somebody(&domain);
    let hand = domain.hand(&user);
    let folder = hand.make(&json!({ "name": "new folder", "mimeType": FOLDER }));
    let fetched = contents(&domain);
    let mine = attributes(&sink, &stream);
    let of = |kind: FileKind| {
        let wanted = |(id, file): (&String, &source_google::drive::FileAttributes)| {
            let held = sink.stream(&stream)[format!("file/{id}").as_str()].content.is_ok();
            (file.kind() == kind && held && !file.trashed).then(|| id.clone())
        };
        mine.iter().filter_map(wanted).collect::<Vec<_>>()
    };
    let (bytes, documents) = (of(FileKind::Binary), of(FileKind::Editor));
    // A document's time is all there is to tell its contents apart but its revisions: it is not touched here.
    let described = json!({
        "name": "1/\n\u{202e}renamed", "description": "why", "properties": { "k": "v" },
    });
    hand.change(&bytes[0], &described);
    for id in [&bytes[0], &documents[0]] {
        hand.change(id, &json!({ "starred": true }));
        let body = json!({ "type": "user", "role": "commenter", "emailAddress": domain.people()[2] });
        hand.post(&format!("files/{id}/permissions?sendNotificationEmail=false"), &body);
        hand.patch(&format!("files/{id}?addParents={folder}"), &json!({}));
    }
    hand.change(&bytes[1], &json!({ "trashed": true }));
    hand.change(&documents[1], &json!({ "trashed": true }));
    domain.capture(&mut sink);
    domain.assert_drives_held(&sink);
    let now = attributes(&sink, &stream);
    assert!(now[&bytes[0]].starred && now[&documents[0]].starred);
    assert_eq!(now[&bytes[0]].description.as_deref(), Some("why"));
    assert_eq!(now[&bytes[0]].properties["k"], "v");
    assert_eq!(contents(&domain), fetched, "no content was fetched");
    let event = sink.events.last().unwrap();
    assert_eq!((event.scope.as_str(), event.effects[0].count), (user.as_str(), 2));
}

#[test]
fn only_content_that_changed_is_fetched() {
    let (domain, mut sink) = captured();
    let (user, stream) = somebody(&domain);
    let hand = domain.hand(&user);
    let now = attributes(&sink, &stream);
    let pick = |wanted: &dyn Fn(&source_google::drive::FileAttributes) -> bool| {
        let held = |id: &str| sink.stream(&stream)[format!("file/{id}").as_str()].content.is_ok();
        now.iter().find(|(id, file)| wanted(file) && held(id)).unwrap().0.clone()
    };
    let bytes = pick(&|file| file.kind() == FileKind::Binary && file.content_restrictions.is_empty());
    let document = pick(&|file| file.mime_type == DOCUMENT);
    let (before, fetched) = (now[&document].clone(), contents(&domain));
    domain.clock.advance_micros(60 * SECOND);
    hand.write(&bytes, "application/octet-stream", b"new bytes", "&keepRevisionForever=true");
    hand.write(&document, "text/plain", b"Everything is different now.", "");
    // Whoever edits a document may make it look as if nobody had.
    hand.change(&document, &json!({ "modifiedTime": before.modified_time }));
    let new = hand.make(&json!({ "name": "new", "mimeType": DOCUMENT }));
    domain.capture(&mut sink);
    domain.assert_drives_held(&sink);
    let now = attributes(&sink, &stream);
    assert_eq!(now[&document].modified_time, before.modified_time);
    assert!(now.contains_key(&new));
    assert_eq!(contents(&domain), fetched + 3);

    // What was replaced although it was to be kept forever is kept.
    hand.write(&bytes, "application/octet-stream", b"newer bytes", "");
    domain.capture(&mut sink);
    domain.assert_drives_held(&sink);
    let held = sink.stream(&stream);
    let mut kept = held.iter().filter(|(key, _)| key.starts_with(&format!("revision/{bytes}/")));
    assert!(kept.any(|(_, item)| item.content.as_deref() == Ok(b"new bytes")));
    let list = held[format!("revisions/{bytes}").as_str()].content.clone().unwrap();
    assert!(String::from_utf8(list).unwrap().contains("keepForever"));
}

#[test]
fn comments_are_held_with_their_answers_even_deleted_ones() {
    let (domain, mut sink) = captured();
    let (user, stream) = somebody(&domain);
    let hand = domain.hand(&user);
    let file = attributes(&sink, &stream).into_iter().find(|(_, file)| file.mime_type == DOCUMENT).unwrap().0;
    let comment =
        hand.post(&format!("files/{file}/comments?fields=*"), &json!({ "content": "Is this right?" }));
    let comment = comment["id"].as_str().unwrap();
    let replies = format!("files/{file}/comments/{comment}/replies?fields=*");
    hand.post(&replies, &json!({ "content": "No.", "action": "resolve" }));
    let fetched = contents(&domain);
    domain.capture(&mut sink);
    let key = format!("comments/{file}");
    let list = |sink: &MemorySink| -> Value {
        serde_json::from_slice(sink.stream(&stream)[key.as_str()].content.as_ref().unwrap()).unwrap()
    };
    let find = |list: &Value| {
        let all = list["comments"].as_array().unwrap().clone();
        all.into_iter().find(|own| own["id"] == comment).unwrap()
    };
    let held = find(&list(&sink));
    assert_eq!((&held["content"], &held["replies"][0]["content"]), (&json!("Is this right?"), &json!("No.")));
    hand.delete(&format!("files/{file}/comments/{comment}"));
    domain.capture(&mut sink);
    assert_eq!(find(&list(&sink))["deleted"], true);
    assert_eq!(contents(&domain), fetched);
    domain.assert_drives_held(&sink);
}

/// Makes folders in each other with files in them; returns the ids, the outermost folder first.
fn nested(domain: &Domain, user: &str) -> Vec<String> {
    let hand = domain.hand(user);
    let mut ids = vec![hand.make(&json!({ "name": "outer", "mimeType": FOLDER }))];
    for number in 0..12 {
        let parent = ids[number / 2 * 2].clone();
        let kind = if number % 2 == 1 { FOLDER } else { "text/plain" };
        ids.push(hand.make(&json!({ "name": format!("n{number}"), "mimeType": kind, "parents": [parent] })));
    }
    ids
}

#[test]
fn what_happens_to_a_folder_happens_to_what_is_in_it() {
    let (domain, mut sink) = captured();
    let (user, stream) = somebody(&domain);
    let ids = nested(&domain, &user);
    domain.capture(&mut sink);
    domain.assert_drives_held(&sink);
    let hand = domain.hand(&user);
    let (fetched, bodies) = (contents(&domain), sink.bodies);
    hand.change(&ids[0], &json!({ "trashed": true }));
    domain.capture(&mut sink);
    domain.assert_drives_held(&sink);
    let now = attributes(&sink, &stream);
    assert!(ids.iter().all(|id| now[id].trashed) && now[&ids[0]].explicitly_trashed);
    assert!(ids[1..].iter().all(|id| !now[id].explicitly_trashed));
    assert_eq!(sink.events.last().unwrap().effects[0].count, ids.len() as u64);

    hand.change(&ids[0], &json!({ "trashed": false }));
    let body = json!({ "type": "domain", "role": "reader", "domain": "acme.test" });
    hand.post(&format!("files/{}/permissions", ids[0]), &body);
    domain.capture(&mut sink);
    domain.assert_drives_held(&sink);
    assert_eq!((contents(&domain), sink.bodies - bodies), (fetched, 2), "positions only");

    hand.delete(&format!("files/{}", ids[0]));
    domain.capture(&mut sink);
    domain.assert_drives_held(&sink);
    let left = attributes(&sink, &stream);
    assert!(ids.iter().all(|id| !left.contains_key(id)));
    let event = sink.events.last().unwrap();
    assert_eq!((event.effects[0].verb, event.effects[0].count), (model::Verb::Delete, ids.len() as u64));
}

#[test]
fn what_is_shared_no_longer_is_not_gone() {
    let (domain, mut sink) = captured();
    let (owner, guest) = (domain.people()[1].clone(), domain.people()[2].clone());
    let hand = domain.hand(&owner);
    let file = hand.make(&json!({ "name": "shared", "mimeType": "text/plain" }));
    let body = json!({ "type": "user", "role": "writer", "emailAddress": guest });
    let permission = hand.post(&format!("files/{file}/permissions"), &body);
    domain.capture(&mut sink);
    domain.assert_drives_held(&sink);
    hand.delete(&format!("files/{file}/permissions/{}", permission["id"].as_str().unwrap()));
    domain.capture(&mut sink);
    domain.assert_drives_held(&sink);
    assert!(sink.commits.iter().all(|commit| commit.removed == 0));
}

#[test]
fn a_file_that_moves_is_where_it_is_now() {
    let (domain, mut sink) = captured();
    let (from, to) = (domain.people()[1].clone(), domain.people()[2].clone());
    let hand = domain.hand(&from);
    let given = hand.make(&json!({ "name": "given away", "mimeType": "text/plain" }));
    let admin = domain.administrator();
    let moved = domain.hand(&admin).make(&json!({ "name": "moved", "mimeType": "text/plain" }));
    domain.capture(&mut sink);
    let body = json!({ "type": "user", "role": "owner", "emailAddress": to });
    hand.post(&format!("files/{given}/permissions?transferOwnership=true"), &body);
    let shared = domain.shared_drives()[0].clone();
    let path = format!("files/{moved}?addParents={shared}&supportsAllDrives=true");
    domain.hand(&admin).patch(&path, &json!({}));
    domain.capture(&mut sink);
    domain.assert_drives_held(&sink);
    assert!(attributes(&sink, &format!("drive/{to}")).contains_key(&given));
    assert!(attributes(&sink, &format!("shared-drive/{shared}")).contains_key(&moved));
}

#[test]
fn a_lost_token_costs_no_content_and_takes_nothing_for_deleted() {
    let (domain, mut sink) = captured();
    let (user, stream) = somebody(&domain);
    let files = attributes(&sink, &stream);
    let hand = domain.hand(&user);
    let mut plain = files.iter().filter(|(_, file)| file.kind() == FileKind::Binary && !file.trashed);
    let (gone, trashed) = (plain.next().unwrap().0, plain.next().unwrap().0);
    hand.delete(&format!("files/{gone}"));
    hand.change(trashed, &json!({ "trashed": true }));
    lose_token(&mut sink, &format!("drive/{}", domain.user_id(&user)));
    let (fetched, bodies) = (contents(&domain), sink.bodies);
    domain.capture(&mut sink);
    domain.assert_drives_held(&sink);
    assert!(!attributes(&sink, &stream).contains_key(gone));
    assert_eq!((contents(&domain), sink.bodies - bodies), (fetched, 1), "a position only");
}

#[test]
fn a_shared_drive_is_read_in_the_name_of_a_member() {
    let (domain, mut sink) = captured();
    let drive = domain.shared_drives()[1].clone();
    let stream = format!("shared-drive/{drive}");
    let hand = domain.hand(&domain.administrator());
    let folder = hand.make(&json!({ "name": "f", "mimeType": FOLDER, "parents": [drive] }));
    let file = hand.make(&json!({ "name": "in it", "mimeType": "text/plain", "parents": [folder] }));
    hand.write(&file, "text/plain", b"some text", "");
    domain.capture(&mut sink);
    domain.assert_drives_held(&sink);
    let fetched = contents(&domain);
    // What all members may see changes with the members, and no file is named.
    let body = json!({ "type": "user", "role": "reader", "emailAddress": "guest@elsewhere.test" });
    let query = "supportsAllDrives=true&sendNotificationEmail=false";
    hand.post(&format!("files/{folder}/permissions?{query}"), &body);
    hand.change(&file, &json!({ "name": "still in it" }));
    domain.capture(&mut sink);
    domain.assert_drives_held(&sink);
    hand.change(&folder, &json!({ "trashed": true }));
    domain.capture(&mut sink);
    domain.assert_drives_held(&sink);
    assert!(attributes(&sink, &stream)[&file].trashed);
    assert_eq!(contents(&domain), fetched);
    hand.delete(&format!("files/{folder}?supportsAllDrives=true"));
    domain.capture(&mut sink);
    domain.assert_drives_held(&sink);
    assert!(!attributes(&sink, &stream).contains_key(&file));
}

#[test]
fn a_quiet_drive_costs_one_request() {
    let domain = Domain::start(&[Part::Drive]);
    let mut sink = MemorySink::new();
    let mut reader = domain.reader();
    for _ in 0..2 {
        reader.changes(sink.cursor().as_ref(), &mut sink, &Stop::default()).unwrap();
    }
    domain.forget_calls();
    domain.clock.advance_micros(30 * SECOND);
    let commits = sink.commits.len();
    reader.changes(sink.cursor().as_ref(), &mut sink, &Stop::default()).unwrap();
    assert_eq!(sink.commits.len(), commits);
    for user in domain.people() {
        let of_user = domain.running.with_tenant(|tenant| tenant.traffic().calls_of("drive.*", &user));
        let shared = domain.shared_drives().len() as u64;
        // The administrator also lists the shared drives with their members, and here reads what is in them.
        let most = if user == domain.administrator() { 2 + 2 * shared } else { 1 };
        assert!(of_user <= most, "{user}: {of_user}");
    }
}

#[test]
fn a_killed_capture_fetches_nothing_twice_that_is_committed() {
    let domain = Domain::start(&[Part::Drive]);
    let mut sink = MemorySink::new().failing_after(400);
    domain.try_capture(&mut sink).unwrap_err();
    sink.kill();
    let held = |sink: &MemorySink| {
        let stored = sink.held.iter().filter(|((_, key), item)| {
            let content = item.content.as_ref().is_ok_and(|content| !content.is_empty());
            content && (key.starts_with("file/") || key.starts_with("revision/"))
        });
        stored.count()
    };
    let (before, fetched) = (held(&sink), contents(&domain));
    domain.capture(&mut sink);
    domain.assert_drives_held(&sink);
    let fetched = contents(&domain) - fetched;
    // A document that is too large to be exported is asked for and then downloaded; an empty file is read as well.
    assert!(fetched <= held(&sink) - before + 10, "{fetched} of {} and {before}", held(&sink));
}
