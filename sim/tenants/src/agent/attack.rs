//! Everything that an agent holds, tried against a vault: as a user of the machine, and by the network.

mod files;
mod network;

pub use files::{AttackError, Attacker, attack_targets, attack_vault, copy_decoy};
pub use network::{attack_database, attack_listeners};

use serde::Serialize;

/// One attempt and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Attack {
    /// What was attempted, in a few words.
    pub name: String,
    /// Who attempted it.
    pub attacker: String,
    /// The command, request or statement.
    pub tried: String,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// Nothing changed.
    Held {
        /// What refused.
        by: String,
    },
    /// Nothing that was there changed, but something was put beside it; readers must refuse it.
    Added {
        /// What was put there.
        what: String,
    },
    /// Something changed or is gone. On a vault the damage was made good afterwards.
    Succeeded {
        /// What was lost.
        lost: String,
    },
    /// It could not be tried.
    NotTried {
        /// Why.
        why: String,
    },
}

impl Outcome {
    /// Returns whether the attempt did harm.
    pub const fn is_harm(&self) -> bool {
        matches!(self, Self::Succeeded { .. })
    }
}
