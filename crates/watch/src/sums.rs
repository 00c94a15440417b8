//! Effects that are added up.

use model::{Effect, Verb};
use serde::{Deserialize, Serialize};

/// So many targets are told apart; the rest is counted together as `others`.
const TARGETS_MAX: usize = 100;
const OTHERS: &str = "others";

/// Effects summed up: one entry for each verb and target, the most destructive verb first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sums(Vec<Effect>);

impl Sums {
    /// Sums up effects.
    pub fn of(effects: &[Effect]) -> Self {
        let mut sums = Self::default();
        for effect in effects {
            sums.add(effect.verb, &effect.target, effect.count);
        }
        sums
    }

    /// Returns the entries.
    pub fn iter(&self) -> impl Iterator<Item = &Effect> {
        self.0.iter()
    }

    /// Returns how many things a verb was done to.
    pub fn count(&self, verb: Verb) -> u64 {
        self.0.iter().filter(|effect| effect.verb == verb).fold(0, |sum, e| sum.saturating_add(e.count))
    }

    /// Returns how many things were destroyed, or put where they soon will be.
    pub fn destroyed(&self) -> u64 {
        let destroys = self.0.iter().filter(|effect| is_destruction(effect.verb));
        destroys.fold(0, |sum, effect| sum.saturating_add(effect.count))
    }

    /// Returns whether nothing was done.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the verbs, each once.
    pub fn verbs(&self) -> impl Iterator<Item = Verb> + '_ {
        let mut last = None;
        self.0.iter().map(|effect| effect.verb).filter(move |verb| last.replace(*verb) != Some(*verb))
    }

    pub(crate) fn add(&mut self, verb: Verb, target: &str, count: u64) {
        if count == 0 {
            return;
        }
        match self.find(verb, target) {
            Ok(at) => self.0[at].count = self.0[at].count.saturating_add(count),
            Err(_) if self.0.len() >= TARGETS_MAX && target != OTHERS => self.add(verb, OTHERS, count),
            Err(at) => self.0.insert(at, Effect { verb, target: target.to_owned(), count }),
        }
    }

    pub(crate) fn add_all(&mut self, others: &Self) {
        for effect in &others.0 {
            self.add(effect.verb, &effect.target, effect.count);
        }
    }

    /// Takes away what was added before; what went to `others` is taken from there.
    pub(crate) fn remove_all(&mut self, others: &Self) {
        for effect in &others.0 {
            let Ok(at) = self.find(effect.verb, &effect.target).or_else(|_| self.find(effect.verb, OTHERS))
            else {
                continue;
            };
            self.0[at].count = self.0[at].count.saturating_sub(effect.count);
        }
        self.0.retain(|effect| effect.count > 0);
    }

    /// Takes so many of a verb at most, of whatever targets, and returns them.
    pub(crate) fn take(&mut self, verb: Verb, count: u64) -> Self {
        let (mut left, mut taken) = (count, Self::default());
        for effect in self.0.iter_mut().filter(|effect| effect.verb == verb) {
            let now = effect.count.min(left);
            effect.count -= now;
            left -= now;
            taken.add(verb, &effect.target, now);
        }
        self.0.retain(|effect| effect.count > 0);
        taken
    }

    /// Keeps only what fits.
    pub(crate) fn retain(&mut self, keep: impl FnMut(&Effect) -> bool) {
        self.0.retain(keep);
    }

    /// Returns what is here beyond what was there before, counted by verb: names may have become better in between.
    pub(crate) fn beyond(&self, before: &Self) -> Self {
        let mut more = self.clone();
        let verbs: Vec<Verb> = before.verbs().collect();
        for verb in verbs {
            // What was there under the same name goes first.
            let mut left = before.count(verb);
            for effect in more.0.iter_mut().filter(|effect| effect.verb == verb) {
                let same = before.find(verb, &effect.target).map_or(0, |at| before.0[at].count);
                let now = effect.count.min(same);
                effect.count -= now;
                left -= now;
            }
            for effect in more.0.iter_mut().filter(|effect| effect.verb == verb) {
                let now = effect.count.min(left);
                effect.count -= now;
                left -= now;
            }
        }
        more.0.retain(|effect| effect.count > 0);
        more
    }

    fn find(&self, verb: Verb, target: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|effect| (effect.verb, effect.target.as_str()).cmp(&(verb, target)))
    }
}

/// Tells whether a verb takes something away, or the protection of it.
pub(crate) const fn is_destruction(verb: Verb) -> bool {
    matches!(
        verb,
        Verb::DropDatabase
            | Verb::Drop
            | Verb::Truncate
            | Verb::Delete
            | Verb::Trash
            | Verb::Encrypt
            | Verb::Weaken
    )
}

/// Tells whether a verb needs to be done only once to do great harm.
pub(crate) const fn is_one_shot(verb: Verb) -> bool {
    matches!(verb, Verb::DropDatabase | Verb::Drop | Verb::Truncate | Verb::Weaken)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sums(all: &[(Verb, &str, u64)]) -> Sums {
        let mut sums = Sums::default();
        for (verb, target, count) in all {
            sums.add(*verb, target, *count);
        }
        sums
    }

    #[test]
    fn what_was_added_can_be_taken_away_again() {
        let mut all = sums(&[(Verb::Delete, "a", 3), (Verb::Delete, "b", 2), (Verb::Insert, "a", 1)]);
        assert_eq!((all.count(Verb::Delete), all.destroyed()), (5, 5));
        all.remove_all(&sums(&[(Verb::Delete, "a", 3)]));
        assert_eq!(all, sums(&[(Verb::Delete, "b", 2), (Verb::Insert, "a", 1)]));
        assert_eq!(all.take(Verb::Delete, 1), sums(&[(Verb::Delete, "b", 1)]));
        assert_eq!(all.take(Verb::Delete, 9), sums(&[(Verb::Delete, "b", 1)]));
        assert_eq!(all, sums(&[(Verb::Insert, "a", 1)]));
    }

    #[test]
    fn what_is_new_is_counted_by_verb_whatever_the_names() {
        let before = sums(&[(Verb::Delete, "rel/1", 5)]);
        assert!(sums(&[(Verb::Delete, "bookings", 5)]).beyond(&before).is_empty());
        assert_eq!(
            sums(&[(Verb::Delete, "bookings", 7)]).beyond(&before),
            sums(&[(Verb::Delete, "bookings", 2)])
        );
        let grown = sums(&[(Verb::Delete, "a", 4), (Verb::Delete, "rel/1", 5)]);
        assert_eq!(grown.beyond(&before), sums(&[(Verb::Delete, "a", 4)]));
    }

    #[test]
    fn ten_thousand_targets_are_not_kept_one_by_one() {
        let mut all = Sums::default();
        for number in 0..10_000 {
            all.add(Verb::Drop, &format!("t{number}"), 1);
        }
        assert_eq!(all.count(Verb::Drop), 10_000);
        assert!(all.iter().count() <= TARGETS_MAX + 1);
    }
}
