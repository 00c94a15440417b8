use std::fmt;

use model::Moment;
use serde::{Deserialize, Serialize};

use crate::{Decision, Now, Principal, Running, Subject, Weakening, same_person};

/// The name of a case: lower-case letters, digits and hyphens, at most 64.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct CaseId(String);

/// A text that cannot be the name of a case.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not the name of a case")]
pub struct CaseIdError {
    text: String,
}

impl CaseIdError {
    /// Returns the text.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl CaseId {
    /// Reads the name of a case.
    pub fn new(text: &str) -> Result<Self, CaseIdError> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if text.is_empty() || text.len() > 64 || text.starts_with('-') || !text.chars().all(plain) {
            return Err(CaseIdError { text: text.to_owned() });
        }
        Ok(Self(text.to_owned()))
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for CaseId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// How many must agree, and how long things wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// So many people must approve; 0 counts as 1.
    pub needed: u32,
    /// What makes protection less begins so many seconds after the last approval.
    pub weakening_delay_s: u64,
    /// Letting somebody in again begins so many seconds after the last approval: an alarm may have been false.
    pub let_in_delay_s: u64,
    /// A case waits so many seconds for its approvals, and then so many to be begun; after that it lapses.
    pub lifetime_s: u64,
}

impl Default for Policy {
    fn default() -> Self {
        Self { needed: 1, weakening_delay_s: 24 * 60 * 60, let_in_delay_s: 0, lifetime_s: 7 * 24 * 60 * 60 }
    }
}

impl Policy {
    /// Returns for how many seconds something waits after its last approval.
    pub const fn delay_s(&self, subject: &Subject) -> u64 {
        match subject {
            Subject::Restore { .. } => 0,
            Subject::Weakening(Weakening::LetIn { .. }) => self.let_in_delay_s,
            Subject::Weakening(_) => self.weakening_delay_s,
        }
    }

    /// Returns how many people must approve: at least one.
    pub fn needed(&self) -> usize {
        usize::try_from(self.needed.max(1)).unwrap_or(usize::MAX)
    }
}

/// Returns the moment so many seconds later.
pub(crate) fn after_s(moment: Moment, seconds: u64) -> Moment {
    moment.plus_micros(i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1_000_000))
}

/// What waits for people's approval, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Case {
    /// Its name.
    pub id: CaseId,
    /// Goes up by one with each step.
    pub version: u64,
    /// What it is about.
    pub subject: Subject,
    /// Why it was asked for, in the words of whoever did.
    pub reason: String,
    /// Who asked for it.
    pub requested_by: Principal,
    /// When.
    pub requested_at: Moment,
    /// For how long the machine had been running then; `None` where nothing was remembered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running: Option<Running>,
    /// When its approvals must be there.
    pub expires_at: Moment,
    /// The latest time that was seen with it; time never goes back for a case.
    pub seen: Moment,
    /// What people said, in order.
    pub decisions: Vec<Decided>,
    /// How it stands.
    pub state: State,
}

/// What one person said.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decided {
    /// Who.
    pub person: String,
    /// The public key, or the id of the passkey, that they signed with.
    pub key: String,
    /// What they said.
    pub decision: Decision,
    /// Why, in their words; it is not signed.
    pub reason: String,
    /// When.
    pub at: Moment,
    /// The signature, so that it can be checked again.
    pub proof: serde_json::Value,
}

/// How a case stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case", deny_unknown_fields)]
pub enum State {
    /// For approvals.
    Waiting,
    /// Enough people approved.
    Approved {
        /// When the last of them did; when its delay had to start again, then.
        at: Moment,
        /// It does not begin before: later than `at` for what makes protection less.
        not_before: Moment,
        /// It lapses then.
        expires_at: Moment,
        /// For how long the machine had been running at `at`; `None` where nothing was remembered.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        running: Option<Running>,
    },
    /// It is being done.
    Applying {
        /// The run that does it.
        run: String,
        /// Since when.
        since: Moment,
        /// How often it was begun; more than once after a run was killed.
        begun: u32,
    },
    /// It was done.
    Applied {
        /// When.
        at: Moment,
        /// Whether everything was read again and is as planned.
        verified: bool,
    },
    /// A person said that it must not be done.
    Refused {
        /// When.
        at: Moment,
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// Whoever asked for it wants it no more.
    Withdrawn {
        /// When.
        at: Moment,
        /// Who.
        by: Principal,
    },
    /// It waited too long.
    Expired {
        /// When that was seen.
        at: Moment,
    },
    /// It was begun and cannot be ended.
    Failed {
        /// When.
        at: Moment,
        /// Why.
        why: String,
    },
}

impl State {
    /// Returns one word for it.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Approved { .. } => "approved",
            Self::Applying { .. } => "applying",
            Self::Applied { verified: true, .. } => "applied",
            Self::Applied { verified: false, .. } => "applied, not verified",
            Self::Refused { .. } => "refused",
            Self::Withdrawn { .. } => "withdrawn",
            Self::Expired { .. } => "expired",
            Self::Failed { .. } => "failed",
        }
    }

    /// Returns whether nothing can happen to it any more.
    pub const fn is_over(&self) -> bool {
        !matches!(self, Self::Waiting | Self::Approved { .. } | Self::Applying { .. })
    }
}

impl Case {
    /// Opens a case.
    pub fn request(
        id: CaseId,
        subject: Subject,
        requested_by: Principal,
        reason: &str,
        policy: &Policy,
        now: Now,
    ) -> Self {
        Self {
            id,
            version: 1,
            subject,
            reason: reason.to_owned(),
            requested_by,
            requested_at: now.at,
            running: now.running,
            expires_at: after_s(now.at, policy.lifetime_s),
            seen: now.at,
            decisions: Vec::new(),
            state: State::Waiting,
        }
    }

    /// Returns the distinct people who approved, in order.
    pub fn approvers(&self) -> Vec<&str> {
        let mut people: Vec<&str> = Vec::new();
        for decided in self.decisions.iter().filter(|decided| decided.decision == Decision::Approve) {
            if !people.iter().any(|known| same_person(known, &decided.person)) {
                people.push(&decided.person);
            }
        }
        people
    }

    /// Returns when it lapses, if it can; the stricter of what held when it was asked for and what holds now.
    pub fn lapses_at(&self, policy: &Policy) -> Option<Moment> {
        match &self.state {
            State::Waiting => Some(self.expires_at.min(after_s(self.requested_at, policy.lifetime_s))),
            State::Approved { not_before, expires_at, .. } => {
                Some((*expires_at).min(after_s(*not_before, policy.lifetime_s)))
            }
            _ => None,
        }
    }

    /// Returns when it lapsed, if it has: by the host's clock, or because the machine was running for long enough since. A
    /// clock that is put back revives nothing.
    pub fn lapsed(&self, policy: &Policy, now: &Now) -> Option<Moment> {
        let at = self.lapses_at(policy)?;
        let (from, running) = match &self.state {
            State::Approved { at, running, .. } => (*at, *running),
            _ => (self.requested_at, self.running),
        };
        let ran_out = now.since(running).is_some_and(|micros| micros >= at.micros_since(from));
        (now.at >= at || ran_out).then_some(at)
    }

    /// Returns before when an approved case does not begin; the stricter of what held then and what holds now.
    pub fn begins_at(&self, policy: &Policy) -> Option<Moment> {
        match &self.state {
            State::Approved { at, not_before, .. } if self.subject.is_weakening() => {
                Some((*not_before).max(after_s(*at, policy.delay_s(&self.subject))))
            }
            State::Approved { not_before, .. } => Some(*not_before),
            _ => None,
        }
    }

    /// Returns when an approved case may begin, if that is not now: the host's clock must have reached the time, and the
    /// machine must have been running for as long as that takes. Where nobody remembers for how long it was, the whole
    /// delay is ahead.
    pub(crate) fn waits_until(&self, policy: &Policy, now: &Now) -> Option<Moment> {
        let State::Approved { at, running, .. } = &self.state else { return None };
        let begins = self.begins_at(policy)?;
        let delay = begins.micros_since(*at);
        let left = delay - now.since(*running).unwrap_or(0);
        let accounted = now.at.plus_micros(left);
        (delay > 0 && (now.at < begins || left > 0)).then(|| begins.max(accounted))
    }
}
