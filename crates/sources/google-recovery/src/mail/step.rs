//! What a plan says about messages: its steps, and the lines of their attachments.

use std::collections::BTreeMap;

use connect::plan::{Check, WriteError};
use serde::{Deserialize, Serialize};

use super::{insert::Place, labels::Mailbox};
use crate::step::{Outcome, StepWork, Task, stream_name};

/// What is done with messages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind", deny_unknown_fields)]
pub(crate) enum MailStep {
    /// Messages that are still there get other labels; the attachment holds a [`RelabelRow`] for each.
    Relabel {
        /// Whose mailbox it is.
        mailbox: String,
        /// The id in the mailbox's history up to which the plan knows it.
        history: String,
        /// The names of the labels that the rows name by their ids.
        label_names: BTreeMap<String, String>,
    },
    /// Messages are put in; the attachment holds an [`InsertRow`] for each.
    Insert {
        /// Whose mailbox it is.
        mailbox: String,
        /// The stream that holds them.
        stream: String,
        /// The commit as of which they are taken.
        at: u64,
        /// Which messages with the same message id were put in by an earlier run.
        twins: Twins,
        /// The names of the labels that the rows name by their ids.
        label_names: BTreeMap<String, String>,
    },
}

/// Which messages of the mailbox with the same message id were put in by an earlier run that was killed before it could
/// write that down. Others may have the same message id as well: a letter to oneself, a letter to several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Twins {
    /// Those that came after a commit.
    After {
        /// The commit.
        commit: u64,
        /// The id in the mailbox's history up to which it knows the mailbox; absent when it never knew all of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        history: Option<String>,
    },
    /// Those that have a label, named by the id that the plan calls it by.
    Labelled(String),
}

/// A message that gets other labels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RelabelRow {
    /// The message's id.
    pub(super) id: String,
    /// Labels that are put on, by their ids.
    pub(super) add: Vec<String>,
    /// Labels that are taken off.
    pub(super) remove: Vec<String>,
    /// The labels that it has as far as the plan knows.
    pub(super) expected: Vec<String>,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) subject: Option<String>,
}

/// A message that is put in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct InsertRow {
    /// The id that it had.
    pub(super) id: String,
    /// The thread that it was in.
    pub(super) thread: String,
    /// Whether other messages of that thread are still there.
    pub(super) thread_lives: bool,
    /// The labels that it gets, by their ids.
    pub(super) labels: Vec<String>,
    /// Its message id, by which a twin is found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) message_id: Option<String>,
    /// Bytes of its text.
    pub(super) bytes: u64,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) subject: Option<String>,
}

impl MailStep {
    fn mailbox<'t>(&'t self, task: &'t Task<'t>) -> Mailbox<'t> {
        let (Self::Relabel { mailbox, label_names, .. } | Self::Insert { mailbox, label_names, .. }) = self;
        let is_own = !matches!(self, Self::Insert { twins: Twins::Labelled(_), .. });
        Mailbox { task, email: mailbox, label_names, is_own }
    }
}

impl StepWork for MailStep {
    fn apply(&self, task: &Task<'_>) -> Result<Outcome, WriteError> {
        let mailbox = self.mailbox(task);
        match self {
            Self::Relabel { history, .. } => mailbox.relabel(history, task.rows()?),
            Self::Insert { stream, at, twins, .. } => {
                mailbox.insert(&Place { stream: stream_name(stream)?, at: *at, twins }, &task.rows()?)
            }
        }
    }

    fn verify(&self, task: &Task<'_>) -> Result<Check, WriteError> {
        let mailbox = self.mailbox(task);
        match self {
            Self::Relabel { .. } => mailbox.verify_labels(&task.rows()?),
            Self::Insert { stream, at, twins, .. } => mailbox
                .verify_inserted(&Place { stream: stream_name(stream)?, at: *at, twins }, &task.rows()?),
        }
    }
}
