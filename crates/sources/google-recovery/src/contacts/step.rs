//! What a plan says about contacts: its steps, and the lines of their attachments.

use std::collections::BTreeMap;

use connect::plan::{Check, WriteError};
use model::StreamName;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{book::Book, create::Origin};
use crate::{
    fields::FieldChange,
    step::{Outcome, StepWork, Task},
};

/// What is done with contacts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind", deny_unknown_fields)]
pub(crate) enum ContactsStep {
    /// Groups are made again or get their names back; the attachment holds a [`GroupRow`] for each.
    Groups {
        /// Whose they are.
        user: String,
    },
    /// Contacts get fields back; the attachment holds an [`UpdateRow`] for each.
    Update {
        /// Whose they are.
        user: String,
        /// The names of the groups that the rows name by their ids.
        group_names: BTreeMap<String, String>,
    },
    /// Contacts are made; the attachment holds a [`CreateRow`] for each.
    Create {
        /// Whose they become.
        user: String,
        /// Whose they were, if that is somebody else.
        from: Option<String>,
        /// Whether they stay in their groups although they were somebody else's: the groups come with them.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        with_groups: bool,
        /// The stream that holds them.
        stream: String,
        /// The commit as of which they are taken.
        at: u64,
        /// The names of the groups that the contacts name by their ids.
        group_names: BTreeMap<String, String>,
    },
    /// Contacts get photos; the attachment holds a [`PhotoRow`] for each.
    Photos {
        /// Whose they are.
        user: String,
        /// The stream that holds them.
        stream: String,
        /// The commit as of which they are taken.
        at: u64,
    },
}

/// A group of contacts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GroupRow {
    /// The id that it had, or what the plan calls it.
    pub(super) id: String,
    pub(super) name: String,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub(super) client_data: Value,
    /// The name that it has as far as the plan knows; absent when it is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) expected: Option<String>,
}

/// A contact that gets fields back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UpdateRow {
    pub(super) id: String,
    /// The name of the resource.
    pub(super) resource: String,
    pub(super) changes: BTreeMap<String, FieldChange>,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
}

/// A contact that is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateRow {
    /// The id that it had.
    pub(super) id: String,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
}

/// A photo that a contact gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PhotoRow {
    /// The contact's id as it was.
    pub(super) id: String,
    /// What the journal calls the contact.
    pub(super) mark: String,
    /// The name of the resource; absent for a contact that the plan makes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) resource: Option<String>,
    /// Where the photo is that it has as far as the plan knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) expected: Option<String>,
}

impl ContactsStep {
    fn book<'t>(&'t self, task: &'t Task<'t>) -> Result<Book<'t>, WriteError> {
        let source = match self {
            Self::Create { stream, at, .. } | Self::Photos { stream, at, .. } => {
                let stream = StreamName::new(stream).map_err(|error| WriteError::Plan(Box::new(error)))?;
                Some((stream, *at))
            }
            Self::Groups { .. } | Self::Update { .. } => None,
        };
        let (Self::Groups { user }
        | Self::Update { user, .. }
        | Self::Create { user, .. }
        | Self::Photos { user, .. }) = self;
        Ok(Book { task, user, source })
    }
}

impl StepWork for ContactsStep {
    fn apply(&self, task: &Task<'_>) -> Result<Outcome, WriteError> {
        let book = self.book(task)?;
        match self {
            Self::Groups { .. } => book.make_groups(&task.rows()?),
            Self::Update { group_names, .. } => book.update(group_names, &task.rows()?),
            Self::Create { from, with_groups, group_names, .. } => {
                book.create(Origin::of(from.as_deref(), *with_groups), group_names, &task.rows()?)
            }
            Self::Photos { .. } => book.set_photos(&task.rows()?),
        }
    }

    fn verify(&self, task: &Task<'_>) -> Result<Check, WriteError> {
        let book = self.book(task)?;
        match self {
            Self::Groups { .. } => book.verify_groups(&task.rows()?),
            Self::Update { group_names, .. } => book.verify_updated(group_names, &task.rows()?),
            Self::Create { from, with_groups, group_names, .. } => {
                book.verify_created(Origin::of(from.as_deref(), *with_groups), group_names, &task.rows()?)
            }
            Self::Photos { .. } => book.verify_photos(&task.rows()?),
        }
    }
}
