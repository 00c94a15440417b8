//! Messages and files as things that can be compared: what is stored of them, and what the sandbox has.

use std::{collections::BTreeMap, io::Read};

use connect::{ChangeSink, Cursor, LogTail, SinkError, StoredError, StoredHistory};
use drill::{Candidate, Thing};
use model::{Event, Item, Layout, StreamName, UnreadableReason};
use ring::digest::{Context, SHA256};
use service::StoredSource;
use source_google::{
    RecordAttributes,
    drive::{FILE_PREFIX, FileAttributes, FileKind},
    gmail::{LABEL_PREFIX, MESSAGE_PREFIX, MessageAttributes},
};

use super::{Move, digest_of};
use crate::failure::Failure;

const PAGE: u32 = 1000;
const UNREAD: &str = "UNREAD";
/// Labels that tell where a message is put and that a mailbox decides itself.
const OF_THE_MAILBOX: [&str; 2] = ["DRAFT", "CHAT"];
/// The label that tells whose a message was; it is added on purpose.
const ORIGIN: &str = "From ";
const PORTION_BYTES: usize = 64 << 10;

/// Something that is stored and was restored.
pub(super) struct Stored {
    pub(super) thing: Thing,
    /// What it is found by in the sandbox.
    identity: String,
    /// Whether its content could be read when it was captured.
    pub(super) readable: bool,
    /// What is wrong with the vault's own copy.
    pub(super) damage: Option<String>,
    pub(super) bytes: u64,
}

impl Stored {
    #[cfg(test)]
    pub(super) fn new(thing: Thing, identity: &str) -> Self {
        Self { thing, identity: identity.to_owned(), readable: true, damage: None, bytes: 0 }
    }

    /// Returns what answers to it in the account that received it.
    pub(super) fn receiver_identity(&self, moves: &[Move]) -> String {
        let to = moves.iter().find(|to_move| to_move.account.stream.as_str() == self.thing.stream);
        format!("{} {}", to.map_or("", |to_move| to_move.receiver.as_str()), self.identity)
    }
}

/// Lists what can be drawn of a stream: messages, and files that have content and are not in the trash.
pub(super) fn list(
    stored: &StoredSource,
    stream: &StreamName,
    at: u64,
    candidates: &mut Vec<Candidate>,
) -> Result<(), Failure> {
    let mut after = None::<String>;
    loop {
        let page = stored.catalog().listed_at(stream, at, after.as_deref(), PAGE)?;
        let Some((last, _)) = page.last() else { return Ok(()) };
        after = Some(last.key.clone());
        for (item, size_bytes) in page {
            // The newest is the one that was changed last, by the source's own account.
            if let Some(sequence) = changed_at(&item) {
                candidates.push(Candidate {
                    stream: stream.to_string(),
                    key: item.key,
                    sequence,
                    size_bytes,
                });
            }
        }
    }
}

/// Returns when an item was changed last, in microseconds; nothing for what is not drawn.
fn changed_at(item: &Item) -> Option<u64> {
    if item.key.starts_with(MESSAGE_PREFIX) {
        let attributes = MessageAttributes::of_text(&item.attributes)?;
        return Some(u64::try_from(attributes.received_ms).unwrap_or(0).saturating_mul(1000));
    }
    if !item.key.starts_with(FILE_PREFIX) {
        return None;
    }
    let attributes: FileAttributes = serde_json::from_str(&item.attributes).ok()?;
    let has_content = matches!(attributes.kind(), FileKind::Binary | FileKind::Editor);
    let changed = attributes.modified_time.parse::<model::Moment>().map_or(0, model::Moment::as_micros);
    (has_content && !attributes.trashed).then(|| u64::try_from(changed).unwrap_or(0))
}

/// Describes what was drawn as it is stored. Every content is read: one that is damaged is a finding.
pub(super) fn expected(
    stored: &StoredSource,
    candidates: &[Candidate],
    chosen: &[usize],
    at: u64,
) -> Result<Vec<Stored>, StoredError> {
    let mut expected = Vec::new();
    for candidate in chosen.iter().map(|&place| &candidates[place]) {
        let named = |error: model::NameError| StoredError::Vault {
            what: candidate.stream.clone(),
            source: Box::new(error),
        };
        let stream = StreamName::new(&candidate.stream).map_err(named)?;
        let Some(version) = stored.version(&stream, &candidate.key, at)? else { continue };
        let read = if version.has_content {
            digest_of(stored, &stream, &candidate.key, at)
        } else {
            Ok(String::new())
        };
        let (digest, damage) = match read {
            Ok(digest) => (digest, None),
            Err(error @ (StoredError::Damaged { .. } | StoredError::Missing { .. })) => {
                (String::new(), Some(vault::error_text(&error)))
            }
            Err(error) => return Err(error),
        };
        let label = |id: &str| -> Option<String> {
            let label = stored.version(&stream, &format!("{LABEL_PREFIX}{id}"), at).ok()??;
            name_of_label(&label.item.item)
        };
        let Some((identity, thing)) = describe(&version.item.item, &digest, &label) else { continue };
        let readable = version.has_content;
        expected.push(Stored { thing, identity, readable, damage, bytes: candidate.size_bytes });
    }
    Ok(expected)
}

fn name_of_label(item: &Item) -> Option<String> {
    serde_json::from_str::<RecordAttributes>(&item.attributes).ok()?.name
}

/// Describes a message or a file; nothing for anything else. The first text is what it is found by.
fn describe(item: &Item, digest: &str, label: &dyn Fn(&str) -> Option<String>) -> Option<(String, Thing)> {
    let mut aspects = BTreeMap::new();
    let mut aspect = |name: &str, value: String| drop(aspects.insert(name.to_owned(), value));
    let (identity, kind) = if item.key.starts_with(MESSAGE_PREFIX) {
        let attributes = MessageAttributes::of_text(&item.attributes)?;
        let mut labels: Vec<String> = attributes
            .labels
            .iter()
            .filter(|id| *id != UNREAD && !OF_THE_MAILBOX.contains(&id.as_str()))
            .map(|id| label(id).unwrap_or_else(|| id.clone()))
            .filter(|name| !name.starts_with(ORIGIN))
            .collect();
        labels.sort();
        aspect("text", digest.to_owned());
        aspect("labels", labels.join(", "));
        let is_unread = attributes.labels.iter().any(|id| id == UNREAD);
        aspect("read state", if is_unread { "unread" } else { "read" }.to_owned());
        (attributes.message_id.unwrap_or_else(|| digest.to_owned()), "message")
    } else if item.key.starts_with(FILE_PREFIX) {
        let attributes: FileAttributes = serde_json::from_str(&item.attributes).ok()?;
        if attributes.trashed {
            return None;
        }
        let kind = match attributes.kind() {
            FileKind::Binary => "file",
            FileKind::Editor => "document",
            FileKind::Folder | FileKind::Shortcut => return None,
        };
        aspect("name", attributes.name.clone());
        aspect("media type", attributes.mime_type.clone());
        aspect("description and properties", description(&attributes));
        aspect("star", attributes.starred.to_string());
        if kind == "file" {
            aspect("content", digest.to_owned());
        }
        (format!("{} {}", attributes.mime_type, attributes.name), kind)
    } else {
        return None;
    };
    let thing =
        Thing { stream: item.stream.to_string(), key: item.key.clone(), kind: kind.to_owned(), aspects };
    Some((identity, thing))
}

fn description(attributes: &FileAttributes) -> String {
    let properties: Vec<_> =
        attributes.properties.iter().map(|(name, value)| format!("{name}={value}")).collect();
    format!("{}; {}", attributes.description.as_deref().unwrap_or_default(), properties.join(", "))
}

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

    /// Returns whether something is found so.
    pub(super) fn has(&self, identity: &str) -> bool {
        self.0.contains_key(identity)
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
}

/// Takes what the reader sees, and keeps of it what is compared.
#[derive(Default)]
pub(super) struct Collector {
    items: BTreeMap<(String, String), (Item, String)>,
}

impl Collector {
    /// Describes everything that was seen.
    pub(super) fn found(self) -> Found {
        let mut found = Found::default();
        for (item, digest) in self.items.values() {
            let label = |id: &str| {
                let (label, _) = self.items.get(&(item.stream.to_string(), format!("{LABEL_PREFIX}{id}")))?;
                name_of_label(label)
            };
            if let Some((identity, thing)) = describe(item, digest, &label) {
                let account = item.stream.as_str().split_once('/').map_or("", |(_, account)| account);
                found.0.entry(format!("{account} {identity}")).or_default().push(thing);
            }
        }
        found
    }
}

impl ChangeSink for Collector {
    fn tail(&mut self, _stream: &StreamName) -> Result<Option<LogTail>, SinkError> {
        Ok(None)
    }

    fn upsert(&mut self, item: Item, _layout: Layout, body: &mut dyn Read) -> Result<(), SinkError> {
        let mut context = Context::new(&SHA256);
        let mut portion = vec![0; PORTION_BYTES];
        loop {
            let taken = body
                .read(&mut portion)
                .map_err(|source| SinkError::Body { key: item.key.clone(), source })?;
            if taken == 0 {
                break;
            }
            context.update(&portion[..taken]);
        }
        let digest = vault::hex(context.finish().as_ref());
        self.items.insert((item.stream.to_string(), item.key.clone()), (item, digest));
        Ok(())
    }

    fn unchanged(&mut self, _count: u64) -> Result<(), SinkError> {
        Ok(())
    }

    fn enumerated(&mut self, _count: u64) -> Result<(), SinkError> {
        Ok(())
    }

    fn removed(&mut self, stream: StreamName, key: String) -> Result<(), SinkError> {
        self.items.remove(&(stream.to_string(), key));
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
