//! Drills of a domain in a sandbox tenant: every kind of thing is proven there, nobody is told, nothing is left.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use google_tenant::{App, Effect, Fault, GoogleTenant, Running, Settings, Size, Tenant, When, scopes};
use ports::{SystemClock, SystemRandom};
use serde_json::{Value, json};

use crate::unwipe::{Unwipe, exit, wait_until};

/// The kinds, as certificates call them.
const KINDS: [&str; 9] = [
    "messages",
    "files",
    "documents",
    "events",
    "contacts",
    "groups of contacts",
    "groups of users",
    "members of groups of users",
    "members of shared drives",
];
/// A text that only this story writes, and what a sandbox makes of it that loses things.
const WORDS: (&str, &str) = ("quiet harbour", "loud harbour");

fn tenant(domain: &str, seed: u64) -> Running {
    let size = Size { users: 4, messages: 30, files: 8, events: 6, contacts: 4 };
    let settings = Settings { size, seed, domain: domain.to_owned(), ..Settings::default() };
    GoogleTenant::start(settings, Arc::new(SystemClock::new()), Arc::new(SystemRandom)).unwrap()
}

fn write_key(running: &Running, account: usize, path: &Path) {
    let key = running.with_tenant(|tenant| {
        let email = tenant.service_accounts().nth(account).unwrap().email.clone();
        tenant.key_file(&email).unwrap()
    });
    std::fs::write(path, key).unwrap();
}

fn people(running: &Running) -> Vec<String> {
    running.with_tenant(|tenant| {
        let ordinary = |user: &&google_tenant::User| {
            user.has_mailbox && !user.suspended && !user.is_admin && user.deleted.is_none()
        };
        tenant.users().iter().filter(ordinary).map(|user| user.primary_email.clone()).collect()
    })
}

fn admin(running: &Running) -> String {
    running.with_tenant(|tenant| tenant.administrator().unwrap().to_owned())
}

fn call(running: &Running, user: &str, scope: &str, method: &str, path: &str, body: &Value) -> Value {
    let app = App {
        client_id: "523456789012-story.apps.googleusercontent.com".to_owned(),
        client_secret: "secret".to_owned(),
        display_text: "Story".to_owned(),
        native: true,
    };
    let token = running.with_tenant(|tenant| {
        let grant = tenant.authorize(user, &app, &[scope]).unwrap();
        tenant.access_token(&grant).unwrap()
    });
    let request = ureq::http::Request::builder()
        .method(method)
        .uri(format!("{}/{path}", running.url()))
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/json")
        .body(if body.is_null() { String::new() } else { body.to_string() })
        .unwrap();
    let mut answer =
        ureq::Agent::config_builder().http_status_as_error(false).build().new_agent().run(request).unwrap();
    answer.body_mut().read_json().unwrap_or_default()
}

/// A protected domain and a sandbox.
struct Stage {
    acme: Running,
    sandbox: Running,
    unwipe: Unwipe,
    /// Whose things are drilled, and who gets them.
    anna: String,
    visitor: String,
    config: String,
}

impl Stage {
    fn new() -> Self {
        let (acme, sandbox) = (tenant("acme.test", 1), tenant("sandbox.test", 2));
        let unwipe = Unwipe::initialised();
        write_key(&acme, 0, &unwipe.path("capture.json"));
        write_key(&sandbox, 0, &unwipe.path("look.json"));
        write_key(&sandbox, 1, &unwipe.path("put.json"));
        let (key, own_admin) = (unwipe.argument("capture.json"), admin(&acme));
        let arguments =
            ["protect", "acme", "google", "--key", &key, "--admin", &own_admin, "--address", acme.url()];
        unwipe.json(&arguments);
        let config = std::fs::read_to_string(unwipe.home().join("unwipe.toml")).unwrap();
        let (anna, visitor) = (people(&acme).remove(0), people(&sandbox).remove(0));
        Self { acme, sandbox, unwipe, anna, visitor, config }
    }

    /// Says in the configuration where the sandbox is; `more` is said of the sandbox's settings.
    fn configure(&self, receiver: &str, more: &str) {
        let none: String = ["gmail", "drive", "calendar", "people", "admin"]
            .iter()
            .map(|service| format!("\"{service}/user\" = 0\n\"{service}/project\" = 0\n"))
            .collect();
        let unwipe = &self.unwipe;
        let text = format!(
            "{config}\n[sources.acme.settings.quota]\n{none}\n[drills.sources.acme]\nsample = 12\n\
             [drills.sources.acme.sandbox]\ncredential = 'file:{put}'\n\
             [drills.sources.acme.sandbox.settings]\nkey = 'file:{look}'\nadmin = '{admin}'\naddress = '{address}'\n{more}\n\
             [drills.sources.acme.sandbox.settings.quota]\n{none}\n\
             [drills.sources.acme.sandbox.accounts]\n'{anna}' = '{receiver}'\n",
            config = self.config,
            put = unwipe.argument("put.json"),
            look = unwipe.argument("look.json"),
            admin = admin(&self.sandbox),
            address = self.sandbox.url(),
            anna = self.anna,
        );
        std::fs::write(unwipe.home().join("unwipe.toml"), text).unwrap();
    }

    fn capture(&self) {
        // Some of a domain cannot be read, which is said.
        self.unwipe.json_with(exit::INCOMPLETE, &["capture", "acme", "--once"]);
    }

    fn drill(&self, code: i32, more: &[&str]) -> Value {
        let arguments = [&["drill", "run", "acme"], more].concat();
        self.unwipe.json_with(code, &arguments)["statement"].clone()
    }

    /// Puts one thing of each kind into the domain that has a text of its own.
    fn furnish(&self) {
        let (words, _) = WORDS;
        let own = |scope: &str, path: &str, body: &Value| {
            let answer = call(&self.acme, &self.anna, scope, "POST", path, body);
            assert!(answer["error"].is_null(), "{path}: {answer}");
            answer
        };
        let label = own(scopes::MAIL, "gmail/v1/users/me/labels", &json!({ "name": words }));
        let letters =
            call(&self.acme, &self.anna, scopes::MAIL, "GET", "gmail/v1/users/me/messages", &Value::Null);
        let change = json!({ "ids": [letters["messages"][0]["id"]], "addLabelIds": [label["id"]] });
        own(scopes::MAIL, "gmail/v1/users/me/messages/batchModify", &change);
        let file = json!({ "name": "harbour.txt", "mimeType": "text/plain", "description": words });
        own(scopes::DRIVE, "drive/v3/files", &file);
        let day = |hour: u32| json!({ "dateTime": format!("2026-03-02T{hour:02}:00:00Z"), "timeZone": "Europe/Berlin" });
        let event = json!({
            "summary": "Harbour", "location": words, "start": day(9), "end": day(10),
            "recurrence": ["RRULE:FREQ=WEEKLY;COUNT=4"],
            "attendees": [{ "email": "eve@elsewhere.test" }, { "email": people(&self.acme)[1] }],
        });
        let path = format!("calendar/v3/calendars/{}/events?sendUpdates=none", self.anna);
        let series = own(scopes::CALENDAR, &path, &event)["id"].as_str().unwrap().to_owned();
        let path =
            format!("calendar/v3/calendars/{}/events/{series}_20260309T090000Z?sendUpdates=none", self.anna);
        let changed = call(
            &self.acme,
            &self.anna,
            scopes::CALENDAR,
            "PATCH",
            &path,
            &json!({ "summary": "Another harbour" }),
        );
        assert!(changed["error"].is_null(), "{changed}");
        let group = own(scopes::CONTACTS, "v1/contactGroups", &json!({ "contactGroup": { "name": words } }));
        let member =
            json!({ "contactGroupMembership": { "contactGroupResourceName": group["resourceName"] } });
        let person = json!({
            "names": [{ "givenName": "Maria" }], "nicknames": [{ "value": words }], "memberships": [member],
        });
        own(scopes::CONTACTS, "v1/people:createContact", &person);
        let by_admin = |path: &str, body: &Value| {
            let answer = call(&self.acme, &admin(&self.acme), scopes::GROUP, "POST", path, body);
            assert!(answer["error"].is_null(), "{path}: {answer}");
        };
        let groups = "admin/directory/v1/groups";
        by_admin(groups, &json!({ "email": "harbour@acme.test", "name": "Harbour", "description": words }));
        for (address, role) in [(self.anna.as_str(), "MANAGER"), ("eve@elsewhere.test", "MEMBER")] {
            by_admin(
                &format!("{groups}/harbour@acme.test/members"),
                &json!({ "email": address, "role": role }),
            );
        }
        let drive = call(
            &self.acme,
            &people(&self.acme)[1],
            scopes::DRIVE,
            "POST",
            "drive/v3/drives?requestId=harbour",
            &json!({ "name": "Harbour" }),
        );
        let id = drive["id"].as_str().unwrap();
        let shared = |path: String, body: &Value| {
            let answer = call(&self.acme, &people(&self.acme)[1], scopes::DRIVE, "POST", &path, body);
            assert!(answer["error"].is_null(), "{path}: {answer}");
        };
        shared(
            format!("drive/v3/files/{id}/permissions?supportsAllDrives=true&sendNotificationEmail=false"),
            &json!({ "type": "user", "role": "commenter", "emailAddress": self.anna }),
        );
        let file = json!({
            "name": "shared.txt", "mimeType": "text/plain", "description": words, "parents": [id],
        });
        shared("drive/v3/files?supportsAllDrives=true".to_owned(), &file);
    }

    /// Says how many things of each kind there are in the sandbox, and what they are called.
    fn inventory(&self) -> BTreeMap<&'static str, Vec<String>> {
        let list = |user: &str, scope: &str, path: &str, member: &str, name: &str| {
            let answer = call(&self.sandbox, user, scope, "GET", path, &Value::Null);
            let items = answer[member].as_array().cloned().unwrap_or_default();
            let mut names: Vec<String> =
                items.iter().map(|item| item[name].as_str().unwrap_or_default().to_owned()).collect();
            names.sort();
            names
        };
        let (visitor, admin) = (self.visitor.as_str(), admin(&self.sandbox));
        BTreeMap::from([
            ("labels", list(visitor, scopes::MAIL, "gmail/v1/users/me/labels", "labels", "name")),
            (
                "messages",
                list(visitor, scopes::MAIL, "gmail/v1/users/me/messages?maxResults=500", "messages", "id"),
            ),
            ("files", list(visitor, scopes::DRIVE, "drive/v3/files?pageSize=1000", "files", "id")),
            (
                "calendars",
                list(
                    visitor,
                    scopes::CALENDAR,
                    "calendar/v3/users/me/calendarList?showHidden=true",
                    "items",
                    "id",
                ),
            ),
            (
                "contacts",
                list(
                    visitor,
                    scopes::CONTACTS,
                    "v1/people/me/connections?pageSize=1000&personFields=names",
                    "connections",
                    "resourceName",
                ),
            ),
            (
                "groups of contacts",
                list(visitor, scopes::CONTACTS, "v1/contactGroups?pageSize=1000", "contactGroups", "name"),
            ),
            (
                "drives",
                list(
                    &admin,
                    scopes::DRIVE,
                    "drive/v3/drives?useDomainAdminAccess=true&pageSize=100",
                    "drives",
                    "name",
                ),
            ),
            (
                "groups",
                list(
                    &admin,
                    scopes::GROUP,
                    "admin/directory/v1/groups?customer=my_customer",
                    "groups",
                    "email",
                ),
            ),
        ])
    }

    fn clear_mails(&self) {
        for running in [&self.acme, &self.sandbox] {
            running.with_tenant(Tenant::clear_calendar_mails);
        }
    }

    /// Says how many mails about sharing a tenant has sent.
    fn sharing_mails(running: &Running) -> usize {
        running.with_tenant(|tenant| tenant.drive_mails().len())
    }
}

/// Returns what a certificate says of a check.
fn check<'s>(statement: &'s Value, subject: &str) -> &'s Value {
    let checks = statement["checks"].as_array().unwrap();
    checks.iter().find(|check| check["subject"] == subject).unwrap_or(&Value::Null)
}

fn of_kind<'s>(statement: &'s Value, kind: &str) -> &'s Value {
    &check(statement, &format!("{kind} are as they were"))["result"]
}

#[test]
fn everything_of_a_domain_is_proven_in_a_sandbox_and_nobody_is_told() {
    let stage = Stage::new();
    stage.furnish();
    stage.configure(&admin(&stage.acme), "");
    stage.capture();
    stage.unwipe.run(&["drill", "run", "acme"]).refused(exit::USAGE, "belongs to the protected domain");
    stage.configure(&stage.visitor, "");
    stage.clear_mails();
    let shared = [&stage.acme, &stage.sandbox].map(Stage::sharing_mails);
    let (before, activities) =
        (stage.inventory(), stage.acme.with_tenant(|tenant| tenant.activities().count()));

    let whole = stage.drill(exit::DONE, &[]);
    assert_eq!(
        (&whole["outcome"], &whole["simulated"], &whole["extent"]["extent"]),
        (&"proven".into(), &true.into(), &"whole".into()),
        "{whole:#}"
    );
    for kind in KINDS {
        assert_eq!(of_kind(&whole, kind), "passed", "{kind}: {whole:#}");
    }
    let said = whole["checks"].to_string();
    for never in ["sharing of files", "users, organizational units and roles", "things of other accounts"] {
        assert_eq!(check(&whole, never)["result"], "not-checked", "{said}");
    }
    assert!(!said.contains("drills of domains restore mail and files"), "{said}");

    // A sample is of every stream, and takes less.
    let sample = stage.drill(exit::DONE, &["--sample"]);
    assert_eq!(sample["outcome"], "proven", "{sample:#}");
    let (chosen, of) = (&sample["extent"]["chosen"], &sample["extent"]["of"]);
    assert!(chosen.as_u64().unwrap() >= 12 && chosen.as_u64() < of.as_u64(), "{sample:#}");
    assert!(whole["counts"]["equal"].as_u64() > sample["counts"]["equal"].as_u64(), "{whole:#}");

    // Nobody got a mail, nothing was written into the domain itself, and nothing is left.
    for (running, shared) in [&stage.acme, &stage.sandbox].into_iter().zip(shared) {
        running.with_tenant(|tenant| assert!(tenant.calendar_mails().is_empty()));
        assert_eq!(Stage::sharing_mails(running), shared);
    }
    assert_eq!(stage.acme.with_tenant(|tenant| tenant.activities().count()), activities);
    assert_eq!(stage.inventory(), before);
}

#[test]
fn a_sandbox_that_loses_things_fails_the_drill_which_names_each() {
    let stage = Stage::new();
    stage.furnish();
    stage.configure(&stage.visitor, "");
    stage.capture();
    let (from, to) = WORDS;
    stage.sandbox.with_tenant(|tenant| {
        for (method, from, to) in [
            ("directory.members.insert", "\"MANAGER\"", "\"MEMBER\""),
            ("drive.permissions.create", "\"commenter\"", "\"reader\""),
            ("*", from, to),
        ] {
            tenant.fault(Fault::new(method, When::Always, Effect::Reworded(from, to)));
        }
    });
    let failed = stage.drill(exit::TAMPERING, &[]);
    assert_eq!(failed["outcome"], "failed", "{failed:#}");
    for kind in KINDS.iter().filter(|kind| **kind != "documents") {
        assert_eq!(of_kind(&failed, kind), "failed", "{kind}: {failed:#}");
    }
    let differences = failed["differences"].as_array().unwrap();
    let named = |stream: &str, words: &str| {
        let is_it = |one: &&Value| {
            one["subject"].as_str().unwrap().starts_with(stream)
                && one["what"].as_str().unwrap().contains(words)
        };
        assert!(differences.iter().any(|one| is_it(&one)), "{stream} {words}: {differences:#?}");
    };
    let anna = &stage.anna;
    named(&format!("gmail/{anna} message/"), "labels is");
    named(&format!("drive/{anna} file/"), "description and properties is");
    named("shared-drive/", "description and properties is");
    named(&format!("calendar/{anna} event/"), "location is");
    named(&format!("contacts/{anna} person/"), "nicknames is");
    named(&format!("contacts/{anna} group/"), "it was not restored");
    named("directory group/", "description is");
    named("directory member/", "role is \"MEMBER\" instead of \"MANAGER\"");
    named("shared-drives member/", "role is \"reader\" instead of \"commenter\"");
}

#[test]
fn a_sandbox_that_takes_no_stand_ins_is_not_held_against_the_copy() {
    let stage = Stage::new();
    stage.furnish();
    stage.configure(&stage.visitor, "parts = ['calendar', 'directory']");
    stage.capture();
    stage.sandbox.with_tenant(|tenant| {
        // What is left has no domain, and no service takes it.
        for method in ["directory.members.insert", "calendar.events.*"] {
            tenant.fault(Fault::new(method, When::Always, Effect::Reworded("@example.invalid", "")));
        }
    });
    let held = stage.drill(exit::DONE, &[]);
    assert_eq!(held["outcome"], "proven", "{held:#}");
    assert_eq!(
        (of_kind(&held, "events"), of_kind(&held, "groups of users")),
        (&"passed".into(), &"passed".into())
    );
    let said = check(&held, "the sandbox takes addresses that stand for people");
    assert_eq!(said["result"], "not-checked", "{held:#}");
    assert!(said["evidence"].as_str().unwrap().contains("without their guests"), "{said}");
    assert!(held["counts"]["not_comparable"].as_u64() > Some(0), "{held:#}");
}

#[test]
fn what_a_drill_left_that_was_killed_is_taken_away_by_the_next_one_and_nothing_else() {
    let stage = Stage::new();
    stage.furnish();
    stage.configure(&stage.visitor, "");
    stage.capture();
    // What another installation's drill, or a person, has there stays.
    let other = "unwipe drill acme 0123456789-ffff: somebody";
    let calendar = json!({ "summary": other });
    call(&stage.sandbox, &stage.visitor, scopes::CALENDAR, "POST", "calendar/v3/calendars", &calendar);
    let group = json!({ "contactGroup": { "name": "unwipe drill" } });
    call(&stage.sandbox, &stage.visitor, scopes::CONTACTS, "POST", "v1/contactGroups", &group);
    let before = stage.inventory();

    let number = stage.sandbox.with_tenant(|tenant| {
        let slow = Effect::Slow(std::time::Duration::from_mins(10));
        tenant.fault(Fault::new("gmail.users.messages.insert", When::Nth(5), slow))
    });
    let drill = stage.unwipe.start(&["drill", "run", "acme"]);
    wait_until("the drill is in the middle of the mail", || {
        stage.sandbox.with_tenant(|tenant| tenant.faults_served_by(number)) == 1
    });
    drill.kill();
    stage.sandbox.with_tenant(Tenant::lift_faults);
    let left = stage.inventory();
    for what in ["labels", "calendars", "contacts", "groups of contacts", "drives", "groups"] {
        assert!(left[what].len() > before[what].len(), "{what}: {left:#?}");
    }
    let of_drill =
        |name: &&String| name.starts_with("unwipe drill acme ") || name.starts_with("unwipe-drill-");
    assert!(left["labels"].iter().any(|name| of_drill(&name)), "{left:#?}");
    assert!(left["groups"].iter().any(|name| of_drill(&name)), "{left:#?}");

    let run = stage.unwipe.run(&["drill", "run", "acme", "--sample"]).expect(exit::DONE);
    assert!(run.stderr.contains("removed what a drill left that did not end"), "{}", run.stderr);
    assert_eq!(stage.inventory(), before);
}

#[test]
fn parts_that_are_left_out_are_not_written_and_a_right_that_is_missing_proves_nothing() {
    let stage = Stage::new();
    stage.configure(&stage.visitor, "parts = ['gmail', 'contacts']");
    stage.capture();
    let held = stage.drill(exit::DONE, &[]);
    assert_eq!(
        (of_kind(&held, "messages"), of_kind(&held, "contacts")),
        (&"passed".into(), &"passed".into())
    );
    for left_out in ["files", "calendars", "groups of users"] {
        let said = check(&held, left_out);
        assert!(said["evidence"].as_str().unwrap().contains("leave them out"), "{held:#}");
    }
    stage.sandbox.with_tenant(|tenant| {
        for method in ["calendar.calendars.insert", "directory.groups.insert", "drive.files.create"] {
            assert_eq!(tenant.traffic().calls(method), 0, "{method}");
        }
        let id = tenant.service_accounts().nth(1).unwrap().client_id.clone();
        tenant.delegate(&id, [scopes::GMAIL_LABELS]);
    });
    stage.unwipe.run(&["drill", "run", "acme"]).refused(exit::FAILED, "the sandbox cannot be cleared");
    let kept = stage.unwipe.json(&["drill", "list", "acme"]);
    assert_eq!(kept.as_array().unwrap().len(), 1, "what says nothing of the copy leaves no certificate");
}
