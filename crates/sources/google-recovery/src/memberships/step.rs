//! What a plan says about groups of users: its steps, and the lines of their attachments.

use std::collections::BTreeMap;

use connect::plan::{Check, WriteError};
use serde::{Deserialize, Serialize};

use super::write::Groups;
use crate::{
    fields::FieldChange,
    step::{Outcome, StepWork, Task},
};

/// What is done with groups of users.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind", deny_unknown_fields)]
pub(crate) enum MembershipStep {
    /// Groups are made again; the attachment holds a [`GroupRow`] for each.
    Make {
        /// In whose name.
        admin: String,
    },
    /// Groups get names and descriptions back; the attachment holds a [`GroupRow`] for each.
    Describe {
        /// In whose name.
        admin: String,
    },
    /// People come into groups again; the attachment holds a [`MemberRow`] for each.
    Join {
        /// In whose name.
        admin: String,
    },
    /// Members become again what they were; the attachment holds a [`MemberRow`] for each.
    Role {
        /// In whose name.
        admin: String,
    },
}

/// A group of users.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GroupRow {
    /// The id that it had.
    pub(super) id: String,
    pub(super) email: String,
    pub(super) name: String,
    pub(super) description: String,
    /// Addresses and ids of those who were in it: a group in which nobody else is can be an earlier run's.
    pub(super) members: Vec<String>,
    /// What is set back, for a group that is there.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) changes: BTreeMap<String, FieldChange>,
}

/// Somebody in a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MemberRow {
    /// The group's id as it was.
    pub(super) group: String,
    /// The group's address.
    pub(super) group_email: String,
    /// The address; absent for everybody in the domain.
    pub(super) email: Option<String>,
    pub(super) id: Option<String>,
    /// `USER`, `GROUP`, `CUSTOMER`, `EXTERNAL`.
    pub(super) kind: Option<String>,
    /// How mail to the group is delivered.
    pub(super) delivery: Option<String>,
    /// The role as far as the plan knows; absent for whoever is not in the group.
    pub(super) expected: Option<String>,
    /// The role that it had.
    pub(super) wanted: String,
}

impl MemberRow {
    /// Returns what reports call it.
    pub(super) fn name(&self) -> String {
        format!("{}/{}", self.group_email, self.key())
    }

    /// Returns the address, or the id of whoever has none.
    pub(super) fn key(&self) -> &str {
        self.email.as_deref().or(self.id.as_deref()).unwrap_or_default()
    }
}

impl MembershipStep {
    fn groups<'t>(&'t self, task: &'t Task<'t>) -> Groups<'t> {
        let (Self::Make { admin } | Self::Describe { admin } | Self::Join { admin } | Self::Role { admin }) =
            self;
        Groups { task, admin }
    }
}

impl StepWork for MembershipStep {
    fn apply(&self, task: &Task<'_>) -> Result<Outcome, WriteError> {
        let groups = self.groups(task);
        match self {
            Self::Make { .. } => groups.make(&task.rows()?),
            Self::Describe { .. } => groups.describe(&task.rows()?),
            Self::Join { .. } | Self::Role { .. } => groups.set_members(&task.rows()?),
        }
    }

    fn verify(&self, task: &Task<'_>) -> Result<Check, WriteError> {
        let groups = self.groups(task);
        match self {
            Self::Make { .. } => groups.verify_made(&task.rows()?),
            Self::Describe { .. } => groups.verify_described(&task.rows()?),
            Self::Join { .. } | Self::Role { .. } => groups.verify_members(&task.rows()?),
        }
    }
}
