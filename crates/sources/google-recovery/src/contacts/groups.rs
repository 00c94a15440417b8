//! Groups of contacts: found by their names, made again where they are gone.

use std::collections::BTreeMap;

use connect::plan::{Check, WriteError};
use connect_http::escape;
use google_api::{ApiError, Change, Get, method};
use serde_json::{Value, json};

use super::{book::Book, step::GroupRow};
use crate::step::{Answer, Outcome, answer, note};

const ALL: &str = "v1/contactGroups";

impl Book<'_> {
    /// Returns the groups that are there: their names by their ids.
    fn groups(&self) -> Result<BTreeMap<String, String>, WriteError> {
        let get = Get::new(&method::RESTORE_CONTACT_GROUPS_LIST, ALL).query("groupFields", "name,groupType");
        let id =
            |group: &Value| group["resourceName"].as_str()?.strip_prefix("contactGroups/").map(str::to_owned);
        let all = self.pages(&get, "contactGroups")?;
        let named = |group: &Value| Some((id(group)?, group["name"].as_str().unwrap_or_default().to_owned()));
        Ok(all.iter().filter_map(named).collect())
    }

    /// Returns the ids that groups have now, by those that the plan calls them by; those that are gone are not in it.
    /// With somebody else groups are found by their names alone.
    pub(super) fn groups_now(
        &self,
        planned: &BTreeMap<String, String>,
        is_own: bool,
    ) -> Result<BTreeMap<String, String>, WriteError> {
        let present = self.groups()?;
        let mut now = BTreeMap::new();
        for (id, name) in planned {
            // With somebody else an id says nothing.
            let found = if is_own && present.contains_key(id) {
                Some(id.clone())
            } else {
                present.iter().find(|(_, own)| *own == name).map(|(id, _)| id.clone())
            };
            now.extend(found.map(|found| (id.clone(), found)));
        }
        Ok(now)
    }

    pub(super) fn make_groups(&self, rows: &[GroupRow]) -> Result<Outcome, WriteError> {
        let (present, mut outcome) = (self.groups()?, Outcome::default());
        for row in rows {
            let own = present.get(&row.id);
            let is_named = present.values().any(|name| *name == row.name);
            let reason = match (own, &row.expected) {
                _ if is_as_it_was(&present, row) => {
                    outcome.unchanged += 1;
                    continue;
                }
                (Some(_), Some(_)) if is_named => Some("another group has its name".to_owned()),
                (Some(own), Some(expected)) if own == expected => self.rename(row)?,
                (None, None) => self.make_group(row)?,
                _ => Some("it was changed since the plan was made".to_owned()),
            };
            match reason {
                Some(reason) => outcome.conflicts.push((row.name.clone(), reason)),
                None => outcome.changed += 1,
            }
        }
        Ok(outcome)
    }

    fn make_group(&self, row: &GroupRow) -> Result<Option<String>, WriteError> {
        let mut group = json!({ "name": row.name });
        if !row.client_data.is_null() {
            group["clientData"] = row.client_data.clone();
        }
        // A second one of the same name is refused, so that it may be tried again.
        let change =
            Change::post(&method::RESTORE_CONTACT_GROUPS_CREATE, ALL, json!({ "contactGroup": group }));
        self.send_group(&change)
    }

    fn rename(&self, row: &GroupRow) -> Result<Option<String>, WriteError> {
        let path = format!("{ALL}/{}", escape(&row.id));
        let body = json!({ "contactGroup": { "name": row.name }, "updateGroupFields": "name" });
        self.send_group(&Change::put(&method::RESTORE_CONTACT_GROUPS_UPDATE, path, body))
    }

    fn send_group(&self, change: &Change) -> Result<Option<String>, WriteError> {
        if self.is_rehearsal() {
            return Ok(None);
        }
        let sent: Result<Value, ApiError> = self.task.api.send(self.user, change);
        Ok(match answer("write a group of contacts", sent)? {
            Answer::Done(_) | Answer::Taken => None,
            Answer::Refused(reason) => Some(reason),
            Answer::Gone | Answer::Unknown => Some("it was changed while the plan was applied".to_owned()),
        })
    }

    pub(super) fn verify_groups(&self, rows: &[GroupRow]) -> Result<Check, WriteError> {
        let (present, mut check) = (self.groups()?, self.task.check());
        for row in rows {
            let difference = (!is_as_it_was(&present, row)).then(|| "it is not there".to_owned());
            note(&mut check, &row.name, difference);
        }
        Ok(check)
    }
}

/// Tells whether a group is one of those that everybody has.
pub(crate) fn is_system(group: &Value) -> bool {
    group["groupType"] == "SYSTEM_CONTACT_GROUP"
}

/// Tells whether a group has the name that it had: one that is renamed by itself, one that is made in any group.
fn is_as_it_was(present: &BTreeMap<String, String>, row: &GroupRow) -> bool {
    match row.expected {
        Some(_) => present.get(&row.id) == Some(&row.name),
        None => present.values().any(|name| *name == row.name),
    }
}
