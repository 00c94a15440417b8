//! The pages, in a browser: what an owner opens every morning, and on the worst day.
//!
//! `tests/browser` plays the people, with Chromium and passkeys; here is what they protect, and who destroys it.
//! `tools/install_node` and `tools/install_debian browser` bring what it takes. With `UNWIPE_GALLERY=FOLDER` the pages
//! that are looked at are kept there as pictures.

mod at_once;
mod full;
mod hostile;
mod programs;
mod schema;
mod stage;
mod traces;

use std::{
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use buckets::LockServer;
use postgres_server::testing::TestOptions;
use serde_json::{Value, json};

use self::stage::{Stage, configure};
use crate::{
    incidents::{Shop, proposals},
    object_lock,
    production::{Production, newest_major},
    unwipe::{Unwipe, exit},
};

/// A story in which nothing happens beside the browser.
fn nothing(name: &str, _: &Value) -> Value {
    panic!("nobody here does {name}")
}

/// Some papers, captured.
fn keep_papers(unwipe: &Unwipe) {
    let folder = unwipe.path("papers");
    std::fs::create_dir_all(folder.join("letters")).unwrap();
    for (name, text) in [("terms.txt", "what we agreed on\n"), ("letters/anna.txt", "Dear Anna\n")] {
        std::fs::write(folder.join(name), text).unwrap();
    }
    unwipe.json(&["protect", "papers", "files", "--path", folder.to_str().unwrap()]);
    unwipe.json(&["capture", "papers", "--once"]);
}

fn verify(unwipe: &Unwipe, with: &Value) -> Value {
    unwipe.json(&["drill", "verify", with["path"].as_str().unwrap(), "--vault"])
}

#[test]
fn an_owner_looks_at_everything_in_the_morning() {
    let production = Production::start(newest_major());
    production.open_shop(40);
    let unwipe = Unwipe::protecting(&production.capture_url());
    unwipe.capture_once();
    keep_papers(&unwipe);
    let stage = Stage::open(&unwipe);
    stage.play("morning", |name, with| match name {
        "verify" => verify(&unwipe, with),
        other => nothing(other, with),
    });
    stage.close();
}

#[test]
fn sessions_end_and_stale_forms_do_nothing() {
    let unwipe = Unwipe::initialised();
    keep_papers(&unwipe);
    let stage = Stage::open(&unwipe);
    stage.play("sessions", nothing);
    stage.close();
}

/// Lets the pages plan and apply, and drills compare.
fn let_back(shop: &Shop) {
    let url = shop.production.owner_url();
    configure(
        &shop.unwipe,
        &format!(
            "[restore.destinations.shop]\nurl = '{url}'\n\
             [drills.sources.shop]\nevery = '7d'\nrecord = {{ url = '{url}' }}\n"
        ),
    );
}

/// An incident can be undone once all of it is in the vault, and is told of once somebody could be stopped.
fn is_whole(shop: &Shop) -> Value {
    let incident = shop.wait_for("the alarm", |incident| {
        proposals(incident) > 0 && !incident["holds"].as_array().unwrap().is_empty()
    });
    json!(incident["id"] == 1)
}

#[test]
fn two_people_live_through_the_worst_day() {
    // Drills ask production what it holds at an exact position, which takes logical decoding.
    let logical = |options: &mut TestOptions| options.settings.set("wal_level", "logical");
    let shop = Shop::open_in(Production::start_with(newest_major(), logical));
    let (production, unwipe) = (&shop.production, &shop.unwipe);
    let_back(&shop);
    let before = production.content(&["orders"]);
    let stage = Stage::open(unwipe);
    production.wait_for_stream();
    stage.play("worst_day", |name, with| match name {
        "wipe" => {
            shop.act("agent", "begin; create table agent_was_here (); truncate orders; commit").unwrap();
            production.sql("update customers set name = 'renamed' where id <= 5");
            Value::Null
        }
        "whole" => is_whole(&shop),
        "agent" => json!(if shop.act("agent", "select 1").is_ok() { "in" } else { "out" }),
        "rows" => json!(if production.content(&["orders"]) == before { "back" } else { "gone" }),
        "verify" => verify(unwipe, with),
        other => nothing(other, with),
    });
    assert_eq!(production.content(&["orders"]), before);
    assert_eq!(production.sql("select count(*) from customers where name = 'renamed'"), "5");
    stage.close();
}

#[test]
fn a_refused_plan_is_not_applied_by_any_way() {
    let shop = Shop::open();
    let (production, unwipe) = (&shop.production, &shop.unwipe);
    let_back(&shop);
    production.sql(&format!(
        "create table {table} as select id, {text} as note from generate_series(1, 1500) id; \
         grant all on {table} to agent",
        table = hostile::TABLE,
        text = hostile::TEXT,
    ));
    let stage = Stage::open(unwipe);
    production.wait_for_stream();
    stage.play("refusal", |name, with| match name {
        "wipe" => {
            let name = hostile::TEXT;
            shop.act(
                "agent",
                &format!(
                    "set application_name to {name}; begin; create table agent_was_here (); \
                     truncate {}; commit",
                    hostile::TABLE
                ),
            )
            .unwrap();
            Value::Null
        }
        "whole" => is_whole(&shop),
        "rows" => {
            let rows = production.sql(&format!("select count(*) from {}", hostile::TABLE));
            json!(if rows == "0" { "gone" } else { "back" })
        }
        other => nothing(other, with),
    });
    stage.close();
}

/// Returns the largest pack of the vault.
fn largest_pack(unwipe: &Unwipe) -> PathBuf {
    fn files(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { files(&path, found) } else { found.push(path) }
        }
    }
    let mut found = Vec::new();
    files(&unwipe.home().join("vault/data"), &mut found);
    found.into_iter().max_by_key(|path| std::fs::metadata(path).unwrap().len()).unwrap()
}

/// Writes a file of the vault as whoever has its disk can.
fn overwrite(path: &Path, content: &[u8]) {
    let mut permissions = std::fs::metadata(path).unwrap().permissions();
    permissions.set_mode(0o600);
    std::fs::set_permissions(path, permissions).unwrap();
    std::fs::write(path, content).unwrap();
}

#[test]
fn a_drill_that_fails_stays_failed_until_somebody_has_seen_it() {
    let unwipe = Unwipe::initialised();
    std::fs::create_dir_all(unwipe.path("papers")).unwrap();
    // Nothing that could be made smaller: the largest pack is the one that holds it.
    let noise: Vec<u8> =
        (0_u32..100_000).flat_map(|n| n.wrapping_mul(2_654_435_761).rotate_left(7).to_le_bytes()).collect();
    std::fs::write(unwipe.path("papers/drawings.bin"), noise).unwrap();
    keep_papers(&unwipe);
    let pack = largest_pack(&unwipe);
    let whole = std::fs::read(&pack).unwrap();
    let stage = Stage::open(&unwipe);
    stage.play("failed_drill", |name, with| {
        match name {
            "damage" => {
                let mut damaged = whole.clone();
                let middle = damaged.len() / 3;
                damaged[middle] ^= 1;
                overwrite(&pack, &damaged);
            }
            "mend" => overwrite(&pack, &whole),
            other => return nothing(other, with),
        }
        Value::Null
    });
    stage.close();
}

/// A letter to read and a file of data, each as it was and as somebody left it.
const DOCUMENTS: [(&str, [&str; 2]); 2] = [
    (
        "terms.txt",
        [
            "Terms of hire\n\nThe boat is handed over on the first of May, at noon, in the harbour of Malindi.\n\
             The hirer pays 400 shillings a day.\nFuel is the hirer's own affair.\n\n\
             Whoever breaks it mends it.\n\nSigned: Bea, Anna\n",
            "Terms of hire\n\nThe boat is handed over on the third of May, at noon, in the harbour of Lamu.\n\
             The hirer pays 400 shillings a day.\n\n\
             Whoever breaks it mends it, or has it mended by Bea.\nThe dog stays ashore.\n\nSigned: Bea, Anna\n",
        ],
    ),
    (
        "prices.json",
        [
            "{\n  \"currency\": \"KES\",\n  \"boat\": {\n    \"day\": 400,\n    \"week\": 2400\n  },\n  \"fuel\": true\n}\n",
            "{\n  \"currency\": \"KES\",\n  \"boat\": {\n    \"day\": 450,\n    \"week\": 2400,\n    \"month\": 9000\n  }\n}\n",
        ],
    ),
];

#[test]
fn two_documents_are_compared_in_a_vault_that_is_locked() {
    let (unwipe, server) = (Unwipe::nowhere(), LockServer::start());
    object_lock::init(&unwipe, &server, LockServer::BUCKET, "root").expect(exit::DONE);
    let write = |version: usize| {
        for (name, texts) in &DOCUMENTS {
            std::fs::write(unwipe.path("papers").join(name), texts[version]).unwrap();
        }
    };
    std::fs::create_dir_all(unwipe.path("papers")).unwrap();
    write(0);
    unwipe.json(&["protect", "papers", "files", "--path", unwipe.path("papers").to_str().unwrap()]);
    unwipe.json(&["capture", "papers", "--once"]);
    write(1);
    unwipe.json(&["capture", "papers", "--once"]);
    let stage = Stage::open(&unwipe);
    stage.play("documents", |name, with| match name {
        "documents" => json!({ "documents": [
            { "key": "terms.txt", "looks": "to-read", "added": "The dog stays ashore.", "removed": "own affair" },
            { "key": "prices.json", "looks": "of-data", "added": "9000", "removed": "fuel" },
        ] }),
        other => nothing(other, with),
    });
    stage.close();
}
