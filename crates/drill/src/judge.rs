//! What came of a drill, and what follows from it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// What a drill came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// What was restored is what it had to be.
    Proven,
    /// Something is otherwise; the certificate names it.
    Failed,
    /// It was restored and compared with nothing.
    Hypothesis,
}

/// What the restored things were compared with; later ones are stronger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Against {
    /// Nothing: they were restored and read.
    Nothing,
    /// What the vault says of them: digests and attributes.
    Stored,
    /// A second restore by another way.
    SecondRestore,
    /// What production held, recorded at that position.
    Production,
}

/// How many things were compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// Those that were compared: equal and different ones.
    pub compared: u64,
    /// Those that are what they had to be.
    pub equal: u64,
    /// Those that are not, missing ones included.
    pub different: u64,
    /// Those of which the connector promises nothing that could be compared.
    pub not_comparable: u64,
}

impl Counts {
    /// Adds others to these.
    pub const fn add(&mut self, others: Self) {
        self.compared += others.compared;
        self.equal += others.equal;
        self.different += others.different;
        self.not_comparable += others.not_comparable;
    }

    /// Returns whether the numbers fit each other.
    pub fn balance(&self) -> bool {
        self.equal.checked_add(self.different) == Some(self.compared)
    }
}

/// One thing that was found otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Difference {
    /// Which thing: `shop.public.bookings`, `gmail/anna@example.org 18c2…`.
    pub subject: String,
    /// What is otherwise, in words.
    pub what: String,
}

/// How a check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CheckResult {
    /// As it should be.
    Passed,
    /// Not as it should be.
    Failed,
    /// It could not be made.
    NotChecked,
}

/// One check of the whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// What should be true.
    pub subject: String,
    /// Whether it is.
    pub result: CheckResult,
    /// What was seen, or why nothing was.
    pub evidence: String,
}

impl Check {
    /// Makes one that passed.
    pub fn passed(subject: impl Into<String>, evidence: impl Into<String>) -> Self {
        Self { subject: subject.into(), result: CheckResult::Passed, evidence: evidence.into() }
    }

    /// Makes one that failed.
    pub fn failed(subject: impl Into<String>, evidence: impl Into<String>) -> Self {
        Self { subject: subject.into(), result: CheckResult::Failed, evidence: evidence.into() }
    }

    /// Makes one that could not be made.
    pub fn not_checked(subject: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { subject: subject.into(), result: CheckResult::NotChecked, evidence: reason.into() }
    }
}

/// What the owner's question was answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProbeAnswer {
    /// The database that was asked.
    pub database: String,
    /// The question.
    pub sql: String,
    /// What was expected.
    pub expect: String,
    /// The first value of the first row; nothing for NULL and where there is no row.
    pub answer: Option<String>,
    /// What the server said in place of an answer.
    pub error: Option<String>,
    /// Whether the answer is as expected.
    pub held: bool,
}

/// How much of a source was restored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "extent", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Extent {
    /// Everything.
    Whole,
    /// A part that the seed draws again.
    Sample {
        /// The seed: 16 hexadecimal digits.
        seed: String,
        /// How many things were restored.
        chosen: u64,
        /// Of how many.
        of: u64,
        /// The share in millionths, rounded down.
        share_ppm: u64,
        /// Those among them that an earlier drill found otherwise.
        again: BTreeSet<String>,
    },
}

impl Extent {
    /// Returns whether this covers at least as much as `other`, in which `subjects` were found otherwise; `all_named`
    /// says whether these are all of them.
    pub fn covers(&self, other: &Self, subjects: &BTreeSet<String>, all_named: bool) -> bool {
        match (self, other) {
            (Self::Whole, _) => true,
            (Self::Sample { .. }, Self::Whole) => false,
            (Self::Sample { share_ppm, again, .. }, Self::Sample { share_ppm: share, .. }) => {
                share_ppm >= share && all_named && subjects.is_subset(again)
            }
        }
    }

    /// Says it in words.
    pub fn describe(&self) -> String {
        match self {
            Self::Whole => "everything".to_owned(),
            Self::Sample { seed, chosen, of, share_ppm, .. } => {
                let (whole, part) = (share_ppm / 10_000, share_ppm % 10_000 / 100);
                format!("a sample of {chosen} of {of} ({whole}.{part:02} %), drawn with seed {seed}")
            }
        }
    }
}

/// Judges a drill by what came of it: whoever reads a certificate judges again.
pub fn outcome(
    against: Against,
    counts: &Counts,
    differences_total: u64,
    checks: &[Check],
    probes: &[ProbeAnswer],
) -> Outcome {
    let is_bad = counts.different > 0
        || differences_total > 0
        || checks.iter().any(|check| check.result == CheckResult::Failed)
        || probes.iter().any(|probe| !probe.held);
    if is_bad {
        Outcome::Failed
    } else if against > Against::Nothing && counts.equal > 0 {
        Outcome::Proven
    } else {
        Outcome::Hypothesis
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn counts(equal: u64, different: u64) -> Counts {
        Counts { compared: equal + different, equal, different, not_comparable: 0 }
    }

    #[test]
    fn what_was_compared_with_nothing_is_a_hypothesis() {
        assert_eq!(outcome(Against::Nothing, &counts(5, 0), 0, &[], &[]), Outcome::Hypothesis);
        assert_eq!(outcome(Against::Stored, &counts(0, 0), 0, &[], &[]), Outcome::Hypothesis);
        assert_eq!(outcome(Against::Stored, &counts(5, 0), 0, &[], &[]), Outcome::Proven);
        let unchecked = [Check::not_checked("pg_amcheck", "not installed")];
        assert_eq!(outcome(Against::Production, &counts(5, 0), 0, &unchecked, &[]), Outcome::Proven);
    }

    proptest! {
        #[test]
        fn nothing_bad_is_ever_proven(equal in 0_u64..9, different in 0_u64..3, bad in 0_u64..2, named in 0_u64..2,
                                      unheld in any::<bool>()) {
            let checks: Vec<_> = (0..bad).map(|_| Check::failed("a", "b")).collect();
            let probe = ProbeAnswer {
                database: String::new(), sql: String::new(), expect: String::new(), answer: None, error: None,
                held: !unheld,
            };
            let outcome = outcome(Against::Production, &counts(equal, different), named, &checks, &[probe]);
            prop_assert_eq!(outcome == Outcome::Failed, different + bad + named > 0 || unheld);
            prop_assert_eq!(outcome == Outcome::Proven, different + bad + named == 0 && !unheld && equal > 0);
        }
    }

    #[test]
    fn a_sample_covers_a_sample_only_with_what_failed_in_it() {
        let sample = |share_ppm, again: &[&str]| Extent::Sample {
            seed: "00".to_owned(),
            chosen: 1,
            of: 2,
            share_ppm,
            again: again.iter().map(|&name| name.to_owned()).collect(),
        };
        let bad = BTreeSet::from(["x".to_owned()]);
        assert!(sample(10, &["x", "y"]).covers(&sample(10, &[]), &bad, true));
        assert!(
            !sample(10, &["y"]).covers(&sample(10, &[]), &bad, true),
            "what failed was not looked at again"
        );
        assert!(!sample(9, &["x"]).covers(&sample(10, &[]), &bad, true), "less was looked at");
        assert!(!sample(10, &["x"]).covers(&sample(10, &[]), &bad, false), "not all is known that failed");
        assert!(!sample(10, &["x"]).covers(&Extent::Whole, &bad, true));
        assert!(Extent::Whole.covers(&Extent::Whole, &bad, false));
    }
}
