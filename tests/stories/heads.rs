//! A vault that was put back or forked gives itself away to a piece of paper and to a witness.

use std::{path::Path, process::Command, sync::Arc};

use blobs::{LocalStore, Protection};
use model::{SourceName, StreamName};
use ports::{SystemClock, SystemRandom};
use rustix::process::Signal;
use serde_json::Value;
use vault::{CaptureKey, Cursor, VaultWriter, WriterOptions};

use crate::{
    production::{Production, newest_major},
    unwipe::{Running, Unwipe, exit, wait_until},
};

/// Commits to a home's vault with its genuine capture key, as a capture does.
fn commit(unwipe: &Unwipe, names: &[&str]) {
    let home = unwipe.home();
    let key = CaptureKey::load(&home.join("keys/capture.key")).unwrap();
    let store = Arc::new(LocalStore::open(&home.join("vault"), Protection::Plain).unwrap());
    let (clock, random) = (Arc::new(SystemClock::new()), Arc::new(SystemRandom));
    let writer = VaultWriter::open(store, &key, clock, random, WriterOptions::default()).unwrap();
    for name in names {
        let mut commit = writer.begin(&SourceName::new(*name).unwrap());
        commit.remove(StreamName::new("base").unwrap(), "x").unwrap();
        commit.finish(&Cursor(Vec::new())).unwrap();
    }
    writer.advance_head().unwrap();
}

/// Replaces a home's vault by a copy of another one.
fn put_back(unwipe: &Unwipe, from: &Path) {
    let vault = unwipe.home().join("vault");
    std::fs::remove_dir_all(&vault).unwrap();
    assert!(Command::new("cp").arg("-a").arg(from).arg(&vault).status().unwrap().success());
}

/// Names a witness in a home's configuration.
fn configure(unwipe: &Unwipe, name: &str, url: &str, key: &Value) {
    let path = unwipe.home().join("unwipe.toml");
    let configured = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{configured}\n[witnesses.{name}]\nurl = \"{url}\"\nkey = {key}\n"))
        .unwrap();
}

/// Waits until a witness answers; returns where.
fn address(server: &Running) -> String {
    wait_until("the witness to answer", || server.said().contains("end with Ctrl-C"));
    let said = server.said();
    said.split("answering at ").nth(1).unwrap().split(';').next().unwrap().to_owned()
}

fn write(path: &str, text: &str) -> String {
    std::fs::write(path, text).unwrap();
    path.to_owned()
}

#[test]
fn a_rollback_and_a_fork_are_found_by_paper_and_by_a_witness_over_http() {
    let unwipe = Unwipe::initialised();
    unwipe.run(&["head", "show"]).refused(exit::NOTHING, "no tree head");
    commit(&unwipe, &["shop", "shop", "mail"]);
    let old = unwipe.copy();
    let early = write(&unwipe.argument("early"), &unwipe.run(&["head", "show"]).expect(exit::DONE).stdout);

    let witness = Unwipe::nowhere();
    let key = witness.json(&["witness", "init", "--name", "witness.example/anna"])["key"].clone();
    let log = unwipe.run(&["head", "key"]).expect(exit::DONE).stdout;
    witness.run(&["witness", "watch", log.trim()]).expect(exit::DONE);
    let server = witness.start(&["witness", "serve", "--listen", "127.0.0.1:0"]);
    configure(&unwipe, "anna", &address(&server), &key);

    commit(&unwipe, &["shop", "unwipe"]);
    let answers = unwipe.json(&["head", "submit"]);
    assert!(answers[0]["cosigned_at"].is_string(), "{answers}");
    let shown = unwipe.json(&["head", "show"]);
    assert_eq!((&shown["size"], &shown["witnesses"][0]["witness"]), (&5.into(), &"anna".into()));
    let paper = write(&unwipe.argument("paper"), shown["checkpoint"].as_str().unwrap());
    let verified = unwipe.json(&["verify", "--against", &early, "--against", &paper]);
    assert_eq!(verified["against"][1]["standing"], "consistent");
    assert_eq!(
        verified["checkpoint"],
        shown["checkpoint"]
            .as_str()
            .unwrap()
            .lines()
            .take(7)
            .fold(String::new(), |text, line| text + line + "\n")
    );

    // The whole folder as it was before: nothing in it is wrong.
    let genuine = unwipe.copy();
    put_back(&unwipe, &old.home().join("vault"));
    assert_eq!(unwipe.json(&["verify"])["sound"], true);
    let found = unwipe.json_with(exit::TAMPERING, &["verify", "--against", &paper, "--against", &early]);
    assert_eq!(found["against"][0]["standing"], "consistent");
    assert_eq!(found["against"][1]["standing"], "rolled back");
    let detail = found["against"][1]["detail"].as_str().unwrap();
    assert!(detail.contains("at least 2 commits made since then are gone"), "{detail}");
    let told = unwipe.run(&["head", "submit"]).expect(exit::TAMPERING);
    assert!(told.stderr.contains("rolled back"), "{told}");

    let vault = unwipe.home().join("vault");
    let vault = vault.to_str().unwrap();
    let audit = |kept: &str| check_head(&["vault", vault, "--against", kept]);
    assert!(audit(&early).status.success(), "{}", String::from_utf8_lossy(&audit(&early).stderr));
    let audited = audit(&paper);
    assert_eq!(audited.status.code(), Some(exit::TAMPERING));
    assert!(String::from_utf8_lossy(&audited.stderr).contains("rolled back"));

    // Another history with the genuine key, as long as the first.
    commit(&unwipe, &["forged", "forged", "forged"]);
    let text = unwipe.run(&["verify", "--against", &paper]).expect(exit::TAMPERING);
    assert!(text.stdout.contains("forked"), "{text}");
    let told = unwipe.run(&["head", "submit"]).expect(exit::TAMPERING);
    assert!(told.stderr.contains("forked"), "{told}");

    let audited = audit(&paper);
    assert_eq!(audited.status.code(), Some(exit::TAMPERING));
    assert!(String::from_utf8_lossy(&audited.stderr).contains("forked"));

    // The genuine one goes on; the witness keeps the forged checkpoint as evidence.
    put_back(&unwipe, &genuine.home().join("vault"));
    commit(&unwipe, &["shop"]);
    assert!(unwipe.json(&["head", "submit"])[0]["cosigned_at"].is_string());
    server.end(Signal::TERM).expect(exit::DONE);
    let logs = witness.json_with(exit::TAMPERING, &["witness", "status", "--max-age", "1h"]);
    assert_eq!(logs[0]["size"], 6);
    assert!(logs[0]["fork"].is_string(), "{logs}");
    let unreachable = unwipe.run(&["head", "submit"]).expect(exit::FAILED);
    assert!(unreachable.stderr.contains("does not answer"), "{unreachable}");
}

#[test]
fn a_capture_makes_heads_and_shows_them_and_a_witness_that_is_gone_stops_nothing() {
    let production = Production::start(newest_major());
    production.open_shop(50);
    let unwipe = Unwipe::protecting(&production.capture_url());
    let witness = Unwipe::nowhere();
    let key = witness.json(&["witness", "init", "--name", "witness.example/anna"])["key"].clone();
    let log = unwipe.run(&["head", "key"]).expect(exit::DONE).stdout;
    witness.run(&["witness", "watch", log.trim()]).expect(exit::DONE);
    let server = witness.start(&["witness", "serve", "--listen", "127.0.0.1:0"]);
    configure(&unwipe, "anna", &address(&server), &key);
    unwipe.capture_once();
    let verified = unwipe.json(&["verify"]);
    assert_eq!((&verified["sound"], &verified["commits_in_no_head"]), (&true.into(), &0.into()));
    assert_eq!(unwipe.json(&["head", "show"])["witnesses"][0]["witness"], "anna");
    let doctor = unwipe.run(&["doctor"]).expect(exit::DONE);
    assert!(doctor.stdout.contains("cosigned by anna"), "{doctor}");

    server.end(Signal::TERM).expect(exit::DONE);
    production.sql("insert into customers(name) values ('later')");
    let captured = unwipe.run(&["capture", "shop", "--once"]).expect(exit::DONE);
    assert!(captured.stderr.contains("does not answer"), "{captured}");
    assert_eq!(unwipe.json(&["verify"])["commits_in_no_head"], 0);
}

#[test]
fn a_witness_without_a_network_is_asked_with_a_file_and_a_silent_vault_is_noticed() {
    let unwipe = Unwipe::initialised();
    let witness = Unwipe::nowhere();
    witness.run(&["witness", "status"]).refused(exit::NOTHING, "no witness");
    let key = witness.json(&["witness", "init", "--name", "witness.example/stick"])["key"].clone();
    witness.run(&["witness", "init", "--name", "other"]).refused(exit::FAILED, "already");
    let log = unwipe.run(&["head", "key"]).expect(exit::DONE).stdout;
    witness.run(&["witness", "watch", log.trim()]).expect(exit::DONE);
    witness.run(&["witness", "status", "--max-age", "1h"]).expect(exit::FAILED);

    configure(&unwipe, "stick", "http://127.0.0.1:1", &key);
    let (request, answer) = (unwipe.argument("request"), unwipe.argument("answer"));
    let mut last = String::new();
    for old in ["0", "2", "5"] {
        commit(&unwipe, &["shop", "mail"]);
        // As a stick from another system brings it.
        let asked = unwipe.run(&["head", "request", "--old", old]).expect(exit::DONE).stdout;
        write(&request, &asked.replace('\n', "\r\n"));
        let signed = witness.run(&["witness", "cosign", &request]).expect(exit::DONE).stdout;
        write(&answer, &signed);
        if old != "5" {
            // A head was made while the stick was away; the answer finds the one that it belongs to.
            commit(&unwipe, &["mail"]);
        }
        let kept = unwipe.json(&["head", "keep", &answer]);
        assert_eq!(kept[0]["witness"], "stick");
        last = asked;
    }
    let shown = unwipe.json(&["head", "show"]);
    assert_eq!(shown["witnesses"][0]["witness"], "stick");
    assert_eq!(unwipe.json(&["verify"])["sound"], true);
    witness.run(&["witness", "status", "--max-age", "1h"]).expect(exit::DONE);
    wait_until("the silence of the vault to be noticed", || {
        witness.run(&["witness", "status", "--max-age", "0s"]).code() == exit::FAILED
    });

    write(&request, &last);
    witness.run(&["witness", "cosign", &request]).refused(exit::FAILED, "head request --old 8");
    unwipe.run(&["head", "request", "--old", "9"]).refused(exit::TAMPERING, "rolled back");
    let stranger = Unwipe::initialised();
    commit(&stranger, &["shop"]);
    stranger
        .run(&["verify", "--against", &write(&request, shown["checkpoint"].as_str().unwrap())])
        .refused(exit::USAGE, "belongs to");
    stranger.run(&["head", "keep", &answer]).refused(exit::FAILED, "no configured witness");

    // A commit is proven to somebody who has neither the vault nor unwipe.
    let proof = write(&request, &unwipe.run(&["head", "prove", "shop", "2"]).expect(exit::DONE).stdout);
    let hash = vault_hash(&unwipe, 2);
    let keys = ["--key", log.trim(), "--witness", key.as_str().unwrap()];
    let check = |sequence: &str| {
        let commit = ["--source", "shop", "--sequence", sequence, "--hash", &hash];
        check_head(&[&["inclusion", &proof], &keys[..], &commit].concat())
    };
    let checked = check("2");
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    assert!(String::from_utf8_lossy(&checked.stdout).contains("cosigned by witness.example/stick"));
    assert_eq!(check("3").status.code(), Some(exit::TAMPERING));

    // Without its memory a witness would sign anything.
    std::fs::remove_file(witness.home().join("witness/witness.json")).unwrap();
    witness.run(&["witness", "cosign", &request]).refused(exit::AUTHENTICATION, "lost its memory");
    witness.run(&["witness", "init", "--name", "witness.example/stick", "--new"]).expect(exit::DONE);
    assert_ne!(witness.json(&["witness", "key"])["key"], key);
}

/// Runs the tool for auditors, which shares no code with unwipe.
fn check_head(arguments: &[&str]) -> std::process::Output {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tools");
    assert!(Command::new(tools.join("install_python")).status().unwrap().success());
    Command::new(tools.join("../.tools/python/bin/python"))
        .arg(tools.join("check_head.py"))
        .args(arguments)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap()
}

fn vault_hash(unwipe: &Unwipe, sequence: u64) -> String {
    let store = Arc::new(LocalStore::open(&unwipe.home().join("vault"), Protection::Plain).unwrap());
    let vault = vault::Vault::open(store).unwrap();
    vault.commit(&SourceName::new("shop").unwrap(), sequence).unwrap().hash.to_string()
}
