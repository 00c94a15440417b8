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
    looks: Mutex<BTreeMap<String, Look>>,
}

/// The newest look at something.
#[derive(Clone, Copy)]
struct Look {
    at: Duration,
    is_first: bool,
}

impl Rounds {
    pub(crate) const fn new(clock: Arc<dyn Clock>, period: Duration) -> Self {
        Self { clock, period, looks: Mutex::new(BTreeMap::new()) }
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
        self.look(name, |_| period)
    }

    /// The same, one of many that are not all to be looked at together: after the first look each waits for a part of the
    /// period that follows from its name, and from then on for the period.
    pub(crate) fn is_due_in_turn(&self, name: &str) -> bool {
        self.look(
            name,
            |look| if look.is_first { self.period.mul_f64(part_of_period(name)) } else { self.period },
        )
    }

    fn look(&self, name: &str, period: impl FnOnce(Look) -> Duration) -> bool {
        let now = self.clock.elapsed();
        let mut looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        let last = looks.get(name).copied();
        let due = last.is_none_or(|last| now.saturating_sub(last.at) >= period(last));
        if due {
            looks.insert(name.to_owned(), Look { at: now, is_first: last.is_none() });
        }
        due
    }
}

/// Returns a number between an eighth and one that follows from a name.
pub(crate) fn part_of_period(name: &str) -> f64 {
    let first = blake3::hash(name.as_bytes()).as_bytes()[0];
    0.125 + 0.875 * f64::from(first) / 255.0
}

#[cfg(test)]
mod tests {
    use ports::ManualClock;

    use super::*;

    #[test]
    fn many_are_looked_at_together_once_and_then_in_turn() {
        let clock = Arc::new(ManualClock::new(Moment::from_micros(0)));
        let rounds = Rounds::new(Arc::clone(&clock) as _, Duration::from_mins(1));
        let names: Vec<String> = (0..200).map(|number| format!("user/{number}")).collect();
        let mut due = Vec::new();
        for _ in 0..180 {
            due.push(names.iter().filter(|name| rounds.is_due_in_turn(name)).count());
            clock.advance_micros(1_000_000);
        }
        assert_eq!(due[0], names.len(), "everything once at the beginning");
        assert_eq!(due[1..=60].iter().sum::<usize>(), names.len(), "each once more within the first period");
        let later = &due[61..];
        assert!(later.iter().all(|&count| count < names.len() / 10), "{later:?}");
        assert!(later.iter().sum::<usize>() >= names.len(), "{later:?}");
    }
}
