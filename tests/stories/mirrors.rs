//! Mirrors: killed, full, unplugged; and everything comes back when the vault itself is gone.

use std::{path::Path, process::Command, time::Duration};

use rustix::process::geteuid;

use crate::{
    comeback::Comeback,
    disk::SmallDisk,
    production::{Production, content, newest_major},
    unwipe::{Unwipe, exit},
};

const TABLES: [&str; 2] = ["customers", "orders"];

/// Restores with the reader that shares no code with unwipe; returns how many files it wrote.
fn read_with_python(unwipe: &Unwipe, vault: &Path) -> usize {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    assert!(Command::new(root.join("tools/install_python")).status().unwrap().success());
    let out = unwipe.path("python");
    let run = Command::new(root.join(".tools/python/bin/python"))
        .arg(root.join("tools/read_vault.py"))
        .arg("restore")
        .arg(vault)
        .args(["--identity", &unwipe.argument("kit.txt"), "--source", "shop", "--out"])
        .arg(&out)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    std::fs::read_dir(out).unwrap().count()
}

#[test]
fn everything_comes_back_from_a_mirror_when_the_vault_is_gone() {
    let production = Production::start(newest_major());
    production.open_shop(300);
    let unwipe = Unwipe::protecting(&production.capture_url());
    unwipe.capture_once();
    unwipe.json(&["mirror", "add", "second", "--folder", &unwipe.argument("second")]);

    // Killed at some moment, again and again: it goes on, and what is there is always a whole vault.
    for millis in [15, 30, 60, 120] {
        let run = unwipe.start(&["mirror", "run", "second", "--threads", "2"]);
        std::thread::sleep(Duration::from_millis(millis));
        run.kill();
        if unwipe.path("second").join("vault.json").exists() {
            assert_eq!(unwipe.json(&["mirror", "verify", "second", "--read-data"])["sound"], true);
        }
    }
    let ran = unwipe.json(&["mirror", "run", "second"]);
    assert_eq!(ran[0]["complete"], true, "{ran}");
    assert_eq!(ran[0]["differences"].as_array().unwrap().len(), 0, "{ran}");
    assert_eq!(unwipe.json(&["mirror", "run", "second", "--thorough"])[0]["copied_objects"], 0);
    let status = unwipe.json(&["mirror", "status"]);
    assert_eq!(status["domains"]["count"], "0", "{status}");
    assert_eq!(status["mirrors"][0]["commits_behind"], 0, "{status}");

    // The vault loses its keys: that is said, with the exit code for it, and the mirror keeps its own.
    std::fs::remove_file(unwipe.home().join("vault/keys/0")).unwrap();
    let ran = unwipe.json_with(exit::TAMPERING, &["mirror", "run", "second"]);
    assert_eq!(ran[0]["differences"][0]["object"], "keys/0", "{ran}");
    assert_eq!(unwipe.json(&["mirror", "repair", "second"])["created_objects"], 0);
    assert_eq!(unwipe.json(&["mirror", "repair", "second", "--yes"])["created_objects"], 1);
    assert_eq!(unwipe.json(&["verify", "--read-data"])["sound"], true);

    std::fs::remove_dir_all(unwipe.home().join("vault")).unwrap();
    let folder = unwipe.argument("back");
    unwipe.run(&["verify", "--mirror", "second", "--read-data"]).expect(exit::DONE);
    unwipe.run(&["drill", "run", "shop@latest", "--mirror", "second"]).expect(exit::DONE);
    let comeback = Comeback::of(
        unwipe.run(&["--json", "rewind", "shop@latest", "--to", &folder, "--mirror", "second"]),
        &unwipe,
        "back",
    );
    assert_eq!(content(comeback.url(), &TABLES), production.content(&TABLES));
    unwipe.run(&["capture", "shop", "--once", "--mirror", "second"]).refused(exit::USAGE, "only read");
}

#[test]
fn an_offline_copy_survives_a_full_disk_and_is_enough_alone() {
    if !geteuid().is_root() {
        println!("not run: mounting a small disk takes root");
        return;
    }
    let production = Production::start(newest_major());
    production.open_shop(300);
    let unwipe = Unwipe::protecting(&production.capture_url());
    unwipe.capture_once();
    let stick = unwipe.path("stick");
    let disk = SmallDisk::mount(stick.clone(), "1m");
    unwipe.json(&["mirror", "add", "stick", "--folder", &unwipe.argument("stick"), "--offline"]);
    let full = unwipe.run(&["mirror", "run", "stick"]).refused(exit::FAILED, "No space left on device");
    assert!(full.line("hint").contains("make room"), "{full}");
    assert_eq!(unwipe.json(&["mirror", "verify", "stick"])["sound"], true);
    disk.grow("1g");
    assert_eq!(unwipe.json(&["mirror", "run", "stick"])[0]["complete"], true);
    assert!(read_with_python(&unwipe, &stick) > 0);

    drop(disk);
    let status = unwipe.json(&["mirror", "status"]);
    assert_eq!(status["mirrors"][0]["tier"], 4, "{status}");
    let absent = unwipe.run(&["mirror", "run", "stick"]).refused(exit::FAILED, "not plugged in");
    assert!(absent.line("hint").contains("plug it in"), "{absent}");
    assert_eq!(std::fs::read_dir(&stick).unwrap().count(), 0, "the mount point was written to");
}
