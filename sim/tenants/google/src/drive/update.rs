//! Changing files: names and the like, their place, the trash, their content.

use std::sync::Arc;

use super::{
    capability::Standing,
    create::{USUAL, answer, check_writer},
    delete,
    file::{File, Id},
    files,
    kind::Kind,
    permission::{Grantee, Permission, Role},
    reply::{bad, bad_request, forbidden, insufficient, mask},
    trail::Event,
    write::{self, Metadata, Upload},
};
use crate::{
    audit::Parameter,
    call::{Answer, Call},
    refusal::Refusal,
    tenant::Tenant,
};

pub(super) fn update(tenant: &mut Tenant, call: &Call) -> Answer {
    let metadata = Metadata::read(&call.object()?)?;
    change(tenant, call, &metadata, None)
}

/// Refuses what [`change`] would refuse before any content is there.
pub(super) fn check(
    tenant: &mut Tenant,
    call: &Call,
    metadata: &Metadata,
    content: bool,
) -> Result<Id, Refusal> {
    mask(call, USUAL)?;
    let (id, role) = files::of_path(tenant, call)?;
    let file = files::get(tenant, &id)?;
    if metadata.parents.is_some() {
        let message = "The parents field is not directly writable in update requests. Use the addParents and \
                       removeParents parameters instead.";
        return Err(forbidden("fieldNotWritable", message));
    }
    if metadata.id.as_deref().is_some_and(|own| *own != *id)
        || metadata.created.is_some()
        || metadata.target.is_some()
    {
        return Err(forbidden(
            "fieldNotWritable",
            "The resource body includes fields which are not directly writable.",
        ));
    }
    let standing = Standing { file, role, trashed: false };
    if metadata.needs_writer() {
        check_writer(role)?;
    }
    if content {
        check_writer(role)?;
        if file.is_locked() {
            let message = "The content of this file is read-only and cannot be modified.";
            return Err(forbidden("contentRestricted", message));
        }
        if matches!(file.kind, Kind::Folder | Kind::Shortcut) {
            return Err(forbidden("fileNotUploadable", "Only files can have content."));
        }
    }
    if metadata.trashed.is_some() && !standing.can_trash() {
        return Err(insufficient());
    }
    if let Some(kind) = metadata.media_type.as_deref() {
        let same = Kind::of(kind).is_some_and(|kind| kind == file.kind);
        if !same {
            return Err(bad("mimeType", "Invalid MIME type provided for the uploaded content."));
        }
    }
    Ok(id)
}

/// Changes the file of the path.
pub(super) fn change(
    tenant: &mut Tenant,
    call: &Call,
    metadata: &Metadata,
    upload: Option<Upload>,
) -> Answer {
    let id = check(tenant, call, metadata, upload.is_some())?;
    let place = moving(tenant, call, &id)?;
    let file = files::get(tenant, &id)?;
    let (renamed, old_name) =
        (metadata.name.as_ref().is_some_and(|name| *name != file.name), file.name.clone());
    let edited = upload.is_some();
    if let Some(upload) = upload {
        rewrite(tenant, call, &id, metadata, upload)?;
    }
    let restricting = write::restricting(tenant, call);
    let file = files::get_mut(tenant, &id)?;
    if let Some(media_type) = metadata.media_type.as_ref().filter(|_| file.kind == Kind::Binary) {
        file.media_type.clone_from(media_type);
    }
    metadata.write(file, &restricting, call);
    if edited {
        tenant.drive_event(call, &id, Event::access("edit"));
    }
    if renamed {
        let event = Event::access("rename").with(Parameter::text("old_value", old_name));
        tenant.drive_event(call, &id, event);
    } else if !edited && metadata.needs_writer() {
        tenant.drive_event(call, &id, Event::access("edit"));
    }
    if let Some(folder) = place {
        relocate(tenant, call, &id, folder);
    }
    match metadata.trashed {
        Some(true) => delete::trash(tenant, call, &id),
        Some(false) => delete::untrash(tenant, call, &id),
        None => {}
    }
    tenant.drive_changed(&id, call.now);
    answer(tenant, call, &id)
}

/// Writes new content as a new revision.
fn rewrite(
    tenant: &mut Tenant,
    call: &Call,
    id: &Id,
    metadata: &Metadata,
    upload: Upload,
) -> Result<(), Refusal> {
    let file = files::get(tenant, id)?;
    let keep = file.kind == Kind::Binary && call.flag("keepRevisionForever");
    if keep {
        write::check_kept(tenant, file)?;
    }
    let name = metadata.name.as_deref().unwrap_or(&file.name);
    // Without a word about it, bytes stay what they were.
    let plain = upload.media_type.as_deref().is_none_or(|kind| kind == "application/octet-stream");
    let known = metadata.media_type.as_deref().or(Some(file.media_type.as_str()).filter(|_| plain));
    let made = write::content(file.kind, known, name, Some(upload))?;
    let Some((content, media_type)) = made else { return Err(bad_request("Bad Request")) };
    write::check_storage(tenant, call, content.size())?;
    let number = tenant.drive.tree.next_number();
    let file = files::get(tenant, id)?;
    let mut revision = write::revision(tenant.drive.tree.ids, number, file, content, &media_type, call);
    revision.keep_forever = keep;
    revision.original_filename.clone_from(&metadata.original_filename);
    let file = files::get_mut(tenant, id)?;
    file.revisions.push(revision);
    file.media_type = media_type;
    file.modified = call.now;
    file.modified_by = Arc::clone(&call.caller.user);
    Ok(())
}

/// Returns the folder into which the query moves a file, after everything about it was checked.
fn moving(tenant: &mut Tenant, call: &Call, id: &Id) -> Result<Option<Id>, Refusal> {
    let list = |name| -> Vec<String> {
        let ids = call.query(name).into_iter().flat_map(|ids| ids.split(','));
        ids.map(str::trim).filter(|id| !id.is_empty()).map(str::to_owned).collect()
    };
    let (add, remove) = (list("addParents"), list("removeParents"));
    let parent = files::get(tenant, id)?.parent.clone();
    for removed in &remove {
        let removed = files::resolved(tenant, call, removed);
        if parent.as_ref() != Some(&removed) {
            return Err(super::reply::no_file(&removed));
        }
    }
    let [folder] = add.as_slice() else {
        return if !add.is_empty() {
            Err(forbidden("cannotAddParent", "A file cannot have more than one parent."))
        } else if remove.is_empty() {
            Ok(None)
        } else {
            Err(forbidden("cannotRemoveParent", "A file must have a parent."))
        };
    };
    let folder = write::folder(tenant, call, Some(std::slice::from_ref(folder)))?;
    if Some(&folder) == parent.as_ref() {
        return Ok(None);
    }
    let role = files::role(tenant, call, id).unwrap_or(Role::Reader);
    let file = files::get(tenant, id)?;
    let into = files::get(tenant, &folder)?;
    if !(Standing { file, role, trashed: false }).can_move() {
        return Err(insufficient());
    }
    if folder == *id || tenant.drive.tree.above(into).any(|above| above.id == *id) {
        return Err(forbidden("cyclicMembershipsNotAllowed", "A folder cannot be put into itself."));
    }
    check_drives(file, into, role, call)?;
    Ok(Some(folder))
}

fn check_drives(file: &File, into: &File, role: Role, call: &Call) -> Result<(), Refusal> {
    if file.drive == into.drive {
        return Ok(());
    }
    if file.kind == Kind::Folder && into.drive.is_some() {
        let message = "Moving folders into shared drives is not supported.";
        return Err(forbidden("teamDrivesFolderMoveInNotSupported", message));
    }
    let may = if file.drive.is_some() { role >= Role::Organizer } else { file.owner == call.caller.user };
    if may { Ok(()) } else { Err(insufficient()) }
}

/// Moves a file, and notes it for those who saw it before and those who see it now.
fn relocate(tenant: &mut Tenant, call: &Call, id: &Id, folder: Id) {
    let (before, old) = tenant.drive_audience(id, call.now);
    tenant.drive.tree.place(id, Some(folder));
    let drive = tenant.drive.tree.get(id).and_then(|file| file.drive.clone());
    if drive != old {
        for below in tenant.drive.tree.subtree(id) {
            if drive.is_none() {
                tenant.drive.tree.give(&below, &call.caller.user);
            }
            let Some(file) = tenant.drive.tree.get_mut(&below) else { continue };
            file.permissions.retain(|permission| permission.role != Role::Owner);
            if drive.is_none() {
                let grantee =
                    Grantee::User(call.caller.email.to_string(), Some(Arc::clone(&call.caller.user)));
                let owner = Permission::new(grantee, Role::Owner, &call.caller.user, call.now);
                file.permissions.retain(|permission| permission.id != owner.id);
                file.permissions.push(owner);
            }
        }
    }
    tenant.drive_noted(&super::changes::Item::File(Arc::clone(id)), before, old, call.now);
    tenant.drive_event(call, id, Event::access("move"));
}
