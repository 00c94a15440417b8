//! Whether somebody destroyed many things in a short time.

use std::collections::BTreeMap;

use model::Moment;

/// So many things within the window are many.
const MANY: u64 = 20;
const WINDOW_MICROS: i64 = 10 * 60 * 1_000_000;

/// What an activity destroyed.
pub(super) struct Destroyed<'a> {
    pub(super) at: Moment,
    /// Who did it through which program.
    pub(super) who: (&'a str, &'a str),
    /// How many things; none for what destroys nothing.
    pub(super) count: u64,
}

/// Tells of each activity whether it is one of many by the same actor in a short time. They are in the order of time.
pub(super) fn in_numbers(all: &[Destroyed<'_>]) -> Vec<bool> {
    let mut by_actor: BTreeMap<(&str, &str), Vec<usize>> = BTreeMap::new();
    for (index, one) in all.iter().enumerate().filter(|(_, one)| one.count > 0) {
        by_actor.entry(one.who).or_default().push(index);
    }
    let mut many = vec![false; all.len()];
    for own in by_actor.values() {
        // The window ends with each of them in turn; `marked` says up to where all are known to be many.
        let (mut first, mut marked, mut count) = (0, 0, 0_u64);
        for (last, &index) in own.iter().enumerate() {
            count = count.saturating_add(all[index].count);
            while all[index].at.micros_since(all[own[first]].at) > WINDOW_MICROS {
                count = count.saturating_sub(all[own[first]].count);
                first += 1;
            }
            if count >= MANY {
                for &index in &own[first.max(marked)..=last] {
                    many[index] = true;
                }
                marked = last + 1;
            }
        }
    }
    many
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(all: &[(i64, &str, u64)]) -> Vec<usize> {
        let all: Vec<Destroyed<'_>> = all
            .iter()
            .map(|&(seconds, who, count)| Destroyed {
                at: Moment::from_micros(seconds * 1_000_000),
                who: (who, ""),
                count,
            })
            .collect();
        let many = in_numbers(&all);
        many.iter().enumerate().filter(|(_, many)| **many).map(|(index, _)| index).collect()
    }

    #[test]
    fn twenty_in_ten_minutes_are_many_and_so_is_each_of_them() {
        let fast: Vec<(i64, &str, u64)> = (0..20).map(|number| (number * 30, "anna", 1)).collect();
        assert_eq!(told(&fast), (0..20).collect::<Vec<_>>());
        assert!(told(&fast[1..]).is_empty());
        let slow: Vec<(i64, &str, u64)> = (0..80).map(|number| (number * 32, "anna", 1)).collect();
        assert!(told(&slow).is_empty());
    }

    #[test]
    fn what_others_did_or_what_destroys_nothing_does_not_count() {
        let mixed: Vec<(i64, &str, u64)> =
            (0..38).map(|number| (number, if number % 2 == 0 { "anna" } else { "ben" }, 1)).collect();
        assert!(told(&mixed).is_empty());
        let reading: Vec<(i64, &str, u64)> = (0..50).map(|number| (number, "anna", 0)).collect();
        assert!(told(&reading).is_empty());
        assert_eq!(told(&[(0, "anna", 0), (1, "anna", 1000), (2, "ben", 1)]), [1]);
    }

    #[test]
    fn a_burst_is_found_between_single_ones() {
        let mut all = vec![(0, "anna", 1)];
        all.extend((0..22).map(|number| (5000 + number, "anna", 1)));
        all.push((9000, "anna", 1));
        assert_eq!(told(&all), (1..23).collect::<Vec<_>>());
    }
}
