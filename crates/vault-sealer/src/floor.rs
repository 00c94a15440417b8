//! When something may be removed: never before the sealer's own idea of time says so.

use std::{path::PathBuf, sync::Arc, time::Duration};

use model::Moment;
use ports::{
    BlobName, Clock,
    files::{self, FileError},
};

/// Why something is not removed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Refusal {
    /// Why.
    pub reason: String,
}

/// What else has to agree before an object is removed whose lock has lapsed by the sealer's record and floor.
pub trait ReapGate: Send + Sync {
    /// Agrees, or says why not.
    fn may_reap(&self, name: &BlobName, locked_until: Moment) -> Result<(), Refusal>;
}

/// Agrees to nothing: the sealer's default.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoReaping;

impl ReapGate for NoReaping {
    fn may_reap(&self, _: &BlobName, _: Moment) -> Result<(), Refusal> {
        Err(Refusal { reason: "this sealer removes nothing".to_owned() })
    }
}

/// A floor under the time: it has been at least this late.
///
/// It only grows, by no more than the time that this process has lived through on the monotonic clock, and never
/// beyond the wall clock. A wall clock that jumps ahead moves nothing; one that stands still or goes back, and every
/// hour that the sealer is not running, makes the floor lag: what lapses is then removed later, never earlier.
pub struct ClockFloor {
    path: PathBuf,
    clock: Arc<dyn Clock>,
    at_start: Moment,
    started: Duration,
}

impl ClockFloor {
    /// Reads the floor. The first time it is the wall clock's: there is nothing yet that could be removed.
    pub fn open(path: PathBuf, clock: Arc<dyn Clock>) -> Result<Self, FileError> {
        let at_start = match files::read_text(&path) {
            Ok(text) => {
                let damaged = || {
                    let source = std::io::Error::new(std::io::ErrorKind::InvalidData, "it holds no number");
                    FileError::new("use", &path, source)
                };
                Moment::from_micros(text.trim().parse().map_err(|_| damaged())?)
            }
            Err(error) if error.source.kind() == std::io::ErrorKind::NotFound => clock.now(),
            Err(error) => return Err(error),
        };
        let floor = Self { path, started: clock.elapsed(), at_start, clock };
        floor.save()?;
        Ok(floor)
    }

    /// Returns the floor.
    pub fn now(&self) -> Moment {
        let lived = self.clock.elapsed().saturating_sub(self.started);
        let reached = self.at_start.plus_micros(i64::try_from(lived.as_micros()).unwrap_or(i64::MAX));
        reached.min(self.clock.now()).max(self.at_start)
    }

    /// Writes the floor down, so that a restart goes on from here.
    pub fn save(&self) -> Result<(), FileError> {
        files::replace(&self.path, self.now().as_micros().to_string().as_bytes())
    }
}
