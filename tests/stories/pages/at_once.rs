//! Two people at the same moment, a browser that goes away, and a process that is killed, all while a plan is applied.

use std::thread::JoinHandle;

use serde_json::{Value, json};

use super::{Stage, configure, nothing};
use crate::{
    production::{Production, newest_major},
    unwipe::{Unwipe, wait_until},
};

const TABLES: [&str; 2] = ["customers", "orders"];
/// Two accidents: what each leaves to be undone.
const ACCIDENTS: [&str; 2] =
    ["delete from customers where id <= 1000", "delete from customers where id between 1001 and 2000"];

/// A server in which whoever puts customers back waits as long as somebody holds them up.
struct Held {
    production: Production,
    holder: Option<JoinHandle<()>>,
}

impl Held {
    fn start() -> Self {
        let production = Production::start(newest_major());
        production.open_shop(2100);
        production.sql(
            "create function wait() returns trigger language plpgsql set lock_timeout = 0 as \
             'begin perform pg_advisory_xact_lock_shared(42); return null; end'; \
             create trigger wait before insert on customers for each statement execute function wait(); \
             alter table customers enable always trigger wait",
        );
        Self { production, holder: None }
    }

    fn locks(&self, granted: &str) -> String {
        self.production.sql(&format!(
            "select count(*) from pg_locks where locktype = 'advisory' and objid = 42 and {granted}"
        ))
    }

    fn hold(&mut self) {
        let url = self.production.owner_url();
        let sleep = move || {
            // It ends by being ended.
            drop(postgres_server::testing::psql(&url, "select pg_advisory_lock(42), pg_sleep(600)"));
        };
        self.holder = Some(std::thread::spawn(sleep));
        wait_until("the hold", || self.locks("granted and mode = 'ExclusiveLock'") == "1");
    }

    fn release(&mut self) {
        self.production.sql(
            "select pg_terminate_backend(pid) from pg_locks \
             where locktype = 'advisory' and objid = 42 and granted and mode = 'ExclusiveLock'",
        );
        self.holder.take().unwrap().join().unwrap();
    }
}

/// Plans the undo of every accident, the newest first.
fn plans(held: &Held, unwipe: &Unwipe) -> Vec<String> {
    let timeline = unwipe.json(&["timeline", "shop"]);
    let events = timeline["events"].as_array().unwrap();
    let destructive = events.iter().filter(|event| event["severity"] == "destructive");
    let planned = destructive.enumerate().map(|(number, event)| {
        let folder = unwipe.home().join(format!("plans/{number}")).to_str().unwrap().to_owned();
        let transaction = event["transaction"].as_str().unwrap();
        let url = held.production.owner_url();
        unwipe.json(&["rewind", "shop", "--undo", transaction, "--url", &url, "--plan", &folder]);
        folder
    });
    planned.collect()
}

/// Returns how many times a case was begun to be applied, and how each ended.
fn applications(unwipe: &Unwipe, case: &str) -> Value {
    let mut found: Vec<(u64, Value)> = Vec::new();
    for entry in std::fs::read_dir(unwipe.home().join("state/jobs")).unwrap() {
        let path = entry.unwrap().path();
        // Beside the jobs lies what the process is writing right now.
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let job: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        if job["kind"] == "apply" && job["about"] == case {
            found.push((job["id"].as_u64().unwrap(), job["state"].clone()));
        }
    }
    found.sort_by_key(|(id, _)| *id);
    found.into_iter().map(|(_, state)| state).collect()
}

#[test]
fn what_two_people_a_closed_browser_and_a_kill_do_at_once_is_done_once() {
    let mut held = Held::start();
    let before = held.production.content(&TABLES);
    let unwipe = Unwipe::protecting(&held.production.capture_url());
    unwipe.capture_once();
    for accident in ACCIDENTS {
        held.production.sql(accident);
    }
    unwipe.capture_once();
    let url = held.production.owner_url();
    configure(&unwipe, &format!("[restore.destinations.shop]\nurl = '{url}'\n\n[approvals]\nneeded = 2"));
    let folders = plans(&held, &unwipe);
    let [first, second] = folders.as_slice() else { panic!("{folders:?}") };
    let stage = Stage::open(&unwipe);
    stage.play("at_once", |name, with| match name {
        "ask" => {
            let needed = with.as_u64().unwrap();
            let (path, draft) = (unwipe.home().join("unwipe.toml"), unwipe.path("unwipe.toml"));
            let text = std::fs::read_to_string(&path).unwrap();
            // Whoever serves reads it again and again, and must never find half of it.
            std::fs::write(&draft, text.replace("needed = 2", &format!("needed = {needed}"))).unwrap();
            std::fs::rename(draft, path).unwrap();
            let folder = if needed == 2 { first } else { second };
            unwipe.json(&["cases", "request", folder, "--reason", "they are gone"])["id"].clone()
        }
        "hold" => {
            held.hold();
            Value::Null
        }
        "held" => json!(held.locks("not granted") == "1"),
        "release" => {
            held.release();
            Value::Null
        }
        "kill" => {
            stage.kill();
            Value::Null
        }
        "serve" => {
            stage.serve();
            Value::Null
        }
        "applications" => applications(&unwipe, with.as_str().unwrap()),
        "rows" => json!(held.production.content(&TABLES) == before),
        other => nothing(other, with),
    });
    assert_eq!(held.production.content(&TABLES), before);
    stage.close();
}
