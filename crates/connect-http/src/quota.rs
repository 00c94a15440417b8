//! Quota: what calls cost, and waiting until they may be made.
//!
//! A call is charged to several pools at once: the tenant's and the user's, say. Each pool is a bucket that fills at
//! its rate up to its burst. A call goes ahead at the first time at which all its charges fit together without
//! delaying anyone who came before; whoever waits for one pool does not hold up others in another.

mod bucket;
mod meter;
mod schedule;
#[cfg(test)]
pub(crate) mod simulation;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use connect::{
    QuotaUse,
    pause::{SLICE, pause, whole_micros},
};
use ports::Clock;
use serde::{Deserialize, Serialize};

use self::{
    bucket::{Time, duration, picoseconds},
    meter::Meters,
    schedule::{Schedule, Standing},
};

/// The rate of a pool. Every subject of the pool has a bucket of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolSettings {
    /// How many units come back in each span of `per`.
    pub units: u64,
    /// The span of time.
    pub per: Duration,
    /// How many units may be used at once after a rest. Within any span no more than this and the rate are used.
    pub burst: u64,
    /// How many calls may run at once; absent: any number.
    pub concurrent: Option<u32>,
}

impl PoolSettings {
    /// Tells whether the pool gives anything at all.
    #[must_use]
    pub const fn is_zero(&self) -> bool {
        self.units == 0 || self.per.is_zero() || matches!(self.concurrent, Some(0))
    }
}

/// The settings of all pools by their names.
pub type Pools = BTreeMap<String, PoolSettings>;

/// One bucket: a pool, and whose part of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PoolKey {
    /// The pool's name in the settings.
    pub pool: String,
    /// Whose bucket; absent: the one that all share.
    pub subject: Option<String>,
}

impl fmt::Display for PoolKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.subject {
            Some(subject) => write!(f, "{}/{subject}", self.pool),
            None => f.write_str(&self.pool),
        }
    }
}

/// What one call costs in one bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// The bucket.
    pub key: PoolKey,
    /// The units. None are fine: then the call only counts among those that run at once.
    pub units: u64,
}

impl Charge {
    /// Makes a charge to the bucket that all share.
    pub fn shared(pool: impl Into<String>, units: u64) -> Self {
        Self { key: PoolKey { pool: pool.into(), subject: None }, units }
    }

    /// Makes a charge to a subject's own bucket.
    pub fn of(pool: impl Into<String>, subject: impl Into<String>, units: u64) -> Self {
        Self { key: PoolKey { pool: pool.into(), subject: Some(subject.into()) }, units }
    }
}

/// Why a call may not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuotaError {
    /// The pool gives nothing: waiting would not end.
    #[error("the quota of {pool} is zero")]
    Zero {
        /// The pool's name.
        pool: String,
    },
    /// Nobody said how large the pool is.
    #[error("there is no quota named {pool}")]
    Unknown {
        /// The pool's name.
        pool: String,
    },
    /// Somebody asked to end while the call waited.
    #[error("the call was stopped while it waited for quota")]
    Stopped,
}

/// The buckets of a source. Clones share them.
#[derive(Clone)]
pub struct Quota {
    shared: Arc<Shared>,
}

struct Shared {
    clock: Arc<dyn Clock>,
    schedule: Mutex<Schedule>,
    /// What was taken; never locked together with the schedule.
    meters: Mutex<Meters>,
    /// Somebody else's change may have made room.
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Schedule> {
        self.schedule.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn meters(&self) -> MutexGuard<'_, Meters> {
        self.meters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Time {
        picoseconds(self.clock.elapsed())
    }

    /// Makes a change that may let others go ahead.
    fn change(&self, change: impl FnOnce(&mut Schedule)) {
        let now = self.now();
        let mut schedule = self.lock();
        change(&mut schedule);
        schedule.advance(now);
        drop(schedule);
        self.changed.notify_all();
    }
}

impl fmt::Debug for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("quota")
    }
}

impl Quota {
    /// Makes buckets, full at first, on their first use.
    pub fn new(pools: Pools, clock: Arc<dyn Clock>) -> Self {
        let meters = Mutex::new(Meters::new(pools.clone()));
        let schedule = Mutex::new(Schedule::new(pools));
        Self { shared: Arc::new(Shared { clock, schedule, meters, changed: Condvar::new() }) }
    }

    /// Waits until all charges fit at once, and takes them.
    ///
    /// A price above a pool's burst waits for as long as its units take to come back. What was taken is not given
    /// back, whatever becomes of the call.
    pub fn acquire(&self, charges: &[Charge], stop: &dyn Fn() -> bool) -> Result<Permit, QuotaError> {
        let ticket = self.shared.lock().arrive(charges)?;
        // Whoever changes anything looks for everybody; who was only woken need not look again.
        let mut look = true;
        let mut waits = Waits { shared: &self.shared, pool: None, since: self.shared.now() };
        loop {
            if stop() {
                self.shared.change(|schedule| schedule.leave(ticket));
                return Err(QuotaError::Stopped);
            }
            let now = self.shared.now();
            waits.tell(now);
            let mut schedule = self.shared.lock();
            if look && schedule.advance(now) {
                self.shared.changed.notify_all();
            }
            match schedule.standing(ticket) {
                Standing::Admitted { settle } => {
                    waits.pool = schedule.held_by(ticket);
                    let places = schedule.take(ticket);
                    drop(schedule);
                    self.shared.meters().take(now, charges);
                    let permit = Permit { shared: Arc::clone(&self.shared), places };
                    return if pause(&*self.shared.clock, duration(settle), stop) {
                        Ok(permit)
                    } else {
                        Err(QuotaError::Stopped)
                    };
                }
                Standing::Waits { until } => {
                    waits.pool = schedule.held_by(ticket);
                    drop(schedule);
                    let left = whole_micros(duration(until.saturating_sub(now)));
                    self.shared.clock.sleep(left.min(SLICE));
                    look = true;
                }
                Standing::Queues => {
                    waits.pool = schedule.held_by(ticket);
                    // No clock tells when another call ends: its end does. The limit is only there to see a stop.
                    let waited = self.shared.changed.wait_timeout(schedule, SLICE);
                    let (schedule, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
                    drop(schedule);
                    look = timeout.timed_out();
                }
            }
        }
    }

    /// Lets nobody use a bucket for a while, and lets nothing come back to it meanwhile: its server said that it was
    /// used too fast.
    pub fn penalise(&self, key: &PoolKey, duration: Duration) -> Result<(), QuotaError> {
        let now = self.shared.now();
        self.shared.lock().penalise(key, now, picoseconds(duration))
    }

    /// Notes that the service refused a call with these charges as one too many.
    pub fn refused(&self, charges: &[Charge]) {
        self.shared.meters().refused(self.shared.now(), charges);
    }

    /// Notes that a call with these charges waits for so long because it was refused.
    pub fn waited(&self, charges: &[Charge], wait: Duration) {
        self.shared.meters().waited_all(self.shared.now(), charges, picoseconds(wait));
    }

    /// Returns what was taken of each pool that was used, in the order of their names.
    #[must_use]
    pub fn uses(&self) -> Vec<QuotaUse> {
        let now = self.shared.now();
        self.shared.meters().uses(now)
    }

    /// Returns how many buckets are remembered; those that are full and unused are forgotten in time.
    #[must_use]
    pub fn buckets(&self) -> usize {
        self.shared.lock().buckets()
    }
}

/// What one call waits for; each wait is told when it is over, however it ends.
struct Waits<'q> {
    shared: &'q Shared,
    pool: Option<String>,
    since: Time,
}

impl Waits<'_> {
    fn tell(&mut self, now: Time) {
        if let Some(pool) = self.pool.take() {
            self.shared.meters().waited(now, &pool, now.saturating_sub(self.since));
        }
        self.since = now;
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.tell(self.shared.now());
    }
}

/// The right to make one call. While it lives, the call counts among those that run at once.
pub struct Permit {
    shared: Arc<Shared>,
    places: Vec<PoolKey>,
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("permit")
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if !self.places.is_empty() {
            self.shared.change(|schedule| schedule.release(&self.places));
        }
    }
}
