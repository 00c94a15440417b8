//! Reading events again after a plan was applied.

use connect::plan::{Check, WriteError};
use serde_json::Value;

use super::{
    anew::{Guests, copied, copied_id, copied_occurrence},
    desk::Desk,
    event::{fields_of, guests_own, is_cancelled, is_guests, same},
    step::{ReturnRow, SetRow},
};
use crate::{
    fields::{Fields, differing, field},
    step::note,
};

impl Desk<'_> {
    /// Reads each event that came back, and compares it with the vault's, field by field.
    pub(super) fn verify_returned(&self, rows: &[ReturnRow]) -> Result<Check, WriteError> {
        self.checked(rows, ReturnRow::name, |row| {
            let calendar = self.calendar_now(&row.calendar);
            let id = if row.series.is_some() {
                self.occurrence_now(row)
            } else {
                self.id_now(&row.calendar, &row.id)
            };
            let (present, wanted) = (self.event(&calendar, &id)?, self.wanted(row)?);
            let is_copy = present.as_ref().is_some_and(|present| present["privateCopy"] == true);
            let guests = calendar == row.calendar && is_guests(&wanted, &calendar) && !is_copy;
            Ok(difference(
                present,
                &wanted,
                |fields| if guests { guests_own(fields, &calendar) } else { fields },
            ))
        })
    }

    pub(super) fn verify_copied(
        &self,
        from: &str,
        into: &str,
        guests: Guests,
        rows: &[ReturnRow],
    ) -> Result<Check, WriteError> {
        let calendar = self.calendar_now(into);
        self.checked(rows, ReturnRow::name, |row| {
            let id = match &row.series {
                Some(_) => copied_occurrence(from, row).unwrap_or_default(),
                None => copied_id(from, &row.calendar, &row.id),
            };
            let (present, wanted) = (self.event(&calendar, &id)?, self.wanted(row)?);
            let wanted = if is_cancelled(&wanted) { wanted } else { copied(&wanted, guests) };
            Ok(difference(present, &wanted, |fields| fields))
        })
    }

    /// Asks for each event whether its fields are what they were.
    pub(super) fn verify_set(&self, rows: &[SetRow]) -> Result<Check, WriteError> {
        self.checked(rows, SetRow::name, |row| {
            let Some(present) = self.event(&row.calendar, &row.id)? else {
                return Ok(Some("it is gone".to_owned()));
            };
            let present = fields_of(&present);
            let other =
                row.changes.iter().find(|(path, change)| !same(path, &change.wanted, field(&present, path)));
            Ok(other.map(|(path, _)| format!("its {path} is another one")))
        })
    }

    fn checked<T: Sync>(
        &self,
        rows: &[T],
        name: impl Fn(&T) -> String,
        look: impl Fn(&T) -> Result<Option<String>, WriteError> + Sync,
    ) -> Result<Check, WriteError> {
        self.task.progress.counted_phase("reading events again", Some(rows.len() as u64));
        let numbered: Vec<(usize, &T)> = rows.iter().enumerate().collect();
        let found = std::sync::Mutex::new(vec![None; rows.len()]);
        crate::parallel::each(self.task.threads, &numbered, |(at, row)| {
            let difference = look(row)?;
            found.lock().unwrap_or_else(std::sync::PoisonError::into_inner)[*at] = difference;
            self.task.progress.advance(1);
            Ok(())
        })?;
        let mut check = self.task.check();
        let found = found.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        for (row, difference) in rows.iter().zip(found) {
            note(&mut check, &name(row), difference);
        }
        Ok(check)
    }
}

fn difference(present: Option<Value>, wanted: &Value, part: impl Fn(Fields) -> Fields) -> Option<String> {
    let Some(present) = present else { return Some("it is gone".to_owned()) };
    if is_cancelled(wanted) || is_cancelled(&present) {
        return match (is_cancelled(wanted), is_cancelled(&present)) {
            (true, false) => Some("it takes place".to_owned()),
            (false, true) => Some("it does not take place".to_owned()),
            _ => None,
        };
    }
    let other = differing(&part(fields_of(wanted)), &part(fields_of(&present)), same);
    other.first().map(|path| format!("its {path} is another one"))
}
