//! The disk of the home folder runs full while people are at work: they are told, and nothing that is there is damaged.

use std::{
    fs::File,
    io::{ErrorKind, Write as _},
    path::Path,
    process::Command,
};

use rustix::process::geteuid;
use serde_json::{Value, json};

use super::{Stage, keep_papers, nothing};
use crate::{
    disk::SmallDisk,
    unwipe::{Unwipe, exit},
};

/// Fills what is left of a disk, to the last byte, however much has filled it before.
fn fill(path: &Path) {
    let mut file = File::options().append(true).create(true).open(path).unwrap();
    let mut size = 1 << 20;
    let bytes = vec![0x55; size];
    while size > 0 {
        match file.write(&bytes[..size]) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::StorageFull => size /= 2,
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn a_full_disk_is_told_and_damages_nothing() {
    if !geteuid().is_root() {
        println!("not run: mounting a small disk takes root");
        return;
    }
    let unwipe = Unwipe::nowhere();
    // Declared later and so dropped sooner: a folder on which something is mounted cannot be removed.
    let _disk = SmallDisk::mount(unwipe.home(), "48m");
    unwipe.initialise();
    keep_papers(&unwipe);
    let filler = unwipe.home().join("filler");
    let stage = Stage::open(&unwipe);
    stage.play("full_disk", |name, with| match name {
        "fill" => {
            std::fs::write(unwipe.path("papers/new.txt"), "written while there was no room").unwrap();
            // Whether or not it is there by now: it is made anew by whoever needs it, and finds no room.
            std::fs::remove_file(unwipe.home().join("keys/certificate.key")).ok();
            fill(&filler);
            // Whoever keeps the overview looks again soon.
            assert!(Command::new("touch").arg(unwipe.home().join("unwipe.toml")).status().unwrap().success());
            Value::Null
        }
        "fill again" => {
            fill(&filler);
            Value::Null
        }
        "room" => {
            std::fs::remove_file(&filler).unwrap();
            Value::Null
        }
        "sound" => unwipe.json(&["verify", "--read-data"])["sound"].clone(),
        other => nothing(other, with),
    });
    stage.close();
    assert_eq!(unwipe.json(&["verify", "--read-data"])["sound"], json!(true));
    // The key that signs certificates is made by whoever needs it first: that it did not fit has left no half of it.
    unwipe.run(&["drill", "run", "papers@latest"]).expect(exit::DONE);
}
