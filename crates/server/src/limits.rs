//! How often somebody may ask: a bucket for each of them, which fills with time.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use ports::Clock;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Purpose {
    /// To be let in: by passkey, invitation or token.
    Door,
    /// Anything else.
    Request,
    /// Work that takes long.
    Work,
}

impl Purpose {
    /// How many at once, and how long until there is room for one more.
    const fn allowance(self) -> (u32, Duration) {
        match self {
            Self::Door => (20, Duration::from_secs(3)),
            // A whole company may come from one address, that of its proxy.
            Self::Request => (2_000, Duration::from_millis(5)),
            Self::Work => (30, Duration::from_secs(2)),
        }
    }
}

/// So many are remembered; beyond that whoever is full again is forgotten.
const REMEMBERED: usize = 10_000;

/// The buckets.
pub(crate) struct Limits {
    clock: Arc<dyn Clock>,
    /// When each bucket will be full again.
    full_at: Mutex<HashMap<(Purpose, String), Duration>>,
}

impl Limits {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, full_at: Mutex::default() }
    }

    /// Takes one from a bucket; where it is empty, tells how long to wait.
    pub(crate) fn take(&self, purpose: Purpose, who: &str) -> Result<(), Duration> {
        let (burst, each) = purpose.allowance();
        let now = self.clock.elapsed();
        let mut buckets = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= REMEMBERED {
            buckets.retain(|_, full_at| *full_at > now);
        }
        let bucket = buckets.entry((purpose, who.to_owned())).or_insert(now);
        let next = (*bucket).max(now) + each;
        let wait = next.saturating_sub(now + each * burst);
        if !wait.is_zero() {
            return Err(wait);
        }
        *bucket = next;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use ports::ManualClock;

    use super::*;

    #[test]
    fn whoever_asks_too_often_waits_and_disturbs_nobody_else() {
        let clock = Arc::new(ManualClock::new(model::Moment::from_micros(0)));
        let limits = Limits::new(Arc::clone(&clock) as Arc<dyn Clock>);
        for _ in 0..20 {
            limits.take(Purpose::Door, "10.0.0.1").unwrap();
        }
        let wait = limits.take(Purpose::Door, "10.0.0.1").unwrap_err();
        assert_eq!(wait, Duration::from_secs(3));
        limits.take(Purpose::Door, "10.0.0.2").unwrap();
        limits.take(Purpose::Request, "10.0.0.1").unwrap();
        clock.sleep(wait);
        limits.take(Purpose::Door, "10.0.0.1").unwrap();
        assert!(limits.take(Purpose::Door, "10.0.0.1").is_err());
    }
}
