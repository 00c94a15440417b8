//! What a server grants, whoever asks.

use model::Moment;
use ports::Clock;
use vault::retention::{self, DAY_MICROS};

/// What a server grants. All of it is the server's to decide; a request can only stay inside of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// No lock reaches further than this many days from now: a longer one would fill the disk for good.
    pub lock_days_max: u32,
    /// How many bytes a source may add in a day.
    pub bytes_per_day_max: u64,
    /// How many objects a source may add in a day.
    pub objects_per_day_max: u64,
    /// Free space that no source may take.
    pub reserve_bytes: u64,
}

/// How far a commit's time may lie after the server's.
pub(crate) const AHEAD_MICROS: i64 = 3_600 * 1_000_000;
/// How far it may lie before.
pub(crate) const BEHIND_MICROS: i64 = DAY_MICROS;

impl Default for Policy {
    fn default() -> Self {
        Self {
            lock_days_max: 3_653,
            bytes_per_day_max: 1 << 40,
            objects_per_day_max: 200_000,
            reserve_bytes: 1 << 30,
        }
    }
}

impl Policy {
    /// Returns until when an object made now is locked, whatever was asked; `None` when too long a lock was asked for.
    pub(crate) fn lock(self, clock: &dyn Clock, lock_days: u32, asked: Option<Moment>) -> Option<Moment> {
        let least = retention::lock_until(clock.now(), lock_days);
        let asked = asked.unwrap_or(least);
        (asked <= self.lock_max(clock)).then(|| least.max(asked))
    }

    /// Returns the latest lock that is granted now.
    pub(crate) fn lock_max(self, clock: &dyn Clock) -> Moment {
        retention::retained_until(clock.now(), self.lock_days_max)
    }
}
