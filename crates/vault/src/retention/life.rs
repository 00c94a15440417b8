//! The life of a pack: pure decisions, checked for every reachable state in the tests.

use model::Moment;

use super::{DAY_MICROS, MARGIN_DAYS, RENEW_BELOW_DAYS, retained_until};

/// What is known of one pack when somebody decides about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// Whether a live version needs it.
    pub needed: bool,
    /// Whether its source, or the vault, is on hold.
    pub held: bool,
    /// Since when it is released: the later of what the log says and when the reaper first saw it there.
    pub released_at: Option<Moment>,
    /// Until when the store says it is locked.
    pub locked_until: Option<Moment>,
}

/// The world in which the decision is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Circumstances {
    /// Vault time.
    pub now: Moment,
    /// Whether vault time is frozen, or the log of retention is not whole.
    pub frozen: bool,
    /// For how many days a version stays after it was live.
    pub lock_days: u32,
}

/// Why a pack stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Stays {
    /// Nobody knows what time it is, or the log is not whole.
    #[error("retention is frozen")]
    Frozen,
    /// A live version needs it.
    #[error("a live version needs it")]
    Needed,
    /// It is on hold.
    #[error("it is on hold")]
    Held,
    /// It was never released.
    #[error("it was not released")]
    NotReleased,
    /// Its window has not run out.
    #[error("its window runs until {until}")]
    InWindow {
        /// Until when.
        until: Moment,
    },
    /// The store still holds its lock, or does not tell.
    #[error("the store holds its lock")]
    Locked,
}

/// Decides whether the window of a pack may begin to run out.
pub fn may_release(facts: &Facts, world: &Circumstances) -> Result<(), Stays> {
    if world.frozen {
        Err(Stays::Frozen)
    } else if facts.needed {
        Err(Stays::Needed)
    } else if facts.held {
        Err(Stays::Held)
    } else {
        Ok(())
    }
}

/// Decides whether a pack may be removed. Every condition stands alone: one that is wrong is caught by another.
pub fn may_reap(facts: &Facts, world: &Circumstances) -> Result<(), Stays> {
    may_release(facts, world)?;
    let released_at = facts.released_at.ok_or(Stays::NotReleased)?;
    let until = retained_until(released_at, world.lock_days);
    if world.now < until {
        return Err(Stays::InWindow { until });
    }
    match facts.locked_until {
        Some(lock) if lock <= world.now => Ok(()),
        // A lock that nobody knows is taken for one that runs.
        Some(_) | None => Err(Stays::Locked),
    }
}

/// Returns until when an object is to be locked now, if its lock is too short.
///
/// What is live is renewed well before it lapses; what was released keeps the lock that its window needs.
pub(super) fn renewal(
    locked_until: Option<Moment>,
    released_at: Option<Moment>,
    latest: Moment,
    lock_days: u32,
) -> Option<Moment> {
    if let Some(released_at) = released_at {
        let window = retained_until(released_at, lock_days);
        return locked_until.is_none_or(|lock| lock < window).then_some(window);
    }
    let soon = retained_until(latest, lock_days.saturating_add(RENEW_BELOW_DAYS));
    let wanted = retained_until(latest, lock_days.saturating_add(MARGIN_DAYS));
    locked_until.is_none_or(|lock| lock < soon).then_some(wanted)
}

/// Returns how many whole days of lock are left; none when it has lapsed.
pub fn days_left(locked_until: Moment, now: Moment) -> u32 {
    u32::try_from(locked_until.micros_since(now).max(0) / DAY_MICROS).unwrap_or(u32::MAX)
}
