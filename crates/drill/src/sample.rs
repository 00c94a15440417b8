//! Drawing a sample that can be drawn again.

use std::collections::{BTreeMap, BTreeSet};

use ring::digest::{SHA256, digest};

use crate::Extent;

/// Something that can be drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its stream.
    pub stream: String,
    /// Its key.
    pub key: String,
    /// The commit that brought its newest version.
    pub sequence: u64,
    /// The size of its content in bytes.
    pub size_bytes: u64,
}

impl Candidate {
    /// Returns what certificates call it.
    pub fn subject(&self) -> String {
        format!("{} {}", self.stream, self.key)
    }

    /// Returns its place in the order that a seed makes.
    fn rank(&self, seed: u64) -> [u8; 16] {
        let mut text = seed.to_be_bytes().to_vec();
        text.extend((self.stream.len() as u64).to_be_bytes());
        text.extend(self.stream.as_bytes());
        text.extend(self.key.as_bytes());
        let mut rank = [0; 16];
        rank.copy_from_slice(&digest(&SHA256, &text).as_ref()[..16]);
        rank
    }
}

/// What was drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// The places of the drawn ones in the given list, in order.
    pub chosen: Vec<usize>,
    /// How much that is.
    pub extent: Extent,
}

/// Draws about `wanted` of the candidates: from each stream by its share and at least one, always its newest and its
/// largest, and everything that an earlier drill found otherwise.
///
/// The same candidates and the same seed give the same sample, in whatever order they are listed; a larger `wanted` draws
/// all of a smaller one and more.
pub fn draw(candidates: &[Candidate], seed: u64, wanted: u64, failed_before: &BTreeSet<String>) -> Sample {
    let total = candidates.len() as u64;
    let mut streams: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (place, candidate) in candidates.iter().enumerate() {
        streams.entry(&candidate.stream).or_default().push(place);
    }
    let mut chosen = BTreeSet::new();
    for places in streams.values() {
        let share = (u128::from(wanted) * places.len() as u128).div_ceil(u128::from(total.max(1)));
        let quota = usize::try_from(share).unwrap_or(usize::MAX).max(1);
        let mut ranked = places.clone();
        ranked.sort_by_cached_key(|&place| (candidates[place].rank(seed), candidates[place].key.clone()));
        chosen.extend(ranked.into_iter().take(quota));
        let best = |of: &dyn Fn(&Candidate) -> u64| {
            // The key decides between equal ones, so that the order of the list does not.
            places
                .iter()
                .copied()
                .max_by_key(|&place| (of(&candidates[place]), candidates[place].key.clone()))
        };
        chosen.extend(best(&|candidate| candidate.sequence));
        chosen.extend(best(&|candidate| candidate.size_bytes));
    }
    let mut again = BTreeSet::new();
    for (place, candidate) in candidates.iter().enumerate() {
        let subject = candidate.subject();
        if failed_before.contains(&subject) {
            chosen.insert(place);
            again.insert(subject);
        }
    }
    let number = chosen.len() as u64;
    let share_ppm = if total == 0 { 0 } else { u128::from(number) * 1_000_000 / u128::from(total) } as u64;
    let extent = if number == total {
        Extent::Whole
    } else {
        Extent::Sample { seed: format!("{seed:016x}"), chosen: number, of: total, share_ppm, again }
    };
    Sample { chosen: chosen.into_iter().collect(), extent }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn candidates() -> impl Strategy<Value = Vec<Candidate>> {
        prop::collection::btree_map(("[ab]{1,2}", "[a-f]{1,3}"), (0_u64..50, 0_u64..50), 0..60).prop_map(
            |map| {
                map.into_iter()
                    .map(|((stream, key), (sequence, size_bytes))| Candidate {
                        stream,
                        key,
                        sequence,
                        size_bytes,
                    })
                    .collect()
            },
        )
    }

    fn subjects(candidates: &[Candidate], sample: &Sample) -> BTreeSet<String> {
        sample.chosen.iter().map(|&place| candidates[place].subject()).collect()
    }

    proptest! {
        #[test]
        fn the_seed_alone_decides(list in candidates(), seed: u64, wanted in 0_u64..30) {
            let drawn = subjects(&list, &draw(&list, seed, wanted, &BTreeSet::new()));
            let mut turned = list.clone();
            turned.reverse();
            prop_assert_eq!(&drawn, &subjects(&turned, &draw(&turned, seed, wanted, &BTreeSet::new())));
            let more = subjects(&list, &draw(&list, seed, wanted + 7, &BTreeSet::new()));
            prop_assert!(drawn.is_subset(&more));
        }

        #[test]
        fn newest_largest_and_failed_ones_are_always_drawn(list in candidates(), seed: u64, wanted in 0_u64..30,
                                                           failed in prop::collection::vec(any::<prop::sample::Index>(), 0..4)) {
            prop_assume!(!list.is_empty());
            let failed: BTreeSet<String> = failed.iter().map(|at| list[at.index(list.len())].subject()).collect();
            let sample = draw(&list, seed, wanted, &failed);
            let drawn = subjects(&list, &sample);
            prop_assert!(failed.is_subset(&drawn));
            prop_assert!(drawn.len() as u64 >= wanted.min(list.len() as u64));
            for candidate in &list {
                let of_stream = || list.iter().filter(|other| other.stream == candidate.stream);
                let chosen_of_stream = || of_stream().filter(|other| drawn.contains(&other.subject()));
                prop_assert_eq!(chosen_of_stream().map(|c| c.sequence).max(), of_stream().map(|c| c.sequence).max());
                prop_assert_eq!(chosen_of_stream().map(|c| c.size_bytes).max(), of_stream().map(|c| c.size_bytes).max());
            }
            match sample.extent {
                Extent::Whole => prop_assert_eq!(drawn.len(), list.len()),
                Extent::Sample { chosen, of, share_ppm, again, .. } => {
                    prop_assert!(chosen < of && share_ppm < 1_000_000);
                    prop_assert_eq!(again, failed);
                }
            }
        }
    }

    #[test]
    fn other_seeds_draw_other_things() {
        let list: Vec<_> = (0..1000)
            .map(|n| Candidate { stream: "s".to_owned(), key: n.to_string(), sequence: 1, size_bytes: 1 })
            .collect();
        let drawn = |seed| subjects(&list, &draw(&list, seed, 10, &BTreeSet::new()));
        assert_ne!(drawn(1), drawn(2));
        assert!((10..=12).contains(&drawn(1).len()));
    }
}
