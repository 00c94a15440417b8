//! The official Python SDK of the Model Context Protocol, as an agent.

use std::{fs, path::PathBuf, process::Command};

use crate::tools::{program, python};

fn unwipe() -> PathBuf {
    program("unwipe", "unwipe")
}

#[test]
fn the_python_sdk_lists_and_calls_the_tools() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    let documents = folder.path().join("documents");
    fs::create_dir_all(&documents).unwrap();
    fs::write(documents.join("invoice.txt"), "password: hunter2").unwrap();
    let run = |arguments: &[&str]| {
        let status =
            Command::new(unwipe()).arg("--quiet").arg("--home").arg(&home).args(arguments).status().unwrap();
        assert!(status.success(), "{arguments:?}");
    };
    let kit = folder.path().join("kit.txt");
    run(&["init", "--kit", kit.to_str().unwrap()]);
    run(&["protect", "docs", "files", "--path", documents.to_str().unwrap()]);
    run(&["capture", "docs", "--once"]);
    let judged = python("agent.py", &[unwipe().to_str().unwrap(), home.to_str().unwrap()]);
    assert!(
        judged.status.success(),
        "{}{}",
        String::from_utf8_lossy(&judged.stdout),
        String::from_utf8_lossy(&judged.stderr)
    );
}
