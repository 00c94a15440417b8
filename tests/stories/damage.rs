//! Damage in the vault is found, named, and harms only what depends on it.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use crate::{
    comeback::Comeback,
    production::{Production, content, newest_major},
    unwipe::{Outcome, Unwipe, exit, wait_until},
};

const TABLES: [&str; 2] = ["customers", "orders"];

#[derive(Debug, Clone, Copy)]
enum Damage {
    Flip,
    Truncate,
    Remove,
}

impl Damage {
    const ALL: [Self; 3] = [Self::Flip, Self::Truncate, Self::Remove];

    fn inflict(self, path: &Path) {
        let mut bytes = fs::read(path).unwrap();
        fs::remove_file(path).unwrap();
        match self {
            Self::Flip => {
                let middle = bytes.len() / 2;
                bytes[middle] ^= 0x10;
            }
            Self::Truncate => bytes.truncate(bytes.len() / 2),
            Self::Remove => return,
        }
        fs::write(path, bytes).unwrap();
    }
}

/// A vault with a base and three commits of WAL, each with a transaction of its own.
struct History {
    unwipe: Unwipe,
    /// After each commit: the objects that it added, the newest transaction, the content of the tables.
    commits: Vec<(Vec<String>, String, String)>,
}

impl History {
    fn make() -> Self {
        let production = Production::start(newest_major());
        production.open_shop(300);
        let unwipe = Unwipe::protecting(&production.capture_url());
        unwipe.capture_once();
        let mut known: BTreeSet<String> = objects(&vault(&unwipe)).into_iter().collect();
        let mut commits = Vec::new();
        let capture = unwipe.capture();
        production.wait_for_stream();
        for number in 0..4 {
            let transaction = production.sql(&format!(
                "begin; insert into customers(name) values ('commit {number}'); \
                 delete from orders where id = {number} + 1; select pg_current_xact_id(); commit"
            ));
            // A whole segment is a reason to commit.
            production.sql("select pg_switch_wal(); checkpoint");
            wait_until("the next commit", || {
                objects(&vault(&unwipe))
                    .iter()
                    .any(|name| name.starts_with("log/shop/") && !known.contains(name))
            });
            let now: BTreeSet<String> = objects(&vault(&unwipe)).into_iter().collect();
            commits.push((
                now.difference(&known).cloned().collect(),
                transaction,
                production.content(&TABLES),
            ));
            known = now;
        }
        capture.end(rustix::process::Signal::TERM).expect(exit::DONE);
        Self { unwipe, commits }
    }

    /// Returns the object of a kind (`data/`, `log/shop/`) that a commit added last.
    fn object(&self, commit: usize, kind: &str) -> String {
        let found = self.commits[commit].0.iter().rev().find(|name| name.starts_with(kind));
        found.unwrap_or_else(|| panic!("no {kind} in {:?}", self.commits[commit].0)).clone()
    }

    /// Copies everything, damages one object of the copy, and verifies it.
    fn damaged(&self, object: &str, damage: Damage) -> (Unwipe, Outcome) {
        let copy = self.unwipe.copy();
        damage.inflict(&vault(&copy).join(object));
        let verified = copy.run(&["--json", "verify", "--read-data"]);
        (copy, verified)
    }

    fn restores(&self, copy: &Unwipe, commit: usize) {
        let (_, transaction, then) = &self.commits[commit];
        let comeback = Comeback::to(copy, &format!("transaction:{transaction}"), &format!("back-{commit}"));
        assert_eq!(&content(comeback.url(), &TABLES), then);
    }
}

fn vault(unwipe: &Unwipe) -> PathBuf {
    unwipe.home().join("vault")
}

/// Lists the objects of a vault by name.
fn objects(folder: &Path) -> Vec<String> {
    let mut names = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                names.push(path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    names.sort();
    names
}

#[test]
fn every_kind_of_damage_is_named_and_the_rest_restores() {
    let history = History::make();
    for damage in Damage::ALL {
        for object in
            [history.object(3, "data/"), history.object(3, "log/shop/"), history.object(1, "log/shop/")]
        {
            // The newest commit's removal cannot be told from a commit that never was, without a witness outside.
            if matches!(damage, Damage::Remove) && object == history.object(3, "log/shop/") {
                continue;
            }
            let (_, verified) = history.damaged(&object, damage);
            let verified = verified.expect(exit::TAMPERING);
            assert!(
                verified.document()["findings"].to_string().contains(&object),
                "{damage:?} {object}: {verified}"
            );
        }
        let (copy, verified) = history.damaged("vault.json", damage);
        assert!([exit::TAMPERING, exit::NO_VAULT].contains(&verified.code()), "{damage:?}: {verified}");
        Comeback::attempt(&copy, "latest", "back").not_done();
        let (copy, verified) = history.damaged("keys/0", damage);
        assert!([exit::TAMPERING, exit::WRONG_KEY].contains(&verified.code()), "{damage:?}: {verified}");
        Comeback::attempt(&copy, "latest", "back").not_done();
    }
}

#[test]
fn what_does_not_depend_on_a_damaged_pack_is_restored() {
    let history = History::make();
    let pack = history.object(2, "data/");
    let (copy, _) = history.damaged(&pack, Damage::Flip);
    history.restores(&copy, 1);
    let refused = Comeback::attempt(&copy, "latest", "latest").not_done();
    assert!(refused.stderr.contains(&pack) || refused.stderr.contains("0/"), "nothing says where: {refused}");

    let (copy, _) = history.damaged(&pack, Damage::Remove);
    history.restores(&copy, 1);
    let refused = Comeback::attempt(&copy, "latest", "latest").not_done();
    assert!(refused.stderr.contains("0/"), "the exact position is not named: {refused}");
    assert!(!copy.path("latest/postmaster.pid").exists());
}

#[test]
fn a_vault_of_an_unknown_format_is_left_alone() {
    let unwipe = Unwipe::initialised();
    let manifest = vault(&unwipe).join("vault.json");
    let text = fs::read_to_string(&manifest).unwrap();
    let newer = text.replacen("\"version\": 1", "\"version\": 2", 1);
    assert_ne!(newer, text, "the manifest says no version: {text}");
    fs::remove_file(&manifest).unwrap();
    fs::write(&manifest, newer).unwrap();
    unwipe.run(&["verify"]).refused(exit::FAILED, "format version 2; this program reads version 1");
}
