//! Drive: what is there, how it is listed and searched, and what its resources look like.

use std::collections::BTreeSet;

use google_tenant::{FileView, Settings, Size, scopes};
use serde_json::{Value, json};

use crate::support::Domain;

pub(crate) const FILES: &str = "drive/v3/files";
pub(crate) const BOTH: &str = "supportsAllDrives=true&includeItemsFromAllDrives=true";

/// Escapes a value of a query.
pub(crate) fn escaped(text: &str) -> String {
    text.bytes()
        .map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}

/// A domain without files of its own.
pub(crate) fn bare() -> Domain {
    let size = Size { files: 0, ..Size::default() };
    Domain::start(Settings { size, ..Settings::default() })
}

pub(crate) fn token(domain: &Domain, user: &str) -> String {
    domain.token(user, &[scopes::DRIVE])
}

/// Makes a file of metadata alone and returns its id.
pub(crate) fn make(domain: &Domain, token: &str, body: &Value) -> String {
    let made = domain.post(&format!("{FILES}?supportsAllDrives=true"), token, body).ok();
    made["id"].as_str().unwrap().to_owned()
}

/// Makes a folder, in a folder or at the top.
pub(crate) fn folder(domain: &Domain, token: &str, parent: &str) -> String {
    let body = json!({ "name": "f", "mimeType": "application/vnd.google-apps.folder", "parents": [parent] });
    make(domain, token, &body)
}

/// Makes a file with these bytes.
pub(crate) fn upload(
    domain: &Domain,
    token: &str,
    metadata: &Value,
    media_type: &str,
    bytes: &[u8],
) -> Value {
    let mut body = format!(
        "--b\r\nContent-Type: application/json\r\n\r\n{metadata}\r\n--b\r\nContent-Type: {media_type}\r\n\r\n"
    )
    .into_bytes();
    body.extend_from_slice(bytes);
    body.extend_from_slice(b"\r\n--b--\r\n");
    let path = format!("upload/{FILES}?uploadType=multipart&fields=*&supportsAllDrives=true");
    domain.send("POST", &path, token, &[("content-type", "multipart/related; boundary=b")], &body).ok()
}

pub(crate) fn views(domain: &Domain) -> Vec<FileView> {
    domain.running.with_tenant(|tenant| tenant.drive_files())
}

pub(crate) fn user_id(domain: &Domain, user: &str) -> String {
    domain.running.with_tenant(|tenant| tenant.user(user).unwrap().id.to_string())
}

pub(crate) fn shared_drive(domain: &Domain, nth: usize) -> String {
    domain.running.with_tenant(|tenant| tenant.shared_drives()[nth].0.to_string())
}

fn listed(domain: &Domain, token: &str, query: &str) -> Vec<Value> {
    let mut all = Vec::new();
    let mut next = String::new();
    loop {
        let page = domain.get(&format!("{FILES}?{query}&pageToken={next}"), token).ok();
        all.extend(page["files"].as_array().unwrap().iter().cloned());
        match page["nextPageToken"].as_str() {
            Some(token) => token.clone_into(&mut next),
            None => return all,
        }
    }
}

fn names(domain: &Domain, token: &str, q: &str) -> BTreeSet<String> {
    let files = listed(domain, token, &format!("q={}", escaped(q)));
    files.iter().map(|file| file["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_list_gives_every_file_of_its_owner_once_the_trash_included() {
    let domain = Domain::usual();
    let admin = domain.admin();
    let (token, owner) = (token(&domain, &admin), user_id(&domain, &admin));
    let own = escaped("'me' in owners");
    let files =
        listed(&domain, &token, &format!("q={own}&pageSize=7&fields=nextPageToken,files(id,trashed)"));
    let ids: BTreeSet<&str> = files.iter().map(|file| file["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), files.len());
    let views = views(&domain);
    let expected: BTreeSet<&str> = views
        .iter()
        .filter(|view| *view.owner == *owner && view.drive.is_none())
        .map(|view| &*view.id)
        .collect();
    assert_eq!(ids, expected);
    let trashed = files.iter().filter(|file| file["trashed"] == true).count();
    assert!(trashed > 0);
    assert_eq!(trashed, views.iter().filter(|v| v.trashed && expected.contains(&*v.id)).count());
    // Without a size of pages all files come on one, with four fields each.
    let page = domain.get(&format!("{FILES}?q={own}"), &token).ok();
    assert_eq!(page["files"].as_array().unwrap().len(), files.len());
    assert_eq!(
        page["files"][0].as_object().unwrap().keys().collect::<Vec<_>>(),
        ["id", "kind", "mimeType", "name"]
    );
    assert_eq!((&page["kind"], &page["incompleteSearch"]), (&json!("drive#fileList"), &json!(false)));
}

#[test]
fn searches_find_what_they_describe() {
    let domain = bare();
    let token = token(&domain, &domain.user(0));
    let folder = folder(&domain, &token, "root");
    let text = |name: &str, parent: &str| {
        make(
            &domain,
            &token,
            &json!({ "name": name, "mimeType": "text/plain", "parents": [parent],
            "appProperties": { "origin": name } }),
        )
    };
    text("one", &folder);
    let two = text("it's two", "root");
    domain.patch(&format!("{FILES}/{two}"), &token, &json!({ "trashed": true, "starred": true })).ok();
    let find = |q: &str| names(&domain, &token, q).into_iter().collect::<Vec<_>>();
    assert_eq!(find(&format!("'{folder}' in parents")), ["one"]);
    assert_eq!(find("'root' in parents and mimeType = 'text/plain'"), ["it's two"]);
    assert_eq!(find("name = 'it\\'s two'"), ["it's two"]);
    assert_eq!(find("trashed = false and not mimeType contains 'application/'"), ["one"]);
    assert_eq!(find("starred = true or name contains 'on'"), ["it's two", "one"]);
    assert_eq!(find("appProperties has { key='origin' and value='one' }"), ["one"]);
    let later = "modifiedTime >= '2026-03-02T00:00:00Z'";
    assert_eq!(find(&format!("{later} and mimeType='text/plain'")), ["it's two", "one"]);
    assert!(find("modifiedTime > '2027-03-02'").is_empty());
    let bad = domain.get(&format!("{FILES}?q=nonsense"), &token);
    assert_eq!(
        (bad.code, bad.reason(), bad.json["error"]["errors"][0]["location"].as_str()),
        (400, "invalid", Some("q"))
    );
    let sorted = listed(
        &domain,
        &token,
        "orderBy=folder,name%20desc&fields=files(name,parents)&pageSize=2&fields=nextPageToken,files(name)",
    );
    let sorted: Vec<&str> = sorted.iter().map(|file| file["name"].as_str().unwrap()).collect();
    assert_eq!(sorted, ["My Drive", "f", "one", "it's two"]);
    assert_eq!(domain.get(&format!("{FILES}?orderBy=colour"), &token).code, 400);
}

#[test]
fn a_file_of_my_drive_has_an_owner_and_one_of_a_shared_drive_has_none() {
    let domain = Domain::usual();
    let token = token(&domain, &domain.admin());
    let views = views(&domain);
    let owner = user_id(&domain, &domain.admin());
    let has_content = |view: &&FileView| view.media_type == "application/pdf";
    let own = views.iter().filter(has_content).find(|v| *v.owner == *owner && v.drive.is_none()).unwrap();
    let wrong = domain.get(&format!("{FILES}/{}?fields=id,naem", own.id), &token);
    assert_eq!((wrong.code, wrong.reason()), (400, "invalidParameter"), "a name that no file has");
    let file = domain.get(&format!("{FILES}/{}?fields=*", own.id), &token).ok();
    assert_eq!(
        (&file["kind"], &file["ownedByMe"], &file["owners"][0]["me"]),
        (&json!("drive#file"), &json!(true), &json!(true))
    );
    for text in ["version", "size", "quotaBytesUsed", "thumbnailVersion", "md5Checksum", "headRevisionId"] {
        assert!(file[text].is_string(), "{text}");
    }
    assert_eq!(file["permissions"][0]["role"], "owner");
    assert_eq!(file["parents"].as_array().unwrap().len(), 1);
    assert!(file["capabilities"]["canTrash"].is_boolean() && file["driveId"].is_null());
    // Without saying that it knows shared drives a program does not see what is in them.
    let shared = views.iter().filter(has_content).find(|view| view.drive.is_some()).unwrap();
    let path = format!("{FILES}/{}?fields=*", shared.id);
    assert_eq!(domain.get(&path, &token).reason(), "notFound");
    let path = format!("{path}&supportsAllDrives=true");
    domain.patch(&path, &token, &json!({ "trashed": true })).ok();
    let file = domain.get(&path, &token).ok();
    for absent in ["owners", "ownedByMe", "permissions", "shared", "writersCanShare"] {
        assert!(file[absent].is_null(), "{absent}");
    }
    assert!(file["trashedTime"].is_string() && file["permissionIds"].is_array());
    assert_eq!(
        (&file["driveId"], &file["trashingUser"]["me"]),
        (&json!(*shared.drive.clone().unwrap()), &json!(true))
    );
    let sharing = domain
        .get(&format!("{FILES}/{}/permissions?supportsAllDrives=true&fields=*", shared.id), &token)
        .ok();
    assert_eq!(sharing["permissions"][0]["permissionDetails"][0]["inherited"], true);
}

#[test]
fn shared_drives_are_listed_apart_and_only_to_members() {
    let domain = Domain::usual();
    let token = token(&domain, &domain.admin());
    let drive = shared_drive(&domain, 0);
    let list =
        format!("corpora=drive&driveId={drive}&{BOTH}&pageSize=5&fields=nextPageToken,files(id,driveId)");
    let files = listed(&domain, &token, &list);
    assert_eq!(files.len(), 20);
    assert!(files.iter().all(|file| file["driveId"] == drive));
    assert_eq!(domain.get(&format!("{FILES}?corpora=drive&driveId={drive}"), &token).code, 400);
    assert_eq!(domain.get(&format!("{FILES}?driveId={drive}&{BOTH}"), &token).code, 400);
    let drives = domain.get("drive/v3/drives?useDomainAdminAccess=true&pageSize=1&fields=*", &token).ok();
    assert!(drives["drives"][0]["orgUnitId"].is_string() && drives["nextPageToken"].is_string());
    let all = listed(
        &domain,
        &token,
        &format!("corpora=allDrives&{BOTH}&fields=nextPageToken,files(id)&pageSize=1000"),
    );
    let mine = listed(&domain, &token, "fields=nextPageToken,files(id)");
    assert_eq!(all.len(), mine.len() + 40);
}

#[test]
fn what_is_hard_to_copy_is_in_the_domain() {
    let domain = Domain::usual();
    let views = views(&domain);
    let parent =
        |view: &FileView| views.iter().find(|other| Some(&other.id) == view.parent.as_ref()).cloned();
    let deep = views.iter().find(|view| view.name == "level 399").unwrap();
    let depth = std::iter::successors(Some(deep.clone()), &parent).count();
    assert!(depth > 400, "{depth}");
    let target = |name: &str| views.iter().find(|view| view.name == name).unwrap().target.clone().unwrap();
    assert!(views.iter().all(|view| view.id != target("to what is gone")));
    let left = views.iter().find(|view| view.id == target("to the left")).unwrap();
    let right = views.iter().find(|view| view.id == target("to the right")).unwrap();
    let within = |name: &str| views.iter().find(|view| view.name == name).unwrap().parent.clone();
    assert_eq!(
        (within("to the left"), within("to the right")),
        (Some(right.id.clone()), Some(left.id.clone()))
    );
    let same: Vec<_> = views.iter().filter(|view| view.name == "Same name.txt").collect();
    assert!(same.len() == 2 && same[0].parent == same[1].parent);
    for odd in ["/", "\n", "\u{202e}", "\u{1f4b0}"] {
        assert!(views.iter().any(|view| view.name.contains(odd)), "{odd:?}");
    }
    for kind in ["document", "spreadsheet", "presentation", "drawing", "form", "shortcut"] {
        let media_type = format!("application/vnd.google-apps.{kind}");
        assert!(views.iter().any(|view| view.media_type == media_type), "{kind}");
    }
    assert!(views.iter().any(|view| view.revisions > 1) && views.iter().any(|view| view.comments > 0));
    let again = Domain::usual();
    assert_eq!(self::views(&again), views, "a seed gives one domain");
    let other = Domain::start(Settings { seed: 2, ..Settings::default() });
    assert_ne!(self::views(&other), views);
}

#[test]
fn about_tells_who_how_much_and_what_can_become_what() {
    let domain = bare();
    let user = domain.user(0);
    let token = token(&domain, &user);
    assert_eq!(domain.get("drive/v3/about", &token).reason(), "required");
    let empty = domain.get("drive/v3/about?fields=storageQuota", &token).ok();
    assert_eq!(empty["storageQuota"]["usage"], "0");
    upload(&domain, &token, &json!({ "name": "a.bin" }), "application/zip", &[7; 1000]);
    let about = domain.get("drive/v3/about?fields=*", &token).ok();
    assert_eq!(
        (&about["user"]["emailAddress"], &about["storageQuota"]["usage"]),
        (&json!(user), &json!("1000"))
    );
    let document = "application/vnd.google-apps.document";
    let docx = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
    assert!(about["exportFormats"][document].as_array().unwrap().contains(&json!(docx)));
    assert_eq!(about["importFormats"][docx], json!([document]));
    domain.running.with_tenant(|tenant| tenant.settings_mut().drive.storage_limit = Some(1500));
    let full = domain.send("POST", &format!("upload/{FILES}?uploadType=media"), &token, &[], &[7; 1000]);
    assert_eq!((full.code, full.reason()), (403, "storageQuotaExceeded"));
}
