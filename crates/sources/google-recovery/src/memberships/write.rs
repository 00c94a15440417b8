//! Groups of users while they are written.

use std::collections::BTreeMap;

use connect::plan::{ApplyMode, Check, WriteError};
use connect_http::escape;
use google_api::{ApiError, Change, Get, method};
use serde_json::{Value, json};

use super::step::{GroupRow, MemberRow};
use crate::{
    fields::{FieldChange, Fields, field, plainly_same, still_to_do},
    journal::Made,
    step::{Answer, Outcome, Task, answer, failed, note},
};

const ALL: &str = "admin/directory/v1/groups";
const PAGE: &str = "200";
/// What the journal calls a group.
const GROUP: &str = "group";
/// What it calls a member that was set back.
const MEMBER: &str = "member";

/// Groups of users while they are written.
pub(super) struct Groups<'a> {
    pub(super) task: &'a Task<'a>,
    /// In whose name.
    pub(super) admin: &'a str,
}

/// The roles of a group's members, by their addresses and by their ids; `None` when the group is gone.
type Members = Option<BTreeMap<String, String>>;

impl Groups<'_> {
    fn is_rehearsal(&self) -> bool {
        self.task.mode == ApplyMode::Rehearsal
    }

    fn group(&self, key: &str) -> Result<Option<Value>, WriteError> {
        let get = Get::new(&method::RESTORE_GROUPS_GET, format!("{ALL}/{}", escape(key)));
        match self.task.api.reading().get(self.admin, &get) {
            Ok(group) => Ok(Some(group)),
            Err(ApiError::NotFound(_)) => Ok(None),
            Err(error) => Err(failed("read a group of users", error)),
        }
    }

    /// Returns the id that a group has now.
    fn id_now(&self, id: &str) -> String {
        self.task.journal.made(GROUP, id).map_or_else(|| id.to_owned(), |made| made.new)
    }

    fn members(&self, group: &str) -> Result<Members, WriteError> {
        let (mut members, mut token) = (BTreeMap::new(), None::<String>);
        loop {
            let path = format!("{ALL}/{}/members", escape(group));
            let mut get = Get::new(&method::RESTORE_MEMBERS_LIST, path).query("maxResults", PAGE);
            if let Some(token) = &token {
                get = get.query("pageToken", token);
            }
            let page: Value = match self.task.api.reading().get(self.admin, &get) {
                Ok(page) => page,
                Err(ApiError::NotFound(_)) => return Ok(None),
                Err(error) => return Err(failed("list the members of a group", error)),
            };
            for member in page["members"].as_array().into_iter().flatten() {
                let role = member["role"].as_str().unwrap_or("MEMBER");
                for key in [member["email"].as_str(), member["id"].as_str()].into_iter().flatten() {
                    members.insert(key.to_lowercase(), role.to_owned());
                }
            }
            token = page["nextPageToken"].as_str().map(str::to_owned);
            if token.is_none() {
                return Ok(Some(members));
            }
        }
    }

    /// Makes groups again, each once.
    pub(super) fn make(&self, rows: &[GroupRow]) -> Result<Outcome, WriteError> {
        let mut outcome = Outcome::default();
        for row in rows {
            if self.task.journal.made(GROUP, &row.id).is_some() {
                outcome.unchanged += 1;
                continue;
            }
            match self.group(&row.email)? {
                Some(group) if self.is_earlier(row, &group)? => {
                    self.note_group(row, &group)?;
                    outcome.unchanged += 1;
                }
                Some(_) => outcome
                    .conflicts
                    .push((row.email.clone(), "somebody made a group of this address".to_owned())),
                None => match self.make_one(row)? {
                    Some(reason) => outcome.conflicts.push((row.email.clone(), reason)),
                    None => outcome.changed += 1,
                },
            }
        }
        Ok(outcome)
    }

    fn make_one(&self, row: &GroupRow) -> Result<Option<String>, WriteError> {
        if self.is_rehearsal() {
            return Ok(None);
        }
        let body = json!({ "email": row.email, "name": row.name, "description": row.description });
        // A second one of the same address is refused, so that it may be tried again.
        let sent: Result<Value, ApiError> =
            self.task.api.send(self.admin, &Change::post(&method::RESTORE_GROUPS_INSERT, ALL, body));
        match answer("make a group of users again", sent)? {
            Answer::Done(group) => self.note_group(row, &group).map(|()| None),
            Answer::Refused(reason) => Ok(Some(reason)),
            Answer::Gone | Answer::Taken | Answer::Unknown => match self.group(&row.email)? {
                Some(group) if self.is_earlier(row, &group)? => self.note_group(row, &group).map(|()| None),
                _ => Ok(Some("its address is somebody else's".to_owned())),
            },
        }
    }

    /// Tells whether a group is one that an earlier run made: it is called the same, and nobody is in it who was not.
    fn is_earlier(&self, row: &GroupRow, group: &Value) -> Result<bool, WriteError> {
        if group["id"] == row.id.as_str() {
            return Ok(true);
        }
        let same = group["name"] == row.name.as_str()
            && group["description"].as_str().unwrap_or_default() == row.description;
        let members = self.members(&row.email)?.unwrap_or_default();
        let was = |member: &String| {
            !member.contains('@') || row.members.iter().any(|own| own.eq_ignore_ascii_case(member))
        };
        Ok(same && members.keys().all(was))
    }

    fn note_group(&self, row: &GroupRow, group: &Value) -> Result<(), WriteError> {
        if self.is_rehearsal() {
            return Ok(());
        }
        let new = group["id"].as_str().unwrap_or(&row.email).to_owned();
        self.task.journal.note(Made { kind: GROUP.to_owned(), old: row.id.clone(), new, place: None })
    }

    /// Writes down that a member is what it was again: whoever changes it after that means it.
    fn note_member(&self, row: &MemberRow) -> Result<(), WriteError> {
        if self.is_rehearsal() {
            return Ok(());
        }
        let (old, new) = (row.name(), row.key().to_owned());
        self.task.journal.note(Made { kind: MEMBER.to_owned(), old, new, place: None })
    }

    /// Gives groups names and descriptions back.
    pub(super) fn describe(&self, rows: &[GroupRow]) -> Result<Outcome, WriteError> {
        let mut outcome = Outcome::default();
        for row in rows {
            let Some(group) = self.group(&row.id)? else {
                outcome
                    .conflicts
                    .push((row.email.clone(), "it was deleted since the plan was made".to_owned()));
                continue;
            };
            let (wanted, kept) = still_to_do(&row.changes, &fields_of(&group), plainly_same);
            if !kept.is_empty() {
                let reason = format!("this was changed since the plan was made: {}", kept.join(", "));
                outcome.conflicts.push((row.email.clone(), reason));
            }
            if wanted.is_empty() {
                outcome.unchanged += u64::from(kept.is_empty());
                continue;
            }
            if !self.is_rehearsal() {
                let path = format!("{ALL}/{}", escape(&row.id));
                let change = Change::patch(&method::RESTORE_GROUPS_PATCH, path, json!(wanted));
                let sent: Result<Value, ApiError> = self.task.api.send(self.admin, &change);
                let reason = match answer("describe a group of users", sent)? {
                    Answer::Done(_) => None,
                    Answer::Refused(reason) => Some(reason),
                    Answer::Gone => Some("it was deleted since the plan was made".to_owned()),
                    Answer::Taken | Answer::Unknown => {
                        let again = self.group(&row.id)?.unwrap_or_default();
                        let is_done =
                            still_to_do(&row.changes, &fields_of(&again), plainly_same).0.is_empty();
                        (!is_done).then(|| "it was changed while the plan was applied".to_owned())
                    }
                };
                if let Some(reason) = reason {
                    outcome.conflicts.push((row.email.clone(), reason));
                    continue;
                }
            }
            outcome.changed += 1;
        }
        Ok(outcome)
    }

    /// Brings members back, and gives them their roles back.
    pub(super) fn set_members(&self, rows: &[MemberRow]) -> Result<Outcome, WriteError> {
        self.task.progress.counted_phase("setting members back", Some(rows.len() as u64));
        let (mut lists, mut outcome) = (BTreeMap::<&str, Members>::new(), Outcome::default());
        for row in rows {
            self.task.progress.advance(1);
            let group = self.id_now(&row.group);
            if !lists.contains_key(row.group.as_str()) {
                lists.insert(&row.group, self.members(&group)?);
            }
            let Some(members) = &lists[row.group.as_str()] else {
                if self.is_rehearsal() {
                    outcome.changed += 1;
                } else {
                    outcome.conflicts.push((row.name(), "its group is not there".to_owned()));
                }
                continue;
            };
            let role = members.get(&row.key().to_lowercase());
            if role == Some(&row.wanted) {
                outcome.unchanged += 1;
            } else if role != row.expected.as_ref() {
                outcome.conflicts.push((row.name(), "it was changed since the plan was made".to_owned()));
            } else if self.task.journal.made(MEMBER, &row.name()).is_some() {
                outcome.conflicts.push((row.name(), "it was changed since it was set back".to_owned()));
            } else {
                match self.set_member(&group, row)? {
                    Some(reason) => outcome.conflicts.push((row.name(), reason)),
                    None => {
                        self.note_member(row)?;
                        outcome.changed += 1;
                    }
                }
            }
        }
        Ok(outcome)
    }

    /// Brings one member back or gives it its role back; returns why not.
    fn set_member(&self, group: &str, row: &MemberRow) -> Result<Option<String>, WriteError> {
        if self.is_rehearsal() {
            return Ok(None);
        }
        let path = format!("{ALL}/{}/members", escape(group));
        let change = if row.expected.is_some() {
            let path = format!("{path}/{}", escape(row.key()));
            Change::patch(&method::RESTORE_MEMBERS_PATCH, path, json!({ "role": row.wanted }))
        } else {
            let mut body = json!({ "role": row.wanted });
            match (&row.email, &row.id) {
                (Some(email), _) => body["email"] = email.clone().into(),
                (None, id) => body["id"] = json!(id),
            }
            if row.email.is_none() {
                body["type"] = json!(row.kind);
            }
            if let Some(delivery) = &row.delivery {
                body["delivery_settings"] = delivery.clone().into();
            }
            // Whoever is in the group already is refused, so that it may be tried again.
            Change::post(&method::RESTORE_MEMBERS_INSERT, path, body)
        };
        let sent: Result<Value, ApiError> = self.task.api.send(self.admin, &change);
        Ok(match answer("set a member of a group back", sent)? {
            Answer::Done(_) => None,
            Answer::Refused(reason) => Some(reason),
            Answer::Gone => Some("the group or the member is not there".to_owned()),
            Answer::Taken | Answer::Unknown => {
                let members = self.members(group)?.unwrap_or_default();
                let is_done = members.get(&row.key().to_lowercase()) == Some(&row.wanted);
                (!is_done).then(|| "it was changed while the plan was applied".to_owned())
            }
        })
    }

    pub(super) fn verify_made(&self, rows: &[GroupRow]) -> Result<Check, WriteError> {
        let mut check = self.task.check();
        for row in rows {
            let difference = match self.group(&self.id_now(&row.id))? {
                None => Some("it is not there".to_owned()),
                Some(group) if group["name"] == row.name.as_str() && group["email"] == row.email.as_str() => {
                    None
                }
                Some(_) => Some("it is called otherwise".to_owned()),
            };
            note(&mut check, &row.email, difference);
        }
        Ok(check)
    }

    pub(super) fn verify_described(&self, rows: &[GroupRow]) -> Result<Check, WriteError> {
        let mut check = self.task.check();
        for row in rows {
            let difference = self.group(&row.id)?.map_or_else(
                || Some("it is gone".to_owned()),
                |group| {
                    let present = fields_of(&group);
                    let is_other = |path: &str, change: &FieldChange| {
                        !plainly_same(path, &change.wanted, field(&present, path))
                    };
                    let other = row.changes.iter().find(|(path, change)| is_other(path, change));
                    other.map(|(path, _)| format!("its {path} is another one"))
                },
            );
            note(&mut check, &row.email, difference);
        }
        Ok(check)
    }

    pub(super) fn verify_members(&self, rows: &[MemberRow]) -> Result<Check, WriteError> {
        let (mut lists, mut check) = (BTreeMap::<&str, Members>::new(), self.task.check());
        for row in rows {
            if !lists.contains_key(row.group.as_str()) {
                lists.insert(&row.group, self.members(&self.id_now(&row.group))?);
            }
            let role =
                lists[row.group.as_str()].as_ref().and_then(|members| members.get(&row.key().to_lowercase()));
            let difference = (role != Some(&row.wanted)).then(|| {
                format!("it is {} and not {}", role.map_or("no member", String::as_str), row.wanted)
            });
            note(&mut check, &row.name(), difference);
        }
        Ok(check)
    }
}

fn fields_of(group: &Value) -> Fields {
    ["name", "description"].iter().map(|name| ((*name).to_owned(), group[*name].clone())).collect()
}
