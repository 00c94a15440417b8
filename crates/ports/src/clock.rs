//! Time.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use model::Moment;

/// A source of time. Wall time is for people and stored dates; elapsed time is for timeouts and rates.
pub trait Clock: Send + Sync {
    /// Returns the wall time.
    fn now(&self) -> Moment;

    /// Returns the time since some fixed point; it never goes back.
    fn elapsed(&self) -> Duration;

    /// Waits.
    fn sleep(&self, duration: Duration);
}

/// A clock that somebody else keeps: an object store, another host, a witness.
pub trait TimeSource: Send + Sync {
    /// Returns whose clock it is, for people: `the object store at s3.example.org`.
    fn name(&self) -> String;

    /// Asks for the time.
    fn read(&self) -> Result<Moment, TimeError>;
}

/// A source of time that did not tell the time.
#[derive(Debug, thiserror::Error)]
#[error("{name} does not tell the time")]
pub struct TimeError {
    /// Whose clock it is.
    pub name: String,
    /// What it answered.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// The machine's clocks.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    start: std::time::Instant,
}

impl SystemClock {
    /// Makes a clock whose elapsed time starts at zero.
    #[expect(clippy::disallowed_methods, reason = "this is the adapter that everybody else must use")]
    pub fn new() -> Self {
        Self { start: std::time::Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the adapter that everybody else must use")]
    fn now(&self) -> Moment {
        let now = std::time::SystemTime::now();
        let micros = match now.duration_since(std::time::UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_micros()).unwrap_or(i64::MAX),
            Err(before) => -i64::try_from(before.duration().as_micros()).unwrap_or(i64::MAX),
        };
        Moment::from_micros(micros)
    }

    fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    #[expect(clippy::disallowed_methods, reason = "this is the adapter that everybody else must use")]
    fn sleep(&self, duration: Duration) {
        std::thread::sleep(duration);
    }
}

/// A clock that moves only when told to, or when somebody sleeps on it.
#[derive(Debug)]
pub struct ManualClock {
    micros: AtomicI64,
    start: i64,
}

impl ManualClock {
    /// Makes a clock that stands at `moment`.
    pub const fn new(moment: Moment) -> Self {
        Self { micros: AtomicI64::new(moment.as_micros()), start: moment.as_micros() }
    }

    /// Moves the clock; a negative step makes wall time jump back.
    pub fn advance_micros(&self, micros: i64) {
        self.micros.fetch_add(micros, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Moment {
        Moment::from_micros(self.micros.load(Ordering::SeqCst))
    }

    fn elapsed(&self) -> Duration {
        let micros = self.micros.load(Ordering::SeqCst).saturating_sub(self.start);
        Duration::from_micros(u64::try_from(micros).unwrap_or(0))
    }

    fn sleep(&self, duration: Duration) {
        self.advance_micros(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX));
    }
}
