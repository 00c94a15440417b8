//! A wipe while the service runs: it is found, told, stopped by a person's word, undone by its number, and closed.

use std::fs;

use serde_json::{Value, json};

use crate::{
    production::{Production, newest_major},
    unwipe::{Running, Unwipe, exit, wait_until},
};

/// A shop under watch, and an agent who may do anything with its tables.
pub(crate) struct Shop {
    pub(crate) production: Production,
    pub(crate) unwipe: Unwipe,
}

impl Shop {
    pub(crate) fn open() -> Self {
        Self::open_in(Production::start(newest_major()))
    }

    /// Opens a shop in a server.
    pub(crate) fn open_in(production: Production) -> Self {
        production.open_shop(500);
        production.sql(
            "create role agent login; grant all on all tables in schema public to agent; grant create on schema public \
             to agent; create role job login; grant all on all tables in schema public to job",
        );
        let unwipe = Unwipe::protecting(&production.capture_url());
        let owner = production.owner_url();
        unwipe.json(&["guard", "install", "shop", "--url", &owner, "--witness", "--contain", "agent"]);
        // The guard's own way in, under a role that can do nothing else.
        let guard = owner.replace("postgres@", "unwipe_guard@");
        let settings = unwipe.home().join("unwipe.toml");
        let mut text = fs::read_to_string(&settings).unwrap();
        text.push_str(&format!(
            "\n[sources.shop.settings.guard]\nurl = '{guard}'\n\
             [watch.containment]\nmode = 'approve'\n\
             [[watch.notify]]\nfrom = 'alarm'\nto = {{ kind = 'file', path = 'findings.jsonl' }}\n"
        ));
        fs::write(&settings, text).unwrap();
        Self { production, unwipe }
    }

    fn serve(&self) -> Running {
        let serving = self.unwipe.start(&["serve", "--no-pages"]);
        self.production.wait_for_stream();
        serving
    }

    /// Does something as a role.
    pub(crate) fn act(&self, role: &str, statements: &str) -> Result<String, String> {
        let url = self.production.owner_url().replace("postgres@", &format!("{role}@"));
        postgres_server::testing::psql(&url, statements)
    }

    pub(crate) fn incidents(&self) -> Vec<Value> {
        let outcome = self.unwipe.run(&["--json", "incidents"]);
        if outcome.code() == exit::NOTHING {
            Vec::new()
        } else {
            outcome.document().as_array().unwrap().clone()
        }
    }

    pub(crate) fn wait_for(&self, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let mut found = None;
        wait_until(what, || {
            found = self.incidents().into_iter().find(&is_so);
            found.is_some()
        });
        found.unwrap()
    }
}

pub(crate) fn proposals(incident: &Value) -> usize {
    let actions = incident["actions"].as_array().unwrap();
    actions.iter().filter(|action| action["status"] == "proposed").count()
}

#[test]
fn an_owner_lives_through_an_incident_from_the_alarm_to_its_end() {
    let shop = Shop::open();
    let (production, unwipe) = (&shop.production, &shop.unwipe);
    let before = production.content(&["orders"]);
    let serving = shop.serve();

    // A truncation is one stroke; the definition beside it has the witness say inside the transaction who it was.
    shop.act("agent", "begin; create table agent_was_here (); truncate orders; commit").unwrap();
    let incident = shop.wait_for("the alarm", |incident| {
        proposals(incident) > 0 && !incident["holds"].as_array().unwrap().is_empty()
    });
    assert_eq!((&incident["id"], &incident["state"]), (&json!(1), &json!("open")), "{incident:#}");
    let text = unwipe.run(&["incidents", "1"]).expect(exit::DONE).stdout;
    for fact in ["emptied the table public.orders of shop", "proposed", "unwipe contain 1"] {
        assert!(text.contains(fact), "nothing about {fact:?}:\n{text}");
    }
    wait_until("somebody to be told", || {
        fs::read_to_string(unwipe.home().join("findings.jsonl"))
            .is_ok_and(|text| text.contains("\"class_uid\":2004"))
    });

    // A person has the agent stopped; it cannot come back until a person lets it in.
    unwipe.json(&["contain", "1"]);
    assert!(shop.act("agent", "select 1").is_err(), "the agent still gets in");
    shop.act("job", "select 1").unwrap();
    assert_eq!(shop.wait_for("who was stopped", |incident| incident["state"] == "contained")["id"], 1);

    // What others do meanwhile stays.
    production.sql("update customers set name = 'renamed' where id <= 5");
    let customers = production.content(&["customers"]);
    let (plan, url) = (unwipe.argument("plan"), production.owner_url());
    let planned = unwipe.json(&["rewind", "incident:1", "--url", &url, "--plan", &plan]);
    assert_eq!(planned["bundle"]["parts"].as_array().unwrap().len(), 1, "{planned:#}");
    assert_eq!(unwipe.json(&["approve", &plan, "--yes"])["counts"], true);
    unwipe.json(&["apply", &plan, "--url", &url]);
    assert_eq!(production.content(&["orders"]), before);
    assert_eq!(production.content(&["customers"]), customers);
    shop.wait_for("the incident to be undone", |incident| incident["state"] == "undone");

    // The key that approves is the owner's, and whoever is logged in here is somebody else as far as anybody knows.
    let asked = ["contain", "1", "--take-back", "--reason", "it was the migration"];
    let case = unwipe.json_with(exit::AUTHENTICATION, &asked)["id"].as_str().unwrap().to_owned();
    assert!(shop.act("agent", "select 1").is_err(), "nobody agreed yet");
    unwipe.json(&["approve", &case, "--yes"]);
    unwipe.json(&["contain", "1", "--take-back"]);
    assert_eq!(unwipe.json(&["cases", "show", &case])["state"]["state"], "applied");
    shop.act("agent", "select 1").unwrap();
    unwipe.json(&["incidents", "close", "1", "--reason", "a migration with the wrong table"]);
    assert_eq!(shop.incidents()[0]["state"], "closed");
    let drawn = unwipe.run(&["timeline", "--lanes", "incident:1"]).expect(exit::DONE).stdout;
    assert!(drawn.contains("shop") && drawn.contains('!'), "{drawn}");
    drop(serving.end(rustix::process::Signal::TERM));
}

#[test]
fn what_was_said_before_raises_no_alarm_and_what_goes_beyond_it_does() {
    let shop = Shop::open();
    let unwipe = &shop.unwipe;
    let expected = unwipe.json(&[
        "expect", "shop", "--actor", "job", "--verb", "truncate", "--for", "1h", "--reason", "nightly",
    ]);
    assert_eq!(expected["reason"], "nightly");
    unwipe
        .run(&["expect", "shop", "--actor", "job", "--verb", "explode", "--reason", "x"])
        .expect(exit::USAGE);
    let serving = shop.serve();
    shop.act("job", "truncate orders").unwrap();
    shop.act("agent", "truncate orders").unwrap();
    let incident = shop.wait_for("the alarm", |_| true);
    assert!(!incident["deeds"].as_array().unwrap().is_empty(), "{incident:#}");
    assert_eq!(shop.incidents().len(), 1);
    let said = serving.end(rustix::process::Signal::TERM);
    assert!(said.stderr.contains("raises no alarm"), "{}", said.stderr);
}
