//! A site that answers, and a browser that plays a story on it.

use std::{
    cell::RefCell,
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::unwipe::{Outcome, Running, Unwipe, exit, wait_until};

/// A port that is free when it is chosen is rarely taken before it is used.
const PORTS_TRIED: usize = 5;

/// A home folder whose pages are served.
pub(super) struct Stage<'u> {
    unwipe: &'u Unwipe,
    address: String,
    serving: RefCell<Option<Running>>,
}

pub(super) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Adds something to the configuration.
pub(super) fn configure(unwipe: &Unwipe, text: &str) {
    let path = unwipe.home().join("unwipe.toml");
    let before = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{before}\n{text}")).unwrap();
}

impl<'u> Stage<'u> {
    /// Serves the pages of a home folder, at a port of their own.
    pub(super) fn open(unwipe: &'u Unwipe) -> Self {
        Self::open_with(unwipe, "")
    }

    /// Serves the pages of a home folder, with more settings of the server.
    pub(super) fn open_with(unwipe: &'u Unwipe, settings: &str) -> Self {
        let config = unwipe.home().join("unwipe.toml");
        let before = std::fs::read_to_string(&config).unwrap();
        for _ in 0..PORTS_TRIED {
            // The origin has the port in it, so the port is chosen before; somebody else may take it meanwhile.
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let address = format!("127.0.0.1:{port}");
            configure(
                unwipe,
                &format!("[server]\nlisten = '{address}'\norigin = 'http://localhost:{port}'\n{settings}\n"),
            );
            let stage = Self { unwipe, address, serving: RefCell::default() };
            if stage.is_served() {
                return stage;
            }
            drop(stage);
            std::fs::write(&config, &before).unwrap();
        }
        panic!("somebody else took each of {PORTS_TRIED} ports");
    }

    /// Begins to serve again, after the process before was killed.
    pub(super) fn serve(&self) {
        assert!(self.is_served(), "somebody else took the port of the process that was killed");
    }

    /// Begins to serve, and tells whether pages are served: without its port a process goes on without them.
    fn is_served(&self) -> bool {
        let mut serving = self.unwipe.start(&["serve"]);
        let mut is_served = false;
        wait_until("the pages", || {
            serving.assert_alive();
            let said = serving.said();
            is_served = said.contains("pages and API on");
            is_served || said.contains("no pages and no API")
        });
        *self.serving.borrow_mut() = Some(serving);
        is_served
    }

    /// Kills the process in the middle of whatever it does.
    pub(super) fn kill(&self) {
        self.serving.borrow_mut().take().unwrap().kill();
    }

    /// Returns what people type.
    pub(super) fn origin(&self) -> String {
        self.address.replace("127.0.0.1", "http://localhost")
    }

    /// Plays a story of `tests/browser`. What the browser wants done is done here: `unwipe` runs a command of that
    /// name, everything else is the story's.
    pub(super) fn play(&self, story: &str, mut act: impl FnMut(&str, &Value) -> Value) {
        let node = root().join(".tools/node/bin/node");
        assert!(node.is_file(), "{} is missing; run: tools/install_node", node.display());
        let said = self.unwipe.path("browser.stderr");
        let mut child = Command::new(node)
            .arg(root().join("tests/browser").join(format!("{story}.mjs")))
            .env("ORIGIN", self.origin())
            .env("NO_PROXY", "*")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(&said).unwrap())
            .spawn()
            .expect("node runs");
        let mut answers = child.stdin.take().unwrap();
        let mut ended = false;
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            let asked: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line}: {error}"));
            ended |= asked["end"] == true;
            let Some(name) = asked["act"].as_str() else { continue };
            let answer = match name {
                "unwipe" => self.run(&asked["with"]),
                _ => act(name, &asked["with"]),
            };
            // A browser that has given up says why itself.
            drop(writeln!(answers, "{answer}"));
        }
        let status = child.wait().unwrap();
        let said = std::fs::read_to_string(said).unwrap();
        assert!(
            ended && status.success(),
            "{story}: {status}\n{said}\nunwipe serve said:\n{}",
            self.serving.borrow().as_ref().unwrap().said()
        );
    }

    fn run(&self, arguments: &Value) -> Value {
        let arguments: Vec<&str> =
            arguments.as_array().unwrap().iter().map(|argument| argument.as_str().unwrap()).collect();
        let mut all = vec!["--json"];
        all.extend(arguments);
        let outcome = self.unwipe.run(&all);
        match outcome.code() {
            exit::DONE => outcome.document(),
            code => json!({ "code": code, "said": outcome.stderr }),
        }
    }

    /// Returns what the process said so far.
    pub(super) fn said(&self) -> String {
        self.serving.borrow().as_ref().unwrap().said()
    }

    /// Ends the process as a service manager does.
    pub(super) fn close(self) -> Outcome {
        self.serving.into_inner().unwrap().end(Signal::TERM).expect(exit::DONE)
    }
}
