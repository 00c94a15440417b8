use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use model::Moment;
use ports::Clock;

/// Remembers when something was last looked at that no feed tells of.
pub(crate) struct Rounds {
    clock: Arc<dyn Clock>,
    period: Duration,
    last: Mutex<BTreeMap<String, Duration>>,
}

impl Rounds {
    pub(crate) const fn new(clock: Arc<dyn Clock>, period: Duration) -> Self {
        Self { clock, period, last: Mutex::new(BTreeMap::new()) }
    }

    /// Returns the wall time.
    pub(crate) fn now(&self) -> Moment {
        self.clock.now()
    }

    /// Tells whether it is time to look again, and counts from now if so.
    pub(crate) fn is_due(&self, name: &str) -> bool {
        self.is_due_after(name, self.period)
    }

    /// The same, with a period of its own.
    pub(crate) fn is_due_after(&self, name: &str, period: Duration) -> bool {
        let now = self.clock.elapsed();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let due = last.get(name).is_none_or(|then| now.saturating_sub(*then) >= period);
        if due {
            last.insert(name.to_owned(), now);
        }
        due
    }
}
