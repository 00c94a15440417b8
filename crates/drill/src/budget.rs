//! How much a drill may take.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Space, Span};

/// What a drill may take at most.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Seconds; no limit where nothing is said.
    pub time_s: Option<u64>,
    /// Bytes of the scratch volume; no limit but the volume's own where nothing is said.
    pub space_bytes: Option<u64>,
}

/// What a drill took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spent {
    /// Milliseconds from beginning to end.
    pub time_ms: u64,
    /// Milliseconds until a restored server accepted queries, where one was started.
    pub serving_ms: Option<u64>,
    /// Bytes that the restored things took.
    pub space_bytes: u64,
}

/// A drill that does not fit into its budget.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OverBudget {
    /// It took too long.
    #[error("the drill was stopped: it may take {}, and was not done", Span(*.allowed_s))]
    Time {
        /// The seconds that it may take.
        allowed_s: u64,
    },
    /// It would need more space than it may take.
    #[error("the drill would take about {needed_bytes} bytes of scratch space, and may take {allowed_bytes}")]
    Space {
        /// What it would take, in bytes.
        needed_bytes: u64,
        /// What it may take, in bytes.
        allowed_bytes: u64,
    },
    /// The scratch volume has no room for it.
    #[error("the drill would take about {needed_bytes} bytes of scratch space, and {free_bytes} are free")]
    Volume {
        /// What it would take, in bytes.
        needed_bytes: u64,
        /// What is free, in bytes.
        free_bytes: u64,
    },
}

impl OverBudget {
    /// Says what a person can do.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Time { .. } => "give it more: time in [drills.sources.NAME]",
            Self::Space { .. } => "give it more: space in [drills.sources.NAME]",
            Self::Volume { .. } => "make room there, or name another volume: restore.scratch in unwipe.toml",
        }
    }
}

impl Budget {
    /// Makes a budget of what was configured.
    pub fn of(time: Option<Span>, space: Option<Space>) -> Self {
        Self { time_s: time.map(|span| span.0), space_bytes: space.map(|space| space.0) }
    }

    /// Refuses what would take too much space, before anything is done.
    pub fn admit(&self, needed_bytes: u64, free_bytes: u64) -> Result<(), OverBudget> {
        match self.space_bytes {
            Some(allowed_bytes) if needed_bytes > allowed_bytes => {
                Err(OverBudget::Space { needed_bytes, allowed_bytes })
            }
            _ if needed_bytes > free_bytes => Err(OverBudget::Volume { needed_bytes, free_bytes }),
            _ => Ok(()),
        }
    }

    /// Refuses to go on when the time is over.
    pub fn check(&self, taken: Duration) -> Result<(), OverBudget> {
        match self.time_s {
            Some(allowed_s) if taken >= Duration::from_secs(allowed_s) => Err(OverBudget::Time { allowed_s }),
            _ => Ok(()),
        }
    }

    /// Returns what is left of the time.
    pub fn left(&self, taken: Duration) -> Option<Duration> {
        self.time_s.map(|allowed| Duration::from_secs(allowed).saturating_sub(taken))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drill_stays_within_time_and_space() {
        let budget = Budget::of(Some(Span(60)), Some(Space(100)));
        assert_eq!(budget.admit(100, 1000), Ok(()));
        assert_eq!(budget.admit(101, 1000), Err(OverBudget::Space { needed_bytes: 101, allowed_bytes: 100 }));
        assert_eq!(budget.admit(90, 89), Err(OverBudget::Volume { needed_bytes: 90, free_bytes: 89 }));
        assert_eq!(budget.check(Duration::from_secs(59)), Ok(()));
        assert_eq!(budget.check(Duration::from_mins(1)), Err(OverBudget::Time { allowed_s: 60 }));
        assert_eq!(budget.left(Duration::from_secs(70)), Some(Duration::ZERO));
        assert_eq!(Budget::default().check(Duration::MAX), Ok(()));
    }
}
