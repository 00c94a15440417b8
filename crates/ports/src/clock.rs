//! Time.

use std::{
    path::Path,
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use model::Moment;

use crate::files;

/// A source of time. Wall time is for people and stored dates; elapsed time is for timeouts and rates.
pub trait Clock: Send + Sync {
    /// Returns the wall time.
    fn now(&self) -> Moment;

    /// Returns the time since some fixed point; it never goes back.
    fn elapsed(&self) -> Duration;

    /// Waits.
    fn sleep(&self, duration: Duration);

    /// Returns for how long this machine has been running, in a way that no change of wall time touches.
    fn boot(&self) -> Boot;
}

/// One run of a machine, from its start to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Boot {
    /// What tells this run from every other one.
    pub id: String,
    /// For how long it has been going on, sleep included.
    pub running: Duration,
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

    fn boot(&self) -> Boot {
        let running = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let seconds = u64::try_from(running.tv_sec).unwrap_or(0);
        let nanoseconds = u32::try_from(running.tv_nsec).unwrap_or(0);
        // Without an id every look seems to be at another run, which credits too little time and never too much.
        let id = files::read_text(Path::new("/proc/sys/kernel/random/boot_id")).unwrap_or_default();
        Boot { id: id.trim().to_owned(), running: Duration::new(seconds, nanoseconds) }
    }
}

/// A clock that moves only when told to, or when somebody sleeps on it.
#[derive(Debug)]
pub struct ManualClock {
    wall_micros: AtomicI64,
    running_micros: AtomicI64,
    boots: AtomicI64,
    boot_running_micros: AtomicI64,
}

impl ManualClock {
    /// Makes a clock that stands at `moment`.
    pub const fn new(moment: Moment) -> Self {
        Self {
            wall_micros: AtomicI64::new(moment.as_micros()),
            running_micros: AtomicI64::new(0),
            boots: AtomicI64::new(1),
            boot_running_micros: AtomicI64::new(0),
        }
    }

    /// Lets time pass; with a negative step wall time jumps back and nothing else happens.
    pub fn advance_micros(&self, micros: i64) {
        self.jump_micros(micros);
        self.running_micros.fetch_add(micros.max(0), Ordering::SeqCst);
        self.boot_running_micros.fetch_add(micros.max(0), Ordering::SeqCst);
    }

    /// Makes wall time jump, as when somebody sets the clock: no time passes.
    pub fn jump_micros(&self, micros: i64) {
        self.wall_micros.fetch_add(micros, Ordering::SeqCst);
    }

    /// Starts the machine again after it was switched off for so long.
    pub fn restart(&self, off_micros: i64) {
        self.jump_micros(off_micros);
        self.boots.fetch_add(1, Ordering::SeqCst);
        self.boot_running_micros.store(0, Ordering::SeqCst);
    }
}

fn duration(micros: &AtomicI64) -> Duration {
    Duration::from_micros(u64::try_from(micros.load(Ordering::SeqCst)).unwrap_or(0))
}

impl Clock for ManualClock {
    fn now(&self) -> Moment {
        Moment::from_micros(self.wall_micros.load(Ordering::SeqCst))
    }

    fn elapsed(&self) -> Duration {
        duration(&self.running_micros)
    }

    fn sleep(&self, duration: Duration) {
        self.advance_micros(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX));
    }

    fn boot(&self) -> Boot {
        let id = format!("boot {}", self.boots.load(Ordering::SeqCst));
        Boot { id, running: duration(&self.boot_running_micros) }
    }
}
