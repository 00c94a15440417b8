//! What the caller is told.

use model::{Actor, Moment, SourceName};
use serde::{Deserialize, Serialize};

use crate::{ActorKind, containment::Suspect};

/// Something that the caller stores, shows or acts upon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// There is a new incident: an alarm.
    Opened {
        /// Its id.
        incident: u64,
    },
    /// There is more of an incident, or it is quiet now; store it.
    Grew {
        /// Its id.
        incident: u64,
    },
    /// It is known better who it was.
    Attributed {
        /// Its id.
        incident: u64,
    },
    /// Something is worth knowing and wakes nobody; once an hour for each rule, actor and scope.
    Noticed {
        /// What.
        notice: Notice,
    },
    /// Something was announced and therefore raises no alarm. Told when it begins, each hour while it goes on, and when the
    /// expectation ends.
    Suppressed {
        /// The id of the expectation.
        expectation: String,
        /// Where.
        source: SourceName,
        /// The database, mailbox or site of the last of them.
        scope: String,
        /// How many items so far.
        items: u64,
        /// When.
        at: Moment,
    },
    /// Somebody should be stopped: find out who, and ask the policy.
    Contain {
        /// The incident.
        incident: u64,
        /// Who, as far as is known.
        suspect: Suspect,
    },
}

/// Something that is worth knowing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// The rule.
    pub rule: String,
    /// What the rule finds.
    pub title: String,
    /// Where.
    pub source: SourceName,
    /// The database, mailbox or site.
    pub scope: String,
    /// Who, where that is known.
    pub actor: Option<Actor>,
    /// What they are.
    pub kind: ActorKind,
    /// When.
    pub at: Moment,
    /// One sentence with the numbers.
    pub explanation: String,
}
