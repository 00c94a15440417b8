use model::Moment;
use serde::{Deserialize, Serialize};

/// For how long the machine has been seen running, by a memory: no change of wall time touches it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Running {
    /// Which memory: what was settled when it began. Another one says nothing of this one's past.
    pub memory: Moment,
    /// Microseconds since then, without those that nobody saw: while the machine was off, or not looked at.
    pub micros: i64,
}

impl Running {
    /// Returns how many microseconds went by at least since an earlier time; `None` where nobody remembers.
    pub fn since(&self, earlier: Option<Self>) -> Option<i64> {
        let earlier = earlier.filter(|earlier| earlier.memory == self.memory)?;
        Some(self.micros - earlier.micros).filter(|micros| *micros >= 0)
    }
}

/// The time that comes with an act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Now {
    /// By the host's clock, which may be set.
    pub at: Moment,
    /// By how long the machine has been running; `None` where nothing is remembered.
    pub running: Option<Running>,
}

impl From<Moment> for Now {
    /// Takes the host's clock alone.
    fn from(at: Moment) -> Self {
        Self { at, running: None }
    }
}

impl Now {
    /// Returns how many microseconds went by at least since an earlier time; `None` where nobody remembers.
    pub(crate) fn since(&self, earlier: Option<Running>) -> Option<i64> {
        self.running?.since(earlier)
    }
}
