//! The lines of the attachments of a plan for files.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use source_google::drive::{FileAttributes, Permission};

/// What is made of a file that is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Making {
    Folder,
    /// Bytes, as they were.
    Binary,
    /// A document that is made from another program's format.
    Document,
    /// Another program's format, as bytes: a document cannot be made from it.
    Exported,
    Shortcut,
}

/// A file that is made anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MakeRow {
    /// The id that it had.
    pub(super) id: String,
    /// Its name.
    pub(super) name: String,
    pub(super) making: Making,
    /// The folder into which it comes, by the id that it had; the top folder if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) parent: Option<String>,
    /// What comes later lies deeper: a folder is there before what is in it.
    pub(super) depth: u32,
    /// The media type of its content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) media_type: Option<String>,
    /// Bytes of its content.
    pub(super) bytes: u64,
}

/// A value that is set back when it is the expected one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FieldChange {
    pub(super) to: Value,
    pub(super) from: Value,
}

/// A folder into which something goes back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PlaceChange {
    /// The folder, by the id that it had.
    pub(super) to: String,
    pub(super) from: Option<String>,
}

/// What tells contents apart.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ContentMark {
    /// MD5 of bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) md5: Option<String>,
    /// SHA-256 of bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) sha256: Option<String>,
    /// When a document was changed; of bytes it says nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) modified: Option<String>,
}

impl ContentMark {
    pub(super) fn of(attributes: &FileAttributes) -> Self {
        let (md5, sha256) = (attributes.md5_checksum.clone(), attributes.sha256_checksum.clone());
        let modified = md5.is_none().then(|| attributes.modified_time.clone());
        Self { md5, sha256, modified }
    }

    /// Tells whether a file has this content.
    pub(super) fn is_of(&self, attributes: &FileAttributes) -> bool {
        let found = Self::of(attributes);
        let agree = |own: &Option<String>, other: &Option<String>| {
            own.as_ref().zip(other.as_ref()).is_none_or(|(own, other)| own == other)
        };
        let told = self.md5.is_some() == found.md5.is_some();
        told && agree(&self.md5, &found.md5)
            && agree(&self.sha256, &found.sha256)
            && agree(&self.modified, &found.modified)
    }
}

/// Content that is put back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ContentChange {
    pub(super) media_type: String,
    pub(super) bytes: u64,
    pub(super) to: ContentMark,
    pub(super) from: ContentMark,
}

/// A file that is there and is set back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangeRow {
    /// The id that it had before the plan.
    pub(super) id: String,
    /// Its name, for people.
    pub(super) name: String,
    /// What comes later lies deeper.
    pub(super) depth: u32,
    /// Whether it goes into the trash, or comes out of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) trash: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) place: Option<PlaceChange>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) fields: BTreeMap<String, FieldChange>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) content: Option<ContentChange>,
}

/// What somebody may do: a role, until a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Grant {
    pub(super) role: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) until: Option<String>,
}

/// What somebody may do is set back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GrantChange {
    /// The permission: its id, and who has it.
    pub(super) who: Permission,
    /// What it is to be; nothing if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) to: Option<Grant>,
    /// What it is, as far as the plan knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) from: Option<Grant>,
    /// What a folder above gives, as far as the plan knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) above: Option<Grant>,
}

/// A file whose permissions are set back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ShareRow {
    /// The id that it had before the plan.
    pub(super) id: String,
    /// Its name, for people.
    pub(super) name: String,
    /// What comes later lies deeper.
    pub(super) depth: u32,
    pub(super) changes: Vec<GrantChange>,
    /// What is in it and had the same permissions at the window's end: most often from here, but perhaps by themselves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) below: Vec<String>,
}
