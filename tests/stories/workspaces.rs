//! A Workspace domain, simulated: protected, captured, looked at, wiped by an agent, brought back, exported.

use std::{collections::BTreeMap, sync::Arc};

use google_tenant::{App, AuditSettings, GoogleTenant, Running, Settings, Size, scopes};
use ports::{SystemClock, SystemRandom};
use serde_json::{Value, json};

use crate::unwipe::{Unwipe, exit};

pub(crate) struct Domain {
    pub(crate) running: Running,
    pub(crate) unwipe: Unwipe,
}

/// The texts of a mailbox with the names of their labels.
pub(crate) type Letters = Vec<(Vec<u8>, Vec<String>)>;

impl Domain {
    pub(crate) fn start() -> Self {
        let size = Size { users: 6, messages: 60, files: 10, events: 10, contacts: 10 };
        let settings = Settings { size, audit: AuditSettings::immediate(), ..Settings::default() };
        let running =
            GoogleTenant::start(settings, Arc::new(SystemClock::new()), Arc::new(SystemRandom)).unwrap();
        let domain = Self { running, unwipe: Unwipe::initialised() };
        domain.write_key(0, "capture.json");
        domain.write_key(1, "restore.json");
        domain
    }

    fn write_key(&self, account: usize, name: &str) {
        let key = self.running.with_tenant(|tenant| {
            let email = tenant.service_accounts().nth(account).unwrap().email.clone();
            tenant.key_file(&email).unwrap()
        });
        std::fs::write(self.unwipe.path(name), key).unwrap();
    }

    pub(crate) fn protect(&self) -> Value {
        let admin = self.running.with_tenant(|tenant| tenant.administrator().unwrap().to_owned());
        let (key, address) = (self.unwipe.argument("capture.json"), self.running.url().to_owned());
        let arguments =
            ["protect", "acme", "google", "--key", &key, "--admin", &admin, "--address", &address];
        let protected = self.unwipe.json(&arguments);
        self.lift_quota();
        protected
    }

    /// The simulator has no quota here, so none is kept.
    fn lift_quota(&self) {
        let path = self.unwipe.home().join("unwipe.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        let pools: String = ["gmail", "drive", "calendar", "people", "admin"]
            .iter()
            .map(|service| format!("\"{service}/user\" = 0\n\"{service}/project\" = 0\n"))
            .collect();
        std::fs::write(&path, format!("{text}\n[sources.acme.settings.quota]\n{pools}")).unwrap();
    }

    pub(crate) fn user(&self) -> String {
        self.running.with_tenant(|tenant| {
            let ordinary = |user: &&google_tenant::User| {
                user.has_mailbox && !user.suspended && !user.is_admin && user.deleted.is_none()
            };
            tenant.users().iter().find(ordinary).unwrap().primary_email.clone()
        })
    }

    pub(crate) fn letters(&self, user: &str) -> Letters {
        let mut letters = Letters::new();
        self.running.with_tenant(|tenant| {
            tenant.each_letter(user, |letter| {
                let mut labels: Vec<String> = letter.labels.iter().map(ToString::to_string).collect();
                labels.sort();
                letters.push((letter.raw.to_vec(), labels));
            });
        });
        letters.sort();
        letters
    }

    fn ids(&self, user: &str) -> Vec<String> {
        let mut ids = Vec::new();
        self.running.with_tenant(|tenant| tenant.each_letter(user, |letter| ids.push(letter.id)));
        ids
    }

    /// Makes a call to any of the services as a program that a user let in with a scope.
    pub(crate) fn call(&self, user: &str, scope: &str, method: &str, path: &str, body: &Value) -> Value {
        let app = App {
            client_id: "523456789012-claw.apps.googleusercontent.com".to_owned(),
            client_secret: "secret".to_owned(),
            display_text: "OpenClaw".to_owned(),
            native: true,
        };
        let token = self.running.with_tenant(|tenant| {
            let grant = tenant.authorize(user, &app, &[scope]).unwrap();
            tenant.access_token(&grant).unwrap()
        });
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}/{path}", self.running.url()))
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json")
            .body(if body.is_null() { String::new() } else { body.to_string() })
            .unwrap();
        let mut answer = ureq::Agent::new_with_defaults().run(request).unwrap();
        answer.body_mut().read_json().unwrap_or_default()
    }

    /// Plans, approves and applies the undo of what happened to a stream since a moment.
    fn undo(&self, stream: &str, calm: &str) -> Value {
        let (unwipe, name) = (&self.unwipe, stream.replace(['/', '@'], "-"));
        let plan = unwipe.argument(&format!("plan-{name}"));
        unwipe.json(&["rewind", &format!("acme/{stream}@{calm}"), "--plan", &plan]);
        unwipe.json(&["approve", &plan, "--yes"]);
        unwipe.json(&["apply", &plan, "--credential", &unwipe.argument("restore.json")])
    }

    /// Makes a call as a program that a user let in.
    pub(crate) fn act(&self, user: &str, path: &str, body: &Value) {
        let app = App {
            client_id: "523456789012-claw.apps.googleusercontent.com".to_owned(),
            client_secret: "secret".to_owned(),
            display_text: "OpenClaw".to_owned(),
            native: true,
        };
        let token = self.running.with_tenant(|tenant| {
            let grant = tenant.authorize(user, &app, &[scopes::MAIL]).unwrap();
            tenant.access_token(&grant).unwrap()
        });
        let url = format!("{}/gmail/v1/users/me/{path}", self.running.url());
        ureq::post(url).header("authorization", format!("Bearer {token}")).send_json(body).unwrap();
    }
}

#[test]
fn a_mailbox_that_an_agent_emptied_is_brought_back_by_a_plan() {
    let domain = Domain::start();
    let unwipe = &domain.unwipe;
    let protected = domain.protect();
    assert_eq!(protected["added"], true, "{protected}");
    // Suspended people cannot be read: the capture says so, and its exit code too.
    unwipe.json_with(exit::INCOMPLETE, &["capture", "acme", "--once"]);
    let user = domain.user();
    let before = domain.letters(&user);
    let calm = unwipe.json(&["log", "acme", "--limit", "1"])[0]["vault_time"].as_str().unwrap().to_owned();

    let streams = unwipe.json(&["find", "acme"]);
    let counts: BTreeMap<&str, u64> = streams
        .as_array()
        .unwrap()
        .iter()
        .map(|found| (found["stream"].as_str().unwrap(), found["items"].as_u64().unwrap()))
        .collect();
    let stream = format!("gmail/{user}");
    assert!(counts[stream.as_str()] > 60 && counts["directory"] > 10, "{counts:?}");
    for part in ["calendar", "contacts"] {
        assert!(counts[format!("{part}/{user}").as_str()] > 10, "{counts:?}");
    }

    let ids = domain.ids(&user);
    let key = format!("message/{}", ids[0]);
    let out = unwipe.argument("one.eml");
    unwipe.json(&["show", &format!("acme/{stream}"), "--item", &key, "--out", &out]);
    assert!(before.iter().any(|(text, _)| *text == std::fs::read(&out).unwrap()));

    domain.act(
        &user,
        "messages/batchModify",
        &json!({ "ids": ids[..20], "addLabelIds": ["TRASH"], "removeLabelIds": ["INBOX"] }),
    );
    domain.act(&user, "messages/batchDelete", &json!({ "ids": ids[20..40] }));
    unwipe.json_with(exit::INCOMPLETE, &["capture", "acme", "--once"]);
    let timeline = unwipe.json(&["timeline", "acme"]);
    let effects = timeline["events"].to_string();
    assert!(effects.contains("trash") && effects.contains("delete"), "{effects}");
    // The audit log tells which program it was; the mailbox's own history does not.
    let told = unwipe.run(&["timeline", "acme"]).expect(0).stdout;
    let through = format!("{user} through OpenClaw (523456789012-claw.apps.googleusercontent.com)");
    assert!(told.contains(&through) && told.contains("named in the source's audit log"), "{told}");

    let plan = unwipe.argument("plan");
    let planned = unwipe.json(&["rewind", &format!("acme/{stream}@{calm}"), "--plan", &plan]);
    assert_eq!(planned["plan"]["counts"]["inserted"], 20, "{planned}");
    assert!(planned["plan"]["duration_s"].is_u64() && planned["plan"]["fidelity"][0]["kind"] == "message");
    let restore = unwipe.argument("restore.json");
    unwipe.run(&["apply", &plan, "--credential", &restore]).expect(exit::AUTHENTICATION);
    unwipe.json(&["approve", &plan, "--yes"]);
    let capture = unwipe.argument("capture.json");
    unwipe.run(&["apply", &plan, "--credential", &capture]).expect(exit::AUTHENTICATION);
    let applied = unwipe.json(&["apply", &plan, "--credential", &restore]);
    assert_eq!(applied["applied"]["counts"]["inserted"], 20, "{applied}");
    assert_eq!(domain.letters(&user), before);

    let exported = unwipe.json(&[
        "export",
        &format!("acme/{stream}@{calm}"),
        "--to",
        &unwipe.argument("mail"),
        "--format",
        "mbox",
    ]);
    assert_eq!(exported["messages"].as_u64().unwrap() as usize, before.len(), "{exported}");
    let mbox = std::fs::read(unwipe.path("mail").join(format!("{user}.mbox"))).unwrap();
    let begins = mbox.split(|&byte| byte == b'\n').filter(|line| line.starts_with(b"From ")).count();
    assert_eq!(begins, before.len());
}

#[test]
fn calendars_contacts_and_groups_are_brought_back_and_exported() {
    let domain = Domain::start();
    let unwipe = &domain.unwipe;
    domain.protect();
    unwipe.json_with(exit::INCOMPLETE, &["capture", "acme", "--once"]);
    let user = domain.user();
    let admin = domain.running.with_tenant(|tenant| tenant.administrator().unwrap().to_owned());
    let there = || domain.running.with_tenant(|tenant| (tenant.events_in(&user), tenant.contacts_of(&user)));
    let before = there();
    assert!(before.0 > 5 && before.1 > 5, "{before:?}");
    let directory = "admin/directory/v1/groups";
    let group = |method: &str, path: &str, body: &Value| {
        domain.call(&admin, scopes::GROUP, method, &format!("{directory}{path}"), body)
    };
    let groups = group("GET", "?customer=my_customer", &Value::Null);
    let (address, members) = groups["groups"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["email"].as_str().unwrap())
        .map(|email| (email, group("GET", &format!("/{email}/members"), &Value::Null)["members"].clone()))
        .find(|(_, members)| members[0]["email"].is_string())
        .unwrap();
    let member = members[0]["email"].as_str().unwrap();
    let calm = unwipe.json(&["log", "acme", "--limit", "1"])[0]["vault_time"].as_str().unwrap().to_owned();

    domain.call(&user, scopes::CALENDAR, "POST", &format!("calendar/v3/calendars/{user}/clear"), &json!({}));
    let people = domain.call(
        &user,
        scopes::CONTACTS,
        "GET",
        "v1/people/me/connections?pageSize=1000&personFields=metadata",
        &Value::Null,
    );
    let names: Vec<&Value> =
        people["connections"].as_array().unwrap().iter().map(|one| &one["resourceName"]).collect();
    domain.call(
        &user,
        scopes::CONTACTS,
        "POST",
        "v1/people:batchDeleteContacts",
        &json!({ "resourceNames": names }),
    );
    group("DELETE", &format!("/{address}/members/{member}"), &Value::Null);
    assert_eq!(there(), (0, 0));

    for stream in [format!("calendar/{user}"), format!("contacts/{user}"), "directory".to_owned()] {
        let applied = domain.undo(&stream, &calm);
        assert_eq!(applied["applied"]["counts"]["conflicts"], 0, "{applied}");
    }
    assert_eq!(there(), before);
    assert_eq!(
        group("GET", &format!("/{address}/members/{member}"), &Value::Null)["role"],
        members[0]["role"]
    );

    for (part, format, counted, least) in
        [("calendar", "ics", "events", before.0), ("contacts", "vcard", "contacts", before.1)]
    {
        let what = format!("acme/{part}/{user}@{calm}");
        let exported = unwipe.json(&["export", &what, "--to", &unwipe.argument(part), "--format", format]);
        assert!(exported[counted].as_u64().unwrap() as usize >= least, "{exported}");
        let wrong = ["export", &what, "--to", &unwipe.argument("wrong"), "--format", "mbox"];
        unwipe.run(&wrong).expect(exit::USAGE);
    }
}

#[test]
fn a_domain_whose_scopes_were_not_granted_is_not_protected() {
    let domain = Domain::start();
    domain.running.with_tenant(|tenant| {
        let id = tenant.service_accounts().next().unwrap().client_id.clone();
        tenant.delegate(&id, [scopes::USER_READONLY]);
    });
    let admin = domain.running.with_tenant(|tenant| tenant.administrator().unwrap().to_owned());
    let (key, address) = (domain.unwipe.argument("capture.json"), domain.running.url().to_owned());
    let outcome = domain.unwipe.run(&[
        "protect",
        "acme",
        "google",
        "--key",
        &key,
        "--admin",
        &admin,
        "--address",
        &address,
    ]);
    let outcome = outcome.expect(exit::FAILED);
    assert!(outcome.stdout.contains("gmail.readonly"), "{}", outcome.stdout);
    assert!(outcome.stdout.contains("Domain-wide delegation"), "{}", outcome.stdout);
}

/// Makes a call of Drive as a program that a user let in.
pub(crate) fn drive(domain: &Domain, user: &str, method: &str, path: &str, body: &Value) -> Value {
    let app = App {
        client_id: "523456789012-claw.apps.googleusercontent.com".to_owned(),
        client_secret: "secret".to_owned(),
        display_text: "OpenClaw".to_owned(),
        native: true,
    };
    let token = domain.running.with_tenant(|tenant| {
        let grant = tenant.authorize(user, &app, &[scopes::DRIVE]).unwrap();
        tenant.access_token(&grant).unwrap()
    });
    let request = ureq::http::Request::builder()
        .method(method)
        .uri(format!("{}/drive/v3/{path}", domain.running.url()))
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/json")
        .body(if body.is_null() { String::new() } else { body.to_string() })
        .unwrap();
    let mut answer = ureq::Agent::new_with_defaults().run(request).unwrap();
    answer.body_mut().read_json().unwrap_or_default()
}

#[test]
fn a_folder_that_an_agent_wiped_is_brought_back_and_written_to_files() {
    let domain = Domain::start();
    let unwipe = &domain.unwipe;
    domain.protect();
    let user = domain.user();
    let make = |body: Value| drive(&domain, &user, "POST", "files", &body)["id"].as_str().unwrap().to_owned();
    let folder = "application/vnd.google-apps.folder";
    let trashed = make(json!({ "name": "Trashed", "mimeType": folder }));
    make(json!({ "name": "in it.txt", "mimeType": "text/plain", "parents": [trashed] }));
    let deleted = make(json!({ "name": "Deleted", "mimeType": folder }));
    let inner = make(json!({ "name": "con/\u{202e}aux", "mimeType": folder, "parents": [deleted] }));
    let document = make(
        json!({ "name": "Plan", "mimeType": "application/vnd.google-apps.document", "parents": [inner] }),
    );
    for _ in 0..2 {
        make(json!({ "name": "same.txt", "mimeType": "text/plain", "parents": [inner] }));
    }
    // So large that it is read and sent piece by piece.
    let large = domain.running.with_tenant(|tenant| {
        tenant.add_drive_file(&user, "large.bin", 7, 9 << 20, google_tenant::Look::Noise(b"")).unwrap()
    });
    unwipe.json_with(exit::INCOMPLETE, &["capture", "acme", "--once"]);
    let calm = unwipe.json(&["log", "acme", "--limit", "1"])[0]["vault_time"].as_str().unwrap().to_owned();
    let names = || {
        let mut names: Vec<(String, bool)> = domain.running.with_tenant(|tenant| {
            let id = tenant.user(&user).unwrap().id.clone();
            let own =
                tenant.drive_files().into_iter().filter(|file| file.drive.is_none() && file.owner == id);
            own.map(|file| (file.name, file.trashed)).collect()
        });
        names.sort();
        names
    };
    let before = names();
    drive(&domain, &user, "PATCH", &format!("files/{trashed}"), &json!({ "trashed": true }));
    for id in [deleted.as_str(), &large] {
        drive(&domain, &user, "DELETE", &format!("files/{id}"), &Value::Null);
    }

    let (what, plan) = (format!("acme/drive/{user}@{calm}"), unwipe.argument("plan"));
    let planned = unwipe.json(&["rewind", &what, "--plan", &plan]);
    let counts = &planned["plan"]["counts"];
    assert_eq!((&counts["inserted"], &counts["reverted"]), (&json!(6), &json!(1)), "{planned:#}");
    unwipe.json(&["approve", &plan, "--yes"]);
    let restore = unwipe.argument("restore.json");
    let applied = unwipe.json(&["apply", &plan, "--credential", &restore]);
    assert_eq!(applied["applied"]["counts"]["conflicts"], 0, "{applied:#}");
    assert_eq!(names(), before);

    let out = unwipe.argument("files");
    // Forms and maps have no export: where there are some, the exit code says so.
    let exported = unwipe.run(&["export", &what, "--to", &out, "--format", "files"]);
    assert!([exit::DONE, exit::INCOMPLETE].contains(&exported.code()), "{exported}");
    let index = std::fs::read_to_string(unwipe.path("files").join("index.jsonl")).unwrap();
    let lines: BTreeMap<String, Value> = index
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|line| (line["id"].as_str().unwrap().to_owned(), line))
        .collect();
    assert_eq!(lines[&inner]["name"], "con/\u{202e}aux");
    assert_eq!(lines[&document]["path"], "My Drive/Deleted/con__aux/Plan.docx");
    let inside = unwipe.path("files").join("My Drive/Deleted/con__aux");
    for name in ["Plan.docx", "same.txt", "same (2).txt"] {
        assert!(inside.join(name).is_file(), "{name}");
    }
}

#[test]
fn a_shared_drive_is_brought_back_in_place_and_to_somebody_else() {
    let domain = Domain::start();
    let unwipe = &domain.unwipe;
    domain.protect();
    let (admin, shared) = domain.running.with_tenant(|tenant| {
        (tenant.administrator().unwrap().to_owned(), tenant.shared_drives()[0].0.to_string())
    });
    let call = |method: &str, path: &str, body: &Value| {
        drive(&domain, &admin, method, &format!("{path}?supportsAllDrives=true"), body)
    };
    let folder = "application/vnd.google-apps.folder";
    let make = |name: &str, kind: &str, parent: &str| {
        let body = json!({ "name": name, "mimeType": kind, "parents": [parent] });
        call("POST", "files", &body)["id"].as_str().unwrap().to_owned()
    };
    let kept = make("kept", folder, &shared);
    let gone = make("gone.txt", "text/plain", &kept);
    unwipe.json_with(exit::INCOMPLETE, &["capture", "acme", "--once"]);
    let calm = unwipe.json(&["log", "acme", "--limit", "1"])[0]["vault_time"].as_str().unwrap().to_owned();
    call("DELETE", &format!("files/{gone}"), &Value::Null);
    call("PATCH", &format!("files/{kept}"), &json!({ "trashed": true }));

    let what = format!("acme/shared-drive/{shared}@{calm}");
    let restore = unwipe.argument("restore.json");
    for (plan, more) in [("in-place", None), ("to-admin", Some(admin.as_str()))] {
        let plan = unwipe.argument(plan);
        let mut arguments = vec!["rewind", &what, "--plan", &plan];
        arguments.extend(more.into_iter().flat_map(|email| ["--to-user", email]));
        let planned = unwipe.json(&arguments);
        if more.is_none() {
            let counts = &planned["plan"]["counts"];
            assert_eq!((&counts["inserted"], &counts["reverted"]), (&json!(1), &json!(1)), "{planned:#}");
        }
        unwipe.json(&["approve", &plan, "--yes"]);
        let applied = unwipe.json(&["apply", &plan, "--credential", &restore]);
        assert_eq!(applied["applied"]["counts"]["conflicts"], 0, "{applied:#}");
    }
    let there = |wanted: &dyn Fn(&google_tenant::FileView) -> bool| {
        let files = domain.running.with_tenant(|tenant| tenant.drive_files());
        files.iter().filter(|file| wanted(file) && !file.trashed).count()
    };
    assert_eq!(there(&|file| *file.id == *kept), 1);
    assert_eq!(there(&|file| file.name == "gone.txt" && file.drive.as_deref() == Some(&*shared)), 1);
    assert_eq!(there(&|file| file.name == "gone.txt" && file.drive.is_none()), 1);
    assert_eq!(there(&|file| file.name.starts_with("From ")), 1);
}
