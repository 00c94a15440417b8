//! Waiting for a recovery, and reading from the server's log how it went.

use std::time::Duration;

use super::{Action, ControlFile, Recovery, RecoveryError, RunningServer, ServerError, Target, prepare};
use crate::{control_file::State, lsn};

const POLL: Duration = Duration::from_millis(30);

/// How far a recovery has come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// Where replay began.
    pub redo_start: Option<u64>,
    /// The last address known to be replayed; it moves by whole WAL files.
    pub replayed: Option<u64>,
    /// WAL files fetched.
    pub segments: u64,
    /// The time since the wait began.
    pub elapsed: Duration,
}

/// A recovery that reached its target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// The end of the last record replayed, where the server tells it.
    pub last_lsn: Option<u64>,
    /// The last commit replayed, as the server writes it.
    pub last_commit: Option<String>,
    /// The line in which the server says where it stopped.
    pub stopped: Option<String>,
    /// How long it took.
    pub elapsed: Duration,
}

/// Waits until the recovery has ended as its action says.
pub fn wait_recovered(
    running: &mut RunningServer,
    recovery: &Recovery,
    timeout: Duration,
    progress: &mut dyn FnMut(&Progress),
) -> Result<Recovered, RecoveryError> {
    let start = running.clock().elapsed();
    let mut shown = Progress::default();
    loop {
        // The process is looked at before the log, so that the log of an ended server is whole.
        let alive = running.is_running();
        let log = Log(running.log());
        let waited = running.clock().elapsed().saturating_sub(start);
        // Told before it is looked whether it has ended: one that ends at once has come as far as any other.
        let now = log.progress(running);
        if (now.redo_start, now.replayed) != (shown.redo_start, shown.replayed) {
            shown = Progress { elapsed: waited, ..now };
            progress(&shown);
        }
        if is_done(running, recovery.action, alive, &log)? {
            return Ok(Recovered {
                last_lsn: log.last_lsn(),
                last_commit: log.last_commit(),
                stopped: log.message("recovery stopping ").map(|rest| format!("recovery stopping {rest}")),
                elapsed: waited,
            });
        }
        if let Some(failure) = failure(&log, running, recovery.target) {
            return Err(failure);
        }
        if !alive {
            let data_dir = running.server().data_dir.clone();
            return Err(ServerError::Ended { data_dir, log_tail: running.log_tail() }.into());
        }
        if waited >= timeout {
            return Err(RecoveryError::Timeout { waited, last_lsn: now.replayed });
        }
        running.clock().sleep(POLL);
    }
}

fn is_done(running: &RunningServer, action: Action, alive: bool, log: &Log) -> Result<bool, RecoveryError> {
    Ok(match action {
        Action::Promote => alive && running.is_ready() && running.control()?.state == State::InProduction,
        Action::Pause => {
            let paused = log.has("recovery has paused") || log.has("pausing at the end of recovery");
            alive && running.is_ready() && paused && !log.has("hot standby is not possible")
        }
        Action::ShutDown => !alive && log.has("shutdown at recovery target"),
    })
}

/// Finds what ended or blocked a recovery.
pub(crate) fn failure(log: &Log, running: &RunningServer, target: Target) -> Option<RecoveryError> {
    let missing = || missing_segment(running);
    if let Some(error) = log.small_setting() {
        return Some(error);
    }
    let not_consistent =
        ["WAL ends before end of online backup", "WAL ends before consistent recovery point"];
    if not_consistent.iter().any(|text| log.has(text)) {
        return Some(RecoveryError::NotConsistent { last_lsn: log.last_lsn(), missing: missing() });
    }
    if log.has("requested recovery stop point is before consistent recovery point") {
        let consistent_from = running.control().ok().as_ref().map(ControlFile::consistent_from);
        return Some(RecoveryError::TargetBeforeBase { consistent_from });
    }
    if log.has("could not restore file") {
        return Some(RecoveryError::WalSource { log_tail: running.log_tail() });
    }
    if log.has("recovery ended before configured recovery target was reached") && target != Target::Latest {
        let (last_lsn, last_commit) = (log.last_lsn(), log.last_commit());
        return Some(RecoveryError::TargetNotReached { last_lsn, missing: missing(), last_commit });
    }
    let checkpoint = [
        "could not locate required checkpoint record",
        "could not locate a valid checkpoint record",
        "could not find redo location referenced by checkpoint record",
    ];
    if checkpoint.iter().any(|text| log.has(text)) {
        return Some(RecoveryError::NoCheckpoint { missing: missing() });
    }
    let timeline = ["requested timeline ", "recovery target timeline "];
    let message = timeline.iter().find_map(|text| Some(format!("{text}{}", log.fatal(text)?)));
    message.map(|message| RecoveryError::Timeline { message })
}

/// Returns the WAL file that the server asked for last, if it never came.
fn missing_segment(running: &RunningServer) -> Option<String> {
    let requests = std::fs::read_to_string(prepare::requests_path(running.server())).ok()?;
    let last = requests.lines().rfind(|name| name.len() == 24)?.to_owned();
    let came = running.log().contains(&format!("restored log file \"{last}\" from archive"));
    (!came).then_some(last)
}

/// The text of a server's log, in English.
pub(crate) struct Log(pub(crate) String);

impl Log {
    pub(crate) fn has(&self, text: &str) -> bool {
        self.0.contains(text)
    }

    /// Returns the rest of the last line after a text.
    fn message(&self, text: &str) -> Option<&str> {
        self.0.lines().rev().find_map(|line| Some(line.split_once(text)?.1))
    }

    fn fatal(&self, text: &str) -> Option<&str> {
        let fatal = |line: &&str| line.contains("FATAL:") || line.contains("PANIC:");
        self.0.lines().filter(fatal).find_map(|line| Some(line.split_once(text)?.1))
    }

    fn address(&self, text: &str) -> Option<u64> {
        let word = self.message(text)?.split([' ', ',']).next()?;
        lsn::parse(word)
    }

    fn last_lsn(&self) -> Option<u64> {
        self.address("redo done at ")
    }

    fn last_commit(&self) -> Option<String> {
        self.message("last completed transaction was at log time ").map(|time| time.trim().to_owned())
    }

    pub(crate) fn progress(&self, running: &RunningServer) -> Progress {
        let restored =
            || self.0.lines().filter_map(|line| line.split_once("restored log file \"")?.1.split('"').next());
        let segment_bytes = running.control().map_or(16 << 20, |control| control.wal_segment_bytes);
        let last = restored().filter_map(|name| lsn::parse_segment_name(name, segment_bytes)).next_back();
        Progress {
            redo_start: self.address("redo starts at "),
            replayed: self.last_lsn().or(last.map(|(_, lsn)| lsn)),
            segments: restored().filter(|name| name.len() == 24).count() as u64,
            elapsed: Duration::ZERO,
        }
    }

    /// Reads `max_connections = 10 is a lower setting than on the primary server, where its value was 100`.
    pub(super) fn small_setting(&self) -> Option<RecoveryError> {
        let line = self.0.lines().find(|line| line.contains(" is a lower setting than on the "))?;
        let (before, after) = line.split_once(" is a lower setting than on the ")?;
        let name = before.rsplit_once(" = ")?.0.rsplit(' ').next()?.to_owned();
        let digits: String =
            after.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
        Some(RecoveryError::Setting { name, needed: digits.parse().ok()? })
    }
}
