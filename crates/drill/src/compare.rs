//! Comparing what was restored with what was stored, item by item, under the promise of the connector.

use std::collections::BTreeMap;

use connect::fidelity::{Fidelity, Grade};

use crate::{Counts, Difference};

/// A thing with its aspects, as the connector that knows it describes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thing {
    /// The stream: `gmail/anna@example.org`.
    pub stream: String,
    /// The key in the stream.
    pub key: String,
    /// What kind of thing it is, as promises name it.
    pub kind: String,
    /// Its aspects by the names of the promise: a digest, or a short text in a form that equal things share.
    pub aspects: BTreeMap<String, String>,
}

impl Thing {
    /// Returns what certificates call it.
    pub fn subject(&self) -> String {
        format!("{} {}", self.stream, self.key)
    }
}

/// An aspect that is otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Differing {
    /// Which one.
    pub aspect: String,
    /// What it had to be.
    pub expected: String,
    /// What it is; nothing where it is missing.
    pub found: Option<String>,
}

/// What comparing one thing came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Comparison {
    /// Everything that was promised is so.
    Equal,
    /// These aspects are otherwise.
    Different(Vec<Differing>),
    /// It was not restored.
    Missing,
    /// Nothing of it is promised that could be compared.
    NotComparable,
}

/// Compares one restored thing with the stored one.
///
/// What the promise calls lost is left aside. What it calls exact or equivalent must be equal: of equivalent aspects both
/// sides are given in the form that equal things share. An aspect that the promise does not name counts as exact: a
/// connector that forgets one in its promise is found, and not excused.
pub fn compare(expected: &Thing, found: Option<&Thing>, promise: &Fidelity) -> Comparison {
    let is_promised = |name: &str| {
        promise
            .aspects
            .iter()
            .find(|aspect| aspect.name == name)
            .is_none_or(|aspect| aspect.grade != Grade::Lost)
    };
    let promised: Vec<_> = expected.aspects.iter().filter(|(name, _)| is_promised(name)).collect();
    if promised.is_empty() {
        return Comparison::NotComparable;
    }
    let Some(found) = found else { return Comparison::Missing };
    let differing: Vec<_> = promised
        .into_iter()
        .filter(|(name, value)| found.aspects.get(*name) != Some(value))
        .map(|(name, value)| Differing {
            aspect: name.clone(),
            expected: value.clone(),
            found: found.aspects.get(name).cloned(),
        })
        .collect();
    if differing.is_empty() { Comparison::Equal } else { Comparison::Different(differing) }
}

/// The sum of many comparisons.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// The numbers.
    pub counts: Counts,
    /// The first differences.
    pub named: Vec<Difference>,
    /// How many there are.
    pub total: u64,
}

impl Tally {
    /// So many differences are named in a certificate; the others are counted.
    pub const NAMED_MAX: usize = 100;
    /// So long is what is said of one, in characters: values of others may be long.
    const WHAT_MAX: usize = 300;

    /// Adds one comparison.
    pub fn add(&mut self, subject: &str, comparison: &Comparison) {
        match comparison {
            Comparison::Equal => self.equal(1),
            Comparison::NotComparable => self.counts.not_comparable += 1,
            Comparison::Missing => self.differs(subject, "it was not restored"),
            Comparison::Different(differing) => {
                let words = differing.iter().map(|d| match &d.found {
                    Some(found) => format!("{} is {:?} instead of {:?}", d.aspect, found, d.expected),
                    None => format!("{} is missing", d.aspect),
                });
                self.differs(subject, &words.collect::<Vec<_>>().join("; "));
            }
        }
    }

    /// Adds things that are as they had to be.
    pub fn equal(&mut self, things: u64) {
        self.counts.compared += things;
        self.counts.equal += things;
    }

    /// Adds one that is not.
    pub fn differs(&mut self, subject: &str, what: &str) {
        self.counts.compared += 1;
        self.counts.different += 1;
        self.total += 1;
        if self.named.len() < Self::NAMED_MAX {
            let what = what.chars().take(Self::WHAT_MAX).collect();
            self.named.push(Difference { subject: subject.to_owned(), what });
        }
    }
}

#[cfg(test)]
mod tests {
    use connect::fidelity::Way;
    use proptest::prelude::*;

    use super::*;

    fn thing(aspects: &[(&str, &str)]) -> Thing {
        Thing {
            stream: "gmail/a@x.org".to_owned(),
            key: "1".to_owned(),
            kind: "message".to_owned(),
            aspects: aspects.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect(),
        }
    }

    fn promise() -> Fidelity {
        Fidelity::new("message", Way::MadeAnew)
            .exact(&["text"])
            .equivalent("received date", "it becomes that of the Date header")
            .lost("id", "the mailbox gives a new one")
    }

    #[test]
    fn what_is_lost_by_contract_is_no_difference() {
        let expected = thing(&[("text", "aa"), ("id", "1")]);
        assert_eq!(
            compare(&expected, Some(&thing(&[("text", "aa"), ("id", "2")])), &promise()),
            Comparison::Equal
        );
        let only_lost = thing(&[("id", "1")]);
        assert_eq!(compare(&only_lost, None, &promise()), Comparison::NotComparable);
        assert_eq!(compare(&expected, None, &promise()), Comparison::Missing);
    }

    #[test]
    fn an_aspect_of_which_nothing_is_promised_must_be_equal() {
        let expected = thing(&[("text", "aa"), ("starred", "yes")]);
        let found = thing(&[("text", "aa"), ("starred", "no")]);
        let Comparison::Different(differing) = compare(&expected, Some(&found), &promise()) else { panic!() };
        assert_eq!(differing.len(), 1);
        let mut tally = Tally::default();
        tally.add(&expected.subject(), &Comparison::Different(differing));
        assert!(tally.counts.balance() && tally.total == 1);
        assert_eq!(tally.named[0].what, "starred is \"no\" instead of \"yes\"");
    }

    proptest! {
        #[test]
        fn a_change_of_anything_promised_is_found(values in prop::collection::btree_map("[a-e]", "[xy]", 1..5), at in any::<prop::sample::Index>()) {
            let expected = Thing { aspects: values.clone(), ..thing(&[]) };
            let promise = Fidelity::new("message", Way::MadeAnew).lost("a", "of no use");
            let changed = values.keys().nth(at.index(values.len())).unwrap().clone();
            let mut found = expected.clone();
            found.aspects.insert(changed.clone(), "z".to_owned());
            let comparison = compare(&expected, Some(&found), &promise);
            prop_assert_eq!(matches!(comparison, Comparison::Different(_)), changed != "a");
        }

        #[test]
        fn a_tally_balances_and_counts_more_than_it_names(kinds in prop::collection::vec(0_u8..4, 0..400)) {
            let mut tally = Tally::default();
            for kind in &kinds {
                let comparison = match kind {
                    0 => Comparison::Equal,
                    1 => Comparison::NotComparable,
                    2 => Comparison::Missing,
                    _ => Comparison::Different(Vec::new()),
                };
                tally.add("x", &comparison);
            }
            prop_assert!(tally.counts.balance());
            prop_assert_eq!(tally.total, tally.counts.different);
            prop_assert_eq!(tally.counts.compared + tally.counts.not_comparable, kinds.len() as u64);
            prop_assert_eq!(tally.named.len() as u64, tally.total.min(100));
        }
    }
}
