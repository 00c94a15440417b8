//! Recovery of a restored data directory to a target.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use model::Moment;
use ports::{Clock, files::FileError};

use crate::{
    AccountError, Launch, RunningServer, Server, ServerError, Settings, StopMode,
    control_file::{ControlFile, ControlFileError},
    lsn, settings,
};

mod outcome;
mod prepare;

pub(crate) use outcome::{Log, failure};
pub use outcome::{Progress, Recovered, wait_recovered};
pub(crate) use prepare::requests_path;
pub use prepare::{ForUse, forget_recovery, prepare_for_use, prepare_private};

/// Where recovery stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// At the end of the WAL.
    Latest,
    /// As soon as the data are consistent.
    Consistent,
    /// At a commit time. Commits of the same microsecond are not told apart: prefer the others.
    Time {
        /// The moment.
        moment: Moment,
        /// Whether commits of exactly this moment are kept.
        inclusive: bool,
    },
    /// At an address.
    Lsn {
        /// The address.
        lsn: u64,
        /// Whether the record that begins there is replayed.
        inclusive: bool,
    },
    /// At a transaction's commit.
    Transaction {
        /// The transaction id.
        xid: u32,
        /// Whether the transaction is kept.
        inclusive: bool,
    },
}

/// Which timeline recovery follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timeline {
    /// The newest one known to the WAL source.
    Latest,
    /// The one the base backup was taken on.
    Current,
    /// A given one.
    Number(u32),
}

/// What happens at the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The server opens for writes, on a new timeline.
    Promote,
    /// The server stays read-only at the target. Tables locked by an open transaction cannot be read then.
    Pause,
    /// The server stops.
    ShutDown,
}

/// Where WAL files come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WalSource {
    /// Whole WAL files and timeline histories in a folder, under their usual names.
    Folder(PathBuf),
    /// A shell command as in `restore_command`, with `%f` and `%p`.
    Command(String),
    /// They lie in the data directory already.
    Present,
}

/// A recovery: from where, to where, and what then.
#[derive(Debug, Clone)]
pub struct Recovery {
    /// Where it stops.
    pub target: Target,
    /// Which timeline it follows.
    pub timeline: Timeline,
    /// What happens there.
    pub action: Action,
    /// Where WAL files come from.
    pub wal: WalSource,
    /// Whether the data must survive a power cut. A scratch copy is simply made again.
    pub durable: bool,
    /// Whether to wait for more WAL at its end instead of ending there.
    pub standby: bool,
}

impl Recovery {
    /// Recovers a scratch copy to a target and opens it for writes.
    pub const fn scratch(target: Target, wal: WalSource) -> Self {
        Self {
            target,
            timeline: Timeline::Latest,
            action: Action::Promote,
            wal,
            durable: false,
            standby: false,
        }
    }

    /// Recovers a cluster that is to be used.
    pub const fn for_use(target: Target, wal: WalSource) -> Self {
        Self {
            target,
            timeline: Timeline::Latest,
            action: Action::Promote,
            wal,
            durable: true,
            standby: false,
        }
    }

    /// Sets what happens at the target.
    #[must_use]
    pub const fn then(mut self, action: Action) -> Self {
        self.action = action;
        self
    }

    /// Returns the settings that make a server do this recovery.
    fn settings(&self, requests: Option<&Path>) -> Settings {
        let mut settings = Settings::new()
            .with(
                "recovery_target_action",
                match self.action {
                    Action::Promote => "promote",
                    Action::Pause => "pause",
                    Action::ShutDown => "shutdown",
                },
            )
            .with(
                "recovery_target_timeline",
                match self.timeline {
                    Timeline::Latest => "latest".to_owned(),
                    Timeline::Current => "current".to_owned(),
                    Timeline::Number(number) => number.to_string(),
                },
            )
            .with("restore_command", self.wal.command(requests))
            .with("primary_conninfo", "")
            .with("primary_slot_name", "");
        let (name, value, inclusive) = match self.target {
            Target::Latest => return settings,
            Target::Consistent => ("recovery_target", "immediate".to_owned(), true),
            Target::Time { moment, inclusive } => ("recovery_target_time", time_text(moment), inclusive),
            Target::Lsn { lsn, inclusive } => ("recovery_target_lsn", lsn::to_text(lsn), inclusive),
            Target::Transaction { xid, inclusive } => ("recovery_target_xid", xid.to_string(), inclusive),
        };
        settings.set(name, &value);
        settings.set("recovery_target_inclusive", if inclusive { "on" } else { "off" });
        settings
    }
}

impl WalSource {
    /// Returns the shell command that fetches one file.
    ///
    /// A file that is not there gives exit code 1, which the server takes for the end of the WAL. Anything else that
    /// fails gives 126, on which the server stops: a WAL that cannot be read must not pass for one that has ended.
    fn command(&self, requests: Option<&Path>) -> String {
        let word = |path: &Path| settings::quote_shell(&path.display().to_string()).replace('%', "%%");
        let fetch = match self {
            Self::Folder(folder) => {
                let folder = word(folder);
                format!(
                    "test -x {folder} || exit 126; test -e {folder}/%f || exit 1; cp -- {folder}/%f \"%p\" || exit 126"
                )
            }
            Self::Command(command) => command.clone(),
            Self::Present => "false".to_owned(),
        };
        match requests {
            Some(path) => format!("echo %f >> {}; {fetch}", word(path)),
            None => fetch,
        }
    }
}

/// Why a recovery did not reach its target.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    /// The WAL ends before the target.
    #[error("the WAL ends at {} before the target", lsn_or_unknown(*last_lsn))]
    TargetNotReached {
        /// The last address replayed.
        last_lsn: Option<u64>,
        /// The WAL file that was asked for last and was not there.
        missing: Option<String>,
        /// The last commit replayed, as the server writes it.
        last_commit: Option<String>,
    },
    /// The target lies before the base becomes consistent: an older base is needed.
    #[error("the target lies before {}, where the base becomes consistent", lsn_or_unknown(*consistent_from))]
    TargetBeforeBase {
        /// The first address at which this base can be opened.
        consistent_from: Option<u64>,
    },
    /// WAL is missing before the base even becomes consistent.
    #[error("the WAL ends at {} before the base is consistent", lsn_or_unknown(*last_lsn))]
    NotConsistent {
        /// The last address replayed.
        last_lsn: Option<u64>,
        /// The WAL file that was asked for last and was not there.
        missing: Option<String>,
    },
    /// The WAL holds no valid checkpoint where the base says.
    #[error("the WAL file with the base's checkpoint is missing or damaged: {}", missing.as_deref().unwrap_or("unknown"))]
    NoCheckpoint {
        /// The WAL file that was asked for last.
        missing: Option<String>,
    },
    /// The source of WAL files fails, as opposed to not having a file.
    #[error("the WAL source failed: {log_tail}")]
    WalSource {
        /// The last lines of the server's log.
        log_tail: String,
    },
    /// The base does not lie on the timeline asked for.
    #[error("the base does not lie on the timeline asked for: {message}")]
    Timeline {
        /// What the server says.
        message: String,
    },
    /// A setting is smaller than on the primary.
    #[error("{name} must be at least {needed} to replay this WAL read-only")]
    Setting {
        /// The setting.
        name: String,
        /// The smallest value that will do.
        needed: u32,
    },
    /// The data are of another major version than the programs.
    #[error("the data are of PostgreSQL {data}, the programs of {programs}")]
    Major {
        /// The version of the data directory.
        data: String,
        /// The version of the programs.
        programs: u32,
    },
    /// A tablespace of the base is not in the data directory, and its own place belongs to production.
    #[error("tablespace {oid} lies outside of {}", data_dir.display())]
    Tablespace {
        /// The tablespace.
        oid: String,
        /// The data directory.
        data_dir: PathBuf,
    },
    /// It took too long.
    #[error("recovery did not end within {} s; it had replayed up to {}", waited.as_secs(), lsn_or_unknown(*last_lsn))]
    Timeout {
        /// How long it was waited for.
        waited: Duration,
        /// The last address known to be replayed.
        last_lsn: Option<u64>,
    },
    /// The server failed otherwise.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The account cannot be used.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// The control file cannot be used.
    #[error(transparent)]
    ControlFile(#[from] ControlFileError),
    /// A file cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Writes a moment as the server reads it in its configuration, where it does not know `Z` yet.
fn time_text(moment: Moment) -> String {
    moment.to_string().replace('T', " ").replace('Z', "+00")
}

fn lsn_or_unknown(lsn: Option<u64>) -> String {
    lsn.map_or_else(|| "an unknown address".to_owned(), lsn::to_text)
}

impl RecoveryError {
    /// Says what a person can do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::TargetNotReached { last_commit, missing, .. } => Some(match (last_commit, missing) {
                (Some(time), _) => format!("the last commit within reach is of {time}"),
                (None, Some(file)) => format!("WAL file {file} is needed to go on"),
                (None, None) => "choose an earlier target".to_owned(),
            }),
            Self::TargetBeforeBase { .. } => {
                Some("recover from an older base, or choose a later target".to_owned())
            }
            Self::NotConsistent { missing: Some(file), .. } | Self::NoCheckpoint { missing: Some(file) } => {
                Some(format!("WAL file {file} is needed"))
            }
            Self::Major { data, .. } => Some(format!("tools/install_servers {data}")),
            Self::Server(error) => error.hint(),
            Self::Account(error) => error.hint(),
            Self::ControlFile(error) => error.hint(),
            _ => None,
        }
    }
}

/// How often a start is repeated with a larger setting, one for each setting that the primary can have raised.
const RAISES_MAX: usize = 5;

/// Recovers a private data directory and returns the server, at the target, as the action says.
pub fn recover(
    server: &Server,
    recovery: &Recovery,
    clock: &Arc<dyn Clock>,
    timeout: Duration,
    progress: &mut dyn FnMut(&Progress),
) -> Result<(RunningServer, Recovered), RecoveryError> {
    let mut launch = prepare_private(server, recovery)?;
    for _ in 0..RAISES_MAX {
        let mut running = server.spawn(&launch, Arc::clone(clock))?;
        match wait_recovered(&mut running, recovery, timeout, progress) {
            Ok(recovered) => return Ok((running, recovered)),
            Err(RecoveryError::Setting { name, needed }) => {
                running.stop(StopMode::Immediate, timeout)?;
                launch.settings.set(&name, &needed);
            }
            Err(error) => return Err(error),
        }
    }
    let mut running = server.spawn(&launch, Arc::clone(clock))?;
    let recovered = wait_recovered(&mut running, recovery, timeout, progress)?;
    Ok((running, recovered))
}

#[cfg(test)]
mod tests;
