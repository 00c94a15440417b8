//! Drive: the logs of changes.

use google_tenant::{Settings, Size};
use serde_json::{Value, json};

use crate::{
    drive::{BOTH, FILES, bare, folder, make, shared_drive, token},
    support::{Domain, SECOND},
};

const CHANGES: &str = "drive/v3/changes";

fn start(domain: &Domain, token: &str, query: &str) -> String {
    let answer = domain.get(&format!("{CHANGES}/startPageToken?supportsAllDrives=true{query}"), token).ok();
    answer["startPageToken"].as_str().unwrap().to_owned()
}

/// Reads a log to its end: all changes, and where the next ones will be.
fn read(domain: &Domain, token: &str, from: &str, query: &str) -> (Vec<Value>, String) {
    let (mut all, mut place) = (Vec::new(), from.to_owned());
    loop {
        let page = domain.get(&format!("{CHANGES}?pageToken={place}&fields=*&{query}"), token).ok();
        all.extend(page["changes"].as_array().unwrap().iter().cloned());
        match (page["nextPageToken"].as_str(), page["newStartPageToken"].as_str()) {
            (Some(next), None) => next.clone_into(&mut place),
            (None, Some(end)) => return (all, end.to_owned()),
            both => panic!("one of the two tokens: {both:?}"),
        }
    }
}

fn text(domain: &Domain, token: &str, name: &str, parent: &str) -> String {
    make(domain, token, &json!({ "name": name, "mimeType": "text/plain", "parents": [parent] }))
}

#[test]
fn the_log_has_the_latest_state_of_each_file_in_pages() {
    let domain = bare();
    let token = token(&domain, &domain.user(0));
    let begin = start(&domain, &token, "");
    let ids: Vec<String> = (0..5).map(|at| text(&domain, &token, &format!("f{at}"), "root")).collect();
    domain.patch(&format!("{FILES}/{}", ids[0]), &token, &json!({ "name": "renamed" })).ok();
    domain.patch(&format!("{FILES}/{}", ids[1]), &token, &json!({ "trashed": true })).ok();
    domain.delete(&format!("{FILES}/{}", ids[2]), &token);
    let (changes, end) = read(&domain, &token, &begin, "pageSize=2");
    let seen: Vec<&str> = changes.iter().map(|change| change["fileId"].as_str().unwrap()).collect();
    assert_eq!(seen, [&ids[3], &ids[4], &ids[0], &ids[1], &ids[2]], "each once, by its last change");
    assert_eq!(changes[2]["file"]["name"], "renamed");
    assert_eq!((&changes[3]["removed"], &changes[3]["file"]["trashed"]), (&json!(false), &json!(true)));
    assert_eq!((&changes[4]["removed"], &changes[4]["file"]), (&json!(true), &Value::Null));
    assert_eq!((&changes[0]["kind"], &changes[0]["changeType"]), (&json!("drive#change"), &json!("file")));
    assert_eq!(read(&domain, &token, &end, ""), (Vec::new(), end.clone()), "nothing happens twice");
    assert_eq!(start(&domain, &token, ""), end);
    assert_eq!(read(&domain, &token, &begin, "includeRemoved=false").0.len(), 4);
    for broken in ["", "x", "999999999"] {
        assert_eq!(domain.get(&format!("{CHANGES}?pageToken={broken}"), &token).code, 400, "{broken}");
    }
    let usual = domain.get(&format!("{CHANGES}?pageToken={begin}"), &token).ok();
    assert_eq!(usual["changes"][0]["file"].as_object().unwrap().len(), 4);
}

#[test]
fn losing_sight_of_a_file_looks_like_its_deletion() {
    let domain = bare();
    let (anna, ben_address) = (token(&domain, &domain.user(0)), domain.user(1));
    let ben = token(&domain, &ben_address);
    let file = text(&domain, &anna, "a", "root");
    let begin = start(&domain, &ben, "");
    let body = json!({ "type": "user", "role": "reader", "emailAddress": ben_address });
    let permission = domain.post(&format!("{FILES}/{file}/permissions"), &anna, &body).ok();
    let (changes, next) = read(&domain, &ben, &begin, "");
    assert_eq!((changes.len(), &changes[0]["removed"]), (1, &json!(false)));
    domain
        .post(&format!("{FILES}/{file}/permissions"), &anna, &json!({ "type": "anyone", "role": "reader" }))
        .ok();
    let path = format!("{FILES}/{file}/permissions/{}", permission["id"].as_str().unwrap());
    assert_eq!(domain.delete(&path, &anna).code, 204);
    let (changes, _) = read(&domain, &ben, &next, "");
    assert_eq!((changes.len(), &changes[0]["removed"], &changes[0]["file"]), (1, &json!(true), &Value::Null));
    // Through the link the file can still be opened, and who asks for that is told what it is.
    let (changes, _) = read(&domain, &ben, &next, "includeCorpusRemovals=true");
    assert_eq!((&changes[0]["removed"], &changes[0]["file"]["name"]), (&json!(true), &json!("a")));
    domain.get(&format!("{FILES}/{file}"), &anna).ok();
}

#[test]
fn who_joins_or_leaves_a_group_sees_its_files_come_and_go() {
    let domain = bare();
    let (anna, ben_address) = (token(&domain, &domain.user(0)), domain.user(1));
    let ben = token(&domain, &ben_address);
    let admin = domain.admin_token();
    let groups = "admin/directory/v1/groups";
    let make_group = |name: &str| {
        let address = format!("{name}@acme.test");
        domain.post(groups, &admin, &json!({ "email": address, "name": name })).ok();
        address
    };
    let (inner, outer) = (make_group("inner"), make_group("outer"));
    domain
        .post(&format!("{groups}/{outer}/members"), &admin, &json!({ "email": inner, "role": "MEMBER" }))
        .ok();
    let file = text(&domain, &anna, "a", "root");
    let body = json!({ "type": "group", "role": "reader", "emailAddress": outer });
    domain.post(&format!("{FILES}/{file}/permissions"), &anna, &body).ok();
    let begin = start(&domain, &ben, "");
    let member = json!({ "email": ben_address, "role": "MEMBER" });
    domain.post(&format!("{groups}/{inner}/members"), &admin, &member).ok();
    let (changes, next) = read(&domain, &ben, &begin, "");
    assert_eq!(
        (changes.len(), &changes[0]["removed"], &changes[0]["fileId"]),
        (1, &json!(false), &json!(file))
    );
    domain.delete(&format!("{groups}/{inner}"), &admin);
    let (changes, _) = read(&domain, &ben, &next, "");
    assert_eq!((changes.len(), &changes[0]["removed"]), (1, &json!(true)));
}

#[test]
fn the_end_of_a_permission_is_a_change() {
    let domain = bare();
    let (anna, ben_address) = (token(&domain, &domain.user(0)), domain.user(1));
    let ben = token(&domain, &ben_address);
    let file = text(&domain, &anna, "a", "root");
    let share = |until: &str| {
        let body =
            json!({ "type": "user", "role": "reader", "emailAddress": ben_address, "expirationTime": until });
        domain.post(&format!("{FILES}/{file}/permissions"), &anna, &body).ok();
    };
    share("2026-03-02T00:00:10Z");
    share("2026-03-02T00:00:20Z");
    let begin = start(&domain, &ben, "");
    domain.clock.advance_micros(15 * SECOND);
    assert!(read(&domain, &ben, &begin, "").0.is_empty(), "it was made longer");
    domain.clock.advance_micros(5 * SECOND);
    let (changes, _) = read(&domain, &ben, &begin, "");
    assert_eq!((changes.len(), &changes[0]["removed"]), (1, &json!(true)));
    assert_eq!(changes[0]["time"], "2026-03-02T00:00:20.000Z");
}

#[test]
fn a_trashed_folder_is_one_change_unless_settings_say_otherwise() {
    let domain = bare();
    let token = token(&domain, &domain.user(0));
    let outer = folder(&domain, &token, "root");
    (0..20).for_each(|at| {
        text(&domain, &token, &format!("f{at}"), &outer);
    });
    let trash = |trashed: bool| {
        let begin = start(&domain, &token, "");
        domain.patch(&format!("{FILES}/{outer}"), &token, &json!({ "trashed": trashed })).ok();
        read(&domain, &token, &begin, "").0
    };
    assert_eq!(trash(true).len(), 1);
    domain.running.with_tenant(|tenant| tenant.settings_mut().drive.descendant_changes_one_in = Some(1));
    let all = trash(false);
    assert_eq!(all.len(), 21);
    domain.running.with_tenant(|tenant| tenant.settings_mut().drive.descendant_changes_one_in = Some(3));
    let some = trash(true);
    assert!((2..21).contains(&some.len()), "{}", some.len());
    let below = some.iter().find(|change| change["fileId"] != outer).unwrap();
    assert_eq!(
        (&below["file"]["trashed"], &below["file"]["explicitlyTrashed"]),
        (&json!(true), &json!(false))
    );
}

#[test]
fn a_shared_drive_has_a_log_and_so_has_each_member() {
    let size = Size { files: 4, ..Size::default() };
    let domain = Domain::start(Settings { size, ..Settings::default() });
    let token = token(&domain, &domain.admin());
    let drive = shared_drive(&domain, 1);
    let of_drive = format!("driveId={drive}&{BOTH}");
    let (own, shared) = (start(&domain, &token, ""), start(&domain, &token, &format!("&driveId={drive}")));
    let file = text(&domain, &token, "x", &drive);
    let ids = |changes: &[Value]| {
        changes.iter().map(|c| c["fileId"].as_str().unwrap_or("-").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(ids(&read(&domain, &token, &shared, &of_drive).0), [&*file]);
    assert_eq!(ids(&read(&domain, &token, &own, BOTH).0), [&*file]);
    assert!(read(&domain, &token, &own, "").0.is_empty(), "not for programs that do not know shared drives");
    assert!(read(&domain, &token, &own, &format!("{BOTH}&restrictToMyDrive=true")).0.is_empty());
    let made = domain.post("drive/v3/drives?requestId=x", &token, &json!({ "name": "New" })).ok();
    let (changes, next) = read(&domain, &token, &own, BOTH);
    let last = changes.last().unwrap();
    assert_eq!(
        (&last["changeType"], &last["driveId"], &last["drive"]["name"]),
        (&json!("drive"), &made["id"], &json!("New"))
    );
    domain.delete(&format!("drive/v3/drives/{}", made["id"].as_str().unwrap()), &token);
    let (changes, _) = read(&domain, &token, &next, BOTH);
    assert!(changes.iter().all(|change| change["removed"] == true) && !changes.is_empty());
    let stranger = self::token(&domain, &domain.user(0));
    let members = domain.running.with_tenant(|tenant| tenant.drive_file(&drive)).unwrap().permissions;
    assert!(members.len() > 2);
    let missing = format!("{CHANGES}?pageToken=1000&driveId=0Anothing&{BOTH}");
    assert_eq!(domain.get(&missing, &stranger).code, 404);
}
