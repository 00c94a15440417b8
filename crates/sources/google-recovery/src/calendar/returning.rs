//! Events that come back: in their place where Google still remembers them.

use connect::plan::WriteError;
use serde_json::Value;

use super::{
    desk::{Desk, Done, EVENT},
    event::{fields_of, guests_own, is_cancelled, is_guests, patch, with},
    step::ReturnRow,
};
use crate::step::{Answer, Outcome};

/// What the journal calls an event that came back in its place.
const REVIVED: &str = "revived";

impl Desk<'_> {
    /// Brings events back: first series and single events, then what differs in series.
    pub(super) fn bring_back(&self, rows: &[ReturnRow]) -> Result<Outcome, WriteError> {
        self.task.progress.counted_phase("bringing events back", Some(rows.len() as u64));
        let (differing, whole): (Vec<&ReturnRow>, Vec<&ReturnRow>) =
            rows.iter().partition(|row| row.series.is_some());
        let mut outcome = self.each(&whole, |row| row.name(), |row| self.return_event(row))?;
        let more = self.each(&differing, |row| row.name(), |row| self.return_occurrence(row))?;
        outcome.changed += more.changed;
        outcome.unchanged += more.unchanged;
        outcome.conflicts.extend(more.conflicts);
        Ok(outcome)
    }

    fn return_event(&self, row: &ReturnRow) -> Result<Done, WriteError> {
        if self.task.journal.made(EVENT, &row.name()).is_some() {
            return Ok(Done::Unchanged);
        }
        let calendar = self.calendar_now(&row.calendar);
        let present = self.event(&calendar, &row.id)?;
        if present.as_ref().is_some_and(|present| !is_cancelled(present)) {
            return Ok(Done::Unchanged);
        }
        if self.task.journal.made(REVIVED, &row.name()).is_some() {
            return Ok(Done::Conflict("it was deleted since it was brought back".to_owned()));
        }
        if self.is_rehearsal() {
            return Ok(Done::Changed);
        }
        let done = self.return_gone(row, &calendar, present)?;
        if done == Done::Changed && self.task.journal.made(EVENT, &row.name()).is_none() {
            self.note_set_back(REVIVED, &row.name())?;
        }
        Ok(done)
    }

    fn return_gone(
        &self,
        row: &ReturnRow,
        calendar: &str,
        present: Option<Value>,
    ) -> Result<Done, WriteError> {
        let wanted = self.wanted(row)?;
        if let Some(elsewhere) = &row.moved_to
            && let Some(done) = self.move_back(row, elsewhere)?
        {
            return Ok(done);
        }
        match present {
            Some(present) => match self.revive(calendar, row, &present, &wanted)? {
                Some(done) => Ok(done),
                None => self.make_anew(calendar, row, &wanted),
            },
            None => self.make_anew(calendar, row, &wanted),
        }
    }

    /// Moves an event back that was moved to another of the user's calendars and is still there.
    fn move_back(&self, row: &ReturnRow, elsewhere: &str) -> Result<Option<Done>, WriteError> {
        let there = self.event(elsewhere, &row.id)?;
        if there.is_none_or(|there| is_cancelled(&there)) {
            return Ok(None);
        }
        Ok(match self.move_event(elsewhere, &row.id, &row.calendar)? {
            Answer::Done(_) => Some(Done::Changed),
            Answer::Refused(reason) => Some(Done::Conflict(reason)),
            Answer::Gone | Answer::Taken | Answer::Unknown => None,
        })
    }

    /// Brings back a deleted event that Google still remembers, in its place and with its id; `None` when Google does not.
    fn revive(
        &self,
        calendar: &str,
        row: &ReturnRow,
        present: &Value,
        wanted: &Value,
    ) -> Result<Option<Done>, WriteError> {
        let mut body = difference(calendar, present, wanted);
        if !body.is_object() {
            body = Value::Object(serde_json::Map::new());
        }
        if body.get("status").is_none() {
            body["status"] = wanted["status"].as_str().unwrap_or("confirmed").into();
        }
        match self.patch_event(calendar, present, &row.id, body)? {
            Answer::Done(_) => {}
            Answer::Gone => return Ok(None),
            Answer::Refused(reason) => return Ok(Some(Done::Conflict(reason))),
            Answer::Taken | Answer::Unknown => {
                // A first attempt whose answer was lost, or somebody was faster.
                let again = self.event(calendar, &row.id)?;
                return Ok(Some(match again {
                    Some(again) if !is_cancelled(&again) => Done::Changed,
                    _ => Done::Conflict("it was changed while the plan was applied".to_owned()),
                }));
            }
        }
        if is_guests(wanted, calendar) {
            // The organizer decides whether there is such an event at all.
            let again = self.event(calendar, &row.id)?;
            if again.is_none_or(|again| is_cancelled(&again)) {
                return Ok(Some(Done::Conflict("its organizer has cancelled it".to_owned())));
            }
        }
        Ok(Some(Done::Changed))
    }
}

/// Returns the body that makes of an event what it was; of somebody else's as far as a guest may.
pub(super) fn difference(calendar: &str, present: &Value, wanted: &Value) -> Value {
    if is_guests(wanted, calendar) && present["privateCopy"] != true {
        // What of it is told is all that there is to compare with.
        return patch(present, &with(present, &guests_own(fields_of(wanted), calendar)));
    }
    patch(present, wanted)
}
