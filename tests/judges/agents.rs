//! The official Python SDK of the Model Context Protocol, as an agent.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::tools::{program, python};

fn unwipe(home: &Path) -> Command {
    let mut command = Command::new(program("unwipe", "unwipe"));
    command.arg("--home").arg(home);
    command
}

/// Returns a home folder with an invoice in it that names a password.
fn documents() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    let documents = folder.path().join("documents");
    fs::create_dir_all(&documents).unwrap();
    fs::write(documents.join("invoice.txt"), "password: hunter2").unwrap();
    let run = |arguments: &[&str]| {
        let status = unwipe(&home).arg("--quiet").args(arguments).status().unwrap();
        assert!(status.success(), "{arguments:?}");
    };
    let kit = folder.path().join("kit.txt");
    run(&["init", "--kit", kit.to_str().unwrap()]);
    run(&["protect", "docs", "files", "--path", documents.to_str().unwrap()]);
    run(&["capture", "docs", "--once"]);
    (folder, home)
}

fn judge(arguments: &[&str]) {
    let judged = python("agent.py", arguments);
    assert!(
        judged.status.success(),
        "{}{}",
        String::from_utf8_lossy(&judged.stdout),
        String::from_utf8_lossy(&judged.stderr)
    );
}

#[test]
fn the_python_sdk_lists_and_calls_the_tools() {
    let (_folder, home) = documents();
    judge(&[program("unwipe", "unwipe").to_str().unwrap(), home.to_str().unwrap()]);
}

/// A server that is ended with the test.
struct Serving(Child);

impl Drop for Serving {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
fn the_python_sdk_lists_and_calls_the_tools_of_a_server() {
    let (_folder, home) = documents();
    let mut arguments = vec!["--json", "token", "create", "judge"];
    arguments.extend(["see", "content", "snapshot", "request"].iter().flat_map(|scope| ["--scope", scope]));
    let made = unwipe(&home).args(arguments).output().unwrap();
    let made: Value = serde_json::from_slice(&made.stdout).unwrap();
    let mut serving = unwipe(&home);
    serving.args(["serve", "--listen", "127.0.0.1:0"]).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut serving = Serving(serving.spawn().unwrap());
    let mut said = BufReader::new(serving.0.stderr.take().unwrap()).lines();
    let address = said.by_ref().find_map(|line| {
        let line = line.unwrap();
        line.strip_prefix("pages and API on ")?.split(';').next().map(str::to_owned)
    });
    // What it says goes on being read, so that it never waits for a reader.
    let reader = std::thread::spawn(move || said.count());
    judge(&["--http", &format!("http://{}/mcp", address.unwrap()), made["token"].as_str().unwrap()]);
    drop(serving);
    reader.join().unwrap();
}
