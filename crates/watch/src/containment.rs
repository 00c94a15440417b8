//! Stopping whoever destroys: what may be done, and the door through which each platform does it.
//!
//! Every action can be taken back, and what was there before is recorded first. Whether an action is taken at all is
//! decided by policy or by a person; whoever implements [`Container`] decides nothing.

use model::{Actor, Attribution, Moment, SourceName};
use serde::{Deserialize, Serialize};

/// Somebody who seems to destroy, as far as is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspect {
    /// Where.
    pub source: SourceName,
    /// The database, mailbox or site.
    pub scope: String,
    /// The transaction that is still open, where it is one: it can be stopped with nothing lost.
    pub transaction: Option<String>,
    /// What is destroyed, the most first: tables, folders.
    pub targets: Vec<String>,
    /// Who it is, where that was told.
    pub actor: Option<Actor>,
    /// How that is known.
    pub attribution: Attribution,
    /// When it began.
    pub since: Moment,
}

/// What an action does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ActionKind {
    /// Ends a session of a database; what it had not committed is undone by the database.
    EndSession,
    /// Keeps a role or an account from logging in again.
    BarLogin,
    /// Takes from a program the consent that a person gave it.
    RevokeConsent,
    /// Suspends an account.
    SuspendAccount,
}

/// One reversible step against somebody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Action {
    /// What is done.
    pub kind: ActionKind,
    /// The source in which it is done.
    pub source: SourceName,
    /// Against whom: a role, a program's id, an account. Policy is asked with this name.
    pub subject: String,
    /// One line for people: `end session 4711 of role agent`.
    pub title: String,
    /// What only the platform understands: the process, the users.
    pub details: serde_json::Value,
}

/// Who it is, and what would stop them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// Who it is.
    pub actor: Actor,
    /// How that is known; what is only inferred is never acted upon without a person.
    pub attribution: Attribution,
    /// The actions, in the order in which they are to be taken.
    pub actions: Vec<Action>,
}

/// An action that was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// The action.
    pub action: Action,
    /// When it was taken.
    pub at: Moment,
    /// What was there before, with which it can be taken back.
    pub prior: serde_json::Value,
    /// Whether there is something to take back: an ended session is ended.
    pub can_be_taken_back: bool,
}

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
pub enum ContainmentError {
    /// The platform, or what was installed in it, does not allow it for this subject.
    #[error("{subject} is not to be contained: {reason}")]
    Protected {
        /// Against whom it would have been.
        subject: String,
        /// The platform's own words.
        reason: String,
    },
    /// Whoever it was is gone: the session has ended, the consent does not exist.
    #[error("{subject} is no longer there")]
    Gone {
        /// Against whom it would have been.
        subject: String,
    },
    /// The platform could not be asked, or refused; trying again may help.
    #[error("the action was not taken: {message}")]
    Failed {
        /// What happened.
        message: String,
        /// What a person can do about it.
        hint: Option<String>,
        /// What the platform answered.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
}

impl ContainmentError {
    /// Returns what a person can do about it.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Failed { hint, .. } => hint.as_deref(),
            Self::Protected { .. } | Self::Gone { .. } => None,
        }
    }
}

/// One platform's way of finding out who it is and of stopping them, under an identity that can do nothing else.
pub trait Container: Send {
    /// Makes itself ready, so that the first alarm finds everything connected. It is asked again and again while nothing
    /// happens; what does not succeed is tried again when it is needed.
    fn prepare(&mut self) -> Result<(), ContainmentError> {
        Ok(())
    }

    /// Finds out who it is and what would stop them; nothing when nobody can be found. Changes nothing.
    fn propose(&mut self, suspect: &Suspect) -> Result<Option<Proposal>, ContainmentError>;

    /// Takes an action, after writing down what was there before. Taking it twice is the same as once.
    fn take(&mut self, action: &Action, now: Moment) -> Result<Taken, ContainmentError>;

    /// Puts back what was there before. Doing it twice is the same as once.
    fn take_back(&mut self, taken: &Taken) -> Result<(), ContainmentError>;
}
