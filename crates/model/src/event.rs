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
    /// The id under which the program is known to the source: an OAuth client, a project. The source's word, not the
    /// program's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// Whether a service account acted in the identity's name, without its consent.
    #[serde(default, skip_serializing_if = "is_false")]
    pub impersonated: bool,
    /// The name of the agent that acted, where the source knows it as one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

/// How an event came by its actor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Attribution {
    /// A witness message inside the same transaction names the actor.
    Witnessed,
    /// The source's own audit log names the actor.
    Recorded,
    /// Activity sampled while the transaction ran names the actor.
    Sampled,
    /// It is inferred from what was seen before and after; nobody saw it itself.
    Inferred,
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
    /// Items were changed into what looks like ciphertext.
    Encrypt,
    /// Rows or items were added.
    Insert,
    /// A table's storage was written anew (`VACUUM FULL`, a rewriting `ALTER`).
    Rewrite,
    /// A definition was changed.
    Define,
    /// Items were taken out of the trash.
    Untrash,
    /// Items were read: seen, downloaded, copied elsewhere.
    Read,
    /// More people may see or change items than before.
    Share,
    /// A program, an account or a role was let in.
    Grant,
    /// Somebody or something may no longer do what was shared or granted.
    Revoke,
    /// What protects items was weakened: retention, versions, an audit log, a backup, a guard.
    Weaken,
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

/// How far something has come when it is told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// It goes on and may still be stopped, with nothing lost: an open transaction, whose counts grow.
    Underway,
    /// It has taken effect; names and actors may not be known yet.
    Done,
    /// It is told for good and stored: names and actors are as well known as they will be to whoever tells it.
    Told,
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
            Self::Encrypt => "encrypt",
            Self::Insert => "insert",
            Self::Rewrite => "rewrite",
            Self::Define => "define",
            Self::Untrash => "untrash",
            Self::Read => "read",
            Self::Share => "share",
            Self::Grant => "grant",
            Self::Revoke => "revoke",
            Self::Weaken => "weaken",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_actor_that_was_stored_before_programs_were_told_apart_is_read_and_written_as_it_was() {
        let stored = r#"{"identity":"app","application":null,"address":"10.0.0.1"}"#;
        let actor: Actor = serde_json::from_str(stored).unwrap();
        assert_eq!((&actor.client, actor.impersonated, &actor.agent), (&None, false, &None));
        assert_eq!(serde_json::to_string(&actor).unwrap(), stored);
        let full = Actor {
            client: Some("1.apps.test".to_owned()),
            impersonated: true,
            agent: Some("Claw".to_owned()),
            ..actor
        };
        let text = serde_json::to_string(&full).unwrap();
        assert_eq!(serde_json::from_str::<Actor>(&text).unwrap(), full);
    }
}
