use std::fmt;

use connect::plan::PlanHash;
use model::SourceName;
use serde::{Deserialize, Serialize};

/// The context in which subjects are hashed, so that the hash of a subject is nothing else's.
const CONTEXT: &str = "unwipe/v1/case-subject";

/// What a case is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "subject", rename_all = "kebab-case")]
pub enum Subject {
    /// A plan is to be applied.
    Restore {
        /// The plan: all that is approved.
        plan: PlanHash,
        /// Its folder.
        folder: String,
        /// One line for people.
        title: String,
        /// The sources that it touches.
        sources: Vec<SourceName>,
    },
    /// Protection is to become less.
    Weakening(Weakening),
}

/// What makes protection less.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "weakening", rename_all = "kebab-case")]
pub enum Weakening {
    /// An account gets more power, or can do less to protect.
    Account {
        /// Whose it is.
        person: String,
        /// One line for people.
        what: String,
        /// The planned change, as the keeper of accounts wrote it.
        change: String,
        /// Its hash, in hexadecimal: the change that is done must have it.
        hash: String,
    },
    /// Another key counts as a person's.
    Key {
        /// The person.
        person: String,
        /// The public key, or the id of the passkey.
        key: String,
    },
    /// Approvals are asked of fewer people, or wait less long.
    Approvals {
        /// From then on so many people must agree.
        needed: u32,
        /// What protects less begins after so many seconds.
        weakening_delay_s: u64,
        /// A case lapses after so many seconds.
        lifetime_s: u64,
    },
    /// Whoever an incident is about is let in again.
    LetIn {
        /// The incident.
        incident: u64,
    },
    /// A hold is lifted.
    LiftHold {
        /// The hold, or the source that it holds.
        hold: String,
    },
    /// A source is not protected any more.
    RemoveSource {
        /// The source.
        source: SourceName,
    },
    /// A setting of the configuration.
    Setting {
        /// The key: `watch.containment.mode`.
        key: String,
        /// What it is.
        from: String,
        /// What it is to be.
        to: String,
    },
}

/// What people sign of a subject: 32 bytes that no other subject has.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubjectHash(pub [u8; 32]);

impl fmt::Debug for SubjectHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for SubjectHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl SubjectHash {
    /// Returns the hash of the subject that a plan is.
    pub fn of_plan(plan: PlanHash) -> Self {
        Self(blake3::derive_key(CONTEXT, &[&b"restore\0"[..], &plan.0].concat()))
    }
}

impl Subject {
    /// Returns the hash. Of a restore it covers the plan, which covers every step; folder and title are for people.
    pub fn hash(&self) -> SubjectHash {
        match self {
            Self::Restore { plan, .. } => SubjectHash::of_plan(*plan),
            Self::Weakening(weakening) => {
                // Texts and numbers: this cannot fail, and is the same text wherever it is made.
                let text = serde_json::to_vec(weakening).unwrap_or_default();
                SubjectHash(blake3::derive_key(CONTEXT, &[&b"weakening\0"[..], &text].concat()))
            }
        }
    }

    /// Returns whether it makes protection less.
    pub const fn is_weakening(&self) -> bool {
        matches!(self, Self::Weakening(_))
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Restore { title, .. } => f.write_str(title),
            Self::Weakening(weakening) => weakening.fmt(f),
        }
    }
}

impl fmt::Display for Weakening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account { what, .. } => f.write_str(what),
            Self::Key { person, key } => write!(f, "let the key {key} sign for {person}"),
            Self::Approvals { needed, weakening_delay_s, lifetime_s } => write!(
                f,
                "ask {needed} people for approval, wait {weakening_delay_s} s before protecting less, keep cases for \
                 {lifetime_s} s"
            ),
            Self::LetIn { incident } => write!(f, "let in again whom incident {incident} is about"),
            Self::LiftHold { hold } => write!(f, "lift the hold {hold}"),
            Self::RemoveSource { source } => write!(f, "protect {} no more", source.as_str()),
            Self::Setting { key, from, to } => write!(f, "set {key} from {from} to {to}"),
        }
    }
}
