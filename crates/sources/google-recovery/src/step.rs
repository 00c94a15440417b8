//! The kinds of steps, and what each of them does.

use std::io::{BufRead, BufReader};

use connect::{
    Progress, StoredHistory,
    plan::{
        Action, AppliedReport, AppliedStep, ApplyMode, Attachments, Check, Choice, Conflict, LISTED_MAX,
        Plan, Step, WriteError,
    },
};
use connect_http::RefusalKind;
use google_api::{ApiError, Obstacle, WriteApi};
use model::StreamName;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    calendar::CalendarStep, contacts::ContactsStep, drive::DriveStep, journal::Journal, mail::MailStep,
    memberships::MembershipStep,
};

/// What only this connector understands of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "part")]
pub(crate) enum StepDetails {
    /// Messages of a mailbox.
    Mail(MailStep),
    /// Files of a drive.
    Drive(DriveStep),
    /// A user's calendars and what is in them.
    Calendar(CalendarStep),
    /// A user's contacts.
    Contacts(ContactsStep),
    /// Who is in which group of users.
    Memberships(MembershipStep),
}

impl StepDetails {
    fn of(step: &Step) -> Result<Self, WriteError> {
        serde_json::from_value(step.details.clone()).map_err(|error| WriteError::Plan(Box::new(error)))
    }

    fn work(&self) -> &dyn StepWork {
        match self {
            Self::Mail(step) => step,
            Self::Drive(step) => step,
            Self::Calendar(step) => step,
            Self::Contacts(step) => step,
            Self::Memberships(step) => step,
        }
    }
}

/// What a kind of step does.
pub(crate) trait StepWork {
    /// Does what is not done yet.
    fn apply(&self, task: &Task<'_>) -> Result<Outcome, WriteError>;

    /// Reads again what came of it.
    fn verify(&self, task: &Task<'_>) -> Result<Check, WriteError>;
}

/// A step that is applied or verified, and everything that this takes.
pub(crate) struct Task<'t> {
    pub(crate) api: &'t WriteApi,
    pub(crate) past: &'t dyn StoredHistory,
    pub(crate) journal: &'t Journal,
    /// How many calls run at a time.
    pub(crate) threads: usize,
    pub(crate) mode: ApplyMode,
    pub(crate) progress: &'t dyn Progress,
    pub(crate) plan: &'t Plan,
    pub(crate) step: &'t Step,
    pub(crate) attachments: &'t dyn Attachments,
}

impl Task<'_> {
    pub(crate) fn apply(&self) -> Result<Outcome, WriteError> {
        StepDetails::of(self.step)?.work().apply(self)
    }

    pub(crate) fn verify(&self) -> Result<Check, WriteError> {
        StepDetails::of(self.step)?.work().verify(self)
    }

    /// Reads the lines of the step's attachment.
    pub(crate) fn rows<T: DeserializeOwned>(&self) -> Result<Vec<T>, WriteError> {
        let attachment = self.step.attachment.as_deref().and_then(|name| self.plan.attachment(name));
        let attachment = attachment.ok_or_else(|| WriteError::Plan("a step has no attachment".into()))?;
        let reader = self.attachments.open(attachment).map_err(|error| WriteError::Plan(Box::new(error)))?;
        BufReader::new(reader)
            .lines()
            .map(|line| serde_json::from_str(&line?).map_err(std::io::Error::from))
            .collect::<Result<_, std::io::Error>>()
            .map_err(|error| WriteError::Plan(Box::new(error)))
    }

    /// Begins the comparison of the step's items with what is there.
    pub(crate) fn check(&self) -> Check {
        Check {
            step: self.step.number,
            target: self.step.target.clone(),
            expected: self.step.rows,
            matched: 0,
            differences: Vec::new(),
        }
    }
}

/// Notes in a comparison how one item is.
pub(crate) fn note(check: &mut Check, key: &str, difference: Option<String>) {
    match difference {
        None => check.matched += 1,
        Some(reason) if check.differences.len() < LISTED_MAX => check.differences.push(Conflict {
            target: check.target.clone(),
            key: key.to_owned(),
            reason,
            choice: Choice::Keep,
        }),
        Some(_) => {}
    }
}

/// What applying one step came to.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) changed: u64,
    pub(crate) unchanged: u64,
    /// Items that were left alone, with the reason.
    pub(crate) conflicts: Vec<(String, String)>,
}

impl Outcome {
    /// Adds what some more items came to.
    pub(crate) fn add(&mut self, other: Self) {
        self.changed += other.changed;
        self.unchanged += other.unchanged;
        self.conflicts.extend(other.conflicts);
    }

    pub(crate) fn report(self, step: &Step, report: &mut AppliedReport) {
        let conflicts = self.conflicts.len() as u64;
        report.steps.push(AppliedStep {
            number: step.number,
            changed: self.changed,
            unchanged: self.unchanged,
            conflicts,
        });
        match step.action {
            Action::Insert => report.counts.inserted += self.changed,
            Action::Remove => report.counts.removed += self.changed,
            Action::Create | Action::Redefine => report.counts.objects += self.changed,
            Action::Revert | Action::Advance => report.counts.reverted += self.changed,
        }
        report.counts.unchanged += self.unchanged;
        report.counts.conflicts += conflicts;
        let room = LISTED_MAX.saturating_sub(report.conflicts.len());
        report.conflicts.extend(self.conflicts.into_iter().take(room).map(|(key, reason)| Conflict {
            target: step.target.clone(),
            key,
            reason,
            choice: Choice::Keep,
        }));
    }
}

/// Says what a failed call means for the whole application; `what` is what Google did not do.
pub(crate) fn failed(what: &str, error: ApiError) -> WriteError {
    match error {
        ApiError::Obstacle(obstacle @ Obstacle::Delegation { .. }) => WriteError::Privilege {
            what: what.to_owned(),
            grant: Some(obstacle.hint()),
            source: Some(obstacle.to_string().into()),
        },
        ApiError::Refused(refusal) if refusal.status.as_u16() == 403 => WriteError::Privilege {
            what: what.to_owned(),
            grant: None,
            source: Some(refusal.to_string().into()),
        },
        error => WriteError::Source {
            message: format!("Google did not {what}"),
            hint: Some("apply the same plan again: it goes on where it stopped".to_owned()),
            transient: matches!(error, ApiError::Passing(_) | ApiError::Stopped),
            source: Some(Box::new(error)),
        },
    }
}

/// Google's reasons for refusals that concern everything: whoever writes may not, or the API is not switched on.
pub(crate) const RIGHTS: [&str; 4] =
    ["insufficientPermissions", "ACCESS_TOKEN_SCOPE_INSUFFICIENT", "SERVICE_DISABLED", "accessNotConfigured"];

/// What came of a call that concerns one item.
#[derive(Debug)]
pub(crate) enum Answer<T> {
    /// It was done.
    Done(T),
    /// There is no such thing.
    Gone,
    /// It is there already, or is in another state than it was.
    Taken,
    /// It is not taken, and trying again changes nothing.
    Refused(String),
    /// It may have been done.
    Unknown,
}

/// Tells what the answer to a call means for the item that it concerns; an error is one that concerns everything.
pub(crate) fn answer<T>(what: &str, answer: Result<T, ApiError>) -> Result<Answer<T>, WriteError> {
    match answer {
        Ok(value) => Ok(Answer::Done(value)),
        Err(ApiError::NotFound(_) | ApiError::Expired(_)) => Ok(Answer::Gone),
        Err(ApiError::Unknown(_)) => Ok(Answer::Unknown),
        Err(ApiError::Refused(refusal)) if !RIGHTS.contains(&refusal.reason.as_str()) => match refusal.kind {
            RefusalKind::Conflict => Ok(Answer::Taken),
            RefusalKind::Denied
            | RefusalKind::Malformed
            | RefusalKind::Unsupported
            | RefusalKind::TooLarge => Ok(Answer::Refused(format!("Google does not take it: {refusal}"))),
            _ => Err(failed(what, ApiError::Refused(refusal))),
        },
        Err(error) => Err(failed(what, error)),
    }
}

/// Reads the name of a stream out of a plan.
pub(crate) fn stream_name(text: &str) -> Result<StreamName, WriteError> {
    StreamName::new(text).map_err(|error| WriteError::Plan(Box::new(error)))
}

/// Says that something cannot be read from the vault.
pub(crate) fn unread(what: &str, error: connect::StoredError) -> WriteError {
    WriteError::Source {
        message: format!("{what} cannot be read from the vault"),
        hint: Some("unwipe verify".to_owned()),
        transient: false,
        source: Some(Box::new(error)),
    }
}
