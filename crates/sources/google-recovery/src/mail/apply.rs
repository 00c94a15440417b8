//! What applying a step comes to, and what all steps need: the mailbox's labels.

use std::collections::BTreeMap;

use connect::plan::{AppliedReport, AppliedStep, ApplyMode, Choice, Conflict, LISTED_MAX, Step, WriteError};
use google_api::{Change, Get, method};
use serde_json::{Value, json};
use source_google::gmail::LabelList;

use super::writer::{MailWriter, failed};

/// What applying one step came to.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) changed: u64,
    pub(super) unchanged: u64,
    /// Messages that were left alone, with the reason.
    pub(super) conflicts: Vec<(String, String)>,
}

impl Outcome {
    pub(super) fn report(self, step: &Step, report: &mut AppliedReport) {
        let conflicts = self.conflicts.len() as u64;
        report.steps.push(AppliedStep {
            number: step.number,
            changed: self.changed,
            unchanged: self.unchanged,
            conflicts,
        });
        match step.action {
            connect::plan::Action::Insert => report.counts.inserted += self.changed,
            _ => report.counts.reverted += self.changed,
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

impl MailWriter<'_> {
    /// Finds the labels of a plan in the mailbox, by their names, and makes those that are gone.
    pub(super) fn labels(
        &self,
        mailbox: &str,
        names: &BTreeMap<String, String>,
        mode: ApplyMode,
    ) -> Result<Labels, WriteError> {
        let list = Get::new(&method::RESTORE_LABELS_LIST, "gmail/v1/users/me/labels");
        let list: LabelList =
            self.api.reading().get(mailbox, &list).map_err(|error| failed("list the labels", error))?;
        let by_name: BTreeMap<&str, &str> = list
            .labels
            .iter()
            .filter_map(|label| Some((label["name"].as_str()?, label["id"].as_str()?)))
            .collect();
        let mut ids = BTreeMap::new();
        for (planned, name) in names {
            let id = match by_name.get(name.as_str()) {
                Some(id) => (*id).to_owned(),
                None if is_system(planned, name) || mode == ApplyMode::Rehearsal => planned.clone(),
                None => self.make_label(mailbox, name)?,
            };
            ids.insert(planned.clone(), id);
        }
        Ok(Labels { ids })
    }

    fn make_label(&self, mailbox: &str, name: &str) -> Result<String, WriteError> {
        let body =
            json!({ "name": name, "labelListVisibility": "labelShow", "messageListVisibility": "show" });
        let change = Change::post(&method::RESTORE_LABELS_CREATE, "gmail/v1/users/me/labels", body).once();
        let label: Value =
            self.api.send(mailbox, &change).map_err(|error| failed("make a label again", error))?;
        label["id"].as_str().map(str::to_owned).ok_or_else(|| WriteError::Source {
            message: format!("Gmail made the label {name:?} and did not say its id"),
            hint: None,
            transient: false,
            source: None,
        })
    }
}

/// Labels of the system are called by their ids and cannot be made.
fn is_system(id: &str, name: &str) -> bool {
    id == name && id.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
}
