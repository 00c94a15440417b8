//! Making files anew, each once.

use std::sync::{Mutex, MutexGuard, PoisonError};

use connect::plan::{ApplyMode, WriteError};
use connect_http::RefusalKind;
use google_api::{ApiError, Change, method};
use serde_json::{Map, Value, json};
use source_google::drive::{FileAttributes, file_key};

use super::{
    content::NotSent,
    rows::{ContentMark, MakeRow, Making},
    step::Stored,
    wire::{Drive, FIELDS, FILE, Found, RESERVED, refused},
};
use crate::{
    journal::Made,
    parallel,
    step::{Outcome, unread},
};

/// The property by which the files that a plan made are found: the plan's hash. Only this program sees it.
pub(super) const PLAN: &str = "unwipePlan";
/// The property that holds the id of the file that one was made for.
pub(super) const OLD_ID: &str = "unwipeOf";

const GOOGLE: &str = "application/vnd.google-apps.";
/// So many files are asked about in one thread.
pub(super) const STEP: usize = 25;

/// What several threads share while they make files.
struct Work<'a> {
    drive: &'a Drive<'a>,
    stored: &'a Stored,
    plan: String,
    outcome: Mutex<Outcome>,
}

/// Splits rows by their depth, which increases.
fn levels<T>(rows: &[T], depth: impl Fn(&T) -> u32) -> impl Iterator<Item = &[T]> {
    rows.chunk_by(move |one, next| depth(one) == depth(next))
}

impl Drive<'_> {
    /// Does something for rows whose depth increases: level by level, several steps of a level at a time. `work` hands over
    /// what each row of a step came to.
    pub(super) fn by_level<R: Sync>(
        &self,
        rows: &[R],
        depth: impl Fn(&R) -> u32,
        work: impl Fn(&[R], &mut dyn FnMut(Outcome)) -> Result<(), WriteError> + Sync,
    ) -> Result<Outcome, WriteError> {
        let outcome = Mutex::new(Outcome::default());
        for level in levels(rows, depth) {
            let steps: Vec<&[R]> = level.chunks(STEP).collect();
            parallel::each(self.task.threads, &steps, |step| {
                work(step, &mut |done| {
                    outcome.lock().unwrap_or_else(PoisonError::into_inner).add(done);
                    self.task.progress.advance(1);
                })
            })?;
        }
        Ok(outcome.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn make(
        &self,
        stored: &Stored,
        rows: &[MakeRow],
        are_gone: bool,
    ) -> Result<Outcome, WriteError> {
        let task = self.task;
        task.progress.counted_phase("making files anew", Some(rows.len() as u64));
        let plan = task.plan.hash().map_err(|error| WriteError::Plan(Box::new(error)))?.to_string();
        if task.mode == ApplyMode::Lasting {
            self.find_earlier(&plan)?;
        }
        let (done, mut open): (Vec<&MakeRow>, Vec<&MakeRow>) =
            rows.iter().partition(|row| task.journal.made(FILE, &row.id).is_some());
        task.progress.advance(done.len() as u64);
        let mut outcome = Outcome { unchanged: done.len() as u64, ..Outcome::default() };
        if are_gone {
            let there = self.there(&open)?;
            open.retain(|row| !there.contains(&row.id));
            outcome.conflicts.extend(there.into_iter().map(|id| {
                (id, "it is there: somebody brought it back, or it belongs to another drive now".to_owned())
            }));
        }
        if task.mode == ApplyMode::Rehearsal {
            outcome.changed += open.len() as u64;
            return Ok(outcome);
        }
        self.reserve(&open)?;
        let work = Work { drive: self, stored, plan, outcome: Mutex::new(outcome) };
        for level in levels(&open, |row| row.depth) {
            parallel::each(task.threads, level, |row| work.take(row))?;
        }
        Ok(work.outcome.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    /// Writes down what an earlier run made that was killed before it could.
    fn find_earlier(&self, plan: &str) -> Result<(), WriteError> {
        let unknown = self
            .marked(PLAN, plan)?
            .into_iter()
            .filter(|(old, _)| self.task.journal.made(FILE, old).is_none());
        let made = unknown.map(|(old, new)| Made { kind: FILE.to_owned(), old, new, place: None });
        self.task.journal.note_all(&made.collect::<Vec<_>>())
    }

    /// Returns those that are there although they should be gone.
    fn there(&self, rows: &[&MakeRow]) -> Result<Vec<String>, WriteError> {
        let found = Mutex::new(Vec::new());
        let steps: Vec<&[&MakeRow]> = rows.chunks(STEP).collect();
        parallel::each(self.task.threads, &steps, |step| {
            let ids: Vec<String> = step.iter().map(|row| row.id.clone()).collect();
            let there = self.files(&ids, "id")?.into_iter().flatten().map(|file| file.id);
            found.lock().unwrap_or_else(PoisonError::into_inner).extend(there);
            Ok(())
        })?;
        Ok(found.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    /// Has ids made for those that can be told theirs, and writes them down before they are used: making a file with an id
    /// twice makes one.
    fn reserve(&self, rows: &[&MakeRow]) -> Result<(), WriteError> {
        let journal = self.task.journal;
        for (kind, is_shortcut) in [("files", false), ("shortcuts", true)] {
            let wanted = |row: &&&MakeRow| {
                row.making != Making::Document
                    && (row.making == Making::Shortcut) == is_shortcut
                    && journal.made(RESERVED, &row.id).is_none()
            };
            let open: Vec<_> = rows.iter().filter(wanted).collect();
            if open.is_empty() {
                continue;
            }
            let ids = self.new_ids(kind, open.len())?;
            let reserved = open.iter().zip(ids).map(|(row, new)| Made {
                kind: RESERVED.to_owned(),
                old: row.id.clone(),
                new,
                place: None,
            });
            journal.note_all(&reserved.collect::<Vec<_>>())?;
        }
        Ok(())
    }
}

impl Work<'_> {
    fn take(&self, row: &MakeRow) -> Result<(), WriteError> {
        let task = self.drive.task;
        let attributes = self.attributes(row)?;
        let reserved = task.journal.made(RESERVED, &row.id).map(|made| made.new);
        let answer = match self.send(row, &attributes, reserved.as_deref()) {
            Err(NotSent::Unread(error)) => return Err(error),
            Err(NotSent::Api(error)) => Err(error),
            Ok(found) => Ok(found),
        };
        match (answer, reserved) {
            (Ok(found), _) => {
                if row.making == Making::Binary && !ContentMark::of(&attributes).is_of(&found.attributes) {
                    self.conflict(
                        row,
                        "what arrived is not what is stored; it was made all the same".to_owned(),
                    );
                }
                self.outcome().changed += 1;
                self.note(row, found.id)?;
            }
            // An earlier call made it, whose answer never came.
            (Err(ApiError::Refused(refusal)), Some(id)) if refusal.kind == RefusalKind::Conflict => {
                self.outcome().unchanged += 1;
                self.note(row, id)?;
            }
            (Err(error), _) => {
                let reason = refused("make a file", error)?;
                self.conflict(row, reason);
            }
        }
        task.progress.advance(1);
        Ok(())
    }

    fn attributes(&self, row: &MakeRow) -> Result<FileAttributes, WriteError> {
        let version = self.drive.task.past.version(&self.stored.stream, &file_key(&row.id), self.stored.at);
        let version = version.map_err(|error| unread(&format!("the file {}", row.id), error))?;
        let attributes = version.and_then(|version| FileAttributes::of_text(&version.item.item.attributes));
        Ok(attributes.unwrap_or_default())
    }

    fn send(&self, row: &MakeRow, attributes: &FileAttributes, id: Option<&str>) -> Result<Found, NotSent> {
        let body = self.body(row, attributes, id);
        let create = |path: &str| {
            Change::post(&method::RESTORE_FILES_CREATE, path, body.clone())
                .query("supportsAllDrives", "true")
                .query("fields", FIELDS)
        };
        match &row.media_type {
            None => {
                let sent = self.drive.task.api.send(self.drive.subject(), &create("drive/v3/files"));
                sent.map_err(NotSent::Api)
            }
            Some(media_type) => self.drive.send_content(
                &create("upload/drive/v3/files"),
                self.stored,
                (&row.id, media_type, row.bytes),
                id.is_some(),
            ),
        }
    }

    /// Describes the file that is made.
    fn body(&self, row: &MakeRow, attributes: &FileAttributes, id: Option<&str>) -> Value {
        let drive = self.drive;
        let parent =
            row.parent.as_ref().map_or_else(|| drive.target.top().to_owned(), |parent| drive.id(parent));
        let mut body = json!({
            "name": row.name,
            "parents": [parent],
            "mimeType": media_type(row, attributes),
            "appProperties": { PLAN: self.plan, OLD_ID: row.id },
        });
        if let Some(id) = id {
            body["id"] = id.into();
        }
        if let Some(target) = attributes.shortcut_details.as_ref().filter(|_| row.making == Making::Shortcut)
        {
            body["shortcutDetails"] = json!({ "targetId": drive.id(&target.target_id) });
        }
        if let (Value::Object(body), Ok(Value::Object(all))) = (&mut body, serde_json::to_value(attributes)) {
            describe(body, all, row.making, drive.target.shared.is_some());
        }
        body
    }

    fn note(&self, row: &MakeRow, new: String) -> Result<(), WriteError> {
        let made = Made { kind: FILE.to_owned(), old: row.id.clone(), new, place: None };
        self.drive.task.journal.note(made)
    }

    fn conflict(&self, row: &MakeRow, reason: String) {
        self.outcome().conflicts.push((row.id.clone(), reason));
    }

    fn outcome(&self) -> MutexGuard<'_, Outcome> {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the media type of the file that is made.
pub(super) fn media_type(row: &MakeRow, attributes: &FileAttributes) -> String {
    match row.making {
        Making::Folder => format!("{GOOGLE}folder"),
        Making::Shortcut => format!("{GOOGLE}shortcut"),
        Making::Binary | Making::Document => attributes.mime_type.clone(),
        Making::Exported => row.media_type.clone().unwrap_or_default(),
    }
}

/// Adds what else is known of a file, as far as it can be written to a new one.
fn describe(body: &mut Map<String, Value>, mut all: Map<String, Value>, making: Making, is_shared: bool) {
    let mut names =
        vec!["createdTime", "modifiedTime", "description", "properties", "inheritedPermissionsDisabled"];
    if !is_shared {
        names.extend(["starred", "writersCanShare"]);
    }
    match making {
        Making::Folder => names.push("folderColorRgb"),
        Making::Binary => {
            names.extend(["originalFilename", "copyRequiresWriterPermission", "downloadRestrictions"]);
        }
        Making::Document => names.extend(["copyRequiresWriterPermission", "downloadRestrictions"]),
        Making::Exported | Making::Shortcut => {}
    }
    for name in names {
        if let Some(value) =
            all.remove(name).filter(|value| !value.is_null() && *value != "" && *value != false)
        {
            body.insert(name.to_owned(), value);
        }
    }
    let Some(Value::Array(locks)) = all.remove("contentRestrictions") else { return };
    let lock = locks.into_iter().find(|lock| lock["readOnly"] == true);
    if let Some(lock) = lock.filter(|_| matches!(making, Making::Binary | Making::Document)) {
        let mut own = json!({ "readOnly": true });
        if let Some(reason) = lock["reason"].as_str() {
            own["reason"] = reason.into();
        }
        body.insert("contentRestrictions".to_owned(), json!([own]));
    }
}
