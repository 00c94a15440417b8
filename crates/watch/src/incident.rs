//! What an incident holds: what was done where, by whom as far as it is known, and what was done about it.

mod account;
mod amend;

use std::collections::{BTreeMap, BTreeSet};

use model::{Actor, Attribution, Moment, SourceName, Stage, Verb};
use serde::{Deserialize, Serialize};

pub(crate) use self::account::{DEEDS_MAX, NewSuspect, rank};
pub use self::amend::{AmendError, Amendment};
use crate::{
    ActorKind, Sums,
    containment::{Action, Taken},
};

/// How far an incident has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IncidentState {
    /// It was found.
    Open,
    /// Somebody was stopped.
    Contained,
    /// What was done is undone.
    Undone,
    /// People have closed it, or it turned out to be part of another one. It never opens again.
    Closed,
}

impl std::fmt::Display for IncidentState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Contained => "contained",
            Self::Undone => "undone",
            Self::Closed => "closed",
        })
    }
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IncidentSeverity {
    /// Data is being destroyed.
    High,
    /// Data is being destroyed by somebody who never did so before.
    Critical,
}

/// When an incident came into a state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateChange {
    /// The state.
    pub state: IncidentState,
    /// When.
    pub at: Moment,
    /// Why, and by whom where it was a person.
    pub why: String,
}

/// A rule that fired.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Firing {
    /// The rule.
    pub rule: String,
    /// The number of the suspect.
    pub suspect: u32,
    /// When.
    pub at: Moment,
    /// One sentence with the numbers.
    pub explanation: String,
}

/// When containment was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// When.
    pub at: Moment,
    /// How the actor was known then.
    pub attribution: Attribution,
}

/// Who somebody is, as it was found out by looking where it happens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identified {
    /// Who.
    pub actor: Actor,
    /// What they are.
    pub kind: ActorKind,
    /// How that is known.
    pub attribution: Attribution,
}

/// Somebody who took part, or may have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SuspectNote {
    /// A number, within the incident.
    pub id: u32,
    /// Who; nobody as long as it is not known.
    pub actor: Option<Actor>,
    /// What they are.
    pub kind: ActorKind,
    /// How that is known; the best of all that was told.
    pub attribution: Attribution,
    /// Who it was found to be where neither source nor log named anybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identified: Option<Identified>,
    /// Whether it was a guess, or nothing at all, before it was known.
    pub guessed_before: bool,
    /// Where they were first seen.
    pub source: SourceName,
    /// The database, mailbox or site.
    pub scope: String,
    /// What they did that took effect.
    pub effects: Sums,
    /// What they do that has not taken effect.
    pub underway: Sums,
    /// What they began and what never took effect: nothing was lost of it.
    pub given_up: Sums,
    /// What an audit log says that they did; part of the same deeds as `effects`, counted as the log counts.
    pub recorded: Sums,
    /// Of `effects`, what is theirs only because nobody else is known to have been there.
    pub assumed: Sums,
    /// How many transactions or calls.
    pub deeds: u64,
    /// When they began.
    pub first: Moment,
    /// When they were last seen to do something.
    pub last: Moment,
    /// Whether a rule fired on them; the others only did something in the same place.
    pub fired: bool,
    /// When it was asked that they are stopped.
    pub asked: Option<Asked>,
}

/// What was touched in a source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Touched {
    /// When the first of it took effect, by the source's clock.
    pub from: Moment,
    /// When the last of it did.
    pub until: Moment,
    /// The first position.
    pub first_position: String,
    /// The last position.
    pub last_position: String,
    /// The databases, mailboxes or sites.
    pub scopes: BTreeSet<String>,
    /// Whether the source tells of what it does before it tells it for good.
    pub glimpsed: bool,
    /// What took effect.
    pub effects: Sums,
    /// What is underway.
    pub underway: Sums,
    /// What never took effect: nothing was lost of it.
    pub given_up: Sums,
    /// What an audit log says; the same deeds as in `effects` where there are any.
    pub recorded: Sums,
    /// How many transactions or calls.
    pub deeds: u64,
}

/// One transaction or call that belongs to an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deed {
    /// The source.
    pub source: SourceName,
    /// The database, mailbox or site.
    pub scope: String,
    /// The source's name for it.
    pub transaction: String,
    /// Where it took effect.
    pub position: String,
    /// How far it has come.
    pub stage: Stage,
    /// When.
    pub at: Moment,
    /// What it did.
    pub effects: Sums,
    /// The number of the suspect.
    pub suspect: u32,
    /// Whether an audit log tells it.
    pub recorded: bool,
    /// Whether it is the suspect's only because nobody else is known to have been there.
    pub assumed: bool,
    /// Whether it never took effect.
    pub given_up: bool,
}

/// How far an action has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ActionStatus {
    /// A person is asked.
    Proposed,
    /// It was taken.
    Taken,
    /// It was not taken.
    Refused,
    /// It was taken, and what was there before is back.
    TakenBack,
}

/// An action against somebody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActionNote {
    /// The action.
    pub action: Action,
    /// How far it has come.
    pub status: ActionStatus,
    /// When it came so far.
    pub at: Moment,
    /// What was there before, once it was taken.
    pub taken: Option<Taken>,
    /// Whether policy let it be taken without a person.
    pub automatic: bool,
    /// Whether a person keeps it beyond its time.
    #[serde(default)]
    pub kept: bool,
    /// Why, in words for people.
    pub why: String,
}

/// A stop of releasing and reaping.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hold {
    /// The source.
    pub source: SourceName,
    /// When it was taken.
    pub at: Moment,
}

/// Something that was done about an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Note {
    /// When.
    pub at: Moment,
    /// What: who was told, what was captured.
    pub text: String,
}

/// A plan that undoes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The plan's hash.
    pub hash: String,
    /// When it was made.
    pub made_at: Moment,
    /// When it was carried out.
    pub applied_at: Option<Moment>,
}

/// What an expectation had covered when it covered no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suppression {
    /// The expectation.
    pub expectation: String,
    /// So many items before this incident.
    pub items: u64,
    /// When it was used up.
    pub at: Moment,
}

/// A run of destructive changes: what was done where, by whom as far as it is known, and what was done about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Incident {
    /// Its number; the first is 1.
    pub id: u64,
    /// How far it has come.
    pub state: IncidentState,
    /// How it came there.
    pub history: Vec<StateChange>,
    /// How bad it is.
    pub severity: IncidentSeverity,
    /// Whether it still grows; it does until nothing happens for a while.
    pub growing: bool,
    /// What the rules that fired look for.
    pub verbs: BTreeSet<Verb>,
    /// The rules that fired, each once for a suspect.
    pub firings: Vec<Firing>,
    /// Who took part, or may have.
    pub suspects: Vec<SuspectNote>,
    /// What was touched, by source.
    pub touched: BTreeMap<SourceName, Touched>,
    /// The transactions and calls, in the order in which they were told.
    pub deeds: Vec<Deed>,
    /// Whether there were more of them than are kept; the sums hold all.
    pub deeds_capped: bool,
    /// When the first of it was seen.
    pub first_seen_at: Moment,
    /// When the last of it was seen.
    pub last_seen_at: Moment,
    /// When the alarm was raised.
    pub opened_at: Moment,
    /// From the first that was seen to the alarm.
    pub delay_ms: u64,
    /// What was done against whom.
    pub actions: Vec<ActionNote>,
    /// What must not be released.
    pub holds: Vec<Hold>,
    /// When all that had not been captured was.
    pub captured: Vec<Note>,
    /// Who was told.
    pub notices: Vec<Note>,
    /// The plans that undo it.
    pub plans: Vec<Plan>,
    /// Expectations that it went beyond.
    pub suppressions: Vec<Suppression>,
    /// Incidents that turned out to be part of this one.
    pub merged: Vec<u64>,
    /// The incident that this one turned out to be a part of.
    pub merged_into: Option<u64>,
    /// The number of the next suspect.
    pub(crate) next_suspect: u32,
}

/// The last part of a scope's name: mailboxes and drives are named by whose they are, in whatever log.
pub(crate) fn place_of(scope: &str) -> &str {
    scope.split_once('/').map_or(scope, |(_, rest)| rest)
}

impl Incident {
    /// Returns whether its story is over.
    pub fn is_closed(&self) -> bool {
        self.state == IncidentState::Closed
    }

    /// Returns a suspect by its number.
    pub fn suspect(&self, id: u32) -> Option<&SuspectNote> {
        self.suspects.iter().find(|suspect| suspect.id == id)
    }

    /// Returns how many things were destroyed for good or put where they soon will be, in all sources. Where only an audit
    /// log tells of it, as the log counts.
    pub fn destroyed(&self) -> u64 {
        self.touched.values().map(|t| t.effects.destroyed().max(t.recorded.destroyed())).sum()
    }

    /// Returns what happened in one line: `delete 1,200 in shop.public.bookings, truncate 1 in shop.public.users`.
    pub fn summary(&self) -> String {
        let mut all = Sums::default();
        for touched in self.touched.values() {
            all.add_all(if touched.effects.is_empty() { &touched.recorded } else { &touched.effects });
            all.add_all(&touched.underway);
        }
        let mut worst: Vec<String> =
            all.iter().take(5).map(|e| format!("{} {} in {}", e.verb, e.count, e.target)).collect();
        if worst.is_empty() {
            worst.push("nothing was lost".to_owned());
        }
        worst.join(", ")
    }
}

impl SuspectNote {
    /// Returns who it was, by whatever way that is known, and how.
    pub fn who(&self) -> (Option<&Actor>, Attribution) {
        match (&self.actor, &self.identified) {
            (None, Some(identified)) => (Some(&identified.actor), identified.attribution),
            (actor, _) => (actor.as_ref(), self.attribution),
        }
    }

    /// Returns how many things they destroyed; where only an audit log tells of it, as the log counts.
    pub fn destroyed(&self) -> u64 {
        self.effects.destroyed().max(self.recorded.destroyed())
    }
}
