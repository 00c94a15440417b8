//! Making files: new ones, copies, and ids in advance.

use std::sync::Arc;

use serde_json::{Map, json};

use super::{
    capability::Standing,
    file::{Content, File, Id},
    files,
    kind::Kind,
    permission::{Grantee, Permission, Role},
    reply::{bad, bad_request, conflict, forbidden, insufficient, mask},
    resource::{self, Filled},
    trail::Event,
    write::{self, Metadata, Upload},
};
use crate::{
    call::{Answer, Call, Reply},
    refusal::Refusal,
    stream::Source,
    tenant::Tenant,
    text,
};

/// The looks of a file when nothing else is asked for.
pub(super) const USUAL: &str = "kind,id,name,mimeType";

/// Answers with a file.
pub(super) fn answer(tenant: &Tenant, call: &Call, id: &Id) -> Answer {
    let mask = mask(call, USUAL)?;
    let made = resource::make(tenant, call, files::get(tenant, id)?, &mask);
    Ok(Reply::later(move || mask.apply(Filled::finish(made))))
}

pub(super) fn create(tenant: &mut Tenant, call: &Call) -> Answer {
    let metadata = Metadata::read(&call.object()?)?;
    make(tenant, call, &metadata, None)
}

/// Refuses what [`make`] would refuse before any content is there.
pub(super) fn check(tenant: &mut Tenant, call: &Call, metadata: &Metadata) -> Result<(Kind, Id), Refusal> {
    mask(call, USUAL)?;
    let kind = metadata.media_type.as_deref().map_or(Some(Kind::Binary), Kind::of);
    let kind = kind.ok_or_else(|| bad("mimeType", "Invalid MIME type provided for the uploaded content."))?;
    let folder = write::folder(tenant, call, metadata.parents.as_deref())?;
    if let Some(id) = &metadata.id {
        if kind.is_edited() {
            return Err(bad("id", "Generated IDs are not supported for Docs Editors formats."));
        }
        if tenant.drive.tree.get(id).is_some() || tenant.drive.gone.contains(id.as_str()) {
            return Err(conflict("fileIdInUse", "A file already exists with the provided ID."));
        }
        if !tenant.drive.generated.contains(id.as_str()) {
            return Err(bad("id", "The provided file ID is not usable."));
        }
    }
    Ok((kind, folder))
}

/// Makes a file out of metadata and content.
pub(super) fn make(tenant: &mut Tenant, call: &Call, metadata: &Metadata, upload: Option<Upload>) -> Answer {
    let (kind, folder) = check(tenant, call, metadata)?;
    let name = metadata.name.clone().unwrap_or_else(|| "Untitled".to_owned());
    let target = match (kind, &metadata.target) {
        (Kind::Shortcut, Some(target)) => Some(write::target(tenant, call, target)?),
        (Kind::Shortcut, None) => return Err(bad_request("A shortcut needs a target.")),
        _ => None,
    };
    let uploaded = upload.is_some();
    let came = upload.as_ref().and_then(|upload| upload.media_type.clone());
    let content = write::content(kind, metadata.media_type.as_deref(), &name, upload)?;
    let size = content.as_ref().map_or(0, |(content, _)| content.size());
    write::check_storage(tenant, call, size)?;
    let number = tenant.drive.tree.next_number();
    let id = metadata.id.as_deref().map_or_else(|| tenant.drive.tree.ids.file(number, kind), text::shared);
    let mut file = File::new(id, &name, kind, &call.caller.user, metadata.created.unwrap_or(call.now));
    file.target = target;
    let restricting = write::restricting(tenant, call);
    metadata.write(&mut file, &restricting, call);
    file.modified = metadata.modified.unwrap_or(call.now);
    if let Some((content, media_type)) = content {
        file.media_type.clone_from(&media_type);
        let mut revision = write::revision(tenant.drive.tree.ids, number, &file, content, &media_type, call);
        revision.keep_forever = kind == Kind::Binary && call.flag("keepRevisionForever");
        revision.original_filename.clone_from(&file.traits.original_filename);
        file.revisions.push(revision);
    } else if let Some(media_type) = metadata.media_type.as_ref().filter(|_| kind == Kind::Binary) {
        file.media_type.clone_from(media_type);
    }
    let id = put(tenant, call, file, folder);
    // A program that turns a file into a document has both uploaded and made something.
    let event = if uploaded && (kind == Kind::Binary || came.is_some()) { "upload" } else { "create" };
    tenant.drive_event(call, &id, Event::access(event));
    answer(tenant, call, &id)
}

/// Puts a new file into its folder, with its owner's permission, and notes the change.
fn put(tenant: &mut Tenant, call: &Call, mut file: File, folder: Id) -> Id {
    file.drive = tenant.drive.tree.get(&folder).and_then(|folder| folder.drive.clone());
    file.parent = Some(folder);
    if file.drive.is_none() {
        let grantee = Grantee::User(call.caller.email.to_string(), Some(Arc::clone(&call.caller.user)));
        file.permissions = vec![Permission::new(grantee, Role::Owner, &call.caller.user, call.now)];
    }
    let id = tenant.drive.tree.add(file);
    tenant.drive_changed(&id, call.now);
    id
}

pub(super) fn copy(tenant: &mut Tenant, call: &Call) -> Answer {
    mask(call, USUAL)?;
    let metadata = Metadata::read(&call.object()?)?;
    let (source, role) = files::of_path(tenant, call)?;
    let file = files::get(tenant, &source)?.clone();
    if file.kind == Kind::Folder {
        return Err(forbidden("cannotCopyFile", "This file cannot be copied by the user."));
    }
    let standing = Standing { file: &file, role, trashed: false };
    if file.kind != Kind::Shortcut && !standing.can_download() && !file.kind.is_edited() {
        return Err(forbidden("cannotCopyFile", "This file cannot be copied by the user."));
    }
    let wanted = metadata.media_type.as_deref().and_then(Kind::of).unwrap_or(file.kind);
    let parents = metadata.parents.clone().or_else(|| {
        let parent = file.parent.as_deref()?;
        files::role(tenant, call, parent).filter(|role| *role >= Role::Writer)?;
        Some(vec![parent.to_owned()])
    });
    let folder = write::folder(tenant, call, parents.as_deref())?;
    let head = file.head().map(|head| head.content.clone());
    let content = match (head, wanted == file.kind) {
        (content, true) => content.map(|content| (content, file.media_type.clone())),
        (Some(Content::Blob(blob)), false) => {
            let size = usize::try_from(blob.length()).unwrap_or(usize::MAX);
            if size > tenant.settings.drive.export_bytes_max {
                return Err(bad_request("The requested conversion is not supported."));
            }
            let parts = vec![blob.bytes().into()];
            let upload = Upload { parts, media_type: Some(file.media_type.clone()) };
            write::content(wanted, None, &file.name, Some(upload))?
        }
        _ => return Err(bad_request("The requested conversion is not supported.")),
    };
    write::check_storage(tenant, call, content.as_ref().map_or(0, |(content, _)| content.size()))?;
    let number = tenant.drive.tree.next_number();
    let id = tenant.drive.tree.ids.file(number, wanted);
    let name = metadata.name.clone().unwrap_or_else(|| format!("Copy of {}", file.name));
    let mut made = File::new(id, &name, wanted, &call.caller.user, call.now);
    made.target.clone_from(&file.target);
    made.traits.description.clone_from(&file.traits.description);
    made.traits.properties.clone_from(&file.traits.properties);
    let restricting = write::restricting(tenant, call);
    metadata.write(&mut made, &restricting, call);
    if let Some((content, media_type)) = content {
        made.media_type.clone_from(&media_type);
        let revision = write::revision(tenant.drive.tree.ids, number, &made, content, &media_type, call);
        made.revisions.push(revision);
    }
    if call.flag("copyComments") {
        made.comments.clone_from(&file.comments);
    }
    let id = put(tenant, call, made, folder);
    tenant.drive_event(call, &id, Event::access("copy"));
    tenant.drive_event(call, &source, Event::access("source_copy").secondary());
    answer(tenant, call, &id)
}

pub(super) fn generate_ids(tenant: &mut Tenant, call: &Call) -> Answer {
    let count = call.page_size("count", 10, 1000)?;
    let mut ids = Map::new();
    let made: Vec<String> = (0..count)
        .map(|_| {
            let number = tenant.drive.tree.next_number();
            let id = tenant.drive.tree.ids.generated(number).to_string();
            tenant.drive.generated.insert(id.clone());
            id
        })
        .collect();
    ids.insert("kind".to_owned(), "drive#generatedIds".into());
    ids.insert("space".to_owned(), call.query("space").unwrap_or("drive").into());
    ids.insert("ids".to_owned(), json!(made));
    Ok(Reply::json(ids.into()))
}

/// Refuses callers that may not change a file.
pub(super) fn check_writer(role: Role) -> Result<(), Refusal> {
    if role >= Role::Writer { Ok(()) } else { Err(insufficient()) }
}
