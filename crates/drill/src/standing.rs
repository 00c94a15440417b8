//! What is known about restoring a source, at every moment.

use std::collections::BTreeSet;

use model::Moment;
use serde::{Deserialize, Serialize};

use crate::{Against, Extent, Outcome, Span};

/// A proof from the future does not count; clocks of one house may differ by this much.
const SKEW_MICROS: i64 = 5 * 60 * 1_000_000;

/// A drill that was held, as far as it matters for what is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Which certificate: its digest.
    pub id: String,
    /// When it ended.
    pub at: Moment,
    /// The newest commit that was restored.
    pub commit: u64,
    /// What it came to.
    pub outcome: Outcome,
    /// How much was restored.
    pub extent: Extent,
    /// What it was compared with.
    pub against: Against,
    /// What was found otherwise, as far as it is named.
    pub subjects: BTreeSet<String>,
    /// Whether all of it is named.
    pub all_named: bool,
    /// Why its certificate is not to be believed: it was changed, or removed. It counts as failed then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// A person has seen that a drill failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledged {
    /// Which certificate: its digest.
    pub certificate: String,
}

/// How long things count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// How long a proof counts.
    pub proof: Span,
}

/// A failure that is not over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenFailure {
    /// Which certificate: its digest.
    pub certificate: String,
    /// When the drill ended.
    pub at: Moment,
    /// Whether a person has acknowledged it.
    pub acknowledged: bool,
    /// Whether a later drill that covers at least as much has passed.
    pub passed_since: bool,
    /// Why the certificate is not to be believed: it was changed, or removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// What is known about restoring a source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "standing", rename_all = "kebab-case")]
pub enum Standing {
    /// Nothing: no drill, none that compared, or the last proof is too old.
    Hypothesis {
        /// When it was proven last.
        was_proven: Option<Moment>,
    },
    /// A drill restored it, and its content was what it had to be.
    Proven {
        /// When.
        at: Moment,
        /// Until when that counts.
        until: Moment,
        /// How much was restored.
        extent: Extent,
    },
    /// A drill found something otherwise, and that is not over.
    Failed {
        /// The failures, oldest first.
        failures: Vec<OpenFailure>,
    },
}

impl Standing {
    /// Says of which certificates of what failed it is known that they were changed or removed, and how.
    pub fn problems(&self) -> Vec<&str> {
        let Self::Failed { failures } = self else { return Vec::new() };
        failures.iter().filter_map(|failure| failure.problem.as_deref()).collect()
    }

    /// Returns the one word for it.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Hypothesis { .. } => "hypothesis",
            Self::Proven { .. } => "proven",
            Self::Failed { .. } => "failed",
        }
    }
}

/// Says what is known about restoring a source.
///
/// A failure is over when two things happened: a later drill passed that restored at least as much, of no earlier commit,
/// compared with something at least as strong; and a person acknowledged it. Neither alone is enough.
pub fn standing(held: &[Held], acknowledged: &[Acknowledged], terms: Terms, now: Moment) -> Standing {
    let mut held: Vec<&Held> = held.iter().collect();
    held.sort_by(|left, right| (left.at, &left.id).cmp(&(right.at, &right.id)));
    let failures: Vec<OpenFailure> = held
        .iter()
        .enumerate()
        .filter(|(_, drill)| drill.outcome == Outcome::Failed)
        .map(|(place, failure)| OpenFailure {
            certificate: failure.id.clone(),
            at: failure.at,
            acknowledged: acknowledged.iter().any(|seen| seen.certificate == failure.id),
            passed_since: held[place + 1..].iter().any(|later| makes_good(later, failure)),
            problem: failure.problem.clone(),
        })
        .filter(|failure| !(failure.acknowledged && failure.passed_since))
        .collect();
    if !failures.is_empty() {
        return Standing::Failed { failures };
    }
    let is_past = |drill: &&&Held| drill.at.micros_since(now) <= SKEW_MICROS;
    let proof = held.iter().rev().filter(|drill| drill.outcome == Outcome::Proven).find(is_past);
    match proof {
        None => Standing::Hypothesis { was_proven: None },
        Some(proof) => {
            let until = proof.at.plus_micros(terms.proof.as_micros());
            if now <= until {
                Standing::Proven { at: proof.at, until, extent: proof.extent.clone() }
            } else {
                Standing::Hypothesis { was_proven: Some(proof.at) }
            }
        }
    }
}

fn makes_good(later: &Held, failure: &Held) -> bool {
    later.at > failure.at
        && later.outcome == Outcome::Proven
        && later.commit >= failure.commit
        && later.against >= failure.against
        && later.extent.covers(&failure.extent, &failure.subjects, failure.all_named)
}

#[cfg(test)]
mod tests;
