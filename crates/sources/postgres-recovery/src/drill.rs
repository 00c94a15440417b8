//! A restore test: recover, check, and compare with what production held.

mod limits;
mod probes;
mod programs;

use std::{io, path::PathBuf, time::Duration};

use ::drill::{Against, Check, OverBudget, ProbeAnswer, ProbeConfig, Tally};
use connect::{Progress, Stored};
use postgres_server::{ServerError, StopMode};

use crate::{
    fingerprint::{self, Fingerprint, FingerprintError},
    history::{ClusterHistory, HistoryError},
    route::RecoveryRoute,
    scratch::{Scratch, ScratchError, ScratchOptions, scratch_at},
};

use self::limits::WhileTime;
pub use self::{
    limits::{Limits, room_free, room_needed},
    programs::Programs,
};

const RESTORES: &str = "the moment can be restored, and a server starts from it";
const READABLE: &str = "every table can be read in full";

/// Why a drill could not be held. A restore that fails is no such error: it is a finding.
#[derive(Debug, thiserror::Error)]
pub enum DrillError {
    /// It does not fit into its budget.
    #[error(transparent)]
    Over(#[from] OverBudget),
    /// The server stopped answering.
    #[error("the restored server cannot be examined")]
    Fingerprint(#[source] FingerprintError),
    /// The second, independent recovery failed.
    #[error("the cluster to compare with could not be recovered")]
    Comparison(#[source] ScratchError),
    /// The server could not be stopped.
    #[error("the restored server did not stop")]
    Server(#[from] ServerError),
    /// What is stored of the cluster cannot be read.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// The scratch volume cannot be looked at.
    #[error("how much is free on the scratch volume is not known")]
    Volume(#[source] io::Error),
}

impl From<FingerprintError> for DrillError {
    fn from(error: FingerprintError) -> Self {
        match error {
            FingerprintError::Over(over) => Self::Over(over),
            error => Self::Fingerprint(error),
        }
    }
}

/// What the restored cluster is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Truth {
    /// A fingerprint that was recorded on production at this position.
    Recorded(Fingerprint),
    /// A recovery from another base: a fault in one of the two shows as a difference.
    SecondRecovery(Box<RecoveryRoute>),
    /// Nothing: only that it starts, and that every table can be read.
    None,
}

impl Truth {
    /// Returns how strong it is.
    pub const fn against(&self) -> Against {
        match self {
            Self::Recorded(_) => Against::Production,
            Self::SecondRecovery(_) => Against::SecondRestore,
            Self::None => Against::Nothing,
        }
    }
}

/// How a drill is held.
#[derive(Clone, Copy)]
pub struct DrillRequest<'r> {
    /// Where the cluster is stored.
    pub stored: &'r dyn Stored,
    /// What is stored of it.
    pub history: &'r ClusterHistory,
    /// What the restored cluster is compared with.
    pub truth: &'r Truth,
    /// The owner's questions.
    pub probes: &'r [&'r ProbeConfig],
    /// PostgreSQL's own programs that look at it.
    pub programs: &'r Programs,
    /// What it may take.
    pub limits: &'r Limits,
    /// What scratch servers need; a second one works beside the folder of the first.
    pub options: &'r ScratchOptions,
    /// Hears how far it has come.
    pub progress: &'r dyn Progress,
}

impl DrillRequest<'_> {
    /// Returns how long a server may take: never longer than there is time.
    fn timeout(&self) -> Result<Duration, OverBudget> {
        let timeout = self.options.timeout;
        Ok(self.limits.left()?.map_or(timeout, |left| left.min(timeout)))
    }

    /// Recovers a scratch cluster, or says why that cannot be. What was broken off because the time is over says nothing of
    /// the vault.
    fn recover(
        &self,
        route: &RecoveryRoute,
        folder: PathBuf,
    ) -> Result<Result<Scratch, ScratchError>, OverBudget> {
        let options = ScratchOptions { folder, timeout: self.timeout()?, ..self.options.clone() };
        let stored = WhileTime { stored: self.stored, limits: self.limits };
        let scratch = scratch_at(&stored, self.history, None, route, &options, self.progress);
        if scratch.is_err() {
            self.limits.left()?;
        }
        Ok(scratch)
    }
}

/// How a drill ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DrillReport {
    /// The start of the base.
    pub base_lsn: u64,
    /// The position recovered to.
    pub lsn: u64,
    /// What it was compared with.
    pub against: Against,
    /// Tables that were compared, and those that are otherwise.
    pub tally: Tally,
    /// What was checked, and what could not be.
    pub checks: Vec<Check>,
    /// The owner's questions and their answers.
    pub probes: Vec<ProbeAnswer>,
    /// What the restored cluster holds.
    pub fingerprint: Fingerprint,
    /// The time until the server accepted queries, in milliseconds.
    pub serving_ms: u64,
    /// What it took on disk, in bytes.
    pub space_bytes: u64,
}

impl DrillReport {
    /// Judges it.
    pub fn outcome(&self) -> ::drill::Outcome {
        ::drill::outcome(self.against, &self.tally.counts, self.tally.total, &self.checks, &self.probes)
    }
}

/// A scratch cluster that was recovered, or why it could not be.
#[derive(Debug)]
pub struct Restored {
    scratch: Option<Scratch>,
    report: DrillReport,
}

/// Recovers a scratch cluster from its base and examines it.
pub fn drill(route: &RecoveryRoute, request: &DrillRequest<'_>) -> Result<DrillReport, DrillError> {
    restore(route, request)?.examine(request)
}

/// Recovers a scratch cluster from its base; it is there until what is returned is dropped or examined.
pub fn restore(route: &RecoveryRoute, request: &DrillRequest<'_>) -> Result<Restored, DrillError> {
    make_sure_of_room(route, request)?;
    let mut report = DrillReport {
        base_lsn: route.wal_start_lsn(),
        lsn: route.stop.lsn(),
        against: request.truth.against(),
        tally: Tally::default(),
        checks: Vec::new(),
        probes: Vec::new(),
        fingerprint: Fingerprint::default(),
        serving_ms: 0,
        space_bytes: 0,
    };
    let scratch = match request.recover(route, request.options.folder.clone())? {
        Ok(scratch) => scratch,
        Err(error) => {
            report.checks.push(Check::failed(RESTORES, chain(&error)));
            return Ok(Restored { scratch: None, report });
        }
    };
    report.serving_ms = u64::try_from(scratch.elapsed.as_millis()).unwrap_or(u64::MAX);
    report.checks.push(Check::passed(
        RESTORES,
        "every file of the base fits its manifest, every WAL record its checksum and the one before",
    ));
    Ok(Restored { scratch: Some(scratch), report })
}

impl Restored {
    /// Reads every table, compares, asks the owner's questions, and has PostgreSQL's own programs look at it.
    pub fn examine(self, request: &DrillRequest<'_>) -> Result<DrillReport, DrillError> {
        let Self { scratch, mut report } = self;
        let Some(mut scratch) = scratch else { return Ok(report) };
        let DrillRequest { programs, limits, progress, .. } = *request;
        let (folder, timeout) = (&request.options.folder, request.timeout()?);
        progress.phase("reading every table", None);
        examine(&scratch, limits, &mut report)?;
        compare(request, &mut report)?;
        report.probes = probes::ask(&|database| scratch.url("postgres", database), request.probes, limits)?;
        report.space_bytes = folder_bytes(folder);
        if let Some(running) = scratch.server() {
            progress.phase("checking heap and indexes", None);
            report.checks.push(programs.check_relations(running, folder, limits)?);
            running.stop(StopMode::Fast, timeout)?;
            progress.phase("checking pages", None);
            report.checks.push(programs.check_pages(running, folder, limits)?);
        }
        Ok(report)
    }
}

/// Refuses a drill for which there is no room, before anything is written.
fn make_sure_of_room(route: &RecoveryRoute, request: &DrillRequest<'_>) -> Result<(), DrillError> {
    let mut needed = room_needed(request.stored, route)?;
    if let Truth::SecondRecovery(route) = request.truth {
        needed = needed.saturating_add(room_needed(request.stored, route)?);
    }
    let free = room_free(&request.options.folder).map_err(DrillError::Volume)?;
    Ok(request.limits.budget.admit(needed, free)?)
}

fn examine(scratch: &Scratch, limits: &Limits, report: &mut DrillReport) -> Result<(), DrillError> {
    let taken = fingerprint::of_scratch_within(&|database| scratch.url("postgres", database), limits)?;
    let tables = taken.fingerprint.tables.len();
    let unreadable = taken.unreadable.iter().map(|error| Check::failed(READABLE, chain(error)));
    report.checks.extend(unreadable);
    if taken.unreadable.is_empty() {
        report.checks.push(Check::passed(READABLE, format!("{tables} tables")));
    }
    report.fingerprint = taken.fingerprint;
    Ok(())
}

fn compare(request: &DrillRequest<'_>, report: &mut DrillReport) -> Result<(), DrillError> {
    let expected = match request.truth {
        Truth::None => return Ok(()),
        Truth::Recorded(recorded) => recorded.clone(),
        Truth::SecondRecovery(route) => {
            let mut folder = request.options.folder.as_os_str().to_owned();
            folder.push(".second");
            let scratch = request.recover(route, PathBuf::from(folder))?.map_err(DrillError::Comparison)?;
            let url = |database: &str| scratch.url("postgres", database);
            fingerprint::of_scratch_within(&url, request.limits)?.fingerprint
        }
    };
    let differences = expected.differences(&report.fingerprint);
    let bad: Vec<_> =
        differences.iter().filter(|difference| is_recorded(&expected, &difference.table)).collect();
    let equal =
        expected.tables.keys().filter(|table| bad.iter().all(|difference| difference.table != **table));
    report.tally.equal(equal.count() as u64);
    for difference in bad {
        report.tally.differs(&difference.table, &difference.to_string());
    }
    Ok(())
}

/// Returns whether anything of a table's database was recorded: others are left aside.
fn is_recorded(expected: &Fingerprint, table: &str) -> bool {
    let database = table.split('.').next();
    expected.tables.keys().any(|known| known.split('.').next() == database)
}

/// Compares a running restored cluster with a second recovery to the same position, made from the vault for this alone.
/// Returns in words what the cluster has otherwise.
pub fn compare_with_stored(
    url: &dyn Fn(&str) -> String,
    stored: &dyn Stored,
    history: &ClusterHistory,
    route: &RecoveryRoute,
    options: &ScratchOptions,
    progress: &dyn Progress,
) -> Result<Vec<String>, DrillError> {
    let scratch =
        scratch_at(stored, history, None, route, options, progress).map_err(DrillError::Comparison)?;
    let expected = fingerprint::of_scratch(&|database| scratch.url("postgres", database), &options.clock)?;
    let found = fingerprint::of_scratch(url, &options.clock)?;
    let mut differences: Vec<String> = found.unreadable.iter().map(|error| chain(error)).collect();
    let tables = expected.fingerprint.differences(&found.fingerprint);
    differences.extend(tables.iter().map(ToString::to_string));
    Ok(differences)
}

/// Lists in words what a cluster has otherwise than it should. Databases that were not recorded are left aside.
pub fn findings(expected: &Fingerprint, found: &Fingerprint) -> Vec<String> {
    let differences = expected.differences(found);
    differences.iter().filter(|d| is_recorded(expected, &d.table)).map(ToString::to_string).collect()
}

/// Returns what a folder's files take, in bytes; what vanishes meanwhile is not counted.
fn folder_bytes(folder: &std::path::Path) -> u64 {
    let mut bytes = 0;
    let mut pending = vec![folder.to_owned()];
    while let Some(folder) = pending.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let Ok(found) = entry.metadata() else { continue };
            if found.is_dir() {
                pending.push(entry.path());
            } else {
                bytes += found.len();
            }
        }
    }
    bytes
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        source = inner.source();
    }
    text
}
