//! Rogue agents: scripts of what agents did, replayed. They are data and hold no intelligence. Some are of people and
//! programs that do what looks like it and is their work.

pub mod antigravity;
pub mod attack;
pub mod cleanup;
pub mod deeds;
pub mod hard_delete;
pub mod low_and_slow;
pub mod openclaw;
pub mod pocketos;
pub mod ransomware;
pub mod replit;
pub mod sql;
pub mod vercel;
pub mod workspace;

#[cfg(test)]
mod tests;

use std::time::Duration;

use model::Moment;
use ports::Clock;
use serde::Serialize;

pub use deeds::{Deed, Deeds};

/// One thing that an agent did, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// When it was done.
    pub at: Moment,
    /// What the agent was after, in a few words.
    pub intent: String,
    /// The call: a command, a request, a statement.
    pub call: String,
    /// The answer, shortened.
    pub answer: String,
    /// How long the answer took.
    #[serde(rename = "took_micros", serialize_with = "micros")]
    pub took: Duration,
    /// Whether the call destroyed something.
    pub destructive: bool,
}

/// A credential that an agent came by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Credential {
    /// What it is.
    pub kind: CredentialKind,
    /// The file in which it lay, below the workspace.
    pub found_in: String,
    /// The secret itself: rehearsals make it, and it opens nothing real.
    #[serde(skip)]
    pub secret: String,
}

/// What a credential opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialKind {
    /// A token for the hosting platform's API.
    RailwayToken,
    /// A project token for the hosting platform's API.
    RailwayProjectToken,
    /// A database URL with a password.
    DatabaseUrl,
}

const ANSWER_CHARS_MAX: usize = 400;

/// Records steps as they happen.
pub(crate) struct Recorder<'a> {
    clock: &'a dyn Clock,
    steps: Vec<Step>,
}

impl<'a> Recorder<'a> {
    pub(crate) const fn new(clock: &'a dyn Clock) -> Self {
        Self { clock, steps: Vec::new() }
    }

    /// Does one thing and records it; `show` turns its result into the recorded answer.
    pub(crate) fn act<T>(
        &mut self,
        (intent, call): (&str, String),
        destructive: bool,
        act: impl FnOnce() -> T,
        show: impl FnOnce(&T) -> String,
    ) -> T {
        let (at, start) = (self.clock.now(), self.clock.elapsed());
        let result = act();
        let took = self.clock.elapsed().saturating_sub(start);
        let answer: String = show(&result).chars().take(ANSWER_CHARS_MAX).collect();
        self.steps.push(Step { at, intent: intent.to_owned(), call, answer, took, destructive });
        result
    }

    pub(crate) fn into_steps(self) -> Vec<Step> {
        self.steps
    }
}

fn micros<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX))
}
