use std::{sync::Arc, time::Duration};

use model::Moment;
use ports::{Boot, Clock};

/// A clock that runs faster than another: ten days pass in minutes.
///
/// It shows the other's time when it is made, and runs from there. Whoever signs for a domain that lives by it must live
/// by it as well.
pub struct FastClock {
    inner: Arc<dyn Clock>,
    speed: u32,
    wall: Moment,
    elapsed: Duration,
}

impl FastClock {
    /// Makes a clock that runs so many times as fast; with 1 or 0, as fast.
    pub fn new(inner: Arc<dyn Clock>, speed: u32) -> Self {
        Self { wall: inner.now(), elapsed: inner.elapsed(), speed: speed.max(1), inner }
    }

    /// Returns how much time has passed by it since it was made.
    fn passed(&self) -> Duration {
        self.inner.elapsed().saturating_sub(self.elapsed).saturating_mul(self.speed)
    }
}

impl Clock for FastClock {
    fn now(&self) -> Moment {
        if self.speed == 1 {
            return self.inner.now();
        }
        self.wall.plus_micros(i64::try_from(self.passed().as_micros()).unwrap_or(i64::MAX))
    }

    fn elapsed(&self) -> Duration {
        self.elapsed + self.passed()
    }

    fn sleep(&self, duration: Duration) {
        self.inner.sleep(duration / self.speed);
    }

    fn boot(&self) -> Boot {
        self.inner.boot()
    }
}

#[cfg(test)]
mod tests {
    use ports::ManualClock;

    use super::*;

    #[test]
    fn days_pass_in_minutes() {
        let inner = Arc::new(ManualClock::new(Moment::from_micros(1_000_000)));
        let clock = FastClock::new(Arc::clone(&inner) as _, 1440);
        let begun = clock.elapsed();
        clock.sleep(Duration::from_hours(24));
        assert_eq!(clock.elapsed().saturating_sub(begun), Duration::from_hours(24));
        assert_eq!(clock.now(), Moment::from_micros(1_000_000 + 86_400_000_000));
        assert_eq!(inner.now(), Moment::from_micros(1_000_000 + 60_000_000), "a minute");
    }

    #[test]
    fn at_its_usual_speed_it_is_the_other_clock() {
        let inner = Arc::new(ManualClock::new(Moment::from_micros(1_000_000)));
        let clock = FastClock::new(Arc::clone(&inner) as _, 1);
        inner.sleep(Duration::from_secs(5));
        assert_eq!((clock.now(), clock.elapsed()), (inner.now(), inner.elapsed()));
    }
}
