//! The unit: one user's notes.

use std::{collections::BTreeSet, sync::Arc};

use connect::units::{Body, Unit, UnitError, UnitSink};
use connect_http::{CallError, RefusalKind, Request};
use model::{Item, Layout, StreamName, UnreadableReason};
use serde::{Deserialize, Serialize};

use super::{
    api::{Api, Entry, NoteAttributes, as_unreadable, unit_error},
    service::ADDRESS,
};

/// One user's notes.
pub(crate) struct Notebook {
    pub(crate) api: Arc<Api>,
    pub(crate) user: String,
    pub(crate) name: String,
    pub(crate) stream: StreamName,
    /// Whether what failed is tried again in this pass.
    pub(crate) round: bool,
}

/// How far a notebook was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Position {
    /// The place in the change feed before which everything is held.
    pub(crate) seen: u64,
    /// Whether the notebook was listed to its end since that place was taken.
    pub(crate) listed: bool,
}

#[derive(Deserialize)]
struct Latest {
    position: u64,
}

#[derive(Deserialize)]
struct Page {
    notes: Vec<Entry>,
    next: Option<String>,
}

#[derive(Deserialize)]
struct Feed {
    changes: Vec<Change>,
    position: u64,
    more: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Change {
    Note(Entry),
    Gone(String),
}

impl Unit for Notebook {
    fn name(&self) -> &str {
        &self.name
    }

    fn read(&self, position: Option<&str>, sink: &mut UnitSink<'_>) -> Result<(), UnitError> {
        // A position of another version is none: everything is listed and compared.
        let mut position: Option<Position> = position.and_then(|text| serde_json::from_str(text).ok());
        if self.round && position.is_some() {
            self.retry(sink)?;
        }
        loop {
            let (seen, listed) = match position {
                Some(Position { seen, listed }) => (seen, listed),
                // The place is taken before anything is listed, so that what happens meanwhile comes with the feed.
                None => (self.get::<Latest>("latest")?.position, false),
            };
            if !listed {
                advance(&Position { seen, listed: false }, sink)?;
                self.list(sink)?;
                advance(&Position { seen, listed: true }, sink)?;
            }
            match self.follow(seen, sink)? {
                Some(seen) => return advance(&Position { seen, listed: true }, sink),
                // The feed forgot its past. That says nothing about any note.
                None => position = None,
            }
        }
    }
}

fn advance(position: &Position, sink: &mut UnitSink<'_>) -> Result<(), UnitError> {
    sink.advance(serde_json::to_string(position).unwrap_or_default())
}

impl Notebook {
    fn get<T: serde::de::DeserializeOwned>(&self, path: &str) -> Result<T, UnitError> {
        self.api.get(&format!("users/{}/{path}", self.user)).map_err(|error| unit_error(&error))
    }

    /// Lists everything, and compares it with what is held. What is held and not listed is gone: the listing is
    /// complete, or this ends with an error.
    fn list(&self, sink: &mut UnitSink<'_>) -> Result<(), UnitError> {
        let (mut seen, mut after) = (BTreeSet::new(), String::new());
        loop {
            let page: Page = self.get(&format!("notes?after={after}"))?;
            seen.extend(page.notes.iter().map(|entry| entry.id.clone()));
            self.take(page.notes, sink)?;
            match page.next {
                Some(next) => after = next,
                None => break,
            }
        }
        let mut after: Option<String> = None;
        loop {
            let keys = sink.known_keys(&self.stream, after.as_deref(), 1000)?;
            let Some(last) = keys.last().cloned() else { return Ok(()) };
            for key in keys.into_iter().filter(|key| !seen.contains(key)) {
                sink.removed(&self.stream, key)?;
            }
            after = Some(last);
        }
    }

    /// Takes what changed since a place in the feed; `None` when it is forgotten.
    fn follow(&self, mut seen: u64, sink: &mut UnitSink<'_>) -> Result<Option<u64>, UnitError> {
        loop {
            let path = format!("users/{}/changes?since={seen}", self.user);
            let feed: Feed = match self.api.get(&path) {
                Ok(feed) => feed,
                Err(error) if error.is(RefusalKind::Expired) => return Ok(None),
                Err(error) => return Err(unit_error(&error)),
            };
            let mut entries = Vec::new();
            for change in feed.changes {
                match change {
                    Change::Note(entry) => entries.push(entry),
                    Change::Gone(id) => self.gone(id, sink)?,
                }
            }
            self.take(entries, sink)?;
            seen = feed.position;
            if !feed.more {
                return Ok(Some(seen));
            }
            advance(&Position { seen, listed: true }, sink)?;
        }
    }

    fn gone(&self, id: String, sink: &mut UnitSink<'_>) -> Result<(), UnitError> {
        if sink.known(&self.stream, vec![id.clone()])?.into_iter().flatten().next().is_none() {
            // It came and went between two looks: that it was there is all that is left of it.
            sink.listed(1)?;
            sink.unreadable(&self.stream, id.clone(), UnreadableReason::Vanished)?;
        }
        sink.removed(&self.stream, id)
    }

    /// Takes notes that were listed: asks what is known of them, and fetches the text of those that are new.
    fn take(&self, entries: Vec<Entry>, sink: &mut UnitSink<'_>) -> Result<(), UnitError> {
        sink.listed(entries.len() as u64)?;
        let keys = entries.iter().map(|entry| entry.id.clone()).collect();
        let known = sink.known(&self.stream, keys)?;
        for (entry, known) in entries.into_iter().zip(known) {
            let old = known.filter(|known| known.has_content);
            let old = old.and_then(|known| NoteAttributes::of_text(&known.attributes));
            match old {
                Some(old) if old == entry.attributes => sink.unchanged(1)?,
                Some(old) if old.digest == entry.attributes.digest => {
                    sink.upsert_attributes(self.item(&entry))?;
                }
                _ => match self.fetch(&entry) {
                    Ok(text) => self.store(&entry, text, sink)?,
                    Err(reason) => {
                        sink.unreadable(&self.stream, entry.id, reason.ok_or(UnitError::Stopped)?)?;
                    }
                },
            }
        }
        Ok(())
    }

    /// Fetches the text of a note, or says why it is not there; no reason means that the run is to end.
    fn fetch(&self, entry: &Entry) -> Result<Vec<u8>, Option<UnreadableReason>> {
        let url = format!("{ADDRESS}/users/{}/notes/{}/text", self.user, entry.id);
        let answer = self.api.client.call(&self.api.call(Request::get(url)));
        let text = answer.and_then(|answer| answer.body.bytes(16 << 20).map_err(CallError::Body));
        let text = text.map_err(|error| as_unreadable(&error))?;
        if blake3::hash(&text).to_hex().as_str() == entry.attributes.digest {
            Ok(text)
        } else {
            let detail = "the text is not the one that the service's digest tells of".to_owned();
            Err(Some(UnreadableReason::Failed { detail }))
        }
    }

    fn store(&self, entry: &Entry, text: Vec<u8>, sink: &mut UnitSink<'_>) -> Result<(), UnitError> {
        sink.upsert(self.item(entry), Layout::of_size(text.len() as u64), Body::Bytes(text))
    }

    fn item(&self, entry: &Entry) -> Item {
        let attributes = entry.attributes.to_text();
        Item { stream: self.stream.clone(), key: entry.id.clone(), attributes }
    }

    /// Tries again what failed before. What fails again is in the vault already, with its reason.
    fn retry(&self, sink: &mut UnitSink<'_>) -> Result<(), UnitError> {
        for key in sink.failed_keys(&self.stream, 1000)? {
            let path = format!("users/{}/notes/{key}", self.user);
            let fetched = match self.api.get::<Entry>(&path) {
                Ok(entry) => self.fetch(&entry).map(|text| (entry, text)),
                Err(error) => Err(as_unreadable(&error)),
            };
            match fetched {
                Ok((entry, text)) => {
                    sink.listed(1)?;
                    self.store(&entry, text, sink)?;
                }
                Err(Some(UnreadableReason::Failed { .. })) => {}
                Err(Some(UnreadableReason::Vanished)) => sink.removed(&self.stream, key)?,
                Err(Some(reason)) => {
                    sink.listed(1)?;
                    sink.unreadable(&self.stream, key, reason)?;
                }
                Err(None) => return Err(UnitError::Stopped),
            }
        }
        Ok(())
    }
}
