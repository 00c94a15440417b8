//! Replaying WAL without opening the data for writes.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use ports::Clock;

use super::{Roll, ShadowError};
use crate::{
    Action, Recovery, RecoveryError, RunningServer, Server, ServerError, StopMode, Target, Timeline,
    recovery::{Log, Progress, failure, prepare_private, requests_path},
};

const POLL: Duration = Duration::from_millis(50);

/// How often a server asks for the WAL file at the end before the end is believed.
///
/// After it has begun to replay, a server asks once for each file, and twice where a record crosses into the next.
const REQUESTS_AT_END: usize = 4;
/// The same while it has not begun: looking for its checkpoint it asks for the same file several times.
const REQUESTS_BEFORE_REDO: usize = 10;

/// Why replay stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reached {
    /// The address asked for.
    Target,
    /// The end of the WAL.
    EndOfWal,
    /// Nothing had to be done.
    Already,
}

/// Replays in standby mode, which never opens a new timeline, and stops the server cleanly.
///
/// The clean stop writes everything replayed to the data files and records up to where that is.
pub(super) fn replay(
    server: &Server,
    roll: &mut Roll<'_>,
    clock: &Arc<dyn Clock>,
) -> Result<Reached, ShadowError> {
    let recovery = Recovery {
        target: roll.until.map_or(Target::Latest, |lsn| Target::Lsn { lsn, inclusive: false }),
        timeline: Timeline::Latest,
        action: Action::ShutDown,
        wal: roll.wal.clone(),
        durable: true,
        standby: true,
    };
    let launch = prepare_private(server, &recovery)?;
    let mut running = server.spawn(&launch, Arc::clone(clock))?;
    let start = clock.elapsed();
    let mut shown = Progress::default();
    loop {
        let alive = running.is_running();
        let log = Log(running.log());
        if !alive && log.has("shutdown at recovery target") {
            return Ok(Reached::Target);
        }
        if let Some(failure) = failure(&log, &running, recovery.target) {
            return Err(failure.into());
        }
        if !alive {
            let data_dir = server.data_dir.clone();
            return Err(ServerError::Ended { data_dir, log_tail: running.log_tail() }.into());
        }
        let waited = clock.elapsed().saturating_sub(start);
        if at_end(&running, &log) {
            return stop_at_end(&mut running, server, &log, roll.timeout);
        }
        if waited >= roll.timeout {
            return Err(RecoveryError::Timeout { waited, last_lsn: log.progress(&running).replayed }.into());
        }
        let now = log.progress(&running);
        if (now.redo_start, now.replayed) != (shown.redo_start, shown.replayed) {
            shown = Progress { elapsed: waited, ..now };
            (roll.progress)(&shown);
        }
        clock.sleep(POLL);
    }
}

fn stop_at_end(
    running: &mut RunningServer,
    server: &Server,
    log: &Log,
    timeout: Duration,
) -> Result<Reached, ShadowError> {
    running.stop(StopMode::Fast, timeout)?;
    let control = server.control()?;
    if control.backup_start != 0 || !log.has("consistent recovery state reached") {
        let last_lsn = log.progress(running).replayed.or(Some(control.redo));
        return Err(RecoveryError::NotConsistent { last_lsn, missing: None }.into());
    }
    Ok(Reached::EndOfWal)
}

/// Returns whether the server has replayed all there is: it asks for the last file again and again.
fn at_end(running: &RunningServer, log: &Log) -> bool {
    let requests = std::fs::read_to_string(requests_path(running.server())).unwrap_or_default();
    let needed = if log.has("redo starts at") { REQUESTS_AT_END } else { REQUESTS_BEFORE_REDO };
    repeats_of_last(&requests) >= needed
}

/// Counts the requests for the WAL file farthest ahead. Timelines are counted apart: one request may try several.
fn repeats_of_last(requests: &str) -> usize {
    let mut counts: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
    for name in requests.lines().filter(|name| name.len() == 24) {
        if let Some((timeline, place)) = name.split_at_checked(8) {
            *counts.entry(place).or_default().entry(timeline).or_default() += 1;
        }
    }
    counts.last_key_value().and_then(|(_, timelines)| timelines.values().copied().max()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_file_is_counted() {
        let one = "000000010000000000000001";
        let two = "000000010000000000000002";
        let two_later = "000000020000000000000002";
        assert_eq!(repeats_of_last(""), 0);
        assert_eq!(repeats_of_last(&[one, one, one, two, "00000002.history"].join("\n")), 1);
        assert_eq!(repeats_of_last(&[two_later, two, two_later, two].join("\n")), 2);
    }
}
