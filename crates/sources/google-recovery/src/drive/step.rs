//! What a plan says about files: its steps.

use connect::plan::{Check, WriteError};
use model::StreamName;
use serde::{Deserialize, Serialize};

use super::{subject::Target, wire::Drive};
use crate::step::{Outcome, StepWork, Task, stream_name};

/// What is done with files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind", deny_unknown_fields)]
pub(crate) enum DriveStep {
    /// Files are made anew; the attachment holds a [`super::rows::MakeRow`] for each.
    Make {
        /// The drive.
        drive: Target,
        /// The stream that holds them.
        stream: String,
        /// The commit as of which they are taken.
        at: u64,
        /// Whether they are gone from where they were: what is there after all is left alone.
        are_gone: bool,
    },
    /// Files that are there are set back; the attachment holds a [`super::rows::ChangeRow`] for each.
    Change {
        /// The drive.
        drive: Target,
        /// The stream that holds them.
        stream: String,
        /// The commit as of which contents are taken.
        at: u64,
    },
    /// Permissions are set back; the attachment holds a [`super::rows::ShareRow`] for each file.
    Share {
        /// The drive.
        drive: Target,
    },
}

impl DriveStep {
    fn drive<'t>(&'t self, task: &'t Task<'t>) -> Drive<'t> {
        let (Self::Make { drive, .. } | Self::Change { drive, .. } | Self::Share { drive }) = self;
        Drive { task, target: drive }
    }
}

impl StepWork for DriveStep {
    fn apply(&self, task: &Task<'_>) -> Result<Outcome, WriteError> {
        let drive = self.drive(task);
        match self {
            Self::Make { stream, at, are_gone, .. } => {
                drive.make(&Stored { stream: stream_name(stream)?, at: *at }, &task.rows()?, *are_gone)
            }
            Self::Change { stream, at, .. } => {
                drive.change(&Stored { stream: stream_name(stream)?, at: *at }, &task.rows()?)
            }
            Self::Share { .. } => drive.share(&task.rows()?),
        }
    }

    fn verify(&self, task: &Task<'_>) -> Result<Check, WriteError> {
        let drive = self.drive(task);
        match self {
            Self::Make { stream, at, .. } => {
                drive.verify_made(&Stored { stream: stream_name(stream)?, at: *at }, &task.rows()?)
            }
            Self::Change { .. } => drive.verify_changed(&task.rows()?),
            Self::Share { .. } => drive.verify_shared(&task.rows()?),
        }
    }
}

/// Where contents come from.
pub(super) struct Stored {
    pub(super) stream: StreamName,
    pub(super) at: u64,
}
