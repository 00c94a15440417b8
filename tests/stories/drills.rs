//! Drills: what fails is named, told, and stays failed; certificates hold without the vault, and forged ones do not.

use std::{
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process::Command,
};

use postgres_server::StopMode;
use rustix::process::Signal;
use serde_json::Value;

use crate::{
    production::Production,
    unwipe::{Unwipe, exit, wait_until},
};

/// A major version whose clusters carry no checksums unless asked to: a changed page is read, and its rows are wrong.
const MAJOR: u32 = 16;

fn configure(unwipe: &Unwipe, text: &str) {
    let path = unwipe.home().join("unwipe.toml");
    let before = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{before}\n{text}")).unwrap();
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn check_certificate(arguments: &[&str]) -> (i32, String) {
    assert!(Command::new(root().join("tools/install_python")).status().unwrap().success());
    let output = Command::new(root().join(".tools/python/bin/python"))
        .arg(root().join("tools/check_certificate.py"))
        .args(arguments)
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8_lossy(&said).into_owned())
}

/// Changes a row on production's disk while nothing runs: no log tells of it, so no copy has it.
fn change_on_disk(production: &mut Production, relation: &str, from: &[u8], to: &[u8]) {
    let path = production.server.data_dir().join(relation);
    production.server.restart(StopMode::Fast, |_| {
        let file = std::fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
        let mut content = vec![0; usize::try_from(file.metadata().unwrap().len()).unwrap()];
        file.read_exact_at(&mut content, 0).unwrap();
        let at = content.windows(from.len()).position(|window| window == from).unwrap();
        file.write_all_at(to, at as u64).unwrap();
    });
}

fn standing(unwipe: &Unwipe, source: &str) -> String {
    let proofs = unwipe.json(&["drill", "schedule"]);
    let of_source = |proof: &&Value| proof["source"] == source;
    proofs.as_array().unwrap().iter().find(of_source).unwrap()["standing"].as_str().unwrap().to_owned()
}

#[test]
fn a_row_that_production_has_otherwise_fails_the_drill_and_stays_failed_until_somebody_has_seen_it() {
    let mut production = Production::start_with(MAJOR, |options| {
        options.settings.set("wal_level", "logical");
        options.init.checksums = false;
    });
    production.open_shop(40);
    let unwipe = Unwipe::protecting(&production.capture_url());
    let (url, findings) = (production.owner_url(), unwipe.path("findings.jsonl"));
    configure(
        &unwipe,
        &format!(
            "[[watch.notify]]\nto = {{ kind = 'file', path = '{}' }}\n\
             [drills.sources.shop]\nevery = '7d'\nrecord = {{ url = '{url}' }}\n\
             [[drills.probe]]\nsource = 'shop'\ndatabase = 'postgres'\nsql = 'select count(*) from customers'\nexpect = '> 0'\n",
            findings.display()
        ),
    );
    assert_eq!(standing(&unwipe, "shop"), "hypothesis");
    unwipe.capture_once();

    production.sql("checkpoint");
    let relation = production.sql("select pg_relation_filepath('customers')");
    change_on_disk(&mut production, &relation, b"Customer 7", b"Custumer 7");
    let drill = |production: &Production, code: i32| {
        let capture = unwipe.capture();
        production.wait_for_stream();
        let certificate = unwipe.json_with(code, &["drill", "run", "shop"]);
        capture.end(Signal::TERM);
        certificate["statement"].clone()
    };
    let bad = drill(&production, exit::TAMPERING);
    assert_eq!(bad["outcome"], "failed", "{bad}");
    assert_eq!(bad["differences"][0]["subject"], "postgres.public.customers", "{bad}");
    let told = std::fs::read_to_string(&findings).unwrap();
    assert!(told.contains("the drill of shop failed") && told.contains("customers"), "{told}");
    assert_eq!(standing(&unwipe, "shop"), "failed");

    change_on_disk(&mut production, &relation, b"Custumer 7", b"Customer 7");
    let good = drill(&production, exit::DONE);
    assert_eq!((&good["outcome"], &good["against"]), (&"proven".into(), &"production".into()), "{good}");
    assert_eq!((&good["counts"]["equal"], &good["probes"][0]["answer"]), (&2.into(), &"40".into()), "{good}");
    assert_eq!(good["tree"]["form"], "inclusion", "{good}");
    assert_eq!(standing(&unwipe, "shop"), "failed", "a drill that passes is not enough");
    assert_eq!(unwipe.json(&["sources"])[0]["proof"], "failed");
    let seen = unwipe.json(&[
        "drill",
        "acknowledge",
        "shop",
        "--by",
        "anna",
        "--reason",
        "a disk wrote another letter",
    ]);
    assert_eq!(
        (&seen["standing"], &seen["acknowledged"][0]["by"]),
        (&"proven".into(), &"anna".into()),
        "{seen}"
    );
    unwipe
        .run(&["drill", "acknowledge", "shop", "--reason", "again"])
        .refused(exit::NOTHING, "no failed drill");
    let kept = unwipe.json(&["drill", "list", "shop"]);
    let outcomes: Vec<_> =
        kept.as_array().unwrap().iter().map(|row| row["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["proven", "failed"], "{kept}");
    assert!(
        std::fs::read_dir(unwipe.home().join("scratch")).unwrap().count() <= 2,
        "the scratch server is gone"
    );
}

fn tree_of_files() -> (Unwipe, PathBuf) {
    let unwipe = Unwipe::initialised();
    let folder = unwipe.path("papers");
    std::fs::create_dir_all(folder.join("a/b")).unwrap();
    std::fs::write(folder.join("a/one.txt"), "one").unwrap();
    // Nothing that could be made smaller: the largest pack of the vault is the one that holds it.
    let mut seed = 7_u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 56) as u8
    })
    .take(300_000)
    .collect();
    std::fs::write(folder.join("a/b/two <script>.txt"), noise).unwrap();
    std::os::unix::fs::symlink("one.txt", folder.join("a/link")).unwrap();
    unwipe.json(&["protect", "papers", "files", "--path", folder.to_str().unwrap()]);
    unwipe.json(&["capture", "papers", "--once"]);
    (unwipe, folder)
}

#[test]
fn a_certificate_holds_without_the_vault_and_a_forged_one_does_not() {
    let (unwipe, _) = tree_of_files();
    let path = unwipe.argument("certificate.json");
    let drilled = unwipe.json(&["drill", "run", "papers", "--certificate", &path]);
    let statement = &drilled["statement"];
    assert_eq!((&statement["outcome"], &statement["kind"]), (&"proven".into(), &"files".into()), "{drilled}");
    assert!(statement["counts"]["equal"].as_u64().unwrap() >= 5, "{drilled}");
    let signer = drilled["signer"].as_str().unwrap();
    let key = unwipe.json(&["head", "key"])["document"].as_str().unwrap().trim().to_owned();

    // Somewhere else, where there is neither vault nor key.
    let elsewhere = Unwipe::nowhere();
    let verified = elsewhere.json(&["drill", "verify", &path, "--signer", signer, "--vault-key", &key]);
    for said in ["signer_compared", "vault_key_compared", "commit_in_tree"] {
        assert_eq!(verified[said], true, "{verified}");
    }
    assert_eq!(elsewhere.json(&["drill", "verify", &path])["signer_compared"], false);
    assert_eq!(unwipe.json(&["drill", "verify", &path, "--vault"])["vault_agrees"], true);
    let (code, said) = check_certificate(&[&path, "--signer", signer, "--vault-key", &key]);
    assert!(code == 0 && said.contains("is in the signed tree"), "{said}");

    // Somebody else's key, another vault's key, another vault.
    let other = Unwipe::initialised();
    let foreign = other.json(&["head", "key"])["document"].as_str().unwrap().trim().to_owned();
    let wrong = "ab".repeat(32);
    elsewhere.run(&["drill", "verify", &path, "--signer", &wrong]).refused(exit::TAMPERING, "was signed by");
    elsewhere
        .run(&["drill", "verify", &path, "--vault-key", &foreign])
        .refused(exit::TAMPERING, "not bound to the vault's tree");
    other.run(&["drill", "verify", &path, "--vault"]).refused(exit::TAMPERING, "another vault");
    assert_eq!(check_certificate(&[&path, "--signer", &wrong]).0, 20);
    assert_eq!(check_certificate(&[&path, "--vault-key", &foreign]).0, 20);

    // A changed field of each shape; the tests of certificates themselves change every one.
    let forged = elsewhere.argument("forged.json");
    for name in ["outcome", "simulated", "commit", "differences", "counts", "tree"] {
        let mut document = drilled.clone();
        document["statement"][name] = match &statement[name] {
            Value::Bool(value) => (!value).into(),
            Value::Number(number) => (number.as_u64().unwrap() + 1).into(),
            Value::String(text) => format!("{text}0").into(),
            Value::Array(_) => vec!["more"].into(),
            _ => Value::Null,
        };
        std::fs::write(&forged, document.to_string()).unwrap();
        assert_ne!(elsewhere.run(&["drill", "verify", &forged]).code(), exit::DONE, "{name}");
        if ["outcome", "counts"].contains(&name) {
            assert_eq!(check_certificate(&[&forged]).0, 20, "{name}");
        }
    }

    let page = elsewhere.argument("page.html");
    elsewhere.json(&["drill", "print", &path, "--to", &page]);
    let html = std::fs::read_to_string(&page).unwrap();
    assert!(html.contains(signer) && html.contains("Proven") && !html.contains("<script"), "{html}");
}

#[test]
fn a_vault_that_lost_a_byte_fails_its_drill_and_so_does_the_tree_in_it() {
    let (unwipe, _) = tree_of_files();
    let good = unwipe.json(&["drill", "run", "vault"]);
    assert_eq!(
        (&good["statement"]["kind"], &good["statement"]["outcome"]),
        (&"vault".into(), &"proven".into())
    );
    assert_eq!(standing(&unwipe, "unwipe"), "proven");
    let packs = std::fs::read_dir(unwipe.home().join("vault/data")).unwrap();
    let all: Vec<_> = packs
        .flat_map(|entry| {
            let path = entry.unwrap().path();
            if path.is_dir() {
                std::fs::read_dir(path).unwrap().map(|e| e.unwrap().path()).collect()
            } else {
                vec![path]
            }
        })
        .collect();
    let largest = all.iter().max_by_key(|path| std::fs::metadata(path).unwrap().len()).unwrap();
    let mut content = std::fs::read(largest).unwrap();
    let middle = content.len() / 3;
    content[middle] ^= 1;
    let mut permissions = std::fs::metadata(largest).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o600);
    std::fs::set_permissions(largest, permissions).unwrap();
    std::fs::write(largest, content).unwrap();
    let bad = unwipe.json_with(exit::TAMPERING, &["drill", "run", "vault"]);
    let name = largest.file_name().unwrap().to_str().unwrap();
    assert!(bad["statement"]["differences"][0]["subject"].as_str().unwrap().contains(name), "{bad}");
    assert_eq!(standing(&unwipe, "unwipe"), "failed");
    let bad = unwipe.json_with(exit::TAMPERING, &["drill", "run", "papers"]);
    assert_eq!(bad["statement"]["outcome"], "failed", "{bad}");
}

#[test]
fn a_drill_that_has_no_room_or_no_time_leaves_no_certificate_and_no_traces() {
    let (unwipe, _) = tree_of_files();
    configure(&unwipe, "[drills.sources.papers]\nspace = '1MB'\n");
    unwipe.run(&["drill", "run", "papers"]).refused(exit::FAILED, "no drill was held");
    unwipe.run(&["drill", "list", "papers"]).expect(exit::NOTHING);
    // What a killed drill left is removed by the next one.
    let left = unwipe.home().join("scratch/drill-0123456789ab");
    std::fs::create_dir_all(left.join("tree")).unwrap();
    std::fs::write(left.join(".unwipe-scratch"), "").unwrap();
    let foreign = unwipe.home().join("scratch/drill-of-mine");
    std::fs::create_dir_all(&foreign).unwrap();
    unwipe.run(&["drill", "run", "vault"]).expect(exit::DONE);
    assert!(!left.exists() && foreign.is_dir(), "only what unwipe made is removed");
    unwipe.run(&["drill", "run", "nothing"]).refused(exit::USAGE, "no source");
}

#[test]
fn a_process_that_serves_holds_the_drills_that_are_due_and_those_alone() {
    let (unwipe, _) = tree_of_files();
    configure(&unwipe, "[drills.sources.papers]\nevery = '7d'\n");
    let due = unwipe.json(&["drill", "schedule"]);
    assert!(due[0]["next"]["at"].is_string() && due[1]["next"].is_null(), "{due}");
    let serving = unwipe.start(&["serve", "--no-pages"]);
    let is_held = |source: &str| unwipe.run(&["drill", "list", source]).code() == exit::DONE;
    wait_until("the drill", || is_held("papers"));
    serving.end(Signal::TERM).expect(exit::DONE);
    assert_eq!(standing(&unwipe, "papers"), "proven");
    // The next one is due in a week. That of another source, which comes after it, is due now.
    let folder = unwipe.path("sketches");
    std::fs::create_dir(&folder).unwrap();
    unwipe.json(&["protect", "sketches", "files", "--path", folder.to_str().unwrap()]);
    unwipe.json(&["capture", "sketches", "--once"]);
    configure(&unwipe, "[drills.sources.sketches]\nevery = '7d'\n");
    let again = unwipe.start(&["serve", "--no-pages"]);
    wait_until("the other drill", || is_held("sketches"));
    again.end(Signal::TERM).expect(exit::DONE);
    assert_eq!(unwipe.json(&["drill", "list", "papers"]).as_array().unwrap().len(), 1);
}

#[test]
fn a_drill_that_was_killed_leaves_nothing_behind_once_the_next_one_is_held() {
    let production = Production::start(MAJOR);
    production.open_shop(20);
    let unwipe = Unwipe::protecting(&production.capture_url());
    unwipe.capture_once();
    let drill = unwipe.start(&["drill", "run", "shop"]);
    let scratch = unwipe.home().join("scratch");
    let servers = || {
        let folders = std::fs::read_dir(&scratch).into_iter().flatten().flatten();
        folders.filter(|entry| entry.path().join("data/postmaster.pid").exists()).count()
    };
    wait_until("the scratch server", || servers() == 1);
    drill.kill();
    assert_eq!(servers(), 1, "the server goes on without its master");
    let held = unwipe.json(&["drill", "run", "shop"]);
    assert_eq!(held["statement"]["outcome"], "hypothesis", "{held}");
    let left: Vec<_> = std::fs::read_dir(&scratch).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["drills.claim"], "nothing else is left");
}
