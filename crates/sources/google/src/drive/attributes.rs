use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

const GOOGLE: &str = "application/vnd.google-apps.";

/// What kind of content a file has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// None: it holds other files.
    Folder,
    /// None: it leads to another file.
    Shortcut,
    /// A document that lives in an editor; only exports of it can be had.
    Editor,
    /// Bytes, as they were uploaded.
    Binary,
}

/// What is kept of a file beside its content, in the words and shapes of the Drive API: numbers of 64 bits and times are
/// texts as the source has them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FileAttributes {
    /// Its name, which may hold anything: slashes, line breaks, marks that turn the direction of writing.
    pub name: String,
    /// Its media type; those of folders, shortcuts and editors begin with `application/vnd.google-apps.`
    pub mime_type: String,
    /// The id of the folder that it is in; none for the top folder, and where the folder cannot be seen.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parents: Vec<String>,
    /// The id of the shared drive that it is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drive_id: Option<String>,
    /// Whether it is in the trash, by itself or with a folder.
    #[serde(skip_serializing_if = "is_false")]
    pub trashed: bool,
    /// Whether it was put into the trash by itself.
    #[serde(skip_serializing_if = "is_false")]
    pub explicitly_trashed: bool,
    /// When it was put there; told of shared drives alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trashed_time: Option<String>,
    /// When it was made.
    pub created_time: String,
    /// When it was changed last; whoever may write can set it to anything.
    pub modified_time: String,
    /// Counts up with every change, also with such as nobody sees.
    pub version: String,
    /// Bytes of its content; of documents, what they are counted as.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<String>,
    /// MD5 of binary content, in hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub md5_checksum: Option<String>,
    /// SHA-256 of binary content, in hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256_checksum: Option<String>,
    /// The revision that binary content is of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub head_revision_id: Option<String>,
    /// The newest revision of a document when its content was taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newest_revision: Option<String>,
    /// The media type in which the content of a document is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub export: Option<String>,
    /// The name that it was uploaded with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub original_filename: Option<String>,
    /// Who owns it; nobody in a shared drive.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub owners: Vec<Person>,
    /// Who changed it last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_modifying_user: Option<Person>,
    /// Who may do what with it, also by folders above it; sorted by id.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub permissions: Vec<Permission>,
    /// Whether what folders above allow does not count here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inherited_permissions_disabled: Option<bool>,
    /// Whether those who may write may also share.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub writers_can_share: Option<bool>,
    /// Whether only those who may write may copy, print and download.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copy_requires_writer_permission: Option<bool>,
    /// Who may not download it, as the API has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub download_restrictions: Option<Value>,
    /// Locks of its content, as the API has them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub content_restrictions: Vec<Value>,
    /// What somebody wrote about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether its owner gave it a star; not kept of shared drives, where everybody has stars of their own.
    #[serde(skip_serializing_if = "is_false")]
    pub starred: bool,
    /// Properties that every program sees.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub properties: BTreeMap<String, String>,
    /// Properties that only the program sees that made them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub app_properties: BTreeMap<String, String>,
    /// The colour of a folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folder_color_rgb: Option<String>,
    /// What a shortcut leads to; it may be gone, or lead in a circle.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shortcut_details: Option<ShortcutTarget>,
    /// Why its content is not kept, in the source's words; only in items `metadata/ID`, which have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub withheld: Option<String>,
    /// Why it cannot be seen any more although nothing says that it is gone, in the source's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unseen: Option<String>,
}

/// A person, as far as the source tells.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Person {
    /// The address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email_address: Option<String>,
    /// The id that permissions for this person have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permission_id: Option<String>,
}

/// What a shortcut leads to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ShortcutTarget {
    /// The id of the file.
    pub target_id: String,
    /// Its media type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_mime_type: Option<String>,
}

/// What somebody may do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Permission {
    /// Its id; the same person has the same one everywhere.
    pub id: String,
    /// `user`, `group`, `domain` or `anyone`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `owner`, `organizer`, `fileOrganizer`, `writer`, `commenter` or `reader`.
    pub role: String,
    /// The address of a user or group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email_address: Option<String>,
    /// The domain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// Whether those of a domain, or anyone, find it without its address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_file_discovery: Option<bool>,
    /// When it ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expiration_time: Option<String>,
    /// `published` when it is for a published folder alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub view: Option<String>,
    /// Whether ownership was offered and not yet taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pending_owner: Option<bool>,
    /// Whether the account is deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deleted: Option<bool>,
    /// Where it comes from, as the API has it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub permission_details: Vec<Value>,
}

/// What is kept of an older revision beside its bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RevisionAttributes {
    /// Its media type.
    pub mime_type: String,
    /// When it was made.
    pub modified_time: String,
    /// MD5 of its bytes, in hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub md5_checksum: Option<String>,
    /// How many bytes it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<String>,
    /// The name that it was uploaded with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub original_filename: Option<String>,
    /// Whether it is kept forever.
    #[serde(skip_serializing_if = "is_false")]
    pub keep_forever: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

impl FileAttributes {
    /// Reads stored attributes.
    pub fn of_text(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// Returns them as they are stored.
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Returns what kind of content it has.
    pub fn kind(&self) -> FileKind {
        match self.mime_type.strip_prefix(GOOGLE) {
            Some("folder") => FileKind::Folder,
            Some("shortcut") => FileKind::Shortcut,
            // Some of Google's own types are bytes all the same: pictures, recordings.
            Some(_) if self.md5_checksum.is_none() => FileKind::Editor,
            _ => FileKind::Binary,
        }
    }

    /// Returns how many bytes binary content has.
    pub fn bytes(&self) -> Option<u64> {
        self.size.as_deref()?.parse().ok()
    }

    /// Tells whether content that was taken with these attributes is still that of the file.
    ///
    /// A revision tells bytes apart. Of a document also the time counts, and where no revision is told the version, which
    /// changes more often than content does.
    pub fn has_content_of(&self, now: &Self) -> bool {
        if self.kind() != now.kind() {
            return false;
        }
        match now.kind() {
            FileKind::Folder | FileKind::Shortcut => true,
            FileKind::Binary => {
                let told = now.head_revision_id.is_some() || now.md5_checksum.is_some();
                self.head_revision_id == now.head_revision_id
                    && self.md5_checksum == now.md5_checksum
                    && self.size == now.size
                    && (told || self.version == now.version)
            }
            FileKind::Editor => {
                self.export == now.export
                    && self.modified_time == now.modified_time
                    && self.newest_revision == now.newest_revision
                    && (now.newest_revision.is_some() || self.version == now.version)
            }
        }
    }

    /// Tells whether what is in it changed with it: it was trashed, shared or put elsewhere.
    pub(super) fn concerns_what_is_inside(&self, now: &Self) -> bool {
        self.trashed != now.trashed
            || self.parents != now.parents
            || self.permissions != now.permissions
            || self.inherited_permissions_disabled != now.inherited_permissions_disabled
    }

    /// Puts what has no order into one.
    pub(super) fn sort(&mut self) {
        self.permissions.sort_by(|a, b| a.id.cmp(&b.id));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn file(value: &Value) -> FileAttributes {
        serde_json::from_value(value.clone()).unwrap()
    }

    #[test]
    fn attributes_survive_being_stored_whatever_the_name_is() {
        for name in ["a/b", "a\nb", "\u{202e}gpj.exe", "", "..", "\0", "\u{1f600}"] {
            let attributes = file(&json!({
                "name": name, "mimeType": "text/plain", "parents": ["p"], "size": "5", "starred": true,
                "permissions": [{ "id": "1", "type": "user", "role": "owner", "emailAddress": "a@x.test" }],
                "properties": { "k": "v" }, "contentRestrictions": [{ "readOnly": true }],
            }));
            assert_eq!(FileAttributes::of_text(&attributes.to_text()), Some(attributes));
        }
    }

    #[test]
    fn content_of_bytes_is_told_by_its_revision_and_of_documents_by_theirs() {
        let before = json!({
            "mimeType": "image/png", "headRevisionId": "r1", "md5Checksum": "m1", "size": "3", "version": "7",
        });
        let bytes = file(&before);
        let renamed = FileAttributes { name: "n".to_owned(), version: "8".to_owned(), ..bytes.clone() };
        assert!(bytes.has_content_of(&renamed));
        let rewritten = FileAttributes { head_revision_id: Some("r2".to_owned()), ..bytes.clone() };
        assert!(!bytes.has_content_of(&rewritten));

        let before = json!({
            "mimeType": "application/vnd.google-apps.document", "modifiedTime": "t", "version": "7",
        });
        let document = FileAttributes { newest_revision: Some("3".to_owned()), ..file(&before) };
        let shared = FileAttributes { version: "8".to_owned(), ..document.clone() };
        assert!(document.has_content_of(&shared));
        // Who edits may set the time back to what it was.
        let edited = FileAttributes { newest_revision: Some("4".to_owned()), ..shared.clone() };
        assert!(!document.has_content_of(&edited));
        let untold = |version: &str| FileAttributes {
            newest_revision: None,
            version: version.to_owned(),
            ..document.clone()
        };
        assert!(untold("7").has_content_of(&untold("7")) && !untold("7").has_content_of(&untold("8")));
        assert!(!document.has_content_of(&bytes));
    }

    #[test]
    fn what_the_media_type_says_is_not_all() {
        let kind = |value: Value| file(&value).kind();
        assert_eq!(kind(json!({ "mimeType": "application/vnd.google-apps.folder" })), FileKind::Folder);
        assert_eq!(kind(json!({ "mimeType": "application/vnd.google-apps.form" })), FileKind::Editor);
        let recording = json!({ "mimeType": "application/vnd.google-apps.audio", "md5Checksum": "0" });
        assert_eq!(kind(recording), FileKind::Binary);
        assert_eq!(kind(json!({ "mimeType": "application/vnd.google-appsx" })), FileKind::Binary);
    }
}
