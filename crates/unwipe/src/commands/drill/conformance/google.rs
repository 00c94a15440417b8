//! A simulated domain, captured, and drilled in another one: the mail of one account. The stories have the other parts, and
//! kill the process in the middle.

use std::{path::Path, sync::Arc};

use connect_conformance::{DrillGround, Drillable, Furnishing, Never, Planted, Wanted};
use google_tenant::{App, GoogleTenant, Letter, Running, Settings, Size, scopes};
use ports::{SystemClock, SystemRandom};
use serde_json::{Value, json};

use super::Home;

const SOURCE: &str = "acme";
const MESSAGES: &str = "gmail/v1/users/me/messages";

struct DomainDrills {
    home: Home,
    acme: Running,
    sandbox: Running,
    /// Whose mail is drilled, and who gets it.
    anna: String,
    visitor: String,
}

fn start(furnishing: &Furnishing) -> Arc<dyn Drillable> {
    Arc::new(DomainDrills::start(furnishing))
}

connect_conformance::drilling_tests!(start);

fn tenant(domain: &str, seed: u64, messages: u32) -> Running {
    let size = Size { users: 3, messages, files: 0, events: 0, contacts: 0 };
    let settings = Settings { size, seed, domain: domain.to_owned(), ..Settings::default() };
    GoogleTenant::start(settings, Arc::new(SystemClock::new()), Arc::new(SystemRandom)).unwrap()
}

fn write_key(running: &Running, account: usize, path: &Path) {
    let key = running.with_tenant(|tenant| {
        let email = tenant.service_accounts().nth(account).unwrap().email.clone();
        tenant.key_file(&email).unwrap()
    });
    ports::files::replace(path, key.as_bytes()).unwrap();
}

fn administrator(running: &Running) -> String {
    running.with_tenant(|tenant| tenant.administrator().unwrap().to_owned())
}

fn somebody(running: &Running) -> String {
    running.with_tenant(|tenant| {
        let is_ordinary = |user: &&google_tenant::User| {
            user.has_mailbox && !user.suspended && !user.is_admin && user.deleted.is_none()
        };
        tenant.users().iter().find(is_ordinary).unwrap().primary_email.clone()
    })
}

fn letters(running: &Running, user: &str) -> Vec<Letter> {
    let mut letters = Vec::new();
    running.with_tenant(|tenant| tenant.each_letter(user, |letter| letters.push(letter)));
    letters
}

impl DomainDrills {
    fn start(furnishing: &Furnishing) -> Self {
        let messages = u32::try_from(furnishing.items).unwrap() * 2;
        let acme = tenant("acme.test", furnishing.seed, messages);
        let sandbox = tenant("sandbox.test", furnishing.seed + 1, 2);
        let home = Home::new();
        write_key(&acme, 0, &home.path("capture.json"));
        write_key(&sandbox, 0, &home.path("look.json"));
        write_key(&sandbox, 1, &home.path("put.json"));
        let (anna, visitor) = (somebody(&acme), somebody(&sandbox));
        let key = home.path("capture.json");
        let (key, admin) = (key.to_str().unwrap(), administrator(&acme));
        home.done(&["protect", SOURCE, "google", "--key", key, "--admin", &admin, "--address", acme.url()]);
        let none: String = ["gmail", "drive", "calendar", "people", "admin"]
            .iter()
            .map(|service| format!("\"{service}/user\" = 0\n\"{service}/project\" = 0\n"))
            .collect();
        home.append(&format!(
            "\n[sources.acme.settings.quota]\n{none}\n[drills.sources.acme]\nsample = 3\n\
             [drills.sources.acme.sandbox]\ncredential = 'file:{put}'\n\
             [drills.sources.acme.sandbox.settings]\nkey = 'file:{look}'\nadmin = '{admin}'\naddress = '{address}'\n\
             parts = ['gmail']\n[drills.sources.acme.sandbox.settings.quota]\n{none}\n\
             [drills.sources.acme.sandbox.accounts]\n'{anna}' = '{visitor}'\n",
            put = home.path("put.json").display(),
            look = home.path("look.json").display(),
            admin = administrator(&sandbox),
            address = sandbox.url(),
        ));
        home.done(&["capture", SOURCE, "--once"]);
        Self { home, acme, sandbox, anna, visitor }
    }

    /// Calls the sandbox in the name of the account that gets what is restored.
    fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let app = App {
            client_id: "523456789012-rules.apps.googleusercontent.com".to_owned(),
            client_secret: "secret".to_owned(),
            display_text: "Rules".to_owned(),
            native: true,
        };
        let token = self.sandbox.with_tenant(|tenant| {
            let grant = tenant.authorize(&self.visitor, &app, &[scopes::MAIL]).unwrap();
            tenant.access_token(&grant).unwrap()
        });
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}/{path}", self.sandbox.url()))
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json")
            .body(if body.is_null() { String::new() } else { body.to_string() })
            .unwrap();
        let mut answer = ureq::agent().run(request).unwrap();
        answer.body_mut().read_json().unwrap_or_default()
    }

    /// Returns a message that a drill put in: as the mailbox has it, with the id of the drill's label.
    fn put_in(&self) -> (Value, String) {
        let labels = self.call("GET", "gmail/v1/users/me/labels", &Value::Null);
        let is_of_drill = |label: &&Value| label["name"].as_str().unwrap().starts_with("unwipe drill acme ");
        let of_drills = labels["labels"].as_array().unwrap().iter().filter(is_of_drill);
        // What is named below it is a label of the message's own.
        let place = of_drills.min_by_key(|label| label["name"].as_str().unwrap().len()).unwrap();
        let place = place["id"].as_str().unwrap().to_owned();
        let there = self.call("GET", &format!("{MESSAGES}?labelIds={place}"), &Value::Null);
        let id = there["messages"][0]["id"].as_str().unwrap();
        (self.call("GET", &format!("{MESSAGES}/{id}?format=minimal"), &Value::Null), place)
    }
}

impl Drillable for DomainDrills {
    fn ground(&self, wanted: Wanted) -> Result<DrillGround<'_>, String> {
        self.home.ground(SOURCE, wanted)
    }

    fn samples(&self) -> Result<(), Never> {
        Ok(())
    }

    fn things(&self) -> u64 {
        letters(&self.acme, &self.anna).len() as u64
    }

    fn plant(&self, planted: Planted) -> Result<Vec<String>, Never> {
        let (message, place) = self.put_in();
        let path = format!("{MESSAGES}/{}", message["id"].as_str().unwrap());
        let named = format!("gmail/{} message/", self.anna);
        Ok(match planted {
            Planted::Changed => {
                return Err(Never(
                    "the text of a message never changes; one that is altered on its way has a story",
                ));
            }
            Planted::Missing => {
                self.call("DELETE", &path, &Value::Null);
                vec![named, "not restored".to_owned()]
            }
            Planted::Extra => {
                // "Subject: more", a blank line, "more".
                let more = json!({ "raw": "U3ViamVjdDogbW9yZQ0KDQptb3JlDQo", "labelIds": [place] });
                let made = self.call("POST", MESSAGES, &more);
                vec![format!("message/{}", made["id"].as_str().unwrap())]
            }
            Planted::Unfaithful => {
                let is_starred =
                    message["labelIds"].as_array().unwrap().iter().any(|label| label == "STARRED");
                let change = if is_starred { "removeLabelIds" } else { "addLabelIds" };
                self.call("POST", &format!("{path}/modify"), &json!({ change: ["STARRED"] }));
                vec![named, "labels is".to_owned()]
            }
        })
    }

    fn add_incomparable(&self) -> Result<(), Never> {
        Err(Never(
            "a message can always be read where the mailbox can; what the vault lacks of one has a test of its own",
        ))
    }

    fn add_foreign(&self) {
        // Another installation's drill.
        let label = json!({ "name": "unwipe drill acme 0123456789-ffff: somebody" });
        self.call("POST", "gmail/v1/users/me/labels", &label);
    }

    fn starve(&self, _writes: Option<u64>) -> Result<(), Never> {
        Err(Never(
            "the simulator's faults are answers, and a drill goes on after them: a story kills the process",
        ))
    }

    fn left(&self) -> Vec<String> {
        // What is in the trash, Google takes away.
        let there = self.call("GET", &format!("{MESSAGES}?maxResults=500"), &Value::Null);
        let labels = self.call("GET", "gmail/v1/users/me/labels", &Value::Null);
        let of = |answer: &Value, member: &str, name: &str| -> Vec<String> {
            let all = answer[member].as_array().into_iter().flatten();
            all.map(|one| one[name].as_str().unwrap().to_owned()).collect()
        };
        let mut left = [of(&there, "messages", "id"), of(&labels, "labels", "name")].concat();
        left.sort();
        left
    }

    fn production(&self) -> Vec<String> {
        let shown = |letter: Letter| format!("{} {:?} {}", letter.id, letter.labels, letter.raw.len());
        let mut all: Vec<String> = letters(&self.acme, &self.anna).into_iter().map(shown).collect();
        let activities = self.acme.with_tenant(|tenant| tenant.activities().count());
        all.push(format!("{activities} activities"));
        all
    }

    fn misaim(&self, way: usize) -> bool {
        let admin = administrator(&self.acme);
        let ways = [admin.to_uppercase(), admin, self.anna.clone()];
        let Some(receiver) = ways.get(way) else { return false };
        self.home.configure(
            &format!("'{}' = '{}'", self.anna, self.visitor),
            &format!("'{}' = '{receiver}'", self.anna),
        );
        true
    }
}
