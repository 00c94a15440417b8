//! Drive: making, changing, moving, trashing and deleting.

use std::collections::BTreeSet;

use google_tenant::{Settings, Size};
use serde_json::{Value, json};

use crate::{
    drive::{FILES, bare, folder, make, shared_drive, token, upload, views},
    support::{Answer, DAY, Domain},
};

const DOCUMENT: &str = "application/vnd.google-apps.document";

#[test]
fn metadata_is_written_and_read_back() {
    let domain = bare();
    let token = token(&domain, &domain.user(0));
    let body = json!({
        "name": "a.txt", "description": "d", "properties": { "p": "1" }, "appProperties": { "q": "2" },
        "createdTime": "2020-01-02T03:04:05.678Z", "modifiedTime": "2021-02-03T04:05:06.789Z", "starred": true,
        "originalFilename": "b.txt", "copyRequiresWriterPermission": true, "writersCanShare": false,
    });
    let file = upload(&domain, &token, &body, "text/plain", b"text");
    for (name, value) in body.as_object().unwrap() {
        assert_eq!(file[name], *value, "{name}");
    }
    let id = file["id"].as_str().unwrap();
    let change = |body: &Value| domain.patch(&format!("{FILES}/{id}?fields=*"), &token, body);
    let changed = change(&json!({ "name": "c.txt", "properties": { "p": null, "r": "3" } })).ok();
    assert_eq!((&changed["name"], &changed["properties"]), (&json!("c.txt"), &json!({ "r": "3" })));
    assert_eq!(changed["modifiedTime"], "2026-03-02T00:00:00.000Z");
    let version = |file: &Value| file["version"].as_str().unwrap().parse::<u64>().unwrap();
    assert!(version(&changed) > version(&file));
    for unwritable in ["owners", "permissions", "parents", "md5Checksum", "createdTime"] {
        let answer = change(&json!({ unwritable: [] }));
        assert!(matches!(answer.code, 400 | 403), "{unwritable}: {}", answer.text);
    }
    let locked = json!({ "contentRestrictions": [{ "readOnly": true, "reason": "Final" }] });
    let locked = change(&locked).ok();
    assert_eq!(locked["contentRestrictions"][0]["restrictingUser"]["me"], true);
    let path = format!("upload/{FILES}/{id}?uploadType=media");
    assert_eq!(domain.send("PATCH", &path, &token, &[], b"x").reason(), "contentRestricted");
    change(&json!({ "contentRestrictions": [{ "readOnly": false }] })).ok();
    domain.send("PATCH", &path, &token, &[], b"x").ok();
}

#[test]
fn ids_given_in_advance_make_a_retry_harmless() {
    let domain = bare();
    let token = token(&domain, &domain.user(0));
    let ids = domain.get(&format!("{FILES}/generateIds?count=3&type=files"), &token).ok();
    let ids: Vec<&str> = ids["ids"].as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect();
    let body = json!({ "id": ids[0], "name": "a", "mimeType": "text/plain" });
    assert_eq!(make(&domain, &token, &body), ids[0]);
    let again = domain.post(FILES, &token, &body);
    assert_eq!((again.code, again.reason()), (409, "fileIdInUse"));
    assert_eq!(domain.delete(&format!("{FILES}/{}", ids[0]), &token).code, 204);
    assert_eq!(domain.post(FILES, &token, &body).code, 409, "an id is not used again");
    let document = json!({ "id": ids[1], "name": "a", "mimeType": DOCUMENT });
    assert_eq!(domain.post(FILES, &token, &document).code, 400);
    assert_eq!(domain.post(FILES, &token, &json!({ "id": "invented", "name": "a" })).code, 400);
}

#[test]
fn a_resumable_upload_is_taken_up_where_it_was_broken_off() {
    let domain = bare();
    let token = token(&domain, &domain.user(0));
    let bytes: Vec<u8> = (0..600_000_u32).map(|at| (at * 7 % 251) as u8).collect();
    let total = bytes.len();
    let headers = [
        ("content-type", "application/json"),
        ("x-upload-content-type", "application/zip"),
        ("x-upload-content-length", "600000"),
    ];
    let path = format!("upload/{FILES}?uploadType=resumable&fields=id,md5Checksum,size,mimeType");
    let begun = domain.send("POST", &path, &token, &headers, b"{\"name\":\"a.zip\"}");
    assert_eq!(begun.code, 200);
    let place = begun.header("location").unwrap();
    let put = |range: &str, part: &[u8]| domain.send("PUT", place, &token, &[("content-range", range)], part);
    let first = put(&format!("bytes 0-262143/{total}"), &bytes[..262_144]);
    assert_eq!((first.code, first.header("range")), (308, Some("bytes=0-262143")));
    assert_eq!(put(&format!("bytes */{total}"), b"").header("range"), Some("bytes=0-262143"));
    let ahead = put(&format!("bytes 524288-599999/{total}"), &bytes[524_288..]);
    assert_eq!((ahead.code, ahead.header("range")), (308, Some("bytes=0-262143")));
    assert_eq!(put(&format!("bytes 262144-262243/{total}"), &bytes[262_144..262_244]).code, 400);
    // A chunk may overlap with what is there already.
    let done = put(&format!("bytes 0-599999/{total}"), &bytes).ok();
    assert_eq!((&done["size"], &done["mimeType"]), (&json!("600000"), &json!("application/zip")));
    assert_eq!(put(&format!("bytes */{total}"), b"").ok(), done, "who lost the answer asks again");
    let id = done["id"].as_str().unwrap();
    assert_eq!(domain.get(&format!("{FILES}/{id}?alt=media"), &token).bytes, bytes);
    assert_eq!(domain.running.with_tenant(|tenant| tenant.drive_bytes(id)), Some(bytes));
    // What can be refused without content is refused at the beginning.
    let nowhere = domain.send("POST", &path, &token, &headers, b"{\"name\":\"a\",\"parents\":[\"nowhere\"]}");
    assert_eq!((nowhere.code, nowhere.reason()), (404, "notFound"));
}

#[test]
fn a_document_made_of_a_file_of_another_program_has_its_text() {
    let domain = bare();
    let token = token(&domain, &domain.user(0));
    let metadata = json!({ "name": "Notes", "mimeType": DOCUMENT });
    let file = upload(&domain, &token, &metadata, "text/plain", "\u{feff}a\r\nb & ü".as_bytes());
    let id = file["id"].as_str().unwrap();
    let text = || domain.running.with_tenant(|tenant| tenant.drive_text(id)).unwrap();
    assert_eq!(text(), "a\nb & ü");
    assert!(file["md5Checksum"].is_null() && file["headRevisionId"].is_null());
    let exported = domain.get(&format!("{FILES}/{id}/export?mimeType=text/html"), &token);
    let path = format!("upload/{FILES}/{id}?uploadType=media");
    domain.send("PATCH", &path, &token, &[("content-type", "text/plain")], b"other").ok();
    assert_eq!(text(), "other");
    domain.send("PATCH", &path, &token, &[("content-type", "text/html")], &exported.bytes).ok();
    assert_eq!(text(), "a\nb & ü");
    let broken = domain.send("PATCH", &path, &token, &[("content-type", "image/png")], b"x");
    assert_eq!((broken.code, broken.reason()), (400, "badRequest"));
    let copy = domain.post(&format!("{FILES}/{id}/copy?fields=*"), &token, &json!({})).ok();
    assert_eq!((&copy["name"], &copy["mimeType"]), (&json!("Copy of Notes"), &json!(DOCUMENT)));
}

#[test]
fn a_file_is_in_one_folder_and_no_folder_is_in_itself() {
    let domain = bare();
    let token = token(&domain, &domain.user(0));
    let outer = folder(&domain, &token, "root");
    let inner = folder(&domain, &token, &outer);
    let other = folder(&domain, &token, "root");
    let relocate = |id: &str, add: &str, remove: &str| -> Answer {
        let path = format!("{FILES}/{id}?addParents={add}&removeParents={remove}&fields=parents");
        domain.patch(&path, &token, &json!({}))
    };
    assert_eq!(relocate(&inner, &other, &outer).ok()["parents"], json!([other]));
    assert_eq!(relocate(&other, &inner, "root").reason(), "cyclicMembershipsNotAllowed");
    assert_eq!(relocate(&inner, &outer, &outer).code, 404, "it is not there");
    assert_eq!(relocate(&inner, "", &other).reason(), "cannotRemoveParent");
    let both = json!({ "name": "x", "parents": [outer, other] });
    assert_eq!(domain.post(FILES, &token, &both).code, 400);
    let file = make(&domain, &token, &json!({ "name": "x", "mimeType": "text/plain" }));
    assert_eq!(relocate(&outer, &file, "root").reason(), "parentNotAFolder");
    let shortcut = json!({ "name": "s", "mimeType": "application/vnd.google-apps.shortcut",
        "shortcutDetails": { "targetId": file } });
    let made = domain.post(&format!("{FILES}?fields=shortcutDetails,id"), &token, &shortcut).ok();
    let details = json!({ "targetId": file, "targetMimeType": "text/plain" });
    assert_eq!(made["shortcutDetails"], details);
    domain.delete(&format!("{FILES}/{file}"), &token);
    let path = format!("{FILES}/{}?fields=shortcutDetails", made["id"].as_str().unwrap());
    assert_eq!(domain.get(&path, &token).ok()["shortcutDetails"], details, "a shortcut outlives its target");
}

#[test]
fn a_trashed_folder_takes_what_is_in_it_along_and_gives_it_back() {
    let domain = bare();
    let token = token(&domain, &domain.user(0));
    let outer = folder(&domain, &token, "root");
    let file = make(&domain, &token, &json!({ "name": "x", "mimeType": "text/plain", "parents": [outer] }));
    let state = |id: &str| {
        let file =
            domain.get(&format!("{FILES}/{id}?fields=trashed,explicitlyTrashed,trashedTime"), &token).ok();
        (file["trashed"] == true, file["explicitlyTrashed"] == true, file["trashedTime"].is_string())
    };
    let set = |trashed: bool| {
        domain.patch(&format!("{FILES}/{outer}"), &token, &json!({ "trashed": trashed })).ok()
    };
    set(true);
    assert_eq!((state(&outer), state(&file)), ((true, true, false), (true, false, false)));
    set(false);
    assert_eq!((state(&outer), state(&file)), ((false, false, false), (false, false, false)));
    // After thirty days what is in the trash is deleted, and not before.
    set(true);
    domain.clock.advance_micros(30 * DAY - 1);
    let late = self::token(&domain, &domain.user(0));
    domain.get(&format!("{FILES}/{file}"), &late).ok();
    domain.clock.advance_micros(1);
    assert_eq!(domain.get(&format!("{FILES}/{file}"), &late).code, 404);
    assert!(views(&domain).iter().all(|view| *view.id != *outer));
    let by_itself = domain.running.with_tenant(|tenant| {
        let deleted = tenant.activities().filter(|row| row.application == "drive" && row.name == "delete");
        deleted.map(|row| (row.client_id.is_none(), row.actor.to_string())).collect::<Vec<_>>()
    });
    assert_eq!(by_itself, [(true, domain.user(0))]);
}

#[test]
fn deletion_and_an_emptied_trash_spare_what_others_own() {
    let domain = bare();
    let (anna, ben) = (domain.user(0), domain.user(1));
    let (anna_token, ben_token) = (token(&domain, &anna), token(&domain, &ben));
    let outer = folder(&domain, &anna_token, "root");
    let share = json!({ "type": "user", "role": "writer", "emailAddress": ben });
    domain.post(&format!("{FILES}/{outer}/permissions"), &anna_token, &share).ok();
    let text = |name: &str, parent: &str, token: &str| {
        make(&domain, token, &json!({ "name": name, "mimeType": "text/plain", "parents": [parent] }))
    };
    let own = text("own", &outer, &anna_token);
    let foreign = text("foreign", &outer, &ben_token);
    assert_eq!(domain.delete(&format!("{FILES}/{own}"), &ben_token).reason(), "insufficientFilePermissions");
    let trash =
        |id: &str, token: &str| domain.patch(&format!("{FILES}/{id}"), token, &json!({ "trashed": true }));
    assert_eq!(trash(&own, &ben_token).code, 403, "only an owner trashes");
    assert_eq!(domain.delete(&format!("{FILES}/{outer}"), &anna_token).code, 204);
    let left: BTreeSet<String> = views(&domain).iter().map(|view| view.name.clone()).collect();
    assert!(left.contains("foreign") && !left.contains("own"));
    domain.get(&format!("{FILES}/{foreign}"), &ben_token).ok();
    let (one, two) = (text("one", "root", &ben_token), text("two", "root", &ben_token));
    trash(&one, &ben_token).ok();
    assert_eq!(domain.delete(&format!("{FILES}/trash"), &ben_token).code, 204);
    assert_eq!(domain.get(&format!("{FILES}/{one}"), &ben_token).code, 404);
    domain.get(&format!("{FILES}/{two}"), &ben_token).ok();
}

#[test]
fn a_shared_drive_is_made_once_and_deleted_with_its_files_by_administrators_only() {
    let size = Size { files: 6, ..Size::default() };
    let domain = Domain::start(Settings { size, ..Settings::default() });
    let (admin, ben) = (token(&domain, &domain.admin()), token(&domain, &domain.user(1)));
    let path = "drive/v3/drives";
    let made = domain.post(&format!("{path}?requestId=r1"), &ben, &json!({ "name": "New" })).ok();
    let id = made["id"].as_str().unwrap();
    let again = domain.post(&format!("{path}?requestId=r1"), &ben, &json!({ "name": "New" }));
    assert_eq!(again.code, 409);
    assert_eq!(domain.post(path, &ben, &json!({ "name": "New" })).reason(), "required");
    let file = make(&domain, &ben, &json!({ "name": "x", "mimeType": "text/plain", "parents": [id] }));
    let renamed = json!({ "name": "Newer", "restrictions": { "domainUsersOnly": true } });
    let renamed = domain.patch(&format!("{path}/{id}?fields=*"), &ben, &renamed).ok();
    assert_eq!(
        (&renamed["name"], &renamed["restrictions"]["domainUsersOnly"]),
        (&json!("Newer"), &json!(true))
    );
    assert_eq!(domain.get(&format!("{path}/{id}"), &admin).code, 404, "no member");
    domain.get(&format!("{path}/{id}?useDomainAdminAccess=true"), &admin).ok();
    assert_eq!(domain.get(&format!("{path}?useDomainAdminAccess=true"), &ben).code, 403);
    domain.post(&format!("{path}/{id}/hide"), &ben, &json!({})).ok();
    assert_eq!(domain.get(&format!("{path}/{id}?fields=hidden"), &ben).ok(), json!({ "hidden": true }));
    assert_eq!(domain.delete(&format!("{path}/{id}"), &ben).code, 403, "there is a file in it");
    let all = format!("{path}/{id}?allowItemDeletion=true");
    assert_eq!(domain.delete(&all, &ben).code, 400);
    assert_eq!(domain.delete(&format!("{all}&useDomainAdminAccess=true"), &admin).code, 204);
    assert!(views(&domain).iter().all(|view| *view.id != *file && *view.id != *id));
    let seeded = shared_drive(&domain, 0);
    let body = json!({ "name": "x", "mimeType": "text/plain", "parents": [seeded] });
    assert_eq!(domain.post(FILES, &admin, &body).code, 404, "the program does not know shared drives");
    make(&domain, &admin, &body);
}

#[test]
fn a_file_goes_into_a_shared_drive_and_comes_out_with_an_owner() {
    let size = Size { files: 4, ..Size::default() };
    let domain = Domain::start(Settings { size, ..Settings::default() });
    let admin = token(&domain, &domain.admin());
    let drive = shared_drive(&domain, 0);
    let relocate = |id: &str, from: &str, to: &str, token: &str| {
        let path =
            format!("{FILES}/{id}?addParents={to}&removeParents={from}&supportsAllDrives=true&fields=*");
        domain.patch(&path, token, &json!({}))
    };
    let folder = folder(&domain, &admin, "root");
    assert_eq!(relocate(&folder, "root", &drive, &admin).reason(), "teamDrivesFolderMoveInNotSupported");
    let file = make(&domain, &admin, &json!({ "name": "x", "mimeType": "text/plain", "parents": [folder] }));
    let inside = relocate(&file, &folder, &drive, &admin).ok();
    assert_eq!((&inside["driveId"], &inside["parents"]), (&json!(drive), &json!([drive])));
    assert!(inside["owners"].is_null() && inside["permissionIds"].as_array().unwrap().len() > 2);
    let writer = domain.running.with_tenant(|tenant| {
        let top = tenant.drive_file(&drive).unwrap();
        let found = top.permissions.iter().find_map(|(grantee, role)| match grantee {
            google_tenant::Grantee::User(address, Some(_)) if *role == google_tenant::Role::Writer => {
                Some(address.clone())
            }
            _ => None,
        });
        found.unwrap()
    });
    let writer = token(&domain, &writer);
    let path = format!("{FILES}/{file}?supportsAllDrives=true");
    domain.patch(&path, &writer, &json!({ "name": "y" })).ok();
    assert_eq!(
        domain.patch(&path, &writer, &json!({ "trashed": true })).code,
        403,
        "a contributor does not trash"
    );
    assert_eq!(relocate(&file, &drive, "root", &writer).code, 403);
    let outside = relocate(&file, &drive, "root", &admin).ok();
    assert!(outside["driveId"].is_null());
    assert_eq!((&outside["ownedByMe"], &outside["permissions"][0]["role"]), (&json!(true), &json!("owner")));
}
