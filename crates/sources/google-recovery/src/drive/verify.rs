//! Reading a drive again after a plan was applied.

use std::sync::{Mutex, PoisonError};

use connect::plan::{Check, WriteError};
use serde_json::Value;
use source_google::drive::{FileAttributes, file_key};

use super::{
    decide::{fields, is_as},
    make::{STEP, media_type},
    rows::{ChangeRow, ContentMark, MakeRow, Making, ShareRow},
    share::difference,
    step::Stored,
    wire::{CONTENT, Drive, FIELDS, FILE, Found},
};
use crate::{
    parallel,
    step::{note, unread},
};

impl Drive<'_> {
    /// Looks at some rows in several threads; `look` returns what differs, row by row.
    fn check<T: Sync>(
        &self,
        rows: &[T],
        what: &'static str,
        id: impl Fn(&T) -> &str,
        look: impl Fn(&[T]) -> Result<Vec<Option<String>>, WriteError> + Sync,
    ) -> Result<Check, WriteError> {
        let task = self.task;
        task.progress.counted_phase(what, Some(rows.len() as u64));
        let found: Mutex<Vec<(usize, Option<String>)>> = Mutex::new(Vec::with_capacity(rows.len()));
        let steps: Vec<(usize, &[T])> =
            rows.chunks(STEP).enumerate().map(|(number, step)| (number * STEP, step)).collect();
        parallel::each(task.threads, &steps, |(start, step)| {
            let differences = look(step)?;
            let numbered = differences.into_iter().enumerate().map(|(at, one)| (start + at, one));
            found.lock().unwrap_or_else(PoisonError::into_inner).extend(numbered);
            task.progress.advance(step.len() as u64);
            Ok(())
        })?;
        let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
        found.sort_by_key(|(number, _)| *number);
        let mut check = task.check();
        for (row, (_, difference)) in rows.iter().zip(found) {
            note(&mut check, id(row), difference);
        }
        Ok(check)
    }

    /// Compares each file that was made with what is stored of it.
    pub(super) fn verify_made(&self, stored: &Stored, rows: &[MakeRow]) -> Result<Check, WriteError> {
        self.check(
            rows,
            "reading files again",
            |row| &row.id,
            |step| {
                let made: Vec<_> = step.iter().map(|row| self.task.journal.made(FILE, &row.id)).collect();
                let ids: Vec<String> = made.iter().flatten().map(|made| made.new.clone()).collect();
                let mut found = self.files(&ids, FIELDS)?.into_iter();
                step.iter()
                    .zip(made)
                    .map(|(row, made)| match made.and_then(|_| found.next()) {
                        None => Ok(Some("it was not made".to_owned())),
                        Some(None) => Ok(Some("it is gone again".to_owned())),
                        Some(Some(found)) => self.made_difference(stored, row, &found),
                    })
                    .collect()
            },
        )
    }

    fn made_difference(
        &self,
        stored: &Stored,
        row: &MakeRow,
        found: &Found,
    ) -> Result<Option<String>, WriteError> {
        let version = self.task.past.version(&stored.stream, &file_key(&row.id), stored.at);
        let version = version.map_err(|error| unread(&format!("the file {}", row.id), error))?;
        let known = version.and_then(|version| FileAttributes::of_text(&version.item.item.attributes));
        let is_known = known.is_some();
        let known = known.unwrap_or_default();
        if found.attributes.name != row.name {
            return Ok(Some("it has another name".to_owned()));
        }
        if found.attributes.mime_type != media_type(row, &known) {
            return Ok(Some("it has another media type".to_owned()));
        }
        let parent = row.parent.as_ref().map(|parent| self.id(parent));
        if parent.is_some() && found.attributes.parents.first() != parent.as_ref() {
            return Ok(Some("it is in another folder".to_owned()));
        }
        if found.attributes.explicitly_trashed != known.explicitly_trashed {
            return Ok(Some("it is in the trash and should not be, or the other way round".to_owned()));
        }
        if row.making == Making::Binary && !ContentMark::of(&known).is_of(&found.attributes) {
            return Ok(Some("its content is not the stored one".to_owned()));
        }
        let (wanted, present) = (fields(&known), fields(&found.attributes));
        let is_compared = |name: &str| {
            ["description", "modifiedTime"].contains(&name)
                || name.starts_with("properties/")
                || name == "starred" && self.target.shared.is_none()
        };
        let other = wanted
            .iter()
            .filter(|(name, _)| is_known && is_compared(name))
            .find(|(name, wanted)| !is_as(present.get(*name).unwrap_or(&Value::Null), wanted));
        Ok(other.map(|(name, _)| format!("its {name} is not the stored one")))
    }

    /// Asks for each file whether it is as it was to become.
    pub(super) fn verify_changed(&self, rows: &[ChangeRow]) -> Result<Check, WriteError> {
        self.check(
            rows,
            "reading files again",
            |row| &row.id,
            |step| {
                let ids: Vec<String> = step.iter().map(|row| self.id(&row.id)).collect();
                let found = self.files(&ids, FIELDS)?;
                Ok(step.iter().zip(found).map(|(row, found)| self.change_difference(row, found)).collect())
            },
        )
    }

    fn change_difference(&self, row: &ChangeRow, found: Option<Found>) -> Option<String> {
        let Some(found) = found else { return Some("it is gone".to_owned()) };
        let attributes = &found.attributes;
        if row.trash.is_some_and(|trash| trash != attributes.explicitly_trashed) {
            return Some("it is in the trash and should not be, or the other way round".to_owned());
        }
        if row.place.as_ref().is_some_and(|place| attributes.parents.first() != Some(&self.id(&place.to))) {
            return Some("it is in another folder".to_owned());
        }
        if let Some(content) = &row.content {
            let is_document = content.to.md5.is_none();
            let is_done = self.task.journal.made(CONTENT, &row.id).is_some();
            if is_document && !is_done || !is_document && !content.to.is_of(attributes) {
                return Some("its content is not the stored one".to_owned());
            }
        }
        let present = fields(attributes);
        let other = row
            .fields
            .iter()
            .find(|(name, change)| !is_as(present.get(*name).unwrap_or(&Value::Null), &change.to));
        other.map(|(name, _)| format!("its {name} is not what it was"))
    }

    /// Asks for the permissions of each file.
    pub(super) fn verify_shared(&self, rows: &[ShareRow]) -> Result<Check, WriteError> {
        self.check(
            rows,
            "reading permissions again",
            |row| &row.id,
            |step| {
                let ids: Vec<String> = step.iter().map(|row| self.id(&row.id)).collect();
                let found = self.permissions(&ids)?;
                let difference = |(row, found): (&ShareRow, Option<Vec<_>>)| {
                    let Some(found) = found else { return Some("it is gone".to_owned()) };
                    let present =
                        |id: &str| found.iter().find(|one: &&source_google::drive::Permission| one.id == id);
                    row.changes.iter().find_map(|change| difference(change, present(&change.who.id)))
                };
                Ok(step.iter().zip(found).map(difference).collect())
            },
        )
    }
}
