//! Things as they are stored, described as they must be in the sandbox.

use std::collections::BTreeMap;

use connect::{StoredError, StoredHistory};
use drill::{Candidate, Thing};
use google_recovery::sandbox;
use model::{Item, StreamName};
use serde_json::Value;
use service::StoredSource;
use source_google::{
    Part, RecordAttributes,
    calendar::{EVENT_PREFIX, EventAttributes, event_key},
    contacts::{GROUP_PREFIX, PERSON_PREFIX, PHOTO_PREFIX},
    drive::{FILE_PREFIX, FileAttributes, FileKind},
    gmail::{LABEL_PREFIX, MESSAGE_PREFIX, MessageAttributes},
};

use super::{
    describe::{self, Described},
    places::{Place, SHARED_DRIVES},
};
use crate::failure::Failure;

const PAGE: u32 = 1000;
const GROUPS: &str = "group/";
const MEMBERS: &str = "member/";
const CANCELLED: &str = "cancelled";

/// Something that is stored and was restored.
pub(super) struct Stored {
    pub(super) thing: Thing,
    /// What it is found by in the sandbox.
    pub(super) identity: String,
    /// Whether its content could be read when it was captured.
    pub(super) readable: bool,
    /// What is wrong with the vault's own copy.
    pub(super) damage: Option<String>,
    pub(super) bytes: u64,
}

/// Lists the keys of a stream.
pub(super) fn keys(stored: &StoredSource, stream: &StreamName, at: u64) -> Result<Vec<String>, Failure> {
    let mut keys = Vec::new();
    each(stored, stream, at, &mut |item, _| keys.push(item.key))?;
    Ok(keys)
}

fn each(
    stored: &StoredSource,
    stream: &StreamName,
    at: u64,
    take: &mut dyn FnMut(Item, u64),
) -> Result<(), Failure> {
    let mut after = None::<String>;
    loop {
        let page = stored.catalog().listed_at(stream, at, after.as_deref(), PAGE)?;
        let Some((last, _)) = page.last() else { return Ok(()) };
        after = Some(last.key.clone());
        for (item, size_bytes) in page {
            take(item, size_bytes);
        }
    }
}

/// Reads a document; nothing where it was not there or is none.
pub(super) fn document(
    stored: &dyn StoredHistory,
    stream: &StreamName,
    key: &str,
    at: u64,
) -> Result<Option<Value>, StoredError> {
    let there = stored.version(stream, key, at)?.is_some_and(|version| version.has_content);
    if !there {
        return Ok(None);
    }
    Ok(serde_json::from_slice(&stored.content(stream, key, at)?).ok())
}

/// Lists what can be drawn of a place: everything that goes into the sandbox and is looked for there.
pub(super) fn list(
    stored: &StoredSource,
    place: &Place,
    at: u64,
    candidates: &mut Vec<Candidate>,
) -> Result<(), Failure> {
    let stream = &place.of.stream;
    let mut all = Vec::new();
    each(stored, stream, at, &mut |item, size_bytes| {
        // The newest is the one that was changed last, by the source's own account.
        if let Some(sequence) = changed_at(place, &item) {
            let (stream, key) = (item.stream.to_string(), item.key.clone());
            all.push((Candidate { stream, key, sequence, size_bytes }, item));
        }
    })?;
    for (candidate, item) in all {
        if !is_nothing(stored, &item, at)? {
            candidates.push(candidate);
        }
    }
    Ok(())
}

/// Tells of what is listed that nothing comes of it: an occurrence that does not take place, of a series to which the user
/// is not invited.
fn is_nothing(stored: &StoredSource, item: &Item, at: u64) -> Result<bool, Failure> {
    let Some((calendar, _)) = event_of(&item.key) else { return Ok(false) };
    let attributes = EventAttributes::of_text(&item.attributes).unwrap_or_default();
    let Some(series) = attributes.series.filter(|_| attributes.status == CANCELLED) else { return Ok(false) };
    let series = stored.version(&item.stream, &event_key(calendar, &series), at);
    let series =
        series.map_err(|error| crate::connectors::files::failed(error, "a series cannot be read"))?;
    Ok(series.is_none())
}

/// Returns the calendar and the id of an event's key.
fn event_of(key: &str) -> Option<(&str, &str)> {
    key.strip_prefix(EVENT_PREFIX)?.split_once('/')
}

/// Returns the key of the series in which an event differs: it must go along.
pub(super) fn series_of(stored: &StoredSource, stream: &StreamName, key: &str, at: u64) -> Option<String> {
    let (calendar, _) = event_of(key)?;
    let version = stored.version(stream, key, at).ok()??;
    let series = EventAttributes::of_text(&version.item.item.attributes)?.series?;
    Some(event_key(calendar, &series))
}

/// Returns when an item was changed last, in microseconds; nothing for what is not drawn.
fn changed_at(place: &Place, item: &Item) -> Option<u64> {
    let moment = |text: &str| text.parse::<model::Moment>().map_or(0, model::Moment::as_micros);
    let micros = |micros: i64| u64::try_from(micros).unwrap_or(0);
    match place.of.part {
        Part::Gmail if item.key.starts_with(MESSAGE_PREFIX) => {
            let attributes = MessageAttributes::of_text(&item.attributes)?;
            Some(micros(attributes.received_ms).saturating_mul(1000))
        }
        Part::Drive if place.of.stream.as_str() == SHARED_DRIVES => {
            item.key.starts_with(MEMBERS).then_some(0)
        }
        Part::Drive if item.key.starts_with(FILE_PREFIX) => {
            let attributes: FileAttributes = serde_json::from_str(&item.attributes).ok()?;
            let has_content = matches!(attributes.kind(), FileKind::Binary | FileKind::Editor);
            (has_content && !attributes.trashed).then(|| micros(moment(&attributes.modified_time)))
        }
        Part::Calendar if item.key.starts_with(EVENT_PREFIX) => {
            let updated = EventAttributes::of_text(&item.attributes)?.updated.unwrap_or_default();
            Some(micros(moment(&updated)))
        }
        Part::Contacts => {
            (item.key.starts_with(PERSON_PREFIX) || item.key.starts_with(GROUP_PREFIX)).then_some(0)
        }
        Part::Directory => (item.key.starts_with(GROUPS) || item.key.starts_with(MEMBERS)).then_some(0),
        Part::Gmail | Part::Drive | Part::Calendar | Part::Audit => None,
    }
}

/// What it takes to say how stored things must be in the sandbox.
pub(super) struct Expecting<'e> {
    pub(super) stored: &'e StoredSource,
    pub(super) at: u64,
    pub(super) sandbox: &'e google_recovery::Sandbox,
    /// The shared drives there, by the ids of those that they were made for.
    pub(super) drives: &'e BTreeMap<String, String>,
}

/// The content of an item.
#[derive(Default)]
struct Content {
    digest: String,
    document: Value,
}

impl Expecting<'_> {
    /// Describes something that was drawn. Its content is read: one that is damaged is a finding. Nothing comes of what
    /// cannot be in a sandbox: a group of contacts of the system, a member who has no account there.
    pub(super) fn thing(&self, place: &Place, candidate: &Candidate) -> Result<Option<Stored>, StoredError> {
        let stream = &place.of.stream;
        let Some(version) = self.stored.version(stream, &candidate.key, self.at)? else { return Ok(None) };
        let item = &version.item.item;
        let read = if version.has_content { self.read(place, item) } else { Ok(Content::default()) };
        let (content, damage) = match read {
            Ok(content) => (content, None),
            Err(error @ (StoredError::Damaged { .. } | StoredError::Missing { .. })) => {
                (Content::default(), Some(vault::error_text(&error)))
            }
            Err(error) => return Err(error),
        };
        let described = match self.describe(place, item, &content)? {
            Some(described) => described,
            // What cannot be read is named all the same.
            None if damage.is_some() => Described::new("", String::new(), sandbox::Aspects::new()),
            None => return Ok(None),
        };
        let thing = Thing {
            stream: candidate.stream.clone(),
            key: candidate.key.clone(),
            kind: described.kind.to_owned(),
            aspects: described.aspects,
        };
        let identity = format!("{} {}", self.scope(place), described.identity);
        let (readable, bytes) = (version.has_content, candidate.size_bytes);
        Ok(Some(Stored { thing, identity, readable, damage, bytes }))
    }

    /// Returns where in the sandbox things of a place are looked for.
    fn scope(&self, place: &Place) -> String {
        match (place.shared_drive(), place.of.part) {
            (Some(drive), _) => self.drives.get(drive).cloned().unwrap_or_default(),
            (None, Part::Directory) => super::places::DIRECTORY.to_owned(),
            (None, Part::Drive) if place.of.stream.as_str() == SHARED_DRIVES => SHARED_DRIVES.to_owned(),
            (None, _) => format!("{} {}", place.receiver, place.origin(&self.sandbox.mark)),
        }
    }

    fn read(&self, place: &Place, item: &Item) -> Result<Content, StoredError> {
        let is_document =
            !matches!(place.of.part, Part::Gmail | Part::Drive) || place.of.stream.as_str() == SHARED_DRIVES;
        if is_document {
            let bytes = StoredHistory::content(self.stored, &item.stream, &item.key, self.at)?;
            let document = serde_json::from_slice(&bytes).unwrap_or_default();
            return Ok(Content { document, ..Content::default() });
        }
        let digest = super::digest_of(self.stored, &item.stream, &item.key, self.at)?;
        Ok(Content { digest, ..Content::default() })
    }

    fn describe(
        &self,
        place: &Place,
        item: &Item,
        content: &Content,
    ) -> Result<Option<Described>, StoredError> {
        let Content { digest, document } = content;
        let stream = &item.stream;
        Ok(match place.of.part {
            Part::Gmail => {
                let label = |id: &str| {
                    let label = self.stored.version(stream, &format!("{LABEL_PREFIX}{id}"), self.at);
                    let name = label.ok().flatten().and_then(|label| name_of(&label.item.item));
                    Some(name.unwrap_or_else(|| id.to_owned()))
                };
                describe::message(item, digest, &label)
            }
            Part::Drive if stream.as_str() == SHARED_DRIVES => self.drive_member(&item.key, document),
            Part::Drive => describe::file(item, digest, place.shared_drive().is_none()),
            Part::Calendar => self.event(place, item, document)?,
            Part::Contacts => self.contact(place, item, document)?,
            Part::Directory => self.of_directory(item, document)?,
            Part::Audit => None,
        })
    }

    fn event(&self, place: &Place, item: &Item, document: &Value) -> Result<Option<Described>, StoredError> {
        let Some((calendar, id)) = event_of(&item.key).filter(|_| document.is_object()) else {
            return Ok(None);
        };
        let with_series = match document["recurringEventId"].as_str() {
            Some(series) => {
                self.stored.version(&item.stream, &event_key(calendar, series), self.at)?.is_some()
            }
            None => false,
        };
        let from = self.sandbox.mark.copies_of(&place.of.account);
        let (id, aspects) = sandbox::event(&from, (calendar, id), document, with_series);
        Ok(Some(Described::new(describe::EVENT, id, aspects)))
    }

    fn contact(
        &self,
        place: &Place,
        item: &Item,
        document: &Value,
    ) -> Result<Option<Described>, StoredError> {
        let stream = &item.stream;
        if item.key.starts_with(GROUP_PREFIX) {
            let name = document["name"].as_str().unwrap_or_default();
            let aspects = sandbox::contact_group(document, name);
            return Ok(
                aspects.map(|aspects| Described::new(describe::CONTACT_GROUP, name.to_owned(), aspects))
            );
        }
        let Some(id) = item.key.strip_prefix(PERSON_PREFIX) else { return Ok(None) };
        let photo = self.stored.version(stream, &format!("{PHOTO_PREFIX}{id}"), self.at)?;
        let group = |id: &str| {
            let group = self.stored.version(stream, &format!("{GROUP_PREFIX}{id}"), self.at);
            Some(
                group
                    .ok()
                    .flatten()
                    .and_then(|group| name_of(&group.item.item))
                    .unwrap_or_else(|| id.to_owned()),
            )
        };
        let has_photo = photo.is_some_and(|photo| photo.has_content);
        let aspects = sandbox::contact(document, has_photo, &group);
        let made_for = format!("{}/{id}", self.sandbox.mark.copies_of(&place.of.account));
        Ok(Some(Described::new(describe::CONTACT, made_for, aspects)))
    }

    fn of_directory(&self, item: &Item, document: &Value) -> Result<Option<Described>, StoredError> {
        let text = |document: &Value| document["email"].as_str().map(str::to_owned);
        if item.key.starts_with(GROUPS) {
            let address = text(document).map(|address| self.sandbox.group_address(&address));
            return Ok(address.map(|address| describe::group(document, &address)));
        }
        let Some((group, _)) = item.key.strip_prefix(MEMBERS).and_then(|rest| rest.split_once('/')) else {
            return Ok(None);
        };
        let group = self::document(self.stored, &item.stream, &format!("{GROUPS}{group}"), self.at)?;
        let Some((group, member)) = group.as_ref().and_then(text).zip(text(document)) else {
            return Ok(None);
        };
        let member = self.sandbox.member_address(&member, document["type"] == "GROUP");
        Ok(Some(describe::member(document, &self.sandbox.group_address(&group), &member)))
    }

    fn drive_member(&self, key: &str, document: &Value) -> Option<Described> {
        let (drive, _) = key.strip_prefix(MEMBERS)?.split_once('/')?;
        let account = sandbox::may_be_member(self.sandbox, document)?;
        let drive = self.drives.get(drive)?;
        Some(describe::drive_member(document, drive, account))
    }
}

/// Returns what a record is called.
pub(super) fn name_of(item: &Item) -> Option<String> {
    serde_json::from_str::<RecordAttributes>(&item.attributes).ok()?.name
}
