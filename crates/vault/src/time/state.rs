use std::path::{Path, PathBuf};

use model::Moment;
use ports::{
    Boot,
    files::{self, FileError},
};
use serde::{Deserialize, Serialize};

use crate::quorum::Question;

/// What is remembered of vault time between runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimeState {
    /// Vault time; it only grows, except when people agree on another.
    pub now: Moment,
    /// What vault time was when people, or the first look, last settled it.
    pub anchor: Moment,
    /// For how long machines have been seen running since then.
    pub credited_micros: i64,
    /// The run of the machine at the last look.
    pub boot: String,
    /// For how long it had been going on.
    pub boot_running_micros: i64,
    /// Why nothing may be released or reaped.
    pub frozen: Option<Freeze>,
}

impl TimeState {
    /// Returns for how many microseconds machines have been seen running since vault time was last settled, up to now.
    /// No change of wall time touches it, and settling vault time anew begins it anew: [`TimeState::anchor`] tells.
    pub fn running_micros(&self, boot: &Boot) -> i64 {
        let mut state = self.clone();
        state.credit(boot);
        state.credited_micros
    }
}

/// A stop of releasing and reaping, until people end it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Freeze {
    /// Vault time when it began.
    pub since: Moment,
    /// What the clocks said then.
    pub told: Moment,
    /// Why, for people.
    pub reason: String,
}

impl Freeze {
    /// Returns what people are asked to sign so that it ends.
    pub fn question(&self) -> Question {
        let Self { since, told, reason } = self;
        Question::new("thaw", format!("since {since}; the clocks said {told}; {reason}"))
    }
}

/// Why vault time could not be remembered.
#[derive(Debug, thiserror::Error)]
pub enum TimeRecordError {
    /// The file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file is no record of vault time. It is not begun anew, because that would be a way to move the clock.
    #[error("{} is no record of vault time", path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
}

/// Where vault time is remembered.
pub trait TimeRecord: Send + Sync {
    /// Returns what was saved last.
    fn load(&self) -> Result<Option<TimeState>, TimeRecordError>;

    /// Remembers, durably.
    fn save(&self, state: &TimeState) -> Result<(), TimeRecordError>;
}

/// A file of this machine.
#[derive(Debug, Clone)]
pub struct TimeFile {
    path: PathBuf,
}

impl TimeFile {
    /// Uses this file; it is made when there is something to remember.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }
}

impl TimeRecord for TimeFile {
    fn load(&self) -> Result<Option<TimeState>, TimeRecordError> {
        if !self.path.exists() {
            return Ok(None);
        }
        let text = files::read(&self.path)?;
        let form = |source| TimeRecordError::Form { path: self.path.clone(), source };
        serde_json::from_slice(&text).map(Some).map_err(form)
    }

    fn save(&self, state: &TimeState) -> Result<(), TimeRecordError> {
        let form = |source| TimeRecordError::Form { path: self.path.clone(), source };
        let text = serde_json::to_vec_pretty(state).map_err(form)?;
        if let Some(folder) = self.path.parent() {
            files::create_folder(folder)?;
        }
        Ok(files::replace(&self.path, &text)?)
    }
}
