//! What people put aside to be brought back: one basket for each session, in memory, bounded.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
};

use model::{Moment, SourceName};

/// So many things are in one basket.
pub(crate) const ENTRIES_MAX: usize = 10_000;
/// So many bytes of names.
const BYTES_MAX: usize = 4 << 20;
/// So many baskets are kept; the one that was not used for longest makes room.
const BASKETS_MAX: usize = 64;

/// Something to be brought back as it was after a commit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Pick {
    /// The source.
    pub(crate) source: SourceName,
    /// The stream.
    pub(crate) stream: String,
    /// The commit.
    pub(crate) commit: u64,
    /// The key.
    pub(crate) key: String,
}

/// What is known of a pick.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Picked {
    /// What people call it.
    pub(crate) title: String,
    /// The commit's vault time.
    pub(crate) at: Option<Moment>,
}

/// Everything of one source, stream and moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Group {
    /// The source.
    pub(crate) source: SourceName,
    /// The stream.
    pub(crate) stream: String,
    /// The commit.
    pub(crate) commit: u64,
    /// Its vault time.
    pub(crate) at: Option<Moment>,
    /// Keys with titles.
    pub(crate) items: Vec<(String, String)>,
}

/// A basket has no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the basket is full: it holds at most {ENTRIES_MAX} things")]
pub(crate) struct Full;

#[derive(Default)]
struct Basket {
    picks: BTreeMap<Pick, Picked>,
    bytes: usize,
    used: u64,
}

/// The baskets of all sessions.
#[derive(Default)]
pub(crate) struct Baskets(Mutex<State>);

#[derive(Default)]
struct State {
    baskets: HashMap<String, Basket>,
    uses: u64,
}

fn size(pick: &Pick, picked: &Picked) -> usize {
    pick.stream.len() + pick.key.len() + picked.title.len() + 128
}

impl Baskets {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts things into a session's basket: all of them, or none when there is no room. The same thing at another
    /// moment takes the place of what was there.
    pub(crate) fn add(&self, session: &str, things: Vec<(Pick, Picked)>) -> Result<(), Full> {
        let mut state = self.lock();
        state.uses += 1;
        let now = state.uses;
        if !state.baskets.contains_key(session) && state.baskets.len() >= BASKETS_MAX {
            let oldest =
                state.baskets.iter().min_by_key(|(_, basket)| basket.used).map(|(name, _)| name.clone());
            oldest.map(|oldest| state.baskets.remove(&oldest));
        }
        let basket = state.baskets.entry(session.to_owned()).or_default();
        basket.used = now;
        let new: BTreeMap<Pick, Picked> = things.into_iter().collect();
        let places: BTreeSet<_> = new.keys().map(|pick| (&pick.source, &pick.stream, &pick.key)).collect();
        let kept: BTreeMap<_, _> = basket
            .picks
            .iter()
            .filter(|(pick, _)| !places.contains(&(&pick.source, &pick.stream, &pick.key)))
            .map(|(pick, picked)| (pick.clone(), picked.clone()))
            .collect();
        let bytes = kept.iter().chain(&new).map(|(pick, picked)| size(pick, picked)).sum();
        if kept.len() + new.len() > ENTRIES_MAX || bytes > BYTES_MAX {
            return Err(Full);
        }
        basket.picks = kept;
        basket.picks.extend(new);
        basket.bytes = bytes;
        Ok(())
    }

    /// Takes things out.
    pub(crate) fn remove(&self, session: &str, picks: &[Pick]) {
        let mut state = self.lock();
        let Some(basket) = state.baskets.get_mut(session) else { return };
        for pick in picks {
            if let Some(picked) = basket.picks.remove(pick) {
                basket.bytes -= size(pick, &picked);
            }
        }
    }

    /// Takes everything out.
    pub(crate) fn clear(&self, session: &str) {
        self.lock().baskets.remove(session);
    }

    /// Returns how many things are in a basket.
    pub(crate) fn count(&self, session: &str) -> usize {
        self.lock().baskets.get(session).map_or(0, |basket| basket.picks.len())
    }

    /// Returns what is in a basket, by source, stream and moment.
    pub(crate) fn groups(&self, session: &str) -> Vec<Group> {
        let state = self.lock();
        let mut groups: Vec<Group> = Vec::new();
        for (pick, picked) in state.baskets.get(session).into_iter().flat_map(|basket| &basket.picks) {
            let item = (pick.key.clone(), picked.title.clone());
            match groups.last_mut() {
                Some(last)
                    if last.source == pick.source
                        && last.stream == pick.stream
                        && last.commit == pick.commit =>
                {
                    last.items.push(item);
                }
                _ => groups.push(Group {
                    source: pick.source.clone(),
                    stream: pick.stream.clone(),
                    commit: pick.commit,
                    at: picked.at,
                    items: vec![item],
                }),
            }
        }
        groups
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pick(key: &str, commit: u64) -> (Pick, Picked) {
        let source = SourceName::new("acme").unwrap();
        let pick = Pick { source, stream: "gmail/a".to_owned(), commit, key: key.to_owned() };
        (pick, Picked { title: format!("title of {key}"), at: None })
    }

    #[test]
    fn what_is_put_aside_is_grouped_and_each_session_has_its_own() {
        let baskets = Baskets::default();
        baskets.add("one", vec![pick("a", 1), pick("b", 2), pick("c", 1)]).unwrap();
        let groups = baskets.groups("one");
        let told: Vec<_> = groups.iter().map(|group| (group.commit, group.items.len())).collect();
        assert_eq!(told, [(1, 2), (2, 1)]);
        assert_eq!((baskets.count("one"), baskets.count("two")), (3, 0));
        // The same thing at another moment is one thing.
        baskets.add("one", vec![pick("a", 2)]).unwrap();
        assert_eq!(baskets.count("one"), 3);
        baskets.remove("one", &[pick("a", 2).0, pick("never", 1).0]);
        assert_eq!(baskets.count("one"), 2);
        baskets.clear("one");
        assert!(baskets.groups("one").is_empty());
    }

    #[test]
    fn baskets_are_bounded_in_things_bytes_and_number() {
        let baskets = Baskets::default();
        let many: Vec<_> = (0..ENTRIES_MAX).map(|number| pick(&number.to_string(), 1)).collect();
        baskets.add("one", many).unwrap();
        assert_eq!(baskets.add("one", vec![pick("more", 1)]), Err(Full));
        assert_eq!(baskets.count("one"), ENTRIES_MAX, "nothing of what was there is lost");
        assert_eq!(baskets.add("two", vec![pick(&"k".repeat(BYTES_MAX), 1)]), Err(Full));
        for number in 0..2 * BASKETS_MAX {
            baskets.add(&format!("session {number}"), vec![pick("a", 1)]).unwrap();
        }
        assert!(baskets.lock().baskets.len() <= BASKETS_MAX);
        assert_eq!(baskets.count("one"), 0, "the one that was not used for longest made room");
    }
}
