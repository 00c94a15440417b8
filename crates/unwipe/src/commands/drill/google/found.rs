//! What the sandbox has of what a drill made.

use std::{collections::BTreeMap, io::Read};

use connect::{ChangeSink, Cursor, LogTail, SinkError};
use drill::Thing;
use google_recovery::sandbox::{self, Mark};
use model::{Event, Item, Layout, StreamName, UnreadableReason};
use ring::digest::{Context, SHA256};
use serde_json::Value;
use source_google::{
    calendar::{CALENDAR_PREFIX, EVENT_PREFIX},
    contacts::{GROUP_PREFIX, PERSON_PREFIX, PHOTO_PREFIX},
    drive::{FILE_PREFIX, FileAttributes, file_key},
    gmail::{LABEL_PREFIX, MESSAGE_PREFIX, MessageAttributes},
};

use super::{
    describe::{self, Described},
    places::{DIRECTORY, SHARED_DRIVES},
    things::name_of,
};

const PORTION_BYTES: usize = 64 << 10;
/// So many folders one may lie in.
const DEPTH_MAX: usize = 100;
/// What is kept of a record to compare it.
const RECORD_BYTES_MAX: usize = 4 << 20;

/// What the sandbox has, by what it is found by.
#[derive(Default)]
pub(super) struct Found(BTreeMap<String, Vec<Thing>>);

impl Found {
    #[cfg(test)]
    pub(super) fn of(identity: &str, things: Vec<Thing>) -> Self {
        Self(BTreeMap::from([(identity.to_owned(), things)]))
    }

    /// Returns how many there are.
    pub(super) fn len(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }

    /// Takes the thing that answers to a stored one: the most alike of those that are found so, each only once.
    pub(super) fn take(&mut self, identity: &str, stored: &Thing) -> Option<Thing> {
        let alike = self.0.get_mut(identity)?;
        let same = |thing: &Thing| {
            thing.aspects.iter().filter(|(name, value)| stored.aspects.get(*name) == Some(value)).count()
        };
        let best = alike.iter().enumerate().max_by_key(|(_, thing)| same(thing)).map(|(place, _)| place)?;
        Some(alike.swap_remove(best))
    }

    /// Returns those that answered to nothing.
    pub(super) fn rest(self) -> impl Iterator<Item = Thing> {
        self.0.into_values().flatten()
    }
}

struct Seen {
    item: Item,
    digest: String,
    /// The document, where it is one.
    document: Value,
}

/// Takes what the reader sees, and keeps of it what is compared.
pub(super) struct Collector {
    mark: Mark,
    /// By stream and key.
    seen: BTreeMap<(String, String), Seen>,
}

impl Collector {
    /// Makes one that knows what the drill called what it made.
    pub(super) const fn new(mark: Mark) -> Self {
        Self { mark, seen: BTreeMap::new() }
    }

    /// Describes everything that the drill made.
    pub(super) fn found(self) -> Found {
        let mut found = Found::default();
        for seen in self.seen.values() {
            let Some((scope, described)) = self.describe(seen) else { continue };
            let thing = Thing {
                stream: seen.item.stream.to_string(),
                key: seen.item.key.clone(),
                kind: described.kind.to_owned(),
                aspects: described.aspects,
            };
            found.0.entry(format!("{scope} {}", described.identity)).or_default().push(thing);
        }
        found
    }

    fn get(&self, stream: &StreamName, key: &str) -> Option<&Seen> {
        self.seen.get(&(stream.to_string(), key.to_owned()))
    }

    /// Returns what the names of the places begin with that this drill made.
    fn own(&self) -> String {
        self.mark.place("")
    }

    /// Describes a thing with where it is looked for; nothing for what the drill did not make.
    fn describe(&self, seen: &Seen) -> Option<(String, Described)> {
        let (item, stream) = (&seen.item, seen.item.stream.as_str());
        match stream.split_once('/') {
            None if stream == DIRECTORY => Some((stream.to_owned(), self.of_directory(seen)?)),
            None if stream == SHARED_DRIVES => Some((stream.to_owned(), drive_member(seen)?)),
            Some(("gmail", account)) if item.key.starts_with(MESSAGE_PREFIX) => {
                let (place, message) = self.message(seen)?;
                Some((format!("{account} {place}"), message))
            }
            Some(("drive", account)) if item.key.starts_with(FILE_PREFIX) => {
                let place = self.folder(item)?;
                Some((format!("{account} {place}"), describe::file(item, &seen.digest, true)?))
            }
            Some(("shared-drive", drive)) if item.key.starts_with(FILE_PREFIX) => {
                Some((drive.to_owned(), describe::file(item, &seen.digest, false)?))
            }
            Some(("calendar", account)) => {
                let (place, event) = self.event(seen)?;
                Some((format!("{account} {place}"), event))
            }
            Some(("contacts", account)) => {
                let (place, contact) = self.contact(seen)?;
                Some((format!("{account} {place}"), contact))
            }
            _ => None,
        }
    }

    /// Describes a message by its labels without what the drill added to their names.
    fn message(&self, seen: &Seen) -> Option<(String, Described)> {
        let name = |id: &str| {
            let label = self.get(&seen.item.stream, &format!("{LABEL_PREFIX}{id}"));
            label.and_then(|label| name_of(&label.item)).unwrap_or_else(|| id.to_owned())
        };
        let attributes = MessageAttributes::of_text(&seen.item.attributes)?;
        let own = self.own();
        let mut names = attributes.labels.iter().map(|id| name(id));
        let place = names.find(|name| name.starts_with(&own) && !name.contains('/'))?;
        let within = format!("{place}/");
        let label = |id: &str| {
            let name = name(id);
            (name != place).then(|| name.strip_prefix(&within).map(str::to_owned).unwrap_or(name))
        };
        Some((place.clone(), describe::message(&seen.item, &seen.digest, &label)?))
    }

    /// Returns the name of the drill's folder that a file is in.
    fn folder(&self, item: &Item) -> Option<String> {
        let own = self.own();
        let mut attributes: FileAttributes = serde_json::from_str(&item.attributes).ok()?;
        for _ in 0..DEPTH_MAX {
            let parent = self.get(&item.stream, &file_key(attributes.parents.first()?))?;
            attributes = serde_json::from_str(&parent.item.attributes).ok()?;
            if attributes.name.starts_with(&own) {
                return Some(attributes.name);
            }
        }
        None
    }

    fn event(&self, seen: &Seen) -> Option<(String, Described)> {
        let (calendar, id) = seen.item.key.strip_prefix(EVENT_PREFIX)?.split_once('/')?;
        let calendar = &self.get(&seen.item.stream, &format!("{CALENDAR_PREFIX}{calendar}"))?.document;
        let name = |part: &str| calendar[part]["summary"].as_str().map(str::to_owned);
        let place =
            name("calendar").or_else(|| name("entry")).filter(|name| name.starts_with(&self.own()))?;
        let aspects = sandbox::event_in_sandbox(&seen.document);
        Some((place, Described::new(describe::EVENT, id.to_owned(), aspects)))
    }

    fn contact(&self, seen: &Seen) -> Option<(String, Described)> {
        let (stream, key, own) = (&seen.item.stream, &seen.item.key, self.own());
        if key.starts_with(GROUP_PREFIX) {
            let (place, name) = name_of(&seen.item)?
                .strip_prefix(&own)?
                .split_once('/')
                .map(|(place, name)| (self.mark.place(place), name.to_owned()))?;
            let aspects = sandbox::contact_group(&seen.document, &name)?;
            return Some((place, Described::new(describe::CONTACT_GROUP, name, aspects)));
        }
        let id = key.strip_prefix(PERSON_PREFIX)?;
        let made_for = sandbox::made_for(&seen.document)?.to_owned();
        let account = made_for.strip_prefix(&self.mark.copies_of(""))?.rsplit_once('/')?.0;
        let place = self.mark.place(account);
        let within = format!("{place}/");
        let group = |id: &str| {
            let group = self.get(stream, &format!("{GROUP_PREFIX}{id}"));
            let name = group.and_then(|group| name_of(&group.item)).unwrap_or_else(|| id.to_owned());
            (name != place).then(|| name.strip_prefix(&within).map(str::to_owned).unwrap_or(name))
        };
        let has_photo = self.get(stream, &format!("{PHOTO_PREFIX}{id}")).is_some();
        let aspects = sandbox::contact(&seen.document, has_photo, &group);
        Some((place.clone(), Described::new(describe::CONTACT, made_for, aspects)))
    }

    fn of_directory(&self, seen: &Seen) -> Option<Described> {
        let (key, document) = (&seen.item.key, &seen.document);
        let is_own = |address: &&str| address.starts_with(&self.mark.address_family());
        if key.starts_with("group/") {
            let address = document["email"].as_str().filter(is_own)?;
            return Some(describe::group(document, address));
        }
        let (group, _) = key.strip_prefix("member/")?.split_once('/')?;
        let group = self.get(&seen.item.stream, &format!("group/{group}"))?;
        let group = group.document["email"].as_str().filter(is_own)?;
        Some(describe::member(document, group, document["email"].as_str()?))
    }
}

fn drive_member(seen: &Seen) -> Option<Described> {
    let (drive, _) = seen.item.key.strip_prefix("member/")?.split_once('/')?;
    Some(describe::drive_member(&seen.document, drive, seen.document["emailAddress"].as_str()?))
}

/// Tells whether an item is a document that is compared, and not only by its digest.
fn is_record(stream: &str) -> bool {
    let kind = stream.split_once('/').map_or(stream, |(kind, _)| kind);
    ["calendar", "contacts", DIRECTORY, SHARED_DRIVES].contains(&kind)
}

impl ChangeSink for Collector {
    fn tail(&mut self, _stream: &StreamName) -> Result<Option<LogTail>, SinkError> {
        Ok(None)
    }

    fn upsert(&mut self, item: Item, _layout: Layout, body: &mut dyn Read) -> Result<(), SinkError> {
        let mut context = Context::new(&SHA256);
        let (mut portion, mut bytes) = (vec![0; PORTION_BYTES], Vec::new());
        let is_record = is_record(item.stream.as_str());
        loop {
            let taken = body
                .read(&mut portion)
                .map_err(|source| SinkError::Body { key: item.key.clone(), source })?;
            if taken == 0 {
                break;
            }
            context.update(&portion[..taken]);
            if is_record && bytes.len() < RECORD_BYTES_MAX {
                bytes.extend_from_slice(&portion[..taken]);
            }
        }
        let digest = vault::hex(context.finish().as_ref());
        let document = serde_json::from_slice(&bytes).unwrap_or_default();
        self.seen.insert((item.stream.to_string(), item.key.clone()), Seen { item, digest, document });
        Ok(())
    }

    fn unchanged(&mut self, _count: u64) -> Result<(), SinkError> {
        Ok(())
    }

    fn enumerated(&mut self, _count: u64) -> Result<(), SinkError> {
        Ok(())
    }

    fn removed(&mut self, stream: StreamName, key: String) -> Result<(), SinkError> {
        self.seen.remove(&(stream.to_string(), key));
        Ok(())
    }

    fn unreadable(&mut self, _: StreamName, _: String, _: UnreadableReason) -> Result<(), SinkError> {
        // What cannot be read is not found, and so is named among the differences.
        Ok(())
    }

    fn event(&mut self, _event: Event) -> Result<(), SinkError> {
        Ok(())
    }

    fn append(&mut self, _: &StreamName, _: u64, _: &[u8]) -> Result<(), SinkError> {
        Ok(())
    }

    fn sync(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    fn checkpoint(&mut self, _cursor: &Cursor) -> Result<(), SinkError> {
        Ok(())
    }
}
