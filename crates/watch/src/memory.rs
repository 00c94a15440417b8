//! What detection remembers: counts, habits, steps. All of it is bounded, and may be stored and read again.

mod counts;
mod habits;

use std::{
    collections::{BTreeMap, HashMap},
    hash::{DefaultHasher, Hash, Hasher},
};

use model::Moment;
use serde::{Deserialize, Serialize};

pub(crate) use self::{
    counts::{Day, Slope, Steps, Window},
    habits::Habit,
};

pub(crate) const SECOND: i64 = 1_000_000;
pub(crate) const HOUR: i64 = 3600 * SECOND;
pub(crate) const DAY: i64 = 24 * HOUR;

/// So many of each kind of counter are kept; beyond, those go that were not used for longest.
const COUNTERS_MAX: usize = 20_000;

/// Returns a number for what is looked up by several things together.
pub(crate) fn key(parts: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    parts.hash(&mut hasher);
    hasher.finish()
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Slot<T> {
    used: u64,
    value: T,
}

/// Things by their key, of which those are forgotten that were not used for longest.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Bounded<T> {
    slots: HashMap<u64, Slot<T>>,
    used: u64,
}

impl<T> Default for Bounded<T> {
    fn default() -> Self {
        Self { slots: HashMap::new(), used: 0 }
    }
}

impl<T: Default> Bounded<T> {
    /// Returns what is kept under a key, new where nothing is.
    pub(crate) fn at(&mut self, key: u64) -> &mut T {
        if self.slots.len() >= COUNTERS_MAX && !self.slots.contains_key(&key) {
            self.shrink();
        }
        self.used += 1;
        let slot = self.slots.entry(key).or_insert_with(|| Slot { used: 0, value: T::default() });
        slot.used = self.used;
        &mut slot.value
    }

    /// Returns what is kept under a key.
    pub(crate) fn get(&self, key: u64) -> Option<&T> {
        self.slots.get(&key).map(|slot| &slot.value)
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Forgets a quarter at a time, so that a flood of new keys costs little for each of them.
    fn shrink(&mut self) {
        let mut used: Vec<u64> = self.slots.values().map(|slot| slot.used).collect();
        let nth = used.len() / 4;
        let (_, oldest, _) = used.select_nth_unstable(nth);
        let oldest = *oldest;
        self.slots.retain(|_, slot| slot.used > oldest);
    }
}

/// How much an expectation has covered.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Tally {
    /// The most that any log has told, a feed being one: each tells of the same.
    pub(crate) items: u64,
    pub(crate) by_log: BTreeMap<String, u64>,
    pub(crate) source: Option<model::SourceName>,
    pub(crate) scope: String,
    pub(crate) until: i64,
    pub(crate) told_at: i64,
    pub(crate) told_items: u64,
}

/// So many logs are told apart.
const LOGS_MAX: usize = 16;

impl Tally {
    /// Returns how much there would be with so many more of a log.
    pub(crate) fn with(&self, log: &str, count: u64) -> u64 {
        self.by_log.get(log).copied().unwrap_or(0).saturating_add(count)
    }

    /// Adds so many of a log.
    pub(crate) fn add(&mut self, log: &str, count: u64) {
        let log = if self.by_log.len() < LOGS_MAX || self.by_log.contains_key(log) { log } else { "others" };
        let sum = self.with(log, count);
        self.by_log.insert(log.to_owned(), sum);
        self.items = self.items.max(sum);
    }
}

/// What detection remembers. It may be stored and handed to the next [`Watcher`](crate::Watcher); without it the next
/// begins to count anew, and knows for a while neither habits nor who is new.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Memory {
    /// When watching began.
    pub(crate) since: Option<Moment>,
    pub(crate) windows: Bounded<Window>,
    pub(crate) days: Bounded<Day>,
    pub(crate) slopes: Bounded<Slope>,
    pub(crate) steps: Bounded<Steps>,
    pub(crate) habits: Bounded<Habit>,
    /// Since when somebody does something, and when they last did.
    pub(crate) pairs: Bounded<(i64, i64)>,
    /// When a notice was last given.
    pub(crate) noticed: Bounded<i64>,
    /// What expectations have covered.
    pub(crate) tallies: BTreeMap<String, Tally>,
}

impl Memory {
    /// Returns how many counters are kept; there are never more than 140,000.
    pub fn counters(&self) -> usize {
        self.windows.len()
            + self.days.len()
            + self.slopes.len()
            + self.steps.len()
            + self.habits.len()
            + self.pairs.len()
            + self.noticed.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_used_for_longest_is_forgotten_first() {
        let mut all: Bounded<i64> = Bounded::default();
        for number in 0..COUNTERS_MAX as u64 {
            *all.at(number) = 1;
        }
        *all.at(0) = 2;
        for number in 0..COUNTERS_MAX as u64 {
            all.at(1_000_000 + number);
            assert!(all.len() <= COUNTERS_MAX);
            all.at(0);
        }
        assert_eq!((all.get(0), all.get(1)), (Some(&2), None));
    }
}
