//! What differs in a series: moved, changed and cancelled occurrences.

use connect::plan::WriteError;
use serde_json::{Value, json};

use super::{
    desk::{Desk, Done, OCCURRENCE},
    event::is_cancelled,
    returning::difference,
    step::ReturnRow,
};
use crate::step::Answer;

impl Desk<'_> {
    /// Makes of an occurrence what it was. Its series is there, or has come back just before.
    pub(super) fn return_occurrence(&self, row: &ReturnRow) -> Result<Done, WriteError> {
        if self.task.journal.made(OCCURRENCE, &row.name()).is_some() {
            return Ok(Done::Unchanged);
        }
        let (calendar, id) = (self.calendar_now(&row.calendar), self.occurrence_now(row));
        let present = self.event(&calendar, &id)?;
        if self.is_rehearsal() && row.with_series {
            return Ok(Done::Changed);
        }
        let Some(present) = present else {
            return Ok(Done::Conflict("its series has no such occurrence".to_owned()));
        };
        let wanted = self.wanted(row)?;
        let Some(body) = occurrence_body(&calendar, row, &present, &wanted) else {
            return Ok(Done::Unchanged);
        };
        if self.is_rehearsal() {
            return Ok(Done::Changed);
        }
        match self.patch_event(&calendar, &present, &id, body)? {
            Answer::Done(_) => {}
            Answer::Refused(reason) => return Ok(Done::Conflict(reason)),
            Answer::Gone => return Ok(Done::Conflict("its series has no such occurrence".to_owned())),
            Answer::Taken | Answer::Unknown => {
                let again = self.event(&calendar, &id)?.unwrap_or_default();
                if occurrence_body(&calendar, row, &again, &wanted).is_some() {
                    return Ok(Done::Conflict("it was changed while the plan was applied".to_owned()));
                }
            }
        }
        // Its owner may change it again before the plan is applied once more.
        self.note(OCCURRENCE, row.name(), &id, &calendar)?;
        Ok(Done::Changed)
    }
}

/// Returns the body that makes of an occurrence what it was; `None` when it is that, or somebody brought it back.
fn occurrence_body(calendar: &str, row: &ReturnRow, present: &Value, wanted: &Value) -> Option<Value> {
    if is_cancelled(wanted) {
        return (!is_cancelled(present)).then(|| json!({ "status": "cancelled" }));
    }
    if !is_cancelled(present) && !row.with_series {
        // Somebody brought it back since the plan was made.
        return None;
    }
    let body = difference(calendar, present, wanted);
    match (body.is_object(), is_cancelled(present)) {
        (true, false) => Some(body),
        (false, false) => None,
        (true, true) => {
            let mut body = body;
            body["status"] = wanted["status"].as_str().unwrap_or("confirmed").into();
            Some(body)
        }
        (false, true) => Some(json!({ "status": "confirmed" })),
    }
}
