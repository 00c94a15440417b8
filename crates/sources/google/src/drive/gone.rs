//! What is no longer where it was: gone, elsewhere, or merely not to be seen.

use std::collections::HashSet;

use connect::units::{KnownBelow, UnitError};
use google_api::{ApiError, Get};
use model::{Item, UnreadableReason};

use super::{
    COMMENTS_PREFIX, FILE_PREFIX, FileAttributes, FileKind, Files, METADATA_PREFIX, Pass, REVISION_PREFIX,
    REVISIONS_PREFIX, file_key, take::Effort, wire::DriveFile,
};
use crate::failure::{chain, is_passing, unit_error};

/// So many files are asked about at a time.
const STEP: usize = 500;
/// What seems to be gone is asked for by name, up to so many; of more, so many.
const CONFIRMED_MAX: usize = 1000;

impl Pass<'_, '_> {
    /// Asks for files by their ids and takes what is said of them.
    pub(super) fn look_again(&mut self, ids: &[String], effort: Effort) -> Result<(), UnitError> {
        for ids in ids.chunks(STEP) {
            let (mut here, mut gone, mut elsewhere) = (Vec::new(), Vec::new(), Vec::new());
            let answers = self.ask(ids)?;
            for (id, answer) in ids.iter().zip(answers) {
                match answer {
                    Ok(file) if self.files.has(&file) => here.push(file),
                    // It says itself where it is now.
                    Ok(_) => elsewhere.push(id.clone()),
                    Err(ApiError::NotFound(_)) if self.files.sees_all() => gone.push(id.clone()),
                    Err(error) => self.unseen(id, &error)?,
                }
            }
            self.take(here, effort)?;
            self.losses.deleted += self.remove(&gone)?;
            self.remove(&elsewhere)?;
        }
        Ok(())
    }

    fn ask(&self, ids: &[String]) -> Result<Vec<Result<DriveFile, ApiError>>, UnitError> {
        let files = self.files;
        let gets: Vec<Get> = ids.iter().map(|id| Files::file(id)).collect();
        let mut answers = Vec::with_capacity(ids.len());
        for gets in gets.chunks(files.api().batch_calls()) {
            let many = files.api().get_many(&files.subject, gets).map_err(|error| unit_error(&error))?;
            for (get, answer) in gets.iter().zip(many) {
                answers.push(answer.and_then(|body| {
                    serde_json::from_slice(&body).map_err(|error| ApiError::Answer {
                        method: get.method.name,
                        source: Box::new(error),
                    })
                }));
            }
        }
        Ok(answers)
    }

    /// Keeps a file that is held and cannot be seen, and says so in its attributes.
    fn unseen(&mut self, id: &str, error: &ApiError) -> Result<(), UnitError> {
        match error {
            ApiError::Stopped | ApiError::Obstacle(_) => return Err(unit_error(error)),
            // Nothing was said about it at all: it is asked for again in a round.
            error if is_passing(error) => {
                return self.note_failed(id, UnreadableReason::Failed { detail: chain(error) });
            }
            _ => {}
        }
        let known = self.sink.known(&self.files.stream, vec![file_key(id)])?;
        let Some(known) = known.into_iter().flatten().find(|known| known.has_content) else { return Ok(()) };
        let mut attributes = FileAttributes::of_text(&known.attributes).unwrap_or_default();
        let detail = Some(error.to_string());
        if attributes.unseen == detail {
            return Ok(());
        }
        attributes.unseen = detail;
        let stream = self.files.stream.clone();
        self.sink.listed(1)?;
        self.sink.upsert_attributes(Item { stream, key: file_key(id), attributes: attributes.to_text() })
    }

    /// Tells that files are gone from this drive, with all that is held of them; returns how many were held.
    fn remove(&mut self, ids: &[String]) -> Result<u64, UnitError> {
        const PREFIXES: [&str; 4] = [FILE_PREFIX, METADATA_PREFIX, COMMENTS_PREFIX, REVISIONS_PREFIX];
        let mut count = 0;
        for ids in ids.chunks(STEP) {
            for prefix in PREFIXES {
                let keys: Vec<String> = ids.iter().map(|id| format!("{prefix}{id}")).collect();
                let known = self.sink.known(&self.files.stream, keys.clone())?;
                for ((id, key), known) in ids.iter().zip(keys).zip(known) {
                    let Some(known) = known.filter(|_| !self.gone.contains(id)) else { continue };
                    let attributes = FileAttributes::of_text(&known.attributes);
                    if attributes.is_some_and(|attributes| attributes.kind() == FileKind::Folder) {
                        self.changed_folders.insert(id.clone());
                    }
                    count += u64::from(prefix == FILE_PREFIX);
                    self.sink.removed(&self.files.stream, key)?;
                }
            }
            for id in ids {
                if self.gone.insert(id.clone()) {
                    self.remove_revisions(id, &HashSet::new())?;
                }
            }
        }
        Ok(count)
    }

    /// Tells that bytes of older revisions of a file are gone, but for some.
    pub(super) fn remove_revisions(&mut self, id: &str, kept: &HashSet<String>) -> Result<(), UnitError> {
        let prefix = format!("{REVISION_PREFIX}{id}/");
        let mut known = KnownBelow::new(&prefix);
        while let Some(keys) = known.next_page(&self.files.stream, self.sink)? {
            for key in keys.into_iter().filter(|key| !kept.contains(key)) {
                self.sink.removed(&self.files.stream, key)?;
            }
        }
        Ok(())
    }

    /// Looks at what is held and was not in a complete list.
    pub(super) fn find_gone(&mut self, seen: &HashSet<String>) -> Result<(), UnitError> {
        let mut missing = Vec::new();
        let mut known = KnownBelow::new(FILE_PREFIX);
        while let Some(keys) = known.next_page(&self.files.stream, self.sink)? {
            let ids = keys.iter().filter_map(|key| key.strip_prefix(FILE_PREFIX));
            missing.extend(ids.filter(|id| !seen.contains(*id)).map(str::to_owned));
        }
        if missing.len() <= CONFIRMED_MAX || !self.files.sees_all() {
            return self.look_again(&missing, Effort::Compare);
        }
        let step = missing.len().div_ceil(CONFIRMED_MAX);
        let sample: Vec<String> = missing.iter().step_by(step).cloned().collect();
        for answer in self.ask(&sample)? {
            match answer {
                Ok(file) if self.files.has(&file) => {
                    let detail = "the drive was not listed completely: it has files that its list leaves out";
                    return Err(UnitError::Failed { detail: detail.to_owned() });
                }
                Ok(_) | Err(ApiError::NotFound(_)) => {}
                Err(error) => return Err(unit_error(&error)),
            }
        }
        self.losses.deleted += self.remove(&missing)?;
        Ok(())
    }
}
