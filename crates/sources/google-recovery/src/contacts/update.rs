//! Contacts that are still there: fields that were changed go back.

use std::collections::BTreeMap;

use connect::plan::{Check, WriteError};
use google_api::{ApiError, Change, method};
use serde_json::{Value, json};

use super::{
    book::{Book, missing_groups, of_person},
    person::{MEMBERSHIPS, body, fields_of},
    step::UpdateRow,
};
use crate::{
    fields::{FieldChange, Fields, field, plainly_same, still_to_do},
    step::{Answer, Outcome, answer, note},
};

impl Book<'_> {
    pub(super) fn update(
        &self,
        group_names: &BTreeMap<String, String>,
        rows: &[UpdateRow],
    ) -> Result<Outcome, WriteError> {
        self.task.progress.counted_phase("setting contacts back", Some(rows.len() as u64));
        let groups = self.groups_now(group_names, true)?;
        let resources: Vec<&str> = rows.iter().map(|row| row.resource.as_str()).collect();
        let mut outcome = Outcome::default();
        for (row, person) in rows.iter().zip(self.people(&resources)?) {
            self.task.progress.advance(1);
            let Some(person) = person else {
                outcome.conflicts.push((row.id.clone(), "it was deleted since the plan was made".to_owned()));
                continue;
            };
            let changes = changes_now(&row.changes, &groups);
            let (wanted, kept) = still_to_do(&changes, &fields_of(&person), plainly_same);
            if !kept.is_empty() {
                let reason = format!("this was changed since the plan was made: {}", kept.join(", "));
                outcome.conflicts.push((row.id.clone(), reason));
            }
            // A rehearsal does not make the groups that come before.
            let missing = missing(row, group_names, &groups).filter(|_| !self.is_rehearsal());
            let is_whole = kept.is_empty() && missing.is_none();
            outcome.conflicts.extend(missing.map(|reason| (row.id.clone(), reason)));
            if wanted.is_empty() {
                outcome.unchanged += u64::from(is_whole);
                continue;
            }
            match self.send_update(row, &person, &wanted, &changes)? {
                Some(reason) => outcome.conflicts.push((row.id.clone(), reason)),
                None => outcome.changed += 1,
            }
        }
        Ok(outcome)
    }

    /// Writes fields of a contact that is still in the state that was read; returns why not.
    fn send_update(
        &self,
        row: &UpdateRow,
        person: &Value,
        wanted: &Fields,
        changes: &BTreeMap<String, FieldChange>,
    ) -> Result<Option<String>, WriteError> {
        if self.is_rehearsal() {
            return Ok(None);
        }
        let mut fields = fields_of(person);
        fields.extend(wanted.clone());
        let mut names: Vec<&str> = wanted
            .keys()
            .map(|path| if path.starts_with(MEMBERSHIPS) { "memberships" } else { path })
            .collect();
        names.dedup();
        // What marks it stays with it.
        let mark = super::person::mark_of(person);
        let whole = body(&fields, mark);
        let mut body =
            json!({ "etag": person["etag"], "metadata": { "sources": person["metadata"]["sources"] } });
        for name in &names {
            body[*name] = whole.get(*name).cloned().unwrap_or_else(|| json!([]));
        }
        let change =
            Change::patch(&method::RESTORE_CONTACTS_UPDATE, of_person(&row.resource, "updateContact"), body)
                .query("updatePersonFields", names.join(","))
                .query("personFields", "metadata");
        let sent: Result<Value, ApiError> = self.task.api.send(self.user, &change);
        Ok(match answer("set a contact back", sent)? {
            Answer::Done(_) => None,
            Answer::Gone => Some("it was deleted since the plan was made".to_owned()),
            Answer::Refused(_) | Answer::Taken | Answer::Unknown => {
                // A first attempt whose answer was lost, or somebody was faster.
                let again = self.people(&[row.resource.as_str()])?.pop().flatten().unwrap_or_default();
                let is_done = still_to_do(changes, &fields_of(&again), plainly_same).0.is_empty();
                (!is_done).then(|| {
                    "Google does not take it, or it was changed while the plan was applied".to_owned()
                })
            }
        })
    }

    pub(super) fn verify_updated(
        &self,
        group_names: &BTreeMap<String, String>,
        rows: &[UpdateRow],
    ) -> Result<Check, WriteError> {
        let groups = self.groups_now(group_names, true)?;
        let resources: Vec<&str> = rows.iter().map(|row| row.resource.as_str()).collect();
        let mut check = self.task.check();
        for (row, person) in rows.iter().zip(self.people(&resources)?) {
            let difference = match person {
                None => Some("it is gone".to_owned()),
                Some(person) => {
                    let (present, changes) = (fields_of(&person), changes_now(&row.changes, &groups));
                    let other = changes
                        .iter()
                        .find(|(path, change)| !plainly_same(path, &change.wanted, field(&present, path)));
                    let other = other.map(|(path, _)| format!("its {path} is another one"));
                    other.or_else(|| missing(row, group_names, &groups))
                }
            };
            note(&mut check, &row.id, difference);
        }
        Ok(check)
    }
}

/// Says of which groups that are not there a contact is to be a member again.
fn missing(
    row: &UpdateRow,
    group_names: &BTreeMap<String, String>,
    groups: &BTreeMap<String, String>,
) -> Option<String> {
    missing_groups(row.changes.iter().map(|(path, change)| (path, &change.wanted)), group_names, groups)
}

/// Calls groups by the ids that they have now. Of those that are gone nobody can be a member.
fn changes_now(
    changes: &BTreeMap<String, FieldChange>,
    groups: &BTreeMap<String, String>,
) -> BTreeMap<String, FieldChange> {
    let mut now = BTreeMap::new();
    for (path, change) in changes {
        match path.strip_prefix(MEMBERSHIPS) {
            None => drop(now.insert(path.clone(), change.clone())),
            Some(group) => {
                if let Some(id) = groups.get(group) {
                    now.insert(format!("{MEMBERSHIPS}{id}"), change.clone());
                }
            }
        }
    }
    now
}
