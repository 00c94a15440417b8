//! Waiting that ends when somebody asks: [`crate::Stop::wait`], and what it is made of for those who are asked otherwise.

use std::time::Duration;

use ports::Clock;

/// How soon a request to end is seen.
pub const SLICE: Duration = Duration::from_millis(200);

/// Waits by the clock, in slices; returns whether the whole time passed.
pub fn pause(clock: &dyn Clock, duration: Duration, stop: &dyn Fn() -> bool) -> bool {
    let end = clock.elapsed().saturating_add(duration);
    loop {
        if stop() {
            return false;
        }
        let left = end.saturating_sub(clock.elapsed());
        if left.is_zero() {
            return true;
        }
        clock.sleep(whole_micros(left.min(SLICE)));
    }
}

/// Rounds up to what every clock can wait for: a shorter wait would be none.
pub fn whole_micros(duration: Duration) -> Duration {
    let micros = duration.as_nanos().div_ceil(1000);
    Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use model::Moment;
    use ports::ManualClock;

    use super::*;

    #[test]
    fn a_pause_lasts_as_long_as_it_should_and_ends_early_when_asked() {
        let clock = ManualClock::new(Moment::from_micros(0));
        assert!(pause(&clock, Duration::from_nanos(1_500_000_500), &|| false));
        assert_eq!(clock.elapsed(), Duration::from_micros(1_500_001));
        let ends = || clock.elapsed() > Duration::from_secs(3);
        assert!(!pause(&clock, Duration::from_mins(1), &ends));
        assert!(clock.elapsed() < Duration::from_secs(4));
    }
}
