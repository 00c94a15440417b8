//! True time, and the clocks of hosts that need not tell it.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use model::Moment;
use ports::{Boot, Clock};

/// Microseconds in a day.
pub const DAY: i64 = 24 * 60 * 60 * 1_000_000;
/// Microseconds in an hour.
pub const HOUR: i64 = DAY / 24;

/// True time: it only goes forward, and only when the world says so.
#[derive(Debug)]
pub struct Truth(AtomicI64);

impl Truth {
    /// Makes a time that stands at `moment`.
    pub const fn new(moment: Moment) -> Self {
        Self(AtomicI64::new(moment.as_micros()))
    }

    /// Returns true time.
    pub fn now(&self) -> Moment {
        Moment::from_micros(self.0.load(Ordering::SeqCst))
    }

    /// Lets time pass.
    pub fn pass(&self, micros: i64) {
        self.0.fetch_add(micros.max(0), Ordering::SeqCst);
    }
}

/// What a host believes of time.
#[derive(Debug)]
pub struct HostClock {
    truth: Arc<Truth>,
    belief: Mutex<Belief>,
}

#[derive(Debug, Clone, Copy)]
struct Belief {
    /// True time when the belief was last changed, and what the host then took for the time.
    since: i64,
    told: i64,
    /// How much faster than true time the clock runs, in parts of a million; -1,000,000 stands still.
    drift_parts: i64,
    booted: i64,
    boots: u64,
}

/// What happens to a host's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockEvent {
    /// It is set so much forward, or back.
    Jump(i64),
    /// It goes on faster or slower, in parts of a million.
    Drift(i64),
    /// It stands still.
    Stop,
    /// It tells true time again.
    Repair,
    /// The host starts anew, and its clock is so far off.
    Boot(i64),
}

impl HostClock {
    /// Makes a clock that tells true time.
    pub fn new(truth: Arc<Truth>) -> Self {
        let now = truth.now().as_micros();
        let belief = Belief { since: now, told: now, drift_parts: 0, booted: now, boots: 1 };
        Self { truth, belief: Mutex::new(belief) }
    }

    /// Lets something happen to the clock.
    pub fn suffer(&self, event: ClockEvent) {
        let (now, told) = (self.truth.now().as_micros(), self.now().as_micros());
        let mut belief = self.belief();
        (belief.since, belief.told) = (now, told);
        match event {
            ClockEvent::Jump(micros) => belief.told += micros,
            ClockEvent::Drift(parts) => belief.drift_parts = parts,
            ClockEvent::Stop => belief.drift_parts = -1_000_000,
            ClockEvent::Repair => (belief.told, belief.drift_parts) = (now, 0),
            ClockEvent::Boot(offset) => {
                (belief.told, belief.drift_parts) = (now + offset, 0);
                belief.booted = now;
                belief.boots += 1;
            }
        }
    }

    /// Returns by how much the clock is ahead of true time; negative when it is behind.
    pub fn error_micros(&self) -> i64 {
        self.now().micros_since(self.truth.now())
    }

    fn belief(&self) -> MutexGuard<'_, Belief> {
        self.belief.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for HostClock {
    fn now(&self) -> Moment {
        let belief = *self.belief();
        let passed = self.truth.now().as_micros() - belief.since;
        let drift = passed / 1_000_000 * belief.drift_parts;
        Moment::from_micros(belief.told + passed + drift)
    }

    fn elapsed(&self) -> Duration {
        self.boot().running
    }

    fn sleep(&self, duration: Duration) {
        self.truth.pass(i64::try_from(duration.as_micros()).unwrap_or(0));
    }

    fn boot(&self) -> Boot {
        let belief = *self.belief();
        let running = self.truth.now().as_micros() - belief.booted;
        Boot {
            id: format!("boot-{}", belief.boots),
            running: Duration::from_micros(u64::try_from(running).unwrap_or(0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_jumps_stands_still_and_lies_after_a_start() {
        let truth = Arc::new(Truth::new(Moment::from_micros(0)));
        let clock = HostClock::new(Arc::clone(&truth));
        clock.suffer(ClockEvent::Jump(-HOUR));
        assert_eq!(clock.error_micros(), -HOUR);
        clock.suffer(ClockEvent::Stop);
        truth.pass(DAY);
        assert_eq!(clock.error_micros(), -HOUR - DAY);
        clock.suffer(ClockEvent::Boot(5 * DAY));
        assert_eq!((clock.error_micros(), clock.elapsed()), (5 * DAY, Duration::ZERO));
        clock.suffer(ClockEvent::Repair);
        clock.suffer(ClockEvent::Drift(100));
        truth.pass(DAY);
        assert_eq!(clock.error_micros(), DAY / 10_000);
    }
}
