//! The binary, its home folder, and what it says.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use postgres_server::testing;
use rustix::process::{Pid, Signal};
use serde_json::Value;
use tempfile::TempDir;

/// How long a story waits for something that should take a second, on a machine that may be very busy.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);
/// How long a command may take that replays half a day; one that hangs is found all the same.
const COMMAND_PATIENCE: Duration = Duration::from_mins(12);
const POLL: Duration = Duration::from_millis(20);

/// The exit codes of `docs/reference/exit-codes.md`.
pub(crate) mod exit {
    pub(crate) const DONE: i32 = 0;
    pub(crate) const FAILED: i32 = 1;
    pub(crate) const USAGE: i32 = 2;
    pub(crate) const INCOMPLETE: i32 = 3;
    pub(crate) const AUTHENTICATION: i32 = 4;
    pub(crate) const NOTHING: i32 = 5;
    pub(crate) const NO_VAULT: i32 = 10;
    pub(crate) const WRONG_KEY: i32 = 12;
    pub(crate) const TAMPERING: i32 = 20;
    pub(crate) const RETENTION: i32 = 21;
}

/// A folder with a home folder in it.
pub(crate) struct Unwipe {
    folder: TempDir,
    started: AtomicU32,
}

/// What a finished command said.
#[derive(Debug)]
pub(crate) struct Outcome {
    command: String,
    code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A command that runs beside the story.
pub(crate) struct Running {
    command: String,
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Unwipe {
    /// Makes a folder in which nothing is set up.
    pub(crate) fn nowhere() -> Self {
        Self { folder: testing::reachable_folder(), started: AtomicU32::new(0) }
    }

    /// Makes a home folder with a vault.
    pub(crate) fn initialised() -> Self {
        let unwipe = Self::nowhere();
        unwipe.initialise();
        unwipe
    }

    /// Makes a vault in the home folder.
    pub(crate) fn initialise(&self) {
        self.json(&["init", "--kit", &self.argument("kit.txt")]);
    }

    /// Copies the home folder with everything in it.
    pub(crate) fn copy(&self) -> Self {
        let copy = Self::nowhere();
        let status = Command::new("cp").arg("-a").arg(self.home()).arg(copy.home()).status().unwrap();
        assert!(status.success(), "the home folder was not copied");
        copy
    }

    /// Makes a home folder with a vault and protects a server as `shop`.
    pub(crate) fn protecting(url: &str) -> Self {
        let unwipe = Self::initialised();
        unwipe.json(&["protect", "shop", "postgres", "--url", url]);
        unwipe
    }

    /// Returns the home folder.
    pub(crate) fn home(&self) -> PathBuf {
        self.path("home")
    }

    /// Returns a path beside the home folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Returns a path beside the home folder as an argument.
    pub(crate) fn argument(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.arg("--home").arg(self.home()).args(arguments).stdin(Stdio::null());
        command.env_remove("UNWIPE_HOME").env_remove("NO_COLOR");
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Outcome {
        self.start(arguments).wait()
    }

    /// Runs a command with `--json` that must succeed; its output must be one document and nothing else.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        self.json_with(exit::DONE, arguments)
    }

    /// Runs a command with `--json` that must end with this exit code and print one document.
    pub(crate) fn json_with(&self, code: i32, arguments: &[&str]) -> Value {
        let mut all = vec!["--json"];
        all.extend(arguments);
        self.run(&all).expect(code).document()
    }

    /// Begins a command that goes on beside the story.
    pub(crate) fn start(&self, arguments: &[&str]) -> Running {
        self.begin(self.command(arguments), arguments)
    }

    /// Begins a command through another one that changes who runs it, such as `setpriv`.
    pub(crate) fn start_through(&self, wrapper: &[&str], arguments: &[&str]) -> Running {
        let mut command = Command::new(wrapper[0]);
        command.args(&wrapper[1..]).arg(program()).args(arguments).stdin(Stdio::null());
        self.begin(command, arguments)
    }

    fn begin(&self, mut command: Command, arguments: &[&str]) -> Running {
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        let (stdout, stderr) =
            (self.path(&format!("{number}.stdout")), self.path(&format!("{number}.stderr")));
        let file = |path: &Path| File::create(path).unwrap();
        let child = command.stdout(file(&stdout)).stderr(file(&stderr)).spawn().expect("unwipe runs");
        Running { command: arguments.join(" "), child, stdout, stderr }
    }

    /// Begins to capture `shop`.
    pub(crate) fn capture(&self) -> Running {
        self.start(&["--json", "capture", "shop"])
    }

    /// Captures `shop` until the vault has everything that the server has now.
    pub(crate) fn capture_once(&self) -> Value {
        self.json(&["capture", "shop", "--once"])
    }
}

impl Outcome {
    /// Asserts the exit code.
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "exit code of: {self}");
        self
    }

    /// Returns the exit code.
    pub(crate) fn code(&self) -> i32 {
        self.code.unwrap_or_else(|| panic!("killed: {self}"))
    }

    /// Asserts that the command failed, however.
    pub(crate) fn not_done(self) -> Self {
        assert_ne!(self.code(), exit::DONE, "not refused: {self}");
        self
    }

    /// Returns the one JSON document on stdout.
    pub(crate) fn document(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("no single document: {error}: {self}"))
    }

    /// Returns the text of the first line that begins so, as `error`, `because`, `hint`.
    pub(crate) fn line(&self, label: &str) -> String {
        let prefix = format!("{label}: ");
        let found = self.stderr.lines().find_map(|line| line.strip_prefix(&prefix));
        found.unwrap_or_else(|| panic!("no line {label:?}: {self}")).to_owned()
    }

    /// Asserts that the command failed with this code, says why, and printed no result.
    pub(crate) fn refused(self, code: i32, why: &str) -> Self {
        let outcome = self.expect(code);
        assert!(outcome.stderr.lines().any(|line| line.starts_with("error: ")), "no error line: {outcome}");
        assert!(outcome.stderr.contains(why), "nothing about {why:?}: {outcome}");
        outcome
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { command, code, stdout, stderr } = self;
        write!(f, "unwipe {command}\nended with {code:?}\n--- stdout\n{stdout}\n--- stderr\n{stderr}")
    }
}

impl Running {
    /// Returns what was said so far to the person who waits.
    pub(crate) fn said(&self) -> String {
        std::fs::read_to_string(&self.stderr).unwrap()
    }

    /// Asserts that the command still runs.
    pub(crate) fn assert_alive(&mut self) {
        let ended = self.child.try_wait().unwrap();
        assert!(ended.is_none(), "unwipe {} ended with {ended:?}: {}", self.command, self.said());
    }

    /// Ends it as Ctrl-C or a service manager does, and waits.
    pub(crate) fn end(mut self, signal: Signal) -> Outcome {
        self.assert_alive();
        self.signal(signal);
        self.wait()
    }

    /// Ends it without giving it a chance.
    pub(crate) fn kill(mut self) {
        self.signal(Signal::KILL);
        self.child.wait().unwrap();
    }

    /// Waits until it ends by itself.
    pub(crate) fn wait(mut self) -> Outcome {
        let mut status: Option<ExitStatus> = None;
        wait_at_most(COMMAND_PATIENCE, &format!("`unwipe {}` to end", self.command), || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        Outcome {
            command: self.command.clone(),
            code: status.and_then(|status| status.code()),
            stdout: std::fs::read_to_string(&self.stdout).unwrap(),
            stderr: self.said(),
        }
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).expect("the process takes the signal");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}

/// Waits until something is true.
pub(crate) fn wait_until(what: &str, is_true: impl FnMut() -> bool) {
    wait_at_most(PATIENCE, what, is_true);
}

fn wait_at_most(patience: Duration, what: &str, mut is_true: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_true() {
        assert!(begun.elapsed() < patience, "waited for {what} in vain");
        std::thread::sleep(POLL);
    }
}

/// Finds the binary beside the tests: `target/PROFILE/deps/stories-…` and `target/PROFILE/unwipe`.
pub(crate) fn program() -> PathBuf {
    let test = std::env::current_exe().expect("the test knows its own path");
    let program = test.parent().and_then(Path::parent).expect("a profile folder").join("unwipe");
    assert!(program.is_file(), "{} is missing; run: cargo build -p unwipe", program.display());
    program
}
