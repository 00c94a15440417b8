//! What a caller may do with a file, as files and drives say it.

use serde_json::{Value, json};

use super::{file::File, kind::Kind, permission::Role};

/// What decides what a caller may do.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standing<'a> {
    pub(super) file: &'a File,
    pub(super) role: Role,
    pub(super) trashed: bool,
}

impl Standing<'_> {
    const fn shared(&self) -> bool {
        self.file.drive.is_some()
    }

    /// Returns the first of two roles in a shared drive, the second elsewhere.
    const fn needed(&self, shared: Role, own: Role) -> Role {
        if self.shared() { shared } else { own }
    }

    /// Whether its content may be had.
    pub(super) fn can_download(&self) -> bool {
        let withheld = self.file.traits.copy_requires_writer && self.role < Role::Writer;
        let content =
            !matches!(self.file.kind, Kind::Folder | Kind::Shortcut | Kind::Form | Kind::Site | Kind::Map);
        content && !withheld && !self.file.traits.download_refused
    }

    /// Whether it may be put into the trash, and taken out.
    pub(super) fn can_trash(&self) -> bool {
        !self.file.is_top() && self.role >= self.needed(Role::FileOrganizer, Role::Owner)
    }

    /// Whether it may be deleted without the trash.
    pub(super) fn can_delete(&self) -> bool {
        !self.file.is_top() && self.role >= self.needed(Role::Organizer, Role::Owner)
    }

    /// Whether names and the like may be changed.
    pub(super) fn can_edit(&self) -> bool {
        self.role >= Role::Writer
    }

    /// Whether the content may be changed.
    pub(super) fn can_modify_content(&self) -> bool {
        self.can_edit() && !self.file.is_locked()
    }

    /// Whether permissions may be changed.
    pub(super) fn can_share(&self) -> bool {
        if self.shared() {
            let folder = self.file.kind == Kind::Folder;
            return self.role >= if folder { Role::Organizer } else { Role::FileOrganizer };
        }
        !self.file.is_top()
            && (self.role == Role::Owner
                || self.role >= Role::Writer && !self.file.traits.writers_cannot_share)
    }

    /// Whether it may be put into another folder.
    pub(super) fn can_move(&self) -> bool {
        !self.file.is_top() && self.role >= self.needed(Role::FileOrganizer, Role::Writer)
    }

    /// Returns the resource's capabilities.
    pub(super) fn resource(&self) -> Value {
        let folder = self.file.kind == Kind::Folder;
        let (edit, share, trash, moves) =
            (self.can_edit(), self.can_share(), self.can_trash(), self.can_move());
        let shared = self.shared();
        let owner = self.role >= self.needed(Role::Organizer, Role::Owner);
        let mut value = json!({
            "canAcceptOwnership": false,
            "canAddChildren": folder && edit && !self.trashed,
            "canAddMyDriveParent": false,
            "canChangeCopyRequiresWriterPermission": edit,
            "canChangeItemDownloadRestriction": owner,
            "canChangeSecurityUpdateEnabled": false,
            "canChangeViewersCanCopyContent": edit,
            "canComment": self.role >= Role::Commenter,
            "canCopy": !folder && !self.file.traits.download_refused
                && (edit || !self.file.traits.copy_requires_writer),
            "canDelete": self.can_delete(),
            "canDownload": self.can_download(),
            "canEdit": edit,
            "canListChildren": folder,
            "canModifyContent": self.can_modify_content(),
            "canModifyContentRestriction": edit,
            "canModifyEditorContentRestriction": edit,
            "canModifyLabels": false,
            "canModifyOwnerContentRestriction": owner,
            "canMoveItemOutOfDrive": owner && moves,
            "canMoveItemWithinDrive": moves,
            "canReadLabels": false,
            "canReadRevisions": self.role >= Role::Commenter && !folder,
            "canRemoveChildren": folder && !shared && edit,
            "canRemoveContentRestriction": edit && self.file.is_locked(),
            "canRemoveMyDriveParent": !shared && owner,
            "canRename": edit && !self.file.is_top(),
            "canShare": share,
            "canTrash": trash,
            "canUntrash": trash,
        });
        if shared {
            value["canReadDrive"] = true.into();
            value["canDeleteChildren"] = (folder && self.role >= Role::Organizer).into();
            value["canTrashChildren"] = (folder && self.role >= Role::FileOrganizer).into();
            value["canMoveChildrenWithinDrive"] = (folder && self.role >= Role::FileOrganizer).into();
            value["canMoveChildrenOutOfDrive"] = (folder && owner).into();
            value["canAddFolderFromAnotherDrive"] = (folder && owner).into();
        }
        value
    }
}
