//! What files were before.

use std::sync::Arc;

use serde_json::Value;

use super::{
    content::{bytes, check_download},
    file::{Content, File, Id, Revision},
    files,
    permission::Role,
    reply::{self, bad_request, forbidden, insufficient, mask, none},
    resource::{self, Filled},
    trail::Event,
    write,
};
use crate::{
    call::{Answer, Call, Reply},
    page,
    refusal::Refusal,
    stream::Source,
    tenant::Tenant,
};

const USUAL: &str = "kind,id,mimeType,modifiedTime";
const USUAL_LIST: &str = "kind,nextPageToken,revisions(kind,id,mimeType,modifiedTime)";

/// Finds the file of the path, after those of its revisions were deleted that are too old.
fn find(tenant: &mut Tenant, call: &Call, needed: Role) -> Result<(Id, Role), Refusal> {
    let (id, role) = files::of_path(tenant, call)?;
    if role < needed {
        return Err(insufficient());
    }
    let lifetime = tenant.settings.drive.revision_lifetime;
    let file = files::get_mut(tenant, &id)?;
    if let Some(lifetime) = lifetime {
        // Time counts from when newer content came.
        let replaced: Vec<_> = file.revisions.iter().skip(1).map(|newer| newer.modified).collect();
        let mut replaced = replaced.into_iter();
        file.revisions.retain(|revision| {
            let old =
                replaced.next().is_some_and(|at| call.now.micros_since(at) > lifetime.as_micros() as i64);
            let binary = matches!(revision.content, Content::Blob(_));
            !(old && binary) || revision.keep_forever
        });
    }
    Ok((id, role))
}

fn revision<'a>(file: &'a File, id: &str) -> Result<&'a Revision, Refusal> {
    let found =
        if id == "head" { file.head() } else { file.revisions.iter().find(|revision| revision.id == id) };
    found.ok_or_else(|| none("Revision", "revisionId", id))
}

pub(super) fn list(tenant: &mut Tenant, call: &Call) -> Answer {
    let mask = mask(call, USUAL_LIST)?;
    let (id, _) = find(tenant, call, Role::Commenter)?;
    let file = files::get(tenant, &id)?;
    if file.revisions.is_empty() {
        return Err(forbidden("revisionsNotSupported", "The file does not support revisions."));
    }
    let place = page::open(tenant.settings.seed, call, tenant.settings.page_lifetime)?;
    let size = call.page_size("pageSize", 200, 1000)?;
    let (items, next) = page::slice(&file.revisions, place.as_deref(), size);
    let made: Vec<Filled> = mask
        .down("revisions")
        .map(|below| items.iter().map(|one| resource::revision(tenant, call, file, one, below)).collect())
        .unwrap_or_default();
    let next = next.map(|next| page::issue(tenant.settings.seed, call, &next));
    Ok(Reply::later(move || {
        let items: Vec<Value> = made.into_iter().map(Filled::finish).collect();
        mask.apply(reply::list("drive#revisionList", "revisions", items, next))
    }))
}

pub(super) fn get(tenant: &mut Tenant, call: &Call) -> Answer {
    let (id, role) = find(tenant, call, Role::Reader)?;
    let file = files::get(tenant, &id)?;
    let found = revision(file, call.parameter("revisionId"))?;
    if call.query("alt") != Some("media") {
        return answer(tenant, call, &id, call.parameter("revisionId"));
    }
    let Content::Blob(blob) = &found.content else {
        let message = "Only files with binary content can be downloaded. Use Export with Docs Editors files.";
        return Err(forbidden("fileNotDownloadable", message));
    };
    let (media_type, blob) = (found.media_type.clone(), Arc::clone(blob));
    check_download(file, role, call)?;
    let reply = bytes(call, &media_type, blob as Arc<dyn Source>)?;
    tenant.drive_event(call, &id, Event::read("drive.revisions.get"));
    Ok(reply)
}

fn answer(tenant: &Tenant, call: &Call, id: &Id, wanted: &str) -> Answer {
    let mask = mask(call, USUAL)?;
    let file = files::get(tenant, id)?;
    let made = resource::revision(tenant, call, file, revision(file, wanted)?, &mask);
    Ok(Reply::later(move || mask.apply(made.finish())))
}

pub(super) fn update(tenant: &mut Tenant, call: &Call) -> Answer {
    let fields = call.object()?;
    let (id, _) = find(tenant, call, Role::Writer)?;
    let file = files::get(tenant, &id)?;
    let wanted = call.parameter("revisionId").to_owned();
    let found = revision(file, &wanted)?;
    let binary = matches!(found.content, Content::Blob(_));
    let flag =
        |name: &str| fields.get(name).map(|value| value.as_bool().ok_or_else(|| bad_request("Bad Request")));
    let keep = flag("keepForever").transpose()?;
    if keep == Some(true) && !found.keep_forever {
        if !binary {
            return Err(bad_request("Revisions of Docs Editors files cannot be kept forever."));
        }
        write::check_kept(tenant, file)?;
    }
    let (published, auto, outside) = (
        flag("published").transpose()?,
        flag("publishAuto").transpose()?,
        flag("publishedOutsideDomain").transpose()?,
    );
    let found = revision(file, &wanted)?.id.clone();
    let file = files::get_mut(tenant, &id)?;
    if let Some(revision) = file.revisions.iter_mut().find(|revision| revision.id == found) {
        revision.keep_forever = keep.unwrap_or(revision.keep_forever);
        revision.published = published.unwrap_or(revision.published);
        revision.publish_auto = auto.unwrap_or(revision.publish_auto);
        revision.published_outside = outside.unwrap_or(revision.published_outside);
    }
    if published.is_some() {
        tenant.drive_event(call, &id, Event::sharing("publish_change", Vec::new()));
    }
    answer(tenant, call, &id, &wanted)
}

pub(super) fn delete(tenant: &mut Tenant, call: &Call) -> Answer {
    let (id, _) = find(tenant, call, Role::Writer)?;
    let file = files::get(tenant, &id)?;
    let found = revision(file, call.parameter("revisionId"))?;
    if matches!(found.content, Content::Document(_)) {
        let message = "Revisions of Docs Editors files cannot be deleted.";
        return Err(forbidden("revisionDeletionNotSupported", message));
    }
    if file.revisions.len() == 1 {
        return Err(forbidden("cannotDeleteOnlyRevision", "The only revision of a file cannot be deleted."));
    }
    let wanted = found.id.clone();
    let head = file.head().is_some_and(|head| head.id == wanted);
    let file = files::get_mut(tenant, &id)?;
    file.revisions.retain(|revision| revision.id != wanted);
    // Without its newest content a file is what it was before.
    let media_type = file.head().map(|head| head.media_type.clone());
    if let Some(media_type) = media_type.filter(|_| head) {
        file.media_type = media_type;
    }
    tenant.drive_changed(&id, call.now);
    tenant.drive_event(call, &id, Event::access("edit"));
    Ok(Reply::empty())
}
