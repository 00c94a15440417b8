//! A restore test: recover, check, and compare with what production held.

use std::{
    io,
    path::Path,
    process::{Command, Stdio},
};

use connect::{Progress, Stored};
use postgres_server::{RunningServer, ServerError, StopMode};
use serde::Serialize;

use crate::{
    fingerprint::{self, Fingerprint, FingerprintError},
    history::ClusterHistory,
    route::RecoveryRoute,
    scratch::{Scratch, ScratchError, ScratchOptions, scratch_at},
};

/// Why a drill could not be held. A restore that fails is no such error: it is a finding.
#[derive(Debug, thiserror::Error)]
pub enum DrillError {
    /// The server stopped answering.
    #[error("the restored server cannot be examined")]
    Fingerprint(#[from] FingerprintError),
    /// The second, independent recovery failed.
    #[error("the cluster to compare with could not be recovered")]
    Comparison(#[source] ScratchError),
    /// The server could not be stopped.
    #[error("the restored server did not stop")]
    Server(#[from] ServerError),
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

/// How a drill ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DrillReport {
    /// The start of the base.
    pub base_lsn: u64,
    /// The position recovered to.
    pub lsn: u64,
    /// Whether a comparison took place and nothing was found.
    pub proven: bool,
    /// What was found; empty when all is well.
    pub findings: Vec<String>,
    /// What was checked, and what could not be.
    pub checks: Vec<String>,
    /// What the restored cluster holds.
    pub fingerprint: Fingerprint,
    /// The time until the server accepted queries, in milliseconds.
    pub serving_ms: u64,
}

/// Recovers a scratch cluster from its base and examines it.
pub fn drill(
    stored: &dyn Stored,
    history: &ClusterHistory,
    route: &RecoveryRoute,
    truth: &Truth,
    options: &ScratchOptions,
    progress: &dyn Progress,
) -> Result<DrillReport, DrillError> {
    let mut report = DrillReport {
        base_lsn: route.wal_start_lsn(),
        lsn: route.stop.lsn(),
        proven: false,
        findings: Vec::new(),
        checks: Vec::new(),
        fingerprint: Fingerprint::default(),
        serving_ms: 0,
    };
    let mut scratch = match scratch_at(stored, history, None, route, options, progress) {
        Ok(scratch) => scratch,
        Err(error) => {
            report.findings.push(chain(&error));
            return Ok(report);
        }
    };
    report.serving_ms = u64::try_from(scratch.elapsed.as_millis()).unwrap_or(u64::MAX);
    report.checks.push("every file of the base fits its manifest".to_owned());
    report.checks.push("every WAL record fits its checksum and follows the one before".to_owned());
    examine(&scratch, options, &mut report)?;
    compare(stored, history, truth, options, progress, &mut report)?;
    if let Some(running) = scratch.server() {
        running.stop(StopMode::Fast, options.timeout)?;
        check_pages(running, &mut report);
    }
    report.proven = report.findings.is_empty() && *truth != Truth::None;
    Ok(report)
}

fn examine(scratch: &Scratch, options: &ScratchOptions, report: &mut DrillReport) -> Result<(), DrillError> {
    let taken = fingerprint::of_scratch(&|database| scratch.url("postgres", database), &options.clock)?;
    report.findings.extend(taken.unreadable.iter().map(|error| chain(error)));
    report.checks.push(format!("{} tables read in full", taken.fingerprint.tables.len()));
    report.fingerprint = taken.fingerprint;
    Ok(())
}

fn compare(
    stored: &dyn Stored,
    history: &ClusterHistory,
    truth: &Truth,
    options: &ScratchOptions,
    progress: &dyn Progress,
    report: &mut DrillReport,
) -> Result<(), DrillError> {
    let expected = match truth {
        Truth::None => {
            report.checks.push("not compared with anything".to_owned());
            return Ok(());
        }
        Truth::Recorded(recorded) => {
            report.checks.push("compared with the fingerprint recorded on production".to_owned());
            recorded.clone()
        }
        Truth::SecondRecovery(route) => {
            let mut folder = options.folder.as_os_str().to_owned();
            folder.push(".second");
            let second = ScratchOptions { folder: folder.into(), ..options.clone() };
            let scratch = scratch_at(stored, history, None, route, &second, progress);
            let scratch = scratch.map_err(DrillError::Comparison)?;
            report.checks.push("compared with a recovery from another base".to_owned());
            fingerprint::of_scratch(&|database| scratch.url("postgres", database), &options.clock)?
                .fingerprint
        }
    };
    report.findings.extend(findings(&expected, &report.fingerprint));
    Ok(())
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
    let recorded = |table: &str| {
        let database = table.split('.').next();
        expected.tables.keys().any(|known| known.split('.').next() == database)
    };
    let differences = expected.differences(found);
    differences.iter().filter(|d| recorded(&d.table)).map(ToString::to_string).collect()
}

/// Runs `pg_checksums` on the stopped cluster, where the program is there and pages carry checksums.
fn check_pages(running: &RunningServer, report: &mut DrillReport) {
    let server = running.server();
    let with_checksums = server.control().is_ok_and(|control| control.checksum_version != 0);
    let (true, Some(program)) = (with_checksums, server.installation.tool("pg_checksums")) else {
        report.checks.push("page checksums not checked: none on pages, or no pg_checksums".to_owned());
        return;
    };
    match run(server.account.command(&program), &server.data_dir) {
        Ok(None) => report.checks.push("page checksums checked".to_owned()),
        Ok(Some(output)) => report.findings.push(format!("pg_checksums: {output}")),
        Err(error) => report.checks.push(format!("page checksums not checked: {error}")),
    }
}

fn run(mut command: Command, data_dir: &Path) -> io::Result<Option<String>> {
    let output = command.arg("--check").arg("-D").arg(data_dir).stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(None);
    }
    let text = [output.stdout, output.stderr].concat();
    Ok(Some(String::from_utf8_lossy(&text).trim().chars().take(2000).collect()))
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
