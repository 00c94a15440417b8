//! Drive: who may see what, and who said what about it.

use google_tenant::{Grantee, Role};
use serde_json::{Value, json};

use crate::{
    drive::{FILES, bare, escaped, folder, make, shared_drive, token, upload, user_id},
    support::{Answer, DAY, Domain, SECOND},
};

struct Scene {
    domain: Domain,
    anna: String,
    ben: String,
    ben_address: String,
    folder: String,
    file: String,
}

impl Scene {
    fn new() -> Self {
        let domain = bare();
        let (anna, ben_address) = (token(&domain, &domain.user(0)), domain.user(1));
        let ben = token(&domain, &ben_address);
        let folder = folder(&domain, &anna, "root");
        let metadata = json!({ "name": "a.txt", "parents": [folder] });
        let file =
            upload(&domain, &anna, &metadata, "text/plain", b"text")["id"].as_str().unwrap().to_owned();
        Self { domain, anna, ben, ben_address, folder, file }
    }

    fn share(&self, id: &str, body: &Value, query: &str) -> Answer {
        self.domain.post(&format!("{FILES}/{id}/permissions?fields=*&{query}"), &self.anna, body)
    }

    fn with_ben(&self, id: &str, role: &str, query: &str) -> Answer {
        self.share(id, &json!({ "type": "user", "role": role, "emailAddress": self.ben_address }), query)
    }

    fn ben_reads(&self) -> u16 {
        self.domain.get(&format!("{FILES}/{}", self.file), &self.ben).code
    }

    fn ben_lists(&self) -> bool {
        let list = self.domain.get(&format!("{FILES}?q={}", escaped("name = 'a.txt'")), &self.ben).ok();
        !list["files"].as_array().unwrap().is_empty()
    }
}

#[test]
fn what_is_shared_is_seen_by_name_by_folder_by_domain_and_by_link() {
    let scene = Scene::new();
    assert_eq!((scene.ben_reads(), scene.ben_lists()), (404, false));
    let quiet = "sendNotificationEmail=false";
    let folder = scene.with_ben(&scene.folder, "reader", quiet).ok();
    assert_eq!((scene.ben_reads(), scene.ben_lists()), (200, true));
    let shown = scene.domain.get(&format!("{FILES}/{}?fields=*", scene.file), &scene.ben).ok();
    assert_eq!((&shown["ownedByMe"], &shown["shared"]), (&json!(false), &json!(true)));
    assert!(shown["permissions"].is_null(), "a reader does not see who else reads");
    let edit = scene.domain.patch(&format!("{FILES}/{}", scene.file), &scene.ben, &json!({ "name": "b" }));
    assert_eq!(edit.reason(), "insufficientFilePermissions");
    let permission = folder["id"].as_str().unwrap();
    let on_file = format!("{FILES}/{}/permissions/{permission}", scene.file);
    assert_eq!(scene.domain.delete(&on_file, &scene.anna).reason(), "cannotModifyInheritedPermission");
    let on_folder = format!("{FILES}/{}/permissions/{permission}", scene.folder);
    assert_eq!(scene.domain.delete(&on_folder, &scene.anna).code, 204);
    assert_eq!((scene.ben_reads(), scene.ben_lists()), (404, false));
    // A link opens the file and puts it into nobody's list.
    for (body, id) in [
        (json!({ "type": "anyone", "role": "reader" }), Some("anyoneWithLink")),
        (json!({ "type": "domain", "role": "commenter", "domain": "acme.test" }), None),
    ] {
        let made = scene.share(&scene.file, &body, "").ok();
        assert!(id.is_none_or(|id| made["id"] == id));
        assert_eq!((scene.ben_reads(), scene.ben_lists()), (200, false));
        let path = format!("{FILES}/{}/permissions/{}", scene.file, made["id"].as_str().unwrap());
        assert_eq!(scene.domain.delete(&path, &scene.anna).code, 204);
    }
    let group = scene.share(
        &scene.file,
        &json!({ "type": "group", "role": "writer", "emailAddress": "everybody@acme.test" }),
        "",
    );
    assert_eq!(group.ok()["type"], "group");
    let ben = user_id(&scene.domain, &scene.ben_address);
    assert!(ben.len() == 21 && scene.ben_lists(), "a member of a group in the group");
}

#[test]
fn sharing_writes_mails_unless_it_is_told_not_to_and_ends_when_it_expires() {
    let scene = Scene::new();
    let mails = || scene.domain.running.with_tenant(|tenant| tenant.drive_mails().len());
    scene.with_ben(&scene.file, "reader", "sendNotificationEmail=false").ok();
    assert_eq!(mails(), 0);
    scene.with_ben(&scene.file, "commenter", "").ok();
    assert_eq!(mails(), 1);
    let listed = scene.domain.get(&format!("{FILES}/{}/permissions?fields=*", scene.file), &scene.anna).ok();
    assert_eq!(listed["permissions"].as_array().unwrap().len(), 2, "sharing again changes the role");
    let id = listed["permissions"][1]["id"].as_str().unwrap();
    let path = format!("{FILES}/{}/permissions/{id}?fields=*", scene.file);
    let until = json!({ "role": "writer", "expirationTime": "2026-03-02T00:10:00Z" });
    let changed = scene.domain.patch(&path, &scene.anna, &until).ok();
    assert_eq!(
        (&changed["role"], &changed["expirationTime"]),
        (&json!("writer"), &json!("2026-03-02T00:10:00.000Z"))
    );
    scene.domain.clock.advance_micros(599 * SECOND);
    assert_eq!(scene.ben_reads(), 200);
    scene.domain.clock.advance_micros(SECOND);
    assert_eq!(scene.ben_reads(), 404);
    let past = json!({ "type": "user", "role": "reader", "emailAddress": scene.ben_address, "expirationTime": "2020-01-01T00:00:00Z" });
    assert_eq!(scene.share(&scene.file, &past, "").code, 400);
}

#[test]
fn ownership_goes_over_only_when_that_is_meant() {
    let scene = Scene::new();
    assert_eq!(scene.with_ben(&scene.file, "owner", "").code, 403);
    let quiet = scene.with_ben(&scene.file, "owner", "transferOwnership=true&sendNotificationEmail=false");
    assert_eq!(quiet.code, 403);
    scene.with_ben(&scene.file, "owner", "transferOwnership=true").ok();
    let file = scene.domain.running.with_tenant(|tenant| tenant.drive_file(&scene.file)).unwrap();
    assert_eq!(*file.owner, *user_id(&scene.domain, &scene.ben_address));
    let roles: Vec<Role> = file.permissions.iter().map(|(_, role)| *role).collect();
    assert_eq!(roles, [Role::Writer, Role::Owner], "the old owner goes on writing");
    let trash = |token: &str| {
        scene.domain.patch(&format!("{FILES}/{}", scene.file), token, &json!({ "trashed": true }))
    };
    assert_eq!(trash(&scene.anna).code, 403);
    trash(&scene.ben).ok();
}

#[test]
fn members_of_a_shared_drive_are_the_permissions_of_its_top_folder() {
    let domain = Domain::usual();
    let (admin, drive) = (token(&domain, &domain.admin()), shared_drive(&domain, 0));
    let path = format!("{FILES}/{drive}/permissions?supportsAllDrives=true&fields=*");
    let members = domain.get(&path, &admin).ok();
    assert!(members["permissions"].as_array().unwrap().len() > 3);
    assert_eq!(members["permissions"][0]["permissionDetails"][0]["permissionType"], "member");
    let organizer = json!({ "type": "user", "role": "organizer", "emailAddress": "x@partner.example" });
    domain.post(&path, &admin, &organizer).ok();
    domain
        .patch(
            &format!("drive/v3/drives/{drive}"),
            &admin,
            &json!({ "restrictions": { "domainUsersOnly": true } }),
        )
        .ok();
    let other = json!({ "type": "user", "role": "reader", "emailAddress": "y@partner.example" });
    assert_eq!(domain.post(&path, &admin, &other).code, 403);
    let folder = folder(&domain, &admin, &drive);
    let inside = format!("{FILES}/{folder}/permissions?supportsAllDrives=true");
    let misplaced = json!({ "type": "user", "role": "organizer", "emailAddress": domain.user(0) });
    assert_eq!(domain.post(&inside, &admin, &misplaced).code, 403, "only a whole drive has organizers");
    let view = domain.running.with_tenant(|tenant| tenant.drive_file(&drive)).unwrap();
    let outside = Grantee::User("x@partner.example".to_owned(), None);
    assert!(view.permissions.contains(&(outside, Role::Organizer)));
}

#[test]
fn comments_have_replies_and_leave_their_place_when_they_are_deleted() {
    let scene = Scene::new();
    scene.with_ben(&scene.file, "commenter", "sendNotificationEmail=false").ok();
    let path = format!("{FILES}/{}/comments", scene.file);
    let domain = &scene.domain;
    assert_eq!(domain.get(&path, &scene.ben).reason(), "required", "fields are mandatory");
    let body =
        json!({ "content": "a < b", "quotedFileContent": { "mimeType": "text/plain", "value": "text" } });
    let made = domain.post(&format!("{path}?fields=*"), &scene.ben, &body).ok();
    assert_eq!((&made["kind"], &made["htmlContent"]), (&json!("drive#comment"), &json!("a &lt; b")));
    let one = format!("{path}/{}", made["id"].as_str().unwrap());
    let reply = json!({ "content": "yes", "action": "resolve" });
    let reply = domain.post(&format!("{one}/replies?fields=*"), &scene.anna, &reply).ok();
    assert_eq!(reply["kind"], "drive#reply");
    let shown = domain.get(&format!("{one}?fields=resolved,replies(content)"), &scene.anna).ok();
    assert_eq!(shown, json!({ "resolved": true, "replies": [{ "content": "yes" }] }));
    let edited = json!({ "content": "c" });
    assert_eq!(domain.patch(&format!("{one}?fields=*"), &scene.anna, &edited).code, 403, "not the author");
    assert_eq!(domain.patch(&format!("{one}?fields=content"), &scene.ben, &edited).ok(), edited);
    let late =
        domain.get(&format!("{path}?fields=*&startModifiedTime=2026-03-03T00:00:00Z"), &scene.ben).ok();
    assert_eq!(late["comments"], json!([]));
    assert_eq!(
        domain.delete(&format!("{one}/replies/{}", reply["id"].as_str().unwrap()), &scene.anna).code,
        204
    );
    assert_eq!(domain.delete(&one, &scene.ben).code, 204);
    assert_eq!(
        domain.get(&format!("{path}?fields=comments(id)"), &scene.ben).ok(),
        json!({ "comments": [] })
    );
    let all = domain.get(&format!("{path}?fields=*&includeDeleted=true"), &scene.ben).ok();
    let tombstone = &all["comments"][0];
    assert!(tombstone["deleted"] == true && tombstone["content"].is_null());
    assert_eq!(tombstone["replies"][0]["deleted"], true);
}

#[test]
fn the_log_says_who_did_what_with_which_program() {
    let scene = Scene::new();
    let domain = &scene.domain;
    scene.with_ben(&scene.folder, "writer", "sendNotificationEmail=false").ok();
    domain.get(&format!("{FILES}/{}?alt=media", scene.file), &scene.ben);
    domain.patch(&format!("{FILES}/{}", scene.file), &scene.anna, &json!({ "name": "b.txt" })).ok();
    domain.patch(&format!("{FILES}/{}", scene.folder), &scene.anna, &json!({ "trashed": true })).ok();
    domain.delete(&format!("{FILES}/{}", scene.folder), &scene.anna);
    let rows: Vec<(String, String, String, String)> = domain.running.with_tenant(|tenant| {
        let drive = tenant.activities().filter(|activity| activity.application == "drive");
        drive
            .map(|activity| {
                let value = |name: &str| {
                    let found = activity.parameters.iter().find(|parameter| parameter.name == name);
                    found.map_or_else(String::new, |found| format!("{:?}", found.value))
                };
                let what = value("doc_type");
                (activity.name.to_owned(), activity.actor.to_string(), what, value("primary_event"))
            })
            .collect()
    });
    let names: Vec<&str> = rows.iter().map(|(name, ..)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "create",
            "upload",
            "change_user_access",
            "access_item_content",
            "rename",
            "trash",
            "trash",
            "delete",
            "delete",
        ]
    );
    assert_eq!(rows[3].1, scene.ben_address);
    assert_eq!(rows[1].2, "Text(\"txt\")");
    let primary: Vec<&str> = rows[5..].iter().map(|row| row.3.as_str()).collect();
    assert_eq!(primary, ["Flag(true)", "Flag(false)", "Flag(true)", "Flag(false)"]);
    domain.running.with_tenant(|tenant| {
        let row = tenant.activities().find(|activity| activity.name == "access_item_content").unwrap();
        let value =
            |name: &str| format!("{:?}", row.parameters.iter().find(|p| p.name == name).unwrap().value);
        assert_eq!(
            value("originating_app_id"),
            "Text(\"523456789012\")",
            "the number of the program's project"
        );
        assert_eq!(value("api_method"), "Text(\"drive.files.get\")");
        assert_eq!(value("visibility"), "Text(\"shared_internally\")");
        assert!(tenant.visible_activities("drive").is_empty());
    });
    domain.clock.advance_micros(DAY);
    assert_eq!(domain.running.with_tenant(|tenant| tenant.visible_activities("drive").len()), rows.len());
}

#[test]
fn channels_are_accepted_and_stopped() {
    let scene = Scene::new();
    let domain = &scene.domain;
    let body = json!({ "id": "c1", "type": "web_hook", "address": "https://hooks.test/x", "token": "t" });
    let open = domain.post("drive/v3/changes/watch?pageToken=1000", &scene.anna, &body).ok();
    assert_eq!((&open["kind"], &open["expiration"]), (&json!("api#channel"), &json!("1772413200000")));
    assert_eq!(
        domain.post("drive/v3/changes/watch?pageToken=1000", &scene.anna, &body).reason(),
        "channelIdNotUnique"
    );
    let plain = json!({ "id": "c2", "type": "web_hook", "address": "http://hooks.test/x" });
    assert_eq!(domain.post(&format!("{FILES}/{}/watch", scene.file), &scene.anna, &plain).code, 400);
    assert_eq!(domain.running.with_tenant(|tenant| tenant.drive_channels().len()), 1);
    let stop = json!({ "id": "c1", "resourceId": open["resourceId"] });
    assert_eq!(domain.post("drive/v3/channels/stop", &scene.ben, &stop).code, 404);
    assert_eq!(domain.post("drive/v3/channels/stop", &scene.anna, &stop).code, 204);
    make(domain, &scene.anna, &json!({ "name": "x" }));
}
