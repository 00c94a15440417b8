//! Calendars themselves: made again, or set back.

use connect::plan::{Check, WriteError};
use connect_http::escape;
use google_api::{ApiError, Change, Get, method};
use serde_json::{Map, Value, json};

use super::{
    desk::{CALENDAR, Desk, of_calendar},
    step::{CalendarRow, CalendarSetRow},
};
use crate::{
    fields::{Fields, plainly_same, still_to_do},
    step::{Answer, Outcome, answer, failed, note},
};

const LIST: &str = "calendar/v3/users/me/calendarList";
const PAGE: &str = "250";
/// What may be written of a calendar.
pub(super) const OF_CALENDAR: [&str; 4] = ["summary", "description", "location", "timeZone"];
/// What may be written of how it looks in the list.
pub(super) const OF_ENTRY: [&str; 6] =
    ["summaryOverride", "colorId", "hidden", "selected", "defaultReminders", "notificationSettings"];

/// Returns the members of a document that may be written.
pub(super) fn chosen(document: &Value, names: &[&str]) -> Fields {
    let some = |name: &&str| Some(((*name).to_owned(), document.get(*name)?.clone()));
    names.iter().filter_map(some).collect()
}

impl Desk<'_> {
    /// Makes calendars, each once.
    pub(super) fn make(
        &self,
        known: &[String],
        share: bool,
        rows: &[CalendarRow],
    ) -> Result<Outcome, WriteError> {
        self.task.progress.counted_phase("making calendars again", Some(rows.len() as u64));
        let (list, mut outcome) = (self.calendar_list()?, Outcome::default());
        for row in rows {
            self.task.progress.advance(1);
            if let Some(made) = self.task.journal.made(CALENDAR, &row.id)
                && list.iter().any(|entry| entry["id"] == made.new.as_str())
            {
                outcome.unchanged += 1;
                continue;
            }
            if let Some(id) = self.find_made(known, share, row, &list)? {
                if !self.is_rehearsal() {
                    self.note(CALENDAR, row.id.clone(), &id, "")?;
                }
                outcome.unchanged += 1;
                continue;
            }
            if !self.is_rehearsal()
                && let Some(reason) = self.make_one(known, share, row)?
            {
                outcome.conflicts.push((row.id.clone(), reason));
                continue;
            }
            outcome.changed += 1;
        }
        Ok(outcome)
    }

    /// Looks for a calendar that an earlier run made and could not write down: one of the same name that the plan does
    /// not know and in which there is nothing.
    fn find_made(
        &self,
        known: &[String],
        share: bool,
        row: &CalendarRow,
        list: &[Value],
    ) -> Result<Option<String>, WriteError> {
        for entry in list {
            let Some(id) = entry["id"].as_str() else { continue };
            let same = OF_CALENDAR.iter().all(|name| {
                row.calendar.get(*name).is_none() || plainly_same(name, &entry[*name], &row.calendar[*name])
            });
            let is_own = entry["accessRole"] == "owner" && entry["primary"] != json!(true);
            if !same || !is_own || self.task.journal.has_new(id) {
                continue;
            }
            if share || (!known.iter().any(|known| known == id) && self.is_empty(id)?) {
                return Ok(Some(id.to_owned()));
            }
        }
        Ok(None)
    }

    fn is_empty(&self, calendar: &str) -> Result<bool, WriteError> {
        let get =
            Get::new(&method::RESTORE_EVENTS_LIST, of_calendar(calendar, "/events")).query("maxResults", "1");
        let page: Value =
            self.reading().get(self.user, &get).map_err(|error| failed("look into a calendar", error))?;
        let is_last = page["nextPageToken"].is_null();
        Ok(is_last && page["items"].as_array().is_none_or(Vec::is_empty))
    }

    /// Makes a calendar; returns why not.
    fn make_one(
        &self,
        known: &[String],
        share: bool,
        row: &CalendarRow,
    ) -> Result<Option<String>, WriteError> {
        let path = "calendar/v3/calendars";
        let change = Change::post(&method::RESTORE_CALENDARS_INSERT, path, row.calendar.clone()).once();
        let made: Result<Value, ApiError> = self.task.api.send(self.user, &change);
        let id = match answer("make a calendar again", made)? {
            Answer::Done(made) => made["id"].as_str().unwrap_or_default().to_owned(),
            Answer::Unknown => match self.find_made(known, share, row, &self.calendar_list()?)? {
                Some(id) => id,
                None => {
                    return Ok(Some(
                        "nobody knows whether it was made; look before applying again".to_owned(),
                    ));
                }
            },
            Answer::Refused(reason) => return Ok(Some(reason)),
            Answer::Gone | Answer::Taken => return Ok(Some("Google does not make it".to_owned())),
        };
        self.note(CALENDAR, row.id.clone(), &id, "")?;
        self.write_entry(&id, &row.entry)
    }

    /// Writes how a calendar looks in the list; returns why not.
    fn write_entry(&self, calendar: &str, entry: &Value) -> Result<Option<String>, WriteError> {
        if entry.as_object().is_none_or(Map::is_empty) {
            return Ok(None);
        }
        let path = format!("{LIST}/{}", escape(calendar));
        let change = Change::patch(&method::RESTORE_CALENDAR_LIST_PATCH, path, entry.clone());
        let written: Result<Value, ApiError> = self.task.api.send(self.user, &change);
        Ok(match answer("write the list of calendars", written)? {
            Answer::Done(_) => None,
            Answer::Refused(reason) => Some(reason),
            Answer::Gone | Answer::Taken | Answer::Unknown => {
                Some("how it looks in the list was not written".to_owned())
            }
        })
    }

    /// Returns the user's list of calendars.
    fn calendar_list(&self) -> Result<Vec<Value>, WriteError> {
        let (mut all, mut token) = (Vec::new(), None::<String>);
        loop {
            let mut get = Get::new(&method::RESTORE_CALENDAR_LIST, LIST)
                .query("maxResults", PAGE)
                .query("showHidden", "true");
            if let Some(token) = &token {
                get = get.query("pageToken", token);
            }
            let mut page: Value =
                self.reading().get(self.user, &get).map_err(|error| failed("list the calendars", error))?;
            if let Value::Array(items) = page["items"].take() {
                all.extend(items);
            }
            token = page["nextPageToken"].as_str().map(str::to_owned);
            if token.is_none() {
                return Ok(all);
            }
        }
    }

    fn calendar(&self, id: &str) -> Result<Option<Value>, WriteError> {
        match self.reading().get(self.user, &Get::new(&method::RESTORE_CALENDARS_GET, of_calendar(id, ""))) {
            Ok(calendar) => Ok(Some(calendar)),
            Err(ApiError::NotFound(_)) => Ok(None),
            Err(error) => Err(failed("read a calendar", error)),
        }
    }

    /// Gives calendars fields back.
    pub(super) fn set_calendars(&self, rows: &[CalendarSetRow]) -> Result<Outcome, WriteError> {
        let (list, mut outcome) = (self.calendar_list()?, Outcome::default());
        for row in rows {
            let gone = || (row.id.clone(), "it was taken away since the plan was made".to_owned());
            let Some(entry) = list.iter().find(|entry| entry["id"] == row.id.as_str()) else {
                outcome.conflicts.push(gone());
                continue;
            };
            let present = if row.calendar.is_empty() { Some(Value::Null) } else { self.calendar(&row.id)? };
            let Some(present) = present else {
                outcome.conflicts.push(gone());
                continue;
            };
            let (calendar, mut kept) =
                still_to_do(&row.calendar, &chosen(&present, &OF_CALENDAR), plainly_same);
            let (look, more) = still_to_do(&row.entry, &chosen(entry, &OF_ENTRY), plainly_same);
            kept.extend(more);
            let mut reasons = Vec::new();
            if !kept.is_empty() {
                reasons.push(format!("this was changed since the plan was made: {}", kept.join(", ")));
            }
            if !self.is_rehearsal() {
                reasons.extend(self.write_calendar(&row.id, &present, &calendar)?);
                reasons.extend(self.write_entry(&row.id, &json!(look))?);
            }
            if calendar.is_empty() && look.is_empty() {
                outcome.unchanged += u64::from(reasons.is_empty());
            } else {
                outcome.changed += 1;
            }
            outcome.conflicts.extend(reasons.into_iter().map(|reason| (row.id.clone(), reason)));
        }
        Ok(outcome)
    }

    fn write_calendar(
        &self,
        id: &str,
        present: &Value,
        fields: &Fields,
    ) -> Result<Option<String>, WriteError> {
        if fields.is_empty() {
            return Ok(None);
        }
        let change = Change::patch(&method::RESTORE_CALENDARS_PATCH, of_calendar(id, ""), json!(fields))
            .only_if(present["etag"].as_str());
        let written: Result<Value, ApiError> = self.task.api.send(self.user, &change);
        Ok(match answer("set a calendar back", written)? {
            Answer::Done(_) => None,
            Answer::Refused(reason) => Some(reason),
            Answer::Gone => Some("it was taken away since the plan was made".to_owned()),
            Answer::Taken | Answer::Unknown => {
                let present = self.calendar(id)?.unwrap_or_default();
                let same = fields.iter().all(|(name, value)| plainly_same(name, &present[name], value));
                (!same).then(|| "it was changed while the plan was applied".to_owned())
            }
        })
    }

    pub(super) fn verify_made(&self, rows: &[CalendarRow]) -> Result<Check, WriteError> {
        let (list, mut check) = (self.calendar_list()?, self.task.check());
        for row in rows {
            let id = self.calendar_now(&row.id);
            let difference = match list.iter().find(|entry| entry["id"] == id.as_str()) {
                None => Some("it was not made".to_owned()),
                Some(entry) => differing(&row.calendar, entry).or_else(|| differing(&row.entry, entry)),
            };
            note(&mut check, &row.id, difference);
        }
        Ok(check)
    }

    pub(super) fn verify_calendars(&self, rows: &[CalendarSetRow]) -> Result<Check, WriteError> {
        let (list, mut check) = (self.calendar_list()?, self.task.check());
        for row in rows {
            let entry = list.iter().find(|entry| entry["id"] == row.id.as_str());
            let present = self.calendar(&row.id)?;
            let wanted = |changes: &std::collections::BTreeMap<String, crate::fields::FieldChange>| -> Value {
                changes.iter().map(|(name, change)| (name.clone(), change.wanted.clone())).collect()
            };
            let difference = match (entry, present) {
                (Some(entry), Some(present)) => differing(&wanted(&row.calendar), &present)
                    .or_else(|| differing(&wanted(&row.entry), entry)),
                _ => Some("it is gone".to_owned()),
            };
            note(&mut check, &row.id, difference);
        }
        Ok(check)
    }
}

fn differing(wanted: &Value, found: &Value) -> Option<String> {
    let mut all = wanted.as_object().into_iter().flatten();
    let name = all.find(|(name, value)| !plainly_same(name, value, &found[name.as_str()]))?.0;
    Some(format!("its {name} is another one"))
}
