//! A mailbox into which is written, and its labels.

use std::collections::{BTreeMap, BTreeSet};

use connect::plan::{ApplyMode, WriteError};
use google_api::{Change, Get, ReadApi, method};
use serde_json::{Value, json};
use source_google::gmail::LabelList;

use crate::step::{Task, failed};

/// A mailbox into which is written.
pub(super) struct Mailbox<'a> {
    pub(super) task: &'a Task<'a>,
    /// Whose it is.
    pub(super) email: &'a str,
    /// The names of the labels that the plan names by their ids.
    pub(super) label_names: &'a BTreeMap<String, String>,
    /// Whether the plan's ids are those of this mailbox.
    pub(super) is_own: bool,
}

/// Where labels are in a mailbox now, by the ids that a plan calls them by.
pub(super) struct Labels {
    ids: BTreeMap<String, String>,
}

impl Labels {
    /// Returns a label's id in the mailbox now; that of a label that is not there is its old one.
    pub(super) fn id<'l>(&'l self, planned: &'l str) -> &'l str {
        self.ids.get(planned).map_or(planned, String::as_str)
    }

    pub(super) fn all(&self, planned: &[String]) -> Vec<String> {
        planned.iter().map(|label| self.id(label).to_owned()).collect()
    }
}

impl Mailbox<'_> {
    /// Returns what reads with the writing identity.
    pub(super) fn reading(&self) -> &ReadApi {
        self.task.api.reading()
    }

    /// Finds the labels of a plan in the mailbox, and makes those that are gone. A label of its own that was renamed is the
    /// same label; in another mailbox a label is found by its name.
    pub(super) fn labels(&self) -> Result<Labels, WriteError> {
        let list = Get::new(&method::RESTORE_LABELS_LIST, "gmail/v1/users/me/labels");
        let list: LabelList =
            self.reading().get(self.email, &list).map_err(|error| failed("list the labels", error))?;
        let by_name: BTreeMap<&str, &str> = list
            .labels
            .iter()
            .filter_map(|label| Some((label["name"].as_str()?, label["id"].as_str()?)))
            .collect();
        let there: BTreeSet<&str> = by_name.values().copied().collect();
        let mut ids = BTreeMap::new();
        for (planned, name) in self.label_names {
            let id = match by_name.get(name.as_str()) {
                _ if self.is_own && there.contains(planned.as_str()) => planned.clone(),
                Some(id) => (*id).to_owned(),
                None if is_system(planned, name) || self.task.mode == ApplyMode::Rehearsal => planned.clone(),
                None => self.make_label(name)?,
            };
            ids.insert(planned.clone(), id);
        }
        Ok(Labels { ids })
    }

    fn make_label(&self, name: &str) -> Result<String, WriteError> {
        let body =
            json!({ "name": name, "labelListVisibility": "labelShow", "messageListVisibility": "show" });
        let change = Change::post(&method::RESTORE_LABELS_CREATE, "gmail/v1/users/me/labels", body).once();
        let label: Value =
            self.task.api.send(self.email, &change).map_err(|error| failed("make a label again", error))?;
        label["id"].as_str().map(str::to_owned).ok_or_else(|| WriteError::Source {
            message: format!("Gmail made the label {name:?} and did not say its id"),
            hint: None,
            transient: false,
            source: None,
        })
    }
}

/// Labels of the system are called by their ids and cannot be made.
pub(super) fn is_system(id: &str, name: &str) -> bool {
    id == name && id.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
}
