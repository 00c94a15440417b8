//! Storing files, with what else is told of them.

use std::collections::HashSet;

use connect::units::{Body, UnitError};
use model::{Item, Layout, UnreadableReason};
use serde_json::{Value, json};

use super::{
    COMMENTS_PREFIX, FileAttributes, FileKind, Pass, Place, REVISIONS_PREFIX, RevisionAttributes,
    content::Content,
    file_key,
    formats::{Exports, best},
    revision_key,
    sides::{Sides, Told},
    take::{Taken, metadata_key},
};
use crate::{
    failure::unit_error,
    records::{self, Record},
};

/// So many files are asked about and stored at a time.
const STEP: usize = 25;

impl Pass<'_, '_> {
    /// Stores files that are not as they are held.
    pub(super) fn store(&mut self, mut changed: Vec<Taken>) -> Result<(), UnitError> {
        while !changed.is_empty() {
            let rest = changed.split_off(changed.len().min(STEP));
            self.store_step(changed)?;
            changed = rest;
        }
        Ok(())
    }

    fn store_step(&mut self, step: Vec<Taken>) -> Result<(), UnitError> {
        let files = self.files;
        let is_editor = |taken: &Taken| taken.file.attributes.kind() == FileKind::Editor;
        let exports = if step.iter().any(is_editor) {
            let tools = &files.tools;
            let exports = tools.formats.get(&tools.api, &files.subject, &tools.rounds);
            exports.map_err(|error| unit_error(&error))?
        } else {
            std::sync::Arc::default()
        };
        let keys = step.iter().map(|taken| metadata_key(&taken.file.id)).collect();
        let notes = self.sink.known(&files.stream, keys)?;
        let sides = files.ask_sides(&step, &exports)?;
        let mut records = Vec::new();
        for ((taken, sides), note) in step.into_iter().zip(sides).zip(notes) {
            self.store_one(taken, sides, note.is_some(), &exports, &mut records)?;
        }
        records::store(&files.stream, &records, self.sink)
    }

    fn store_one(
        &mut self,
        mut taken: Taken,
        sides: Sides,
        has_note: bool,
        exports: &Exports,
        records: &mut Vec<Record>,
    ) -> Result<(), UnitError> {
        let id = taken.file.id.clone();
        let is_of_held_version = taken.is_of_held_version();
        let attributes = &mut taken.file.attributes;
        let mut unread = None;
        if self.files.place != Place::Owned {
            let held = || taken.held.as_ref().map(|held| held.permissions.clone()).unwrap_or_default();
            attributes.permissions = match sides.permissions {
                Some(Ok(permissions)) => permissions,
                Some(Err(reason)) => {
                    unread = Some(reason);
                    held()
                }
                None => held(),
            };
        }
        if attributes.kind() == FileKind::Editor {
            attributes.export = best(exports, &attributes.mime_type).map(str::to_owned);
            let revisions = sides.revisions.as_ref().and_then(|told| told.as_ref().ok());
            let newest = revisions.and_then(|revisions| revisions.last()).map(|newest| &newest["id"]);
            attributes.newest_revision = match taken.held.as_ref().filter(|_| is_of_held_version) {
                Some(held) => held.newest_revision.clone(),
                None => newest.and_then(Value::as_str).map(str::to_owned),
            };
        }
        if let Some(held) = taken.held.as_ref().filter(|_| attributes.kind() == FileKind::Folder)
            && held.concerns_what_is_inside(attributes)
        {
            self.changed_folders.insert(id.clone());
        }
        let can_download = taken.file.capabilities.can_download != Some(false);
        let is_binary = taken.file.attributes.kind() == FileKind::Binary;
        let head = taken.file.attributes.head_revision_id.clone();
        let has_content = self.store_file(taken, has_note)?;
        match unread {
            Some(reason) if has_content => self.note_failed(&id, reason)?,
            // What could not be read before is read now.
            None if has_content && has_note => self.sink.removed(&self.files.stream, metadata_key(&id))?,
            _ => {}
        }
        if let Some(Ok(revisions)) = sides.revisions.as_ref().filter(|_| is_binary && can_download) {
            self.keep_revisions(&id, head.as_deref(), revisions)?;
        }
        self.record(REVISIONS_PREFIX, "revisions", &id, sides.revisions, records)?;
        self.record(COMMENTS_PREFIX, "comments", &id, sides.comments, records)
    }

    /// Reads again what was said about files that are as they are held.
    pub(super) fn read_comments(&mut self, ids: &[String]) -> Result<(), UnitError> {
        for ids in ids.chunks(STEP) {
            let mut records = Vec::new();
            for (id, told) in ids.iter().zip(self.files.ask_comments(ids)?) {
                self.record(COMMENTS_PREFIX, "comments", id, Some(told), &mut records)?;
            }
            records::store(&self.files.stream, &records, self.sink)?;
        }
        Ok(())
    }

    /// Stores a file; tells whether its content is held now.
    fn store_file(&mut self, taken: Taken, has_note: bool) -> Result<bool, UnitError> {
        let Taken { mut file, held, has_content, has_failed, .. } = taken;
        let (stream, key) = (self.files.stream.clone(), file_key(&file.id));
        if let Some(held) = held.as_ref().filter(|held| has_content && held.has_content_of(&file.attributes))
        {
            if *held == file.attributes {
                self.sink.unchanged(1)?;
            } else {
                let item = Item { stream, key, attributes: file.attributes.to_text() };
                self.sink.upsert_attributes(item)?;
            }
            return Ok(true);
        }
        let content = self.fetch(&mut file)?;
        let item = Item { stream, key, attributes: file.attributes.to_text() };
        match content {
            Content::Withheld(UnreadableReason::Failed { .. }) if has_failed && !has_note => {
                self.sink.unchanged(1)?;
                return Ok(false);
            }
            Content::Withheld(reason) => {
                self.withhold(
                    &file.id,
                    file.attributes,
                    held.as_ref().filter(|_| !has_content),
                    reason,
                    has_note,
                )?;
                return Ok(false);
            }
            content => self.hand_over(item, content)?,
        }
        Ok(true)
    }

    /// Hands an item over with its content.
    fn hand_over(&mut self, item: Item, content: Content) -> Result<(), UnitError> {
        match content {
            Content::Bytes(bytes) => {
                let layout = Layout::of_size(bytes.len() as u64);
                self.sink.upsert(item, layout, Body::Bytes(bytes))
            }
            Content::Stream(streamed) => {
                let layout = streamed.length.map_or(Layout::Blocks, Layout::of_size);
                self.sink.upsert(item, layout, Body::Stream(streamed.body))?;
                // It is being read; the next one would only keep another connection waiting.
                streamed.done.recv().ok();
                Ok(())
            }
            Content::Withheld(reason) => self.sink.unreadable(&item.stream, item.key, reason),
        }
    }

    /// Says why the content of a file is not held. What stays so is said once, and its attributes are kept beside.
    fn withhold(
        &mut self,
        id: &str,
        mut attributes: FileAttributes,
        held: Option<&FileAttributes>,
        reason: UnreadableReason,
        has_note: bool,
    ) -> Result<(), UnitError> {
        let stream = &self.files.stream;
        let (UnreadableReason::Denied { detail } | UnreadableReason::Unsupported { detail }) = &reason else {
            if has_note {
                // With its attributes held it would be taken for settled.
                self.sink.removed(stream, metadata_key(id))?;
            }
            return self.sink.unreadable(stream, file_key(id), reason);
        };
        attributes.withheld = Some(detail.clone());
        let told = held.and_then(|held| held.withheld.as_ref());
        if held == Some(&attributes) {
            return self.sink.unchanged(1);
        }
        if told == attributes.withheld.as_ref() {
            self.sink.unchanged(1)?;
        } else {
            self.sink.unreadable(stream, file_key(id), reason)?;
        }
        let item = Item { stream: stream.clone(), key: metadata_key(id), attributes: attributes.to_text() };
        self.sink.listed(1)?;
        self.sink.upsert(item, Layout::Small, Body::Bytes(Vec::new()))
    }

    /// Notes that attributes of a file could not be read; it is tried again in a round.
    pub(super) fn note_failed(&mut self, id: &str, reason: UnreadableReason) -> Result<(), UnitError> {
        self.unreadable_once(metadata_key(id), reason)
    }

    /// Says that something cannot be read, once.
    fn unreadable_once(&mut self, key: String, reason: UnreadableReason) -> Result<(), UnitError> {
        let stream = &self.files.stream;
        let known = self.sink.known(stream, vec![key.clone()])?;
        if known.into_iter().flatten().any(|known| !known.has_content) {
            return Ok(());
        }
        self.sink.listed(1)?;
        self.sink.unreadable(stream, key, reason)
    }

    /// Makes the record of a list that belongs to a file.
    fn record(
        &mut self,
        prefix: &str,
        name: &str,
        id: &str,
        told: Option<Told<Vec<Value>>>,
        records: &mut Vec<Record>,
    ) -> Result<(), UnitError> {
        let key = format!("{prefix}{id}");
        match told {
            None => Ok(()),
            // Also what is not found is told: the file may be there and the service have no such list.
            Some(Err(reason)) => self.unreadable_once(key, reason),
            Some(Ok(mut list)) => {
                if list.is_empty() {
                    // Most files have none. What is held of one that had some is a version of its own.
                    let known = self.sink.known(&self.files.stream, vec![key.clone()])?;
                    if known.into_iter().flatten().next().is_none() {
                        return Ok(());
                    }
                }
                list.iter_mut().for_each(strip);
                records.push(Record::new(key, None, json!({ name: list })));
                Ok(())
            }
        }
    }

    /// Keeps the bytes of those older revisions that the source keeps forever.
    fn keep_revisions(&mut self, id: &str, head: Option<&str>, revisions: &[Value]) -> Result<(), UnitError> {
        let stream = self.files.stream.clone();
        let older = revisions.iter().filter_map(|revision| {
            let own = revision["id"].as_str().filter(|own| Some(*own) != head)?;
            let attributes: RevisionAttributes = serde_json::from_value(revision.clone()).ok()?;
            attributes.keep_forever.then(|| (own.to_owned(), attributes))
        });
        let older: Vec<(String, RevisionAttributes)> = older.collect();
        let keys: Vec<String> = older.iter().map(|(own, _)| revision_key(id, own)).collect();
        let known = self.sink.known(&stream, keys.clone())?;
        for (((own, attributes), key), known) in older.iter().zip(&keys).zip(known) {
            // A revision never changes.
            if known.is_some_and(|known| known.has_content) {
                continue;
            }
            let content = self.revision_bytes(id, own, attributes)?.unwrap_or_else(|| {
                let detail = "its bytes are not those that it should have".to_owned();
                Content::Withheld(UnreadableReason::Failed { detail })
            });
            if let Content::Withheld(reason) = content {
                self.unreadable_once(key.clone(), reason)?;
                continue;
            }
            let attributes = serde_json::to_string(attributes).unwrap_or_default();
            let item = Item { stream: stream.clone(), key: key.clone(), attributes };
            self.sink.listed(1)?;
            self.hand_over(item, content)?;
        }
        // The list is complete: what is held and not in it was deleted, or is kept no longer.
        self.remove_revisions(id, &keys.into_iter().collect::<HashSet<_>>())
    }
}

/// Takes away what depends on who reads, or is the same everywhere.
fn strip(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for name in ["kind", "me", "photoLink"] {
                members.remove(name);
            }
            members.values_mut().for_each(strip);
        }
        Value::Array(entries) => entries.iter_mut().for_each(strip),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_depends_on_the_reader_is_taken_away() {
        let mut comment = json!({
            "kind": "drive#comment", "id": "c", "author": { "me": true, "displayName": "A", "photoLink": "x" },
            "replies": [{ "kind": "drive#reply", "author": { "me": false, "displayName": "B" }, "content": "me" }],
        });
        strip(&mut comment);
        let left = json!({
            "id": "c", "author": { "displayName": "A" },
            "replies": [{ "author": { "displayName": "B" }, "content": "me" }],
        });
        assert_eq!(comment, left);
    }
}
