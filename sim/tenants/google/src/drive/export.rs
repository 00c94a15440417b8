//! Documents of editors in other programs' formats: at once, by an operation, or by a link.

use std::sync::Arc;

use bytes::Bytes;
use model::Moment;
use serde_json::{Value, json};

use super::{
    blob::Blob,
    content::{bytes, check_download},
    document::{self, Document},
    file::{Content, File, Id, Revision},
    files,
    kind::{Kind, PNG},
    reply::{bad_request, forbidden, none, required},
    trail::Event,
};
use crate::{
    call::{Answer, Call, Reply},
    refusal::Refusal,
    stream::Source,
    tenant::Tenant,
};

/// A file that is being made ready for download.
#[derive(Debug)]
pub(super) struct Operation {
    user: Id,
    file: Id,
    revision: Option<String>,
    format: String,
    begun: Moment,
    /// How often it is asked for until it is done.
    polls: u32,
}

/// Finds the text that is meant and checks that the caller may have it in this format.
fn text(file: &File, revision: Option<&str>, format: &str) -> Result<(Kind, Document), Refusal> {
    if !file.kind.is_edited() {
        return Err(forbidden("fileNotExportable", "Export only supports Docs Editors files."));
    }
    if file.kind.exports().is_empty() {
        return Err(forbidden("fileNotExportable", "This file cannot be exported by the user."));
    }
    if !file.kind.exports().iter().any(|(own, _)| *own == format) {
        return Err(bad_request("The requested conversion is not supported."));
    }
    let content = chosen(file, revision)?.map(|revision| &revision.content);
    match content {
        Some(Content::Document(document)) => Ok((file.kind, document.clone())),
        _ => Err(bad_request("The requested conversion is not supported.")),
    }
}

fn chosen<'a>(file: &'a File, revision: Option<&str>) -> Result<Option<&'a Revision>, Refusal> {
    let Some(id) = revision else { return Ok(file.head()) };
    let found = file.revisions.iter().find(|revision| revision.id == id);
    found.map(Some).ok_or_else(|| none("Revision", "revisionId", id))
}

fn written(kind: Kind, document: &Document, format: &str) -> Result<Vec<u8>, Refusal> {
    let content = document::export(kind, &document.text(kind), format);
    content.ok_or_else(|| bad_request("The requested conversion is not supported."))
}

pub(super) fn export(tenant: &mut Tenant, call: &Call) -> Answer {
    let format = call.query("mimeType").ok_or_else(|| required("mimeType"))?;
    let (id, role) = files::of_path(tenant, call)?;
    let file = files::get(tenant, &id)?;
    let (kind, document) = text(file, None, format)?;
    check_download(file, role, call)?;
    let max = tenant.settings.drive.export_bytes_max;
    let too_large = || forbidden("exportSizeLimitExceeded", "This file is too large to be exported.");
    // No format but a picture is shorter than its text.
    if format != PNG && document.length(kind) > max as u64 {
        return Err(too_large());
    }
    let content = written(kind, &document, format)?;
    if content.len() > max {
        return Err(too_large());
    }
    tenant.drive_event(call, &id, Event::read("drive.files.export"));
    Ok(Reply::bytes(format, content))
}

pub(super) fn download(tenant: &mut Tenant, call: &Call) -> Answer {
    let (id, role) = files::of_path(tenant, call)?;
    let file = files::get(tenant, &id)?;
    check_download(file, role, call)?;
    let revision = call.query("revisionId").map(str::to_owned);
    let format = match call.query("mimeType") {
        Some(format) if file.kind.is_edited() => format.to_owned(),
        // Bytes are downloaded as they are; of documents the first format is the usual one.
        _ => file
            .kind
            .exports()
            .first()
            .map_or_else(|| file.media_type.clone(), |(format, _)| (*format).to_owned()),
    };
    if file.kind.is_edited() {
        text(file, revision.as_deref(), &format)?;
    } else {
        chosen(file, revision.as_deref())?;
    }
    let number = tenant.drive.tree.next_number();
    let name = tenant.drive.tree.ids.secret(number);
    let operation = Operation {
        user: Arc::clone(&call.caller.user),
        file: Arc::clone(&id),
        revision,
        format,
        begun: call.now,
        polls: tenant.settings.drive.operation_polls,
    };
    let body = shown(tenant, &name, &operation);
    tenant.drive.operations.insert(name, operation);
    tenant.drive_event(call, &id, Event::read("drive.files.download"));
    Ok(Reply::json(body))
}

fn shown(tenant: &Tenant, name: &str, operation: &Operation) -> Value {
    let mut body = json!({
        "name": name,
        "done": operation.polls == 0,
        "metadata": { "@type": "type.googleapis.com/google.apps.drive.v3.DownloadFileMetadata", "resourceKey": "" },
    });
    if operation.polls == 0 {
        body["response"] = json!({
            "@type": "type.googleapis.com/google.apps.drive.v3.DownloadFileResponse",
            "downloadUri": format!("{}/download/drive/v3/operations/{name}", tenant.url),
            "partialDownloadAllowed": true,
        });
    }
    body
}

fn known<'a>(tenant: &'a mut Tenant, call: &Call, name: &str) -> Result<&'a mut Operation, Refusal> {
    let lifetime = tenant.settings.drive.operation_lifetime.as_micros() as i64;
    let found = tenant.drive.operations.get_mut(name).filter(|operation| operation.user == call.caller.user);
    let fresh = found.filter(|operation| call.now.micros_since(operation.begun) <= lifetime);
    fresh.ok_or_else(|| none("Operation", "name", name))
}

pub(super) fn operation(tenant: &mut Tenant, call: &Call) -> Answer {
    let name = call.parameter("name").trim_start_matches("operations/").to_owned();
    let operation = known(tenant, call, &name)?;
    operation.polls = operation.polls.saturating_sub(1);
    let body = tenant.drive.operations.get(&name).map(|operation| shown(tenant, &name, operation));
    Ok(Reply::json(body.unwrap_or_default()))
}

/// Answers with what an operation has made ready.
pub(super) fn operation_content(tenant: &mut Tenant, call: &Call) -> Answer {
    let name = call.parameter("name").to_owned();
    let operation = known(tenant, call, &name)?;
    if operation.polls > 0 {
        return Err(none("Operation", "name", &name));
    }
    let (id, revision, format) =
        (Arc::clone(&operation.file), operation.revision.clone(), operation.format.clone());
    deliver(tenant, call, &id, revision.as_deref(), &format)
}

fn deliver(tenant: &mut Tenant, call: &Call, id: &Id, revision: Option<&str>, format: &str) -> Answer {
    let role = files::role(tenant, call, id).ok_or_else(|| super::reply::no_file(id))?;
    let file = files::get(tenant, id)?;
    check_download(file, role, call)?;
    if let Some(Content::Blob(blob)) = chosen(file, revision)?.map(|revision| &revision.content) {
        return bytes(call, format, Arc::clone(blob) as Arc<dyn Source>);
    }
    let (kind, document) = text(file, revision, format)?;
    let content = Blob::kept(vec![Bytes::from(written(kind, &document, format)?)]);
    bytes(call, format, content as Arc<dyn Source>)
}

/// Answers a link of `exportLinks`.
pub(super) fn link(tenant: &mut Tenant, call: &Call) -> Answer {
    let id = call.query("id").ok_or_else(|| required("id"))?;
    let id = files::resolved(tenant, call, id);
    let file = tenant.drive.tree.get(&id).ok_or_else(|| super::reply::no_file(&id))?;
    let ending = call.query("exportFormat").unwrap_or_default();
    let format = file.kind.exports().iter().find(|(_, own)| *own == ending).map(|(format, _)| *format);
    let format = format.ok_or_else(|| bad_request("The requested conversion is not supported."))?;
    let reply = deliver(tenant, call, &id, call.query("revision"), format)?;
    tenant.drive_event(call, &id, Event::read("drive.files.export"));
    Ok(reply)
}
