//! Events that are still there: fields that were changed go back.

use connect::plan::WriteError;
use serde_json::Value;

use super::{
    desk::{Desk, Done},
    event::{fields_of, is_cancelled, patch, same, with},
    step::SetRow,
};
use crate::{
    fields::still_to_do,
    step::{Answer, Outcome},
};

impl Desk<'_> {
    /// Sets fields of events back: first of series and single events, then of what differs in series.
    pub(super) fn set_back(&self, rows: &[SetRow]) -> Result<Outcome, WriteError> {
        self.task.progress.counted_phase("setting events back", Some(rows.len() as u64));
        let (differing, whole): (Vec<&SetRow>, Vec<&SetRow>) =
            rows.iter().partition(|row| row.series.is_some());
        let mut outcome = self.each(&whole, |row| row.name(), |row| self.set_event(row))?;
        let more = self.each(&differing, |row| row.name(), |row| self.set_event(row))?;
        outcome.changed += more.changed;
        outcome.unchanged += more.unchanged;
        outcome.conflicts.extend(more.conflicts);
        Ok(outcome)
    }

    fn set_event(&self, row: &SetRow) -> Result<Done, WriteError> {
        let Some(present) = self.event(&row.calendar, &row.id)? else {
            return Ok(Done::Conflict("it was deleted since the plan was made".to_owned()));
        };
        if is_cancelled(&present) && !row.changes.contains_key("status") {
            return Ok(Done::Conflict("it was deleted since the plan was made".to_owned()));
        }
        let (wanted, kept) = still_to_do(&row.changes, &fields_of(&present), same);
        let kept = (!kept.is_empty())
            .then(|| format!("this was changed since the plan was made: {}", kept.join(", ")));
        let body = patch(&present, &with(&present, &wanted));
        if wanted.is_empty() || body.is_null() {
            return Ok(kept.map_or(Done::Unchanged, Done::Conflict));
        }
        if !self.is_rehearsal() {
            match self.patch_event(&row.calendar, &present, &row.id, body)? {
                Answer::Done(_) => {}
                Answer::Refused(reason) => return Ok(Done::Conflict(reason)),
                Answer::Gone => {
                    return Ok(Done::Conflict("it was deleted since the plan was made".to_owned()));
                }
                Answer::Taken | Answer::Unknown => {
                    // A first attempt whose answer was lost, or somebody was faster.
                    let again = self.event(&row.calendar, &row.id)?.unwrap_or(Value::Null);
                    if !still_to_do(&row.changes, &fields_of(&again), same).0.is_empty() {
                        return Ok(Done::Conflict("it was changed while the plan was applied".to_owned()));
                    }
                }
            }
        }
        Ok(kept.map_or(Done::Changed, Done::InPart))
    }
}
