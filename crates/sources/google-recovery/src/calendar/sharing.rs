//! Rights to calendars: never wider than they were, nor than somebody made them since.

use std::collections::BTreeMap;

use connect::plan::{Check, WriteError};
use google_api::{ApiError, Change, Get, method};
use serde_json::{Value, json};

use super::{
    desk::{Desk, of_calendar},
    step::RightRow,
};
use crate::step::{Answer, Outcome, answer, failed, note};

/// What the journal calls a right that was set back.
const RIGHT: &str = "right";
const PAGE: &str = "250";

/// Roles by the ids of rules; `None` when the calendar is gone.
type Rights = Option<BTreeMap<String, String>>;

impl Desk<'_> {
    pub(super) fn share(&self, rows: &[RightRow]) -> Result<Outcome, WriteError> {
        self.task.progress.counted_phase("setting rights back", Some(rows.len() as u64));
        let (mut rights, mut outcome) = (BTreeMap::<&str, Rights>::new(), Outcome::default());
        for row in rows {
            let calendar = self.calendar_now(&row.calendar);
            if !rights.contains_key(row.calendar.as_str()) {
                rights.insert(&row.calendar, self.rights(&calendar)?);
            }
            let name = format!("{}/{}", row.calendar, row.rule);
            self.task.progress.advance(1);
            let Some(present) = &rights[row.calendar.as_str()] else {
                if self.is_rehearsal() {
                    outcome.changed += 1;
                } else {
                    outcome.conflicts.push((name, "its calendar is not there".to_owned()));
                }
                continue;
            };
            let role = present.get(&row.rule);
            if role == Some(&row.wanted) {
                outcome.unchanged += 1;
            } else if role != row.expected.as_ref() {
                outcome.conflicts.push((name, "it was changed since the plan was made".to_owned()));
            } else if self.task.journal.made(RIGHT, &name).is_some() {
                outcome.conflicts.push((name, "it was changed since it was set back".to_owned()));
            } else {
                match self.give(&calendar, row)? {
                    Some(reason) => outcome.conflicts.push((name, reason)),
                    None => {
                        self.note_set_back(RIGHT, &name)?;
                        outcome.changed += 1;
                    }
                }
            }
        }
        Ok(outcome)
    }

    /// Gives somebody a right, without a mail; returns why not.
    fn give(&self, calendar: &str, row: &RightRow) -> Result<Option<String>, WriteError> {
        if self.is_rehearsal() {
            return Ok(None);
        }
        let body = json!({ "scope": row.scope, "role": row.wanted });
        let change = Change::post(&method::RESTORE_ACL_INSERT, of_calendar(calendar, "/acl"), body)
            .query("sendNotifications", "false");
        let given: Result<Value, ApiError> = self.task.api.send(self.user, &change);
        Ok(match answer("set a right to a calendar back", given)? {
            Answer::Done(_) => None,
            Answer::Refused(reason) => Some(reason),
            Answer::Gone => Some("its calendar is not there".to_owned()),
            Answer::Taken | Answer::Unknown => Some("it was changed while the plan was applied".to_owned()),
        })
    }

    fn rights(&self, calendar: &str) -> Result<Rights, WriteError> {
        let (mut rights, mut token) = (BTreeMap::new(), None::<String>);
        loop {
            let mut get =
                Get::new(&method::RESTORE_ACL_LIST, of_calendar(calendar, "/acl")).query("maxResults", PAGE);
            if let Some(token) = &token {
                get = get.query("pageToken", token);
            }
            let page: Value = match self.reading().get(self.user, &get) {
                Ok(page) => page,
                Err(ApiError::NotFound(_)) => return Ok(None),
                Err(error) => return Err(failed("list who may see a calendar", error)),
            };
            rights.extend(page["items"].as_array().into_iter().flatten().filter_map(|rule| {
                let role = rule["role"].as_str().filter(|role| *role != "none")?;
                Some((rule["id"].as_str()?.to_owned(), role.to_owned()))
            }));
            token = page["nextPageToken"].as_str().map(str::to_owned);
            if token.is_none() {
                return Ok(Some(rights));
            }
        }
    }

    pub(super) fn verify_shared(&self, rows: &[RightRow]) -> Result<Check, WriteError> {
        let (mut rights, mut check) = (BTreeMap::<&str, Rights>::new(), self.task.check());
        for row in rows {
            if !rights.contains_key(row.calendar.as_str()) {
                rights.insert(&row.calendar, self.rights(&self.calendar_now(&row.calendar))?);
            }
            let role = rights[row.calendar.as_str()].as_ref().and_then(|rights| rights.get(&row.rule));
            let difference = (role != Some(&row.wanted))
                .then(|| format!("it is {} and not {}", role.map_or("nothing", String::as_str), row.wanted));
            note(&mut check, &format!("{}/{}", row.calendar, row.rule), difference);
        }
        Ok(check)
    }
}
