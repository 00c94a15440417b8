use connect::FileItem;
use model::{Item, Moment};
use serde::{Deserialize, Serialize};

/// What an entry of a folder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Link,
    /// A pipe, a socket or a device: noted, and not made again.
    Special,
}

/// What brings an entry back beside its content: an item's attributes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attributes {
    /// What it is.
    pub kind: Kind,
    /// The permission bits, with set-id and sticky bits.
    pub mode: u32,
    /// When its content changed, in nanoseconds since 1970.
    pub modified_ns: i64,
    /// The owner's number.
    pub owner: u32,
    /// The group's number.
    pub group: u32,
    /// Where a link leads, written as keys are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// How many names the file has, when it is more than one; each is an item of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub names: Option<u32>,
    /// Whether it changed each time while it was read: the content may be a mixture of two states.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub changed_while_read: bool,
}

impl Attributes {
    /// Returns the attributes as text.
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads an item's attributes; `None` when they are of another kind of source.
    pub fn of_text(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }
}

/// Tells what a file of a folder tree is called; nothing of folders and links.
pub(crate) fn file_of(item: &Item) -> Option<FileItem> {
    let attributes =
        Attributes::of_text(&item.attributes).filter(|attributes| attributes.kind == Kind::File)?;
    Some(FileItem {
        scope: item.stream.as_str().to_owned(),
        name: item.key.clone(),
        target: item.key.clone(),
        changed_at: Some(Moment::from_micros(attributes.modified_ns / 1000)),
        changed_by: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let plain = Attributes {
            kind: Kind::File,
            mode: 0o644,
            modified_ns: -5,
            owner: 1000,
            group: 100,
            target: None,
            names: None,
            changed_while_read: false,
        };
        assert_eq!(
            plain.to_text(),
            r#"{"kind":"file","mode":420,"modified_ns":-5,"owner":1000,"group":100}"#
        );
        let link = Attributes { kind: Kind::Link, target: Some("../%FF".to_owned()), ..plain.clone() };
        for attributes in [plain, link] {
            assert_eq!(Attributes::of_text(&attributes.to_text()), Some(attributes));
        }
    }
}
