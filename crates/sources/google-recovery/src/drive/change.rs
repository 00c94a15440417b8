//! Setting files back that are there.

use connect::plan::{ApplyMode, WriteError};
use connect_http::escape;
use google_api::{Change, method};
use serde_json::{Map, Value, json};

use super::{
    content::NotSent,
    decide::{fields, is_as},
    rows::{ChangeRow, ContentChange},
    step::Stored,
    wire::{CONTENT, Drive, FIELDS, Found, TAKEN_BACK, TRASH, refused},
};
use crate::{journal::Made, step::Outcome};

const MODIFIED: &str = "modifiedTime";
const LOCKS: &str = "contentRestrictions";

/// What is left to be done about a file, after a look at what it is now.
#[derive(Debug, Default)]
struct Todo<'r> {
    fields: Map<String, Value>,
    /// The folder into which it goes, and the one that it leaves.
    place: Option<(String, Option<String>)>,
    trash: Option<bool>,
    content: Option<&'r ContentChange>,
    /// What somebody changed since the plan was made.
    changed: Vec<String>,
}

impl Todo<'_> {
    fn is_empty(&self) -> bool {
        self.fields.is_empty() && self.place.is_none() && self.trash.is_none() && self.content.is_none()
    }
}

impl Drive<'_> {
    pub(super) fn change(&self, stored: &Stored, rows: &[ChangeRow]) -> Result<Outcome, WriteError> {
        let task = self.task;
        task.progress.counted_phase("setting files back", Some(rows.len() as u64));
        // A folder goes back before what goes back into it: so none is ever put into itself.
        self.by_level(
            rows,
            |row| row.depth,
            |step, take| {
                let ids: Vec<String> = step.iter().map(|row| self.id(&row.id)).collect();
                let mut has_uploaded = false;
                for ((row, id), found) in step.iter().zip(&ids).zip(self.files(&ids, FIELDS)?) {
                    // Uploads take long: what was seen before them may be written by somebody else since.
                    let is_old = row.content.is_some() || has_uploaded;
                    let found = if is_old && task.mode == ApplyMode::Lasting {
                        self.files(std::slice::from_ref(id), FIELDS)?.pop().flatten()
                    } else {
                        found
                    };
                    has_uploaded |= row.content.is_some();
                    take(self.change_one(stored, row, found)?);
                }
                Ok(())
            },
        )
    }

    fn change_one(
        &self,
        stored: &Stored,
        row: &ChangeRow,
        found: Option<Found>,
    ) -> Result<Outcome, WriteError> {
        let mut outcome = Outcome::default();
        let conflict = |reason: String| (row.id.clone(), reason);
        let is_rehearsal = self.task.mode == ApplyMode::Rehearsal;
        let Some(found) = found else {
            // What an earlier step makes is not there while nothing is made.
            if is_rehearsal && row.trash == Some(true) {
                outcome.changed = 1;
            } else {
                outcome.conflicts.push(conflict("it was deleted since the plan was made".to_owned()));
            }
            return Ok(outcome);
        };
        let mut todo = self.todo(row, &found);
        if todo.trash.is_some() && self.task.journal.made(TRASH, &row.id).is_some() {
            todo.trash = None;
            outcome.conflicts.push(conflict(TAKEN_BACK.to_owned()));
        }
        if !todo.changed.is_empty() {
            let changed = todo.changed.join(", ");
            outcome
                .conflicts
                .push(conflict(format!("these were changed since the plan was made: {changed}")));
            // The time that belongs to a state which does not come back says nothing.
            todo.fields.remove(MODIFIED);
        }
        if todo.is_empty() {
            outcome.unchanged = u64::from(outcome.conflicts.is_empty());
            return Ok(outcome);
        }
        let is_trash = todo.trash.is_some();
        if !is_rehearsal {
            if let Err(reason) = self.carry_out(stored, row, &found, todo)? {
                outcome.conflicts.push(conflict(reason));
                return Ok(outcome);
            }
            if is_trash {
                let (old, new) = (row.id.clone(), found.id.clone());
                self.task.journal.note(Made { kind: TRASH.to_owned(), old, new, place: None })?;
            }
        }
        outcome.changed = 1;
        Ok(outcome)
    }

    fn todo<'r>(&self, row: &'r ChangeRow, found: &Found) -> Todo<'r> {
        let attributes = &found.attributes;
        let mut todo = Todo {
            trash: row.trash.filter(|trash| *trash != attributes.explicitly_trashed),
            ..Todo::default()
        };
        let present = fields(attributes);
        for (name, change) in &row.fields {
            let present = present.get(name).unwrap_or(&Value::Null);
            if is_as(present, &change.to) {
                continue;
            }
            if is_as(present, &change.from) {
                insert(&mut todo.fields, name, change.to.clone());
            } else if name != MODIFIED {
                todo.changed.push(name.clone());
            }
        }
        if let Some(place) = &row.place {
            let (to, present) = (self.id(&place.to), attributes.parents.first());
            if present == Some(&to) {
            } else if present == place.from.as_ref() {
                todo.place = Some((to, place.from.clone()));
            } else {
                todo.changed.push("its folder".to_owned());
            }
        }
        if let Some(content) = &row.content
            && self.task.journal.made(CONTENT, &row.id).is_none()
        {
            let is_document = content.to.md5.is_none();
            if content.from.is_of(attributes) {
                todo.content = Some(content);
            } else if is_document || !content.to.is_of(attributes) {
                todo.changed.push("its content".to_owned());
            }
        }
        todo
    }

    /// Does it; the inner error is the reason why one thing is left alone.
    fn carry_out(
        &self,
        stored: &Stored,
        row: &ChangeRow,
        found: &Found,
        mut todo: Todo<'_>,
    ) -> Result<Result<(), String>, WriteError> {
        let id = &found.id;
        let Some(content) = todo.content.take() else {
            return self.patch_one(id, todo.fields, todo.place, todo.trash);
        };
        // What is locked cannot be written: unlocked first, locked last. Until the content is there, a document's time
        // tells what it is.
        let modified = todo.fields.remove(MODIFIED);
        let is_locking = |locks: &Value| locks.as_array().is_some_and(|locks| !locks.is_empty());
        let lock =
            todo.fields.get(LOCKS).is_some_and(is_locking).then(|| todo.fields.remove(LOCKS)).flatten();
        if !todo.fields.is_empty() {
            todo.fields.insert(MODIFIED.to_owned(), found.attributes.modified_time.clone().into());
        }
        if (!todo.fields.is_empty() || todo.place.is_some() || todo.trash.is_some())
            && let Err(reason) = self.patch_one(id, todo.fields, todo.place, todo.trash)?
        {
            return Ok(Err(reason));
        }
        let body = modified.map_or_else(|| json!({}), |modified| json!({ MODIFIED: modified }));
        let path = format!("upload/drive/v3/files/{}", escape(id));
        let change = Change::patch(&method::RESTORE_FILES_UPDATE, path, body)
            .query("supportsAllDrives", "true")
            .query("fields", FIELDS);
        let of = (row.id.as_str(), content.media_type.as_str(), content.bytes);
        match self.send_content(&change, stored, of, false) {
            Err(NotSent::Unread(error)) => return Err(error),
            Err(NotSent::Api(error)) => return refused("take a content", error).map(Err),
            Ok(now) if content.to.md5.is_some() && !content.to.is_of(&now.attributes) => {
                return Ok(Err("what arrived is not what is stored".to_owned()));
            }
            Ok(_) => {}
        }
        let made = Made { kind: CONTENT.to_owned(), old: row.id.clone(), new: id.clone(), place: None };
        self.task.journal.note(made)?;
        match lock {
            Some(lock) => self.patch_one(id, Map::from_iter([(LOCKS.to_owned(), lock)]), None, None),
            None => Ok(Ok(())),
        }
    }

    fn patch_one(
        &self,
        id: &str,
        mut fields: Map<String, Value>,
        place: Option<(String, Option<String>)>,
        trash: Option<bool>,
    ) -> Result<Result<(), String>, WriteError> {
        if let Some(trash) = trash {
            fields.insert("trashed".to_owned(), trash.into());
        }
        if fields.get(LOCKS).is_some_and(|locks| locks.as_array().is_some_and(Vec::is_empty)) {
            fields.insert(LOCKS.to_owned(), json!([{ "readOnly": false }]));
        }
        let mut change = Self::patch(id, fields.into());
        if let Some((to, from)) = place {
            change = change.query("addParents", to);
            if let Some(from) = from {
                change = change.query("removeParents", from);
            }
        }
        match self.task.api.send_only(self.subject(), &change) {
            Ok(()) => Ok(Ok(())),
            Err(error) => refused("set a file back", error).map(Err),
        }
    }
}

/// Adds a value to what is written; a property among the others.
fn insert(fields: &mut Map<String, Value>, name: &str, value: Value) {
    let Some(key) = name.strip_prefix("properties/") else {
        fields.insert(name.to_owned(), value);
        return;
    };
    let properties = fields.entry("properties").or_insert_with(|| json!({}));
    properties[key] = value;
}
