//! Everything is lost but the vault's folder and paper.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use blobs::{LocalStore, Protection};
use model::{Item, SourceName, StreamName};
use ports::{SystemClock, SystemRandom};
use vault::{CaptureKey, Cursor, Layout, VaultWriter, WriterOptions};

use crate::unwipe::{Unwipe, exit};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Commits items with a capture key, as a connector's session does.
fn commit(vault: &Path, key: &Path, items: &[(String, Vec<u8>)]) -> Result<(), vault::WriteError> {
    let store = Arc::new(LocalStore::open(vault, Protection::Plain).unwrap());
    let key = CaptureKey::load(key)?;
    let (clock, random) = (Arc::new(SystemClock::new()), Arc::new(SystemRandom));
    let writer = VaultWriter::open(store, &key, clock, random, WriterOptions::default())?;
    let mut commit = writer.begin(&SourceName::new("records").unwrap());
    for (key, bytes) in items {
        let content = commit.store_bytes(Layout::Small, bytes)?;
        let stream = StreamName::new("base").unwrap();
        commit.upsert(Item { stream, key: key.clone(), attributes: "{}".to_owned() }, content)?;
    }
    commit.finish(&Cursor(Vec::new()))?;
    Ok(())
}

fn items(from: usize, to: usize) -> Vec<(String, Vec<u8>)> {
    (from..to).map(|n| (format!("record-{n}"), format!("record {n} ").repeat(n + 1).into_bytes())).collect()
}

#[test]
fn the_vault_and_three_pages_bring_everything_back() {
    let unwipe = Unwipe::initialised();
    let home = unwipe.home();
    let (vault, key) = (home.join("vault"), home.join("keys/capture.key"));
    commit(&vault, &key, &items(0, 100)).unwrap();

    let (kit, pages) = (format!("file:{}", unwipe.argument("kit.txt")), unwipe.argument("pages"));
    let split = ["keys", "split", "--key", &kit, "--shares", "5", "--threshold", "3", "--out", &pages];
    unwipe.run(&split).expect(exit::DONE);
    unwipe.run(&["keys", "rotate"]).expect(exit::DONE);
    commit(&vault, &key, &items(100, 200)).unwrap();
    let issued = unwipe.argument("records.key");
    unwipe.run(&["keys", "capture", "issue", "records", "--out", &issued]).expect(exit::DONE);
    let signer = unwipe.json(&["keys", "list"])["signers"][0]["signer"].as_str().unwrap().to_owned();
    let share = |number: u8| format!("{pages}/share-{number}.txt");
    let reference = format!("shares:{},{},{}", share(2), share(5), share(1));
    let drill = unwipe.json(&["keys", "drill", "--key", &reference]);
    // Two of the records, and one that says that another key can add to the vault.
    assert_eq!((&drill["shares"], &drill["commits"]), (&3.into(), &3.into()), "{drill}");
    assert!(drill["contents"].as_u64().unwrap() >= 2, "{drill}");
    let listed = unwipe.json(&["keys", "list"]);
    assert!(listed["recipients"][0]["proven"].is_string(), "{listed}");
    assert!(listed["recipients"][1]["proven"].is_null(), "{listed}");
    unwipe.run(&["keys", "capture", "retire", &signer]).expect(exit::DONE);
    assert!(commit(&vault, &key, &items(0, 1)).is_err(), "a retired key adds nothing");
    commit(&vault, Path::new(&issued), &items(200, 220)).unwrap();

    // The host burns: home folder, keys, configuration, catalog, kit. Five pages are on paper, three are found.
    let kept = unwipe.path("kept");
    fs::rename(&vault, &kept).unwrap();
    fs::remove_dir_all(&home).unwrap();
    fs::remove_file(unwipe.path("kit.txt")).unwrap();
    for lost in [3, 4] {
        fs::remove_file(share(lost)).unwrap();
    }

    fs::create_dir(&home).unwrap();
    let config = format!(
        "[vault]\ncapture_key = \"file:none\"\nplace = {{ kind = \"folder\", path = \"{}\" }}\n",
        kept.display()
    );
    fs::write(home.join("unwipe.toml"), config).unwrap();
    let verify = ["verify", "--read-data", "--key"];
    unwipe.run(&[&verify[..], &[&reference]].concat()).expect(exit::DONE);
    let two = format!("shares:{},{}", share(1), share(5));
    let refused = unwipe.run(&[&verify[..], &[&two]].concat());
    assert!(refused.stderr.contains("2 different shares were given, 3 are needed"), "{refused:?}");

    // And without unwipe.
    let installed = Command::new(root().join("tools/install_python")).status().unwrap();
    assert!(installed.success());
    let out = unwipe.path("out");
    let restored = Command::new(root().join(".tools/python/bin/python"))
        .arg(root().join("tools/read_vault.py"))
        .args(["restore", kept.to_str().unwrap(), "--source", "records", "--out", out.to_str().unwrap()])
        .args([1, 2, 5].iter().flat_map(|number| ["--share".to_owned(), share(*number)]))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap();
    assert!(restored.status.success(), "{}", String::from_utf8_lossy(&restored.stderr));
    for (name, bytes) in items(0, 220) {
        assert!(fs::read(out.join("base").join(&name)).unwrap() == bytes, "{name} differs");
    }
}
