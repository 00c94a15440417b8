//! Drives: the files that a user owns, and those of each shared drive.
//!
//! A file's id is its key. Its metadata and permissions are its attributes; its content is its bytes, or for a document
//! that lives in an editor the export that brings back most. Content is fetched when its revision changed, and only then.
//!
//! What a change feed calls removed may merely have become invisible: it is gone when its owner, or an organizer of its
//! shared drive, is told that there is no such file. Of a folder that was trashed, shared or moved the feed need not name
//! what is in it: that is looked at again.

mod attributes;
mod content;
mod enumerate;
mod follow;
mod formats;
mod gone;
mod inside;
mod shared;
mod sides;
mod store;
mod take;
mod wire;

use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
};

use connect::{
    FileItem,
    units::{Unit, UnitError, UnitSink},
};
use google_api::{ApiError, Get, Method, ReadApi, method};
use model::{Actor, Item, NameError, StreamName};
use ports::Clock;
use serde::{Deserialize, Serialize};

pub use self::attributes::{
    FileAttributes, FileKind, Permission, Person, RevisionAttributes, ShortcutTarget,
};
pub(crate) use self::{
    formats::Formats,
    shared::{SharedDrive, SharedDrives, list_shared_drives},
};

use self::{
    follow::Followed,
    wire::{DriveFile, FILE_FIELDS, StartToken},
};
use crate::{
    failure::unit_error,
    losses::{self, Losses, NAMED_MAX},
    rounds::Rounds,
    user::User,
};

/// The key of a file's item begins with it.
pub const FILE_PREFIX: &str = "file/";
/// The key begins with it of an item that has the attributes of a file whose content cannot be had, or that tells why the
/// attributes of a file could not be read.
pub const METADATA_PREFIX: &str = "metadata/";
/// The key of the record of a file's comments begins with it.
pub const COMMENTS_PREFIX: &str = "comments/";
/// The key of the record of a file's revisions begins with it.
pub const REVISIONS_PREFIX: &str = "revisions/";
/// The key of the bytes of an older revision begins with it: `revision/FILE/REVISION`.
pub const REVISION_PREFIX: &str = "revision/";

/// Returns the key of a file's item.
pub fn file_key(id: &str) -> String {
    format!("{FILE_PREFIX}{id}")
}

/// Returns the key of the bytes of an older revision.
pub fn revision_key(file: &str, revision: &str) -> String {
    format!("{REVISION_PREFIX}{file}/{revision}")
}

/// Returns the name of the stream of the files that a user owns.
pub fn drive_stream(email: &str) -> Result<StreamName, NameError> {
    StreamName::new(format!("drive/{email}"))
}

/// Returns the key under which the position of a user's drive is kept.
pub fn drive_unit(user_id: &str) -> String {
    format!("drive/{user_id}")
}

/// Returns the name of the stream of a shared drive's files.
pub fn shared_drive_stream(id: &str) -> Result<StreamName, NameError> {
    StreamName::new(shared_drive_unit(id))
}

/// Returns the key under which the position of a shared drive is kept.
pub fn shared_drive_unit(id: &str) -> String {
    format!("shared-drive/{id}")
}

/// Tells what a file of a drive is called, and who changed it last; nothing of folders, revisions and records.
pub(crate) fn file_of(item: &Item) -> Option<FileItem> {
    let drive = item.stream.as_str();
    let scope = match drive.strip_prefix("shared-drive/") {
        // In the audit log, a shared drive stands where others have an owner.
        Some(id) => format!("drive/{id}"),
        None => drive.starts_with("drive/").then(|| drive.to_owned())?,
    };
    if !item.key.starts_with(FILE_PREFIX) {
        return None;
    }
    let file = FileAttributes::of_text(&item.attributes)?;
    if matches!(file.kind(), FileKind::Folder | FileKind::Shortcut) {
        return None;
    }
    let person = file.last_modifying_user.and_then(|person| person.email_address);
    Some(FileItem {
        scope,
        target: format!("{} \"{}\"", item.key, file.name),
        name: file.name,
        changed_at: file.modified_time.parse().ok(),
        changed_by: person.map(|identity| Actor { identity, ..Actor::default() }),
    })
}

/// How far a drive was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrivePosition {
    /// The name of the stream; after a change of the owner's address everything is read under the new one.
    pub stream: String,
    /// The token of the change before which everything is held.
    pub changes: String,
    /// Whether the drive was listed to its end since that token was taken.
    pub listed: bool,
    /// Whether what is held must be compared with the drive once it is listed, because changes or the position were
    /// lost.
    pub compare: bool,
}

/// Tells whether an answer is one of the pages that drives are read in.
pub(crate) fn reads_as_page(body: &[u8]) -> bool {
    serde_json::from_slice::<wire::FilePage>(body).is_ok()
        | serde_json::from_slice::<wire::ChangePage>(body).is_ok()
        | serde_json::from_slice::<wire::PermissionPage>(body).is_ok()
        | serde_json::from_slice::<wire::CommentPage>(body).is_ok()
        | serde_json::from_slice::<wire::RevisionPage>(body).is_ok()
        | serde_json::from_slice::<wire::Operation>(body).is_ok()
}

/// Which files make a drive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// Those that the subject owns.
    Owned,
    /// Those of a shared drive.
    Shared {
        /// Its id.
        id: String,
        /// Whether the subject sees all that is in it.
        organizer: bool,
    },
}

/// What all drives share.
#[derive(Clone)]
pub(crate) struct Tools {
    pub(crate) api: Arc<ReadApi>,
    pub(crate) rounds: Arc<Rounds>,
    pub(crate) formats: Arc<Formats>,
    pub(crate) clock: Arc<dyn Clock>,
}

/// The unit of one drive.
pub(crate) struct Files {
    tools: Tools,
    /// In whose name it is read.
    subject: String,
    place: Place,
    name: String,
    stream: StreamName,
}

impl Files {
    /// Makes the unit of the files that a user owns.
    pub(crate) fn of_user(tools: Tools, user: &User) -> Result<Self, NameError> {
        Ok(Self {
            tools,
            subject: user.email.clone(),
            place: Place::Owned,
            name: drive_unit(&user.id),
            stream: drive_stream(&user.email)?,
        })
    }

    /// Makes the unit of a shared drive that is read in the name of a member.
    pub(crate) fn of_shared_drive(
        tools: Tools,
        id: &str,
        member: &str,
        organizer: bool,
    ) -> Result<Self, NameError> {
        Ok(Self {
            tools,
            subject: member.to_owned(),
            place: Place::Shared { id: id.to_owned(), organizer },
            name: shared_drive_unit(id),
            stream: shared_drive_stream(id)?,
        })
    }

    fn api(&self) -> &ReadApi {
        &self.tools.api
    }

    /// Makes a call; `path` comes after the version.
    fn get(method: &'static Method, path: &str) -> Get {
        Get::new(method, format!("drive/v3/{path}")).query("supportsAllDrives", "true")
    }

    /// Makes the call for what is known of a file.
    fn file(id: &str) -> Get {
        Self::get(&method::DRIVE_FILES_GET, &format!("files/{}", connect_http::escape(id)))
            .query("fields", FILE_FIELDS)
    }

    /// Narrows a list or a feed to this drive.
    fn here(&self, get: Get) -> Get {
        let get = get.query("includeItemsFromAllDrives", "true");
        match &self.place {
            Place::Owned => get,
            Place::Shared { id, .. } => get.query("driveId", id.as_str()),
        }
    }

    /// Tells whether a file is one of this drive.
    fn has(&self, file: &DriveFile) -> bool {
        match &self.place {
            Place::Owned => {
                let named = |owner: &Person| {
                    owner.email_address.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(&self.subject))
                };
                let FileAttributes { drive_id, owners, .. } = &file.attributes;
                // Only the subject's own files are asked for: one of which nothing is said is taken for one of them.
                let is_own = || owners.is_empty() || owners.iter().any(named);
                drive_id.is_none() && file.owned_by_me.unwrap_or_else(is_own)
            }
            Place::Shared { id, .. } => file.attributes.drive_id.as_ref() == Some(id),
        }
    }

    /// Tells whether the subject sees everything that is in the drive, so that what it is told not to exist does not.
    const fn sees_all(&self) -> bool {
        matches!(self.place, Place::Owned | Place::Shared { organizer: true, .. })
    }

    /// Takes the token of the next change: before anything is listed, so that what happens meanwhile is not lost.
    fn start_token(&self) -> Result<String, UnitError> {
        let mut get = Self::get(&method::DRIVE_START_TOKEN, "changes/startPageToken");
        if let Place::Shared { id, .. } = &self.place {
            get = get.query("driveId", id.as_str());
        }
        let start: StartToken = self.api().get(&self.subject, &get).map_err(|error| unit_error(&error))?;
        Ok(start.start_page_token)
    }

    fn position(&self, text: Option<&str>) -> Option<DrivePosition> {
        let position: DrivePosition = serde_json::from_str(text?).ok()?;
        (position.stream == self.stream.as_str()).then_some(position)
    }
}

fn advance(position: &DrivePosition, sink: &mut UnitSink<'_>) -> Result<(), UnitError> {
    sink.advance(serde_json::to_string(position).unwrap_or_default())
}

/// Tells whether a token is not taken any more.
fn is_rejected(error: &ApiError) -> bool {
    match error {
        ApiError::Expired(_) => true,
        ApiError::Refused(refusal) => refusal.status.as_u16() == 400,
        _ => false,
    }
}

/// One reading of a drive, and what it found out so far that is not in any commit yet.
struct Pass<'a, 's> {
    files: &'a Files,
    sink: &'a mut UnitSink<'s>,
    /// Files that were told to be gone.
    gone: HashSet<String>,
    /// Files that were told to be in the trash.
    trashed: HashSet<String>,
    /// Files that were handed over, with their folders.
    handed: Vec<(String, String)>,
    /// Folders that changed in a way that concerns what is in them.
    changed_folders: BTreeSet<String>,
    /// Folders that were not known before.
    new_folders: BTreeSet<String>,
    losses: Losses,
}

impl Pass<'_, '_> {
    /// Tells of what went away; the feed has the latest change of each file alone.
    fn tell(&mut self, since: &str, newest: &str) -> Result<(), UnitError> {
        let files = self.files;
        let scope = match &files.place {
            Place::Owned => files.subject.clone(),
            Place::Shared { .. } => files.stream.as_str().to_owned(),
        };
        let place = losses::Place::between("drive", "changes", since, newest, scope);
        let mut losses = std::mem::take(&mut self.losses);
        let mut lost: Vec<&String> = self.gone.iter().chain(&self.trashed).collect();
        lost.sort_unstable();
        losses.named = lost.into_iter().take(NAMED_MAX).map(|id| file_key(id)).collect();
        losses.event(files.tools.rounds.now(), place).map_or(Ok(()), |event| self.sink.event(event))
    }
}

impl Unit for Files {
    fn name(&self) -> &str {
        &self.name
    }

    fn read(&self, known: Option<&str>, sink: &mut UnitSink<'_>) -> Result<(), UnitError> {
        let mut position = match self.position(known) {
            Some(position) => position,
            None => {
                let stream = self.stream.as_str().to_owned();
                // Something was read before, as there is a position: what it was must be compared.
                let compare = known.is_some();
                let position = DrivePosition { stream, changes: self.start_token()?, listed: false, compare };
                advance(&position, sink)?;
                position
            }
        };
        let round = self.tools.rounds.is_due_in_turn(&self.name);
        let mut pass = Pass {
            files: self,
            sink,
            gone: HashSet::new(),
            trashed: HashSet::new(),
            handed: Vec::new(),
            changed_folders: BTreeSet::new(),
            new_folders: BTreeSet::new(),
            losses: Losses::default(),
        };
        let since = position.changes.clone();
        if position.listed {
            match pass.follow(&position.changes, round)? {
                Followed::To(token) => {
                    position.changes = token;
                    pass.tell(&since, &position.changes)?;
                    return advance(&position, pass.sink);
                }
                Followed::ListFrom(token) => position.changes = token,
                // The token is not taken any more; this says nothing about any file.
                Followed::Lost => position.changes = self.start_token()?,
            }
            (position.listed, position.compare) = (false, true);
            advance(&position, pass.sink)?;
        }
        pass.enumerate(position.compare)?;
        // What changed meanwhile comes with the next reading, which knows what this one handed over.
        (position.listed, position.compare) = (true, false);
        pass.tell(&since, &position.changes)?;
        advance(&position, pass.sink)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(stream: &str, key: &str, attributes: &str) -> Item {
        Item {
            stream: StreamName::new(stream).unwrap(),
            key: key.to_owned(),
            attributes: attributes.to_owned(),
        }
    }

    #[test]
    fn a_file_is_called_as_the_audit_log_calls_it() {
        let attributes = r#"{"name":"plan.docx","mimeType":"text/plain","modifiedTime":"2026-03-02T00:00:00.000Z",
            "lastModifyingUser":{"emailAddress":"bert@acme.test"}}"#;
        let file = file_of(&item("drive/anna@acme.test", "file/1", attributes)).unwrap();
        assert_eq!(
            (file.scope.as_str(), file.target.as_str()),
            ("drive/anna@acme.test", "file/1 \"plan.docx\"")
        );
        assert_eq!(file.changed_by.unwrap().identity, "bert@acme.test");
        assert_eq!(file.changed_at.unwrap().to_string(), "2026-03-02T00:00:00.000000Z");
        let shared = file_of(&item("shared-drive/0A", "file/1", attributes)).unwrap();
        assert_eq!(shared.scope, "drive/0A");
    }

    #[test]
    fn mail_records_revisions_and_folders_are_no_files() {
        let folder = r#"{"name":"f","mimeType":"application/vnd.google-apps.folder"}"#;
        for (stream, key, attributes) in [
            ("drive/anna@acme.test", "file/1", folder),
            ("drive/anna@acme.test", "revision/1/2", "{}"),
            ("drive/anna@acme.test", "comments/1", "{}"),
            ("gmail/anna@acme.test", "file/1", "{}"),
            ("drive/anna@acme.test", "file/1", "no JSON"),
        ] {
            assert_eq!(file_of(&item(stream, key, attributes)), None, "{stream} {key}");
        }
    }
}
