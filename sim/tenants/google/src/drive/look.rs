//! Looking into drives, and changing them behind the API's back.

use std::sync::Arc;

use bytes::Bytes;
use model::Moment;

use super::{
    Channel, Look,
    blob::Blob,
    file::{Content, File, Id, Revision},
    kind::Kind,
    permission::{Grantee, Permission, Role},
};
use crate::tenant::Tenant;

/// A file as it really is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileView {
    /// Its id.
    pub id: Arc<str>,
    /// Its name.
    pub name: String,
    /// Its media type.
    pub media_type: String,
    /// The folder in which it is.
    pub parent: Option<Arc<str>>,
    /// The shared drive in which it is.
    pub drive: Option<Arc<str>>,
    /// The id of its owner.
    pub owner: Arc<str>,
    /// Whether it is in the trash, itself or with a folder.
    pub trashed: bool,
    /// How many contents it has.
    pub revisions: usize,
    /// How many comments it has, deleted ones included.
    pub comments: usize,
    /// Its own permissions: to whom, and what.
    pub permissions: Vec<(Grantee, Role)>,
    /// What a shortcut leads to.
    pub target: Option<Arc<str>>,
}

impl Tenant {
    /// Returns all files of all drives, the oldest first, top folders included.
    pub fn drive_files(&self) -> Vec<FileView> {
        self.drive.tree.all().map(|file| self.view(file)).collect()
    }

    /// Returns a file.
    pub fn drive_file(&self, id: &str) -> Option<FileView> {
        self.drive.tree.get(id).map(|file| self.view(file))
    }

    /// Returns the bytes of a binary file's newest content.
    pub fn drive_bytes(&self, id: &str) -> Option<Vec<u8>> {
        self.drive.tree.get(id)?.blob().map(|blob| blob.bytes())
    }

    /// Returns the text of a document of an editor.
    pub fn drive_text(&self, id: &str) -> Option<String> {
        let file = self.drive.tree.get(id)?;
        file.document().map(|document| document.text(file.kind))
    }

    /// Returns the ids of all shared drives with their names.
    pub fn shared_drives(&self) -> Vec<(Arc<str>, String)> {
        self.drive.drives.iter().map(|(id, drive)| (Arc::clone(id), drive.name.clone())).collect()
    }

    /// Returns the channels of notifications that are open.
    pub fn drive_channels(&self) -> &[Channel] {
        &self.drive.channels
    }

    /// Returns the mails that sharing has sent: the file, and to whom.
    pub fn drive_mails(&self) -> &[(Arc<str>, String)] {
        &self.drive.mails
    }

    /// Puts a binary file of any length into the top folder of a user; its content is drawn from `key` and takes no
    /// memory. Returns its id; `None` when there is no such user.
    pub fn add_drive_file(
        &mut self,
        user: &str,
        name: &str,
        key: u64,
        length: u64,
        look: Look,
    ) -> Option<Arc<str>> {
        let content = Content::Blob(Blob::drawn(key, length, look));
        self.add_content(user, name, Kind::Binary, super::guessed(name), content)
    }

    /// Puts a file with these bytes into the top folder of a user.
    pub fn add_drive_bytes(
        &mut self,
        user: &str,
        name: &str,
        media_type: &str,
        bytes: &[u8],
    ) -> Option<Arc<str>> {
        let content = Content::Blob(Blob::kept(vec![Bytes::copy_from_slice(bytes)]));
        self.add_content(user, name, Kind::Binary, media_type, content)
    }

    fn add_content(
        &mut self,
        user: &str,
        name: &str,
        kind: Kind,
        media_type: &str,
        content: Content,
    ) -> Option<Id> {
        let now = self.now();
        let user = self.directory.user(user)?;
        let (owner, address, created) = (Arc::clone(&user.id), user.primary_email.clone(), user.created);
        let root = self.drive.tree.root(&owner, created);
        let number = self.drive.tree.next_number();
        let id = self.drive.tree.ids.file(number, kind);
        let mut file = File::new(id, name, kind, &owner, now);
        file.parent = Some(root);
        media_type.clone_into(&mut file.media_type);
        let grantee = Grantee::User(address, Some(Arc::clone(&owner)));
        file.permissions.push(Permission::new(grantee, Role::Owner, &owner, now));
        let revision = self.drive.tree.ids.revision(number);
        file.revisions.push(Revision::new(revision, &owner, now, content, media_type));
        let id = self.drive.tree.add(file);
        self.drive_changed(&id, now);
        Some(id)
    }

    /// Deletes a file, with everything in it, behind the API's back: no audit row tells of it. Tells whether there was one.
    pub fn lose_drive_file(&mut self, id: &str) -> bool {
        let now = self.now();
        let id: Id = Arc::from(id);
        !super::delete::remove(self, &id, now).is_empty()
    }

    /// Makes a file look as if it had been changed last at this time.
    pub fn date_drive_file(&mut self, id: &str, modified: Moment) {
        if let Some(file) = self.drive.tree.get_mut(id) {
            file.modified = modified;
        }
    }

    fn view(&self, file: &File) -> FileView {
        FileView {
            id: Arc::clone(&file.id),
            name: file.name.clone(),
            media_type: file.media_type.clone(),
            parent: file.parent.clone(),
            drive: file.drive.clone(),
            owner: Arc::clone(&file.owner),
            trashed: self.drive.tree.is_trashed(file),
            revisions: file.revisions.len(),
            comments: file.comments.len(),
            permissions: file.permissions.iter().map(|own| (own.grantee.clone(), own.role)).collect(),
            target: file.target.as_ref().map(|(target, _)| Arc::clone(target)),
        }
    }
}
