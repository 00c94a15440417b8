//! What each kind of thing is found by in the sandbox, and what of it is compared.

use std::collections::BTreeMap;

use google_recovery::sandbox::{self, Aspects};
use model::Item;
use serde_json::Value;
use source_google::{
    Part,
    drive::{FileAttributes, FileKind},
    gmail::MessageAttributes,
};

const UNREAD: &str = "UNREAD";
/// Labels that tell where a message is put and that a mailbox decides itself.
const OF_THE_MAILBOX: [&str; 2] = ["DRAFT", "CHAT"];

pub(super) const MESSAGE: &str = "message";
pub(super) const FILE: &str = "file";
pub(super) const DOCUMENT: &str = "document";
pub(super) const EVENT: &str = "event in a sandbox";
pub(super) const CONTACT: &str = "contact";
pub(super) const CONTACT_GROUP: &str = "group of contacts";
pub(super) const GROUP: &str = "group of users";
pub(super) const MEMBER: &str = "member of a group";
pub(super) const DRIVE_MEMBER: &str = "member of a shared drive";

/// The kinds, the part of the service that each belongs to, and what certificates call them.
pub(super) const KINDS: [(&str, Part, &str); 9] = [
    (MESSAGE, Part::Gmail, "messages"),
    (FILE, Part::Drive, "files"),
    (DOCUMENT, Part::Drive, "documents"),
    (EVENT, Part::Calendar, "events"),
    (CONTACT, Part::Contacts, "contacts"),
    (CONTACT_GROUP, Part::Contacts, "groups of contacts"),
    (GROUP, Part::Directory, "groups of users"),
    (MEMBER, Part::Directory, "members of groups of users"),
    (DRIVE_MEMBER, Part::Drive, "members of shared drives"),
];

/// The kinds of which nothing comes into a sandbox but what was drawn and what it belongs to. A group of users comes with
/// whoever made it, a shared drive with all of its members.
pub(super) const ALONE: [&str; 5] = [MESSAGE, FILE, DOCUMENT, EVENT, CONTACT];

/// A thing, with what it is found by where it is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Described {
    pub(super) identity: String,
    pub(super) kind: &'static str,
    pub(super) aspects: Aspects,
}

impl Described {
    pub(super) const fn new(kind: &'static str, identity: String, aspects: Aspects) -> Self {
        Self { identity, kind, aspects }
    }
}

/// Describes a message; `label` tells what a label is called, or that it is none of the message's own.
pub(super) fn message(
    item: &Item,
    digest: &str,
    label: &dyn Fn(&str) -> Option<String>,
) -> Option<Described> {
    let attributes = MessageAttributes::of_text(&item.attributes)?;
    let mut labels: Vec<String> = attributes
        .labels
        .iter()
        .filter(|id| *id != UNREAD && !OF_THE_MAILBOX.contains(&id.as_str()))
        .filter_map(|id| label(id))
        .collect();
    labels.sort();
    let is_unread = attributes.labels.iter().any(|id| id == UNREAD);
    let aspects = BTreeMap::from([
        ("text".to_owned(), digest.to_owned()),
        ("labels".to_owned(), labels.join(", ")),
        ("read state".to_owned(), if is_unread { "unread" } else { "read" }.to_owned()),
    ]);
    let identity = attributes.message_id.unwrap_or_else(|| digest.to_owned());
    Some(Described::new(MESSAGE, identity, aspects))
}

/// Describes a file that has content and is not in the trash; stars are a user's, and no shared drive's.
pub(super) fn file(item: &Item, digest: &str, has_star: bool) -> Option<Described> {
    let attributes: FileAttributes = serde_json::from_str(&item.attributes).ok()?;
    if attributes.trashed {
        return None;
    }
    let kind = match attributes.kind() {
        FileKind::Binary => FILE,
        FileKind::Editor => DOCUMENT,
        FileKind::Folder | FileKind::Shortcut => return None,
    };
    let mut aspects = BTreeMap::from([
        ("name".to_owned(), attributes.name.clone()),
        ("media type".to_owned(), attributes.mime_type.clone()),
        ("description and properties".to_owned(), description(&attributes)),
    ]);
    if has_star {
        aspects.insert("star".to_owned(), attributes.starred.to_string());
    }
    if kind == FILE {
        aspects.insert("content".to_owned(), digest.to_owned());
    }
    Some(Described::new(kind, format!("{} {}", attributes.mime_type, attributes.name), aspects))
}

fn description(attributes: &FileAttributes) -> String {
    let properties: Vec<_> =
        attributes.properties.iter().map(|(name, value)| format!("{name}={value}")).collect();
    format!("{}; {}", attributes.description.as_deref().unwrap_or_default(), properties.join(", "))
}

/// Describes a group of users that has this address in the sandbox.
pub(super) fn group(document: &Value, address: &str) -> Described {
    Described::new(GROUP, address.to_lowercase(), sandbox::group(document))
}

/// Describes somebody who has this address in a group of this address there.
pub(super) fn member(document: &Value, group: &str, address: &str) -> Described {
    let identity = member_identity(group, address);
    Described::new(MEMBER, identity, sandbox::member(document))
}

/// Returns what a member of a group is found by.
pub(super) fn member_identity(group: &str, address: &str) -> String {
    format!("{} {}", group.to_lowercase(), address.to_lowercase())
}

/// Describes a member of a shared drive that has this id there.
pub(super) fn drive_member(document: &Value, drive: &str, address: &str) -> Described {
    Described::new(DRIVE_MEMBER, member_identity(drive, address), sandbox::member(document))
}
