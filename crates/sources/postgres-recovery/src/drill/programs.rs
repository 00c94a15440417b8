//! PostgreSQL's own checks of a restored cluster.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    time::Duration,
};

use ::drill::{Check, OverBudget};
use postgres_server::{Installations, RunningServer};

use super::limits::Limits;

const AMCHECK: &str = "heap and indexes are sound (pg_amcheck)";
const CHECKSUMS: &str = "the checksums of all pages fit (pg_checksums)";
/// What `pg_amcheck` says when it found damage; other codes say that it could not look.
const AMCHECK_DAMAGE: i32 = 2;
const POLL: Duration = Duration::from_millis(50);
const OUTPUT_CHARS_MAX: usize = 1000;

/// The programs that look at a restored cluster, where they are installed.
#[derive(Debug, Clone, Default)]
pub struct Programs {
    /// `pg_amcheck`, of the server's major version or a later one.
    pub amcheck: Option<PathBuf>,
    /// `pg_checksums`, of the server's own major version.
    pub checksums: Option<PathBuf>,
}

impl Programs {
    /// Finds them: beside the server's programs, or in another installation that fits.
    pub fn find(installations: &Installations, major: u32) -> Self {
        let mut own = installations.iter().filter(|installation| installation.major == major);
        Self {
            amcheck: installations.newest_tool("pg_amcheck", major).ok(),
            checksums: own.find_map(|installation| installation.tool("pg_checksums")),
        }
    }

    /// Looks at heap and indexes of all databases of a running cluster of our own. The extension that it needs is made
    /// there.
    pub(super) fn check_relations(
        &self,
        running: &RunningServer,
        folder: &Path,
        limits: &Limits,
    ) -> Result<Check, OverBudget> {
        let Some(program) = &self.amcheck else {
            return Ok(Check::not_checked(AMCHECK, "pg_amcheck is not installed"));
        };
        let mut command = running.server().account.command(program);
        command.args(["--all", "--install-missing", "--no-password"]);
        command.arg(format!("--maintenance-db={}", running.url("postgres", "postgres")));
        Ok(match run(command, &folder.join("amcheck.output"), limits)? {
            Ok((status, _)) if status.success() => Check::passed(AMCHECK, "all databases"),
            Ok((status, output)) if status.code() == Some(AMCHECK_DAMAGE) => Check::failed(AMCHECK, output),
            Ok((_, output)) => Check::not_checked(AMCHECK, output),
            Err(error) => Check::not_checked(AMCHECK, error.to_string()),
        })
    }

    /// Checks all pages of a stopped cluster, where they carry checksums.
    pub(super) fn check_pages(
        &self,
        running: &RunningServer,
        folder: &Path,
        limits: &Limits,
    ) -> Result<Check, OverBudget> {
        let server = running.server();
        if server.control().is_ok_and(|control| control.checksum_version == 0) {
            return Ok(Check::not_checked(CHECKSUMS, "this cluster's pages carry none"));
        }
        let Some(program) = &self.checksums else {
            return Ok(Check::not_checked(CHECKSUMS, "pg_checksums of this major version is not installed"));
        };
        let mut command = server.account.command(program);
        command.arg("--check").arg("-D").arg(&server.data_dir);
        Ok(match run(command, &folder.join("checksums.output"), limits)? {
            Ok((status, _)) if status.success() => Check::passed(CHECKSUMS, "every page"),
            Ok((_, output)) => Check::failed(CHECKSUMS, output),
            Err(error) => Check::not_checked(CHECKSUMS, error.to_string()),
        })
    }
}

/// Runs a program to its end, or until the time is over; what it says goes into a file, so that it never waits for us.
fn run(
    mut command: Command,
    output: &Path,
    limits: &Limits,
) -> Result<io::Result<(ExitStatus, String)>, OverBudget> {
    let mut begin = || {
        let file = File::create(output)?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file).spawn()
    };
    let mut child = match begin() {
        Ok(child) => child,
        Err(error) => return Ok(Err(error)),
    };
    loop {
        match child.try_wait() {
            Ok(None) => {}
            Ok(Some(status)) => {
                let text = std::fs::read(output).unwrap_or_default();
                let text = String::from_utf8_lossy(&text).trim().chars().take(OUTPUT_CHARS_MAX).collect();
                return Ok(Ok((status, text)));
            }
            Err(error) => return Ok(Err(error)),
        }
        if let Err(over) = limits.left() {
            child.kill().and_then(|()| child.wait()).ok();
            return Err(over);
        }
        limits.clock.sleep(POLL);
    }
}
