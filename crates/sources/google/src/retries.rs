use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use ports::Clock;

/// What failed is tried again after so long, then after twice as long each time.
const PAUSE: Duration = Duration::from_mins(1);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_hours(24);

/// Remembers of each unit what could not be read, and when it is tried again.
pub(crate) struct Retries {
    clock: Arc<dyn Clock>,
    units: Mutex<BTreeMap<String, BTreeMap<String, Retry>>>,
}

struct Retry {
    next: Duration,
    /// How long it is waited after the next failure.
    pause: Duration,
}

impl Retries {
    pub(crate) const fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, units: Mutex::new(BTreeMap::new()) }
    }

    /// Takes keys that failed in an earlier run: those that are not known here are due at once.
    pub(crate) fn note(&self, unit: &str, keys: Vec<String>) {
        let now = self.clock.elapsed();
        let mut units = self.lock();
        let known = units.entry(unit.to_owned()).or_default();
        for key in keys {
            known.entry(key).or_insert(Retry { next: now, pause: PAUSE });
        }
    }

    /// Takes the news that a key failed, perhaps again.
    pub(crate) fn failed(&self, unit: &str, key: &str) {
        let now = self.clock.elapsed();
        let mut units = self.lock();
        let known = units.entry(unit.to_owned()).or_default();
        let retry = known.entry(key.to_owned()).or_insert(Retry { next: now, pause: PAUSE });
        retry.next = now.saturating_add(retry.pause);
        retry.pause = (retry.pause * 2).min(PAUSE_MAX);
    }

    /// Forgets a key that was read, or will never be.
    pub(crate) fn forget(&self, unit: &str, key: &str) {
        if let Some(known) = self.lock().get_mut(unit) {
            known.remove(key);
        }
    }

    /// Returns the keys of a unit that are to be tried now.
    pub(crate) fn due(&self, unit: &str) -> Vec<String> {
        let now = self.clock.elapsed();
        let units = self.lock();
        let known = units.get(unit).into_iter().flatten();
        known.filter(|(_, retry)| retry.next <= now).map(|(key, _)| key.clone()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, BTreeMap<String, Retry>>> {
        self.units.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use model::Moment;
    use ports::ManualClock;

    use super::*;

    #[test]
    fn what_keeps_failing_is_tried_after_ever_longer_pauses() {
        let clock = Arc::new(ManualClock::new(Moment::from_micros(0)));
        let retries = Retries::new(Arc::clone(&clock) as _);
        retries.note("unit", vec!["a".to_owned()]);
        assert_eq!(retries.due("unit"), ["a"], "what failed in an earlier run");
        assert!(retries.due("other").is_empty());
        let mut pauses = Vec::new();
        for _ in 0..13 {
            retries.failed("unit", "a");
            retries.note("unit", vec!["a".to_owned()]);
            let since = clock.elapsed();
            while retries.due("unit").is_empty() {
                clock.advance_micros(60_000_000);
            }
            pauses.push(clock.elapsed().saturating_sub(since).as_secs() / 60);
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 1440, 1440]);
        retries.forget("unit", "a");
        clock.advance_micros(86_400_000_000);
        assert!(retries.due("unit").is_empty());
    }
}
