//! What a plan says about calendars: its steps, and the lines of their attachments.

use std::collections::BTreeMap;

use connect::plan::{Check, WriteError};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{anew::Guests, desk::Desk};
use crate::{
    fields::FieldChange,
    step::{Outcome, StepWork, Task, stream_name},
};

/// What is done with calendars.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind", deny_unknown_fields)]
pub(crate) enum CalendarStep {
    /// Calendars are made; the attachment holds a [`CalendarRow`] for each.
    Make {
        /// Whose they become.
        user: String,
        /// Calendars that the plan knows of: no other can be an earlier run's.
        known: Vec<String>,
        /// Whether one of the same name that is there already is taken, whatever is in it.
        share: bool,
    },
    /// Calendars get fields back; the attachment holds a [`CalendarSetRow`] for each.
    SetCalendars {
        /// Whose they are.
        user: String,
    },
    /// Events come back; the attachment holds a [`ReturnRow`] for each.
    Return {
        /// Whose calendars they are in.
        user: String,
        /// The stream that holds them.
        stream: String,
        /// The commit as of which they are taken.
        at: u64,
    },
    /// Events get fields back; the attachment holds a [`SetRow`] for each.
    Set {
        /// Whose calendars they are in.
        user: String,
    },
    /// People get their rights to calendars back, or lose what they got; the attachment holds a [`RightRow`] for each.
    Share {
        /// Whose calendars they are.
        user: String,
    },
    /// Events go into somebody else's calendar; the attachment holds a [`ReturnRow`] for each.
    Copy {
        /// Whose calendar it is.
        user: String,
        /// Whose events they are.
        from: String,
        /// What the journal calls the calendar.
        into: String,
        /// The stream that holds them.
        stream: String,
        /// The commit as of which they are taken.
        at: u64,
        /// Whether guests come with addresses that stand for theirs; else they stand in the text.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        stand_ins: bool,
    },
}

/// A calendar that is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CalendarRow {
    /// The id that it had, or what the journal calls it.
    pub(super) id: String,
    /// What it is: title, text, place, zone.
    pub(super) calendar: Value,
    /// How it looks in the list.
    pub(super) entry: Value,
}

/// A calendar that gets fields back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CalendarSetRow {
    pub(super) id: String,
    /// For people.
    pub(super) summary: Option<String>,
    /// Of the calendar itself.
    pub(super) calendar: BTreeMap<String, FieldChange>,
    /// Of how it looks in the list.
    pub(super) entry: BTreeMap<String, FieldChange>,
}

/// An event that comes back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReturnRow {
    /// The calendar that it was in.
    pub(super) calendar: String,
    pub(super) id: String,
    /// The id of the series in which it differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) series: Option<String>,
    /// Whether the series comes back as well.
    #[serde(default)]
    pub(super) with_series: bool,
    /// The calendar into which it was moved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) moved_to: Option<String>,
    /// An occurrence that did not differ, as its series had it; the others are in the vault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) wanted: Option<Value>,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) summary: Option<String>,
}

/// An event that gets fields back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SetRow {
    pub(super) calendar: String,
    pub(super) id: String,
    /// The id of the series in which it differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) series: Option<String>,
    pub(super) changes: BTreeMap<String, FieldChange>,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) summary: Option<String>,
}

/// A right that is given back or narrowed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RightRow {
    pub(super) calendar: String,
    /// The rule's id: `user:ben@acme.example`.
    pub(super) rule: String,
    /// Whom it is for, as the API has it.
    pub(super) scope: Value,
    /// What it is as far as the plan knows; absent when there is none.
    pub(super) expected: Option<String>,
    /// What it was.
    pub(super) wanted: String,
}

impl ReturnRow {
    /// Returns what the journal and reports call it.
    pub(super) fn name(&self) -> String {
        format!("{}/{}", self.calendar, self.id)
    }
}

impl SetRow {
    pub(super) fn name(&self) -> String {
        format!("{}/{}", self.calendar, self.id)
    }
}

impl CalendarStep {
    fn desk<'t>(&'t self, task: &'t Task<'t>) -> Result<Desk<'t>, WriteError> {
        let source = match self {
            Self::Return { stream, at, .. } | Self::Copy { stream, at, .. } => {
                Some((stream_name(stream)?, *at))
            }
            _ => None,
        };
        let (Self::Make { user, .. }
        | Self::SetCalendars { user }
        | Self::Return { user, .. }
        | Self::Set { user }
        | Self::Share { user }
        | Self::Copy { user, .. }) = self;
        Ok(Desk { task, user, source })
    }
}

impl StepWork for CalendarStep {
    fn apply(&self, task: &Task<'_>) -> Result<Outcome, WriteError> {
        let desk = self.desk(task)?;
        match self {
            Self::Make { known, share, .. } => desk.make(known, *share, &task.rows()?),
            Self::SetCalendars { .. } => desk.set_calendars(&task.rows()?),
            Self::Return { .. } => desk.bring_back(&task.rows()?),
            Self::Set { .. } => desk.set_back(&task.rows()?),
            Self::Share { .. } => desk.share(&task.rows()?),
            Self::Copy { from, into, stand_ins, .. } => {
                desk.copy(from, into, Guests::of(*stand_ins), &task.rows()?)
            }
        }
    }

    fn verify(&self, task: &Task<'_>) -> Result<Check, WriteError> {
        let desk = self.desk(task)?;
        match self {
            Self::Make { .. } => desk.verify_made(&task.rows()?),
            Self::SetCalendars { .. } => desk.verify_calendars(&task.rows()?),
            Self::Return { .. } => desk.verify_returned(&task.rows()?),
            Self::Set { .. } => desk.verify_set(&task.rows()?),
            Self::Share { .. } => desk.verify_shared(&task.rows()?),
            Self::Copy { from, into, stand_ins, .. } => {
                desk.verify_copied(from, into, Guests::of(*stand_ins), &task.rows()?)
            }
        }
    }
}
