use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Moment;

/// Who did something: a person, an app, an agent, a database role.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// The identity that the source authenticated: a role, an account.
    pub identity: String,
    /// What the client called itself; set by the client, so a hint and no proof.
    pub application: Option<String>,
    /// The network address of the client.
    pub address: Option<String>,
}

/// How an event came by its actor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Attribution {
    /// A witness message inside the same transaction names the actor.
    Witnessed,
    /// Activity sampled while the transaction ran names the actor.
    Sampled,
    /// Nobody saw who did it.
    Unknown,
}

/// What was done to a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verb {
    /// A whole database was dropped.
    DropDatabase,
    /// A table, index or other stored object was dropped.
    Drop,
    /// A table was emptied at one stroke.
    Truncate,
    /// Rows or items were deleted.
    Delete,
    /// Items were put into a trash, from which they can still be taken.
    Trash,
    /// Rows or items were changed.
    Update,
    /// Rows or items were added.
    Insert,
    /// A table's storage was written anew (`VACUUM FULL`, a rewriting `ALTER`).
    Rewrite,
    /// A definition was changed.
    Define,
}

/// One target of an event with its count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effect {
    /// What was done.
    pub verb: Verb,
    /// What it was done to, by name where the name is known: `shop.public.bookings`.
    pub target: String,
    /// How many rows, items or objects.
    pub count: u64,
}

/// How much an event asks for a person's attention.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Daily work.
    Routine,
    /// Definitions changed or rows left, within what is usual.
    Notable,
    /// Data was destroyed at a scale, or by a verb, that daily work does not use.
    Destructive,
}

/// One transaction or call that changed a source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When the source says that it took effect.
    pub at: Moment,
    /// Where it took effect in the source's own order: a commit LSN, an event id. Sorts as text.
    pub position: String,
    /// The source's name for it: a transaction id, a request id.
    pub transaction: String,
    /// The database, mailbox or site that it happened in.
    pub scope: String,
    /// What it did, most destructive first.
    pub effects: Vec<Effect>,
    /// How serious it is.
    pub severity: Severity,
    /// Who did it.
    pub actor: Option<Actor>,
    /// How the actor is known.
    pub attribution: Attribution,
    /// The statement or call, as far as it was seen.
    pub statement: Option<String>,
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DropDatabase => "drop database",
            Self::Drop => "drop",
            Self::Truncate => "truncate",
            Self::Delete => "delete",
            Self::Trash => "trash",
            Self::Update => "update",
            Self::Insert => "insert",
            Self::Rewrite => "rewrite",
            Self::Define => "define",
        })
    }
}
