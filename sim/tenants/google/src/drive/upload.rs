//! Content that comes with requests: alone, with its metadata, or in chunks that can be taken up again.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value};

use super::{
    create,
    file::Id,
    reply::{bad_request, none},
    update,
    write::{Metadata, Upload},
};
use crate::{
    batch,
    call::{Answer, Body, Call, Reply},
    refusal::Refusal,
    tenant::Tenant,
    text,
};

/// A resumable upload that has begun.
#[derive(Debug)]
pub(crate) struct Session {
    /// The file whose content is replaced; without it one is made.
    target: Option<String>,
    metadata: Map<String, Value>,
    media_type: Option<String>,
    /// The announced length.
    length: Option<u64>,
    parts: Vec<Bytes>,
    received: u64,
    query: Vec<(String, String)>,
    user: Id,
}

pub(super) fn create(tenant: &mut Tenant, call: &Call) -> Answer {
    receive(tenant, call, None)
}

pub(super) fn update(tenant: &mut Tenant, call: &Call) -> Answer {
    let target = call.parameter("fileId").to_owned();
    receive(tenant, call, Some(target))
}

fn receive(tenant: &mut Tenant, call: &Call, target: Option<String>) -> Answer {
    match call.query("uploadType") {
        Some("media") => {
            let media_type = call.header("content-type").map(str::to_owned);
            let upload = Upload { parts: vec![call.body.clone()], media_type };
            carry_out(tenant, call, target.is_some(), &Map::new(), Some(upload))
        }
        Some("multipart") => {
            let (metadata, upload) = multipart(call)?;
            carry_out(tenant, call, target.is_some(), &metadata, Some(upload))
        }
        Some("resumable") => begin(tenant, call, target),
        _ => Err(bad_request("The uploadType parameter must be media, multipart or resumable.")),
    }
}

fn carry_out(
    tenant: &mut Tenant,
    call: &Call,
    update: bool,
    metadata: &Map<String, Value>,
    upload: Option<Upload>,
) -> Answer {
    let metadata = Metadata::read(metadata)?;
    if update {
        update::change(tenant, call, &metadata, upload)
    } else {
        create::make(tenant, call, &metadata, upload)
    }
}

fn multipart(call: &Call) -> Result<(Map<String, Value>, Upload), Refusal> {
    let broken = || bad_request("Malformed multipart body.");
    let boundary = call.header("content-type").and_then(batch::boundary).ok_or_else(broken)?;
    let parts = batch::split(&call.body, &boundary);
    let [metadata, content] = parts.as_slice() else { return Err(broken()) };
    let (_, metadata) = batch::head(metadata);
    let (head, content) = batch::head(content);
    let metadata = serde_json::from_slice(metadata).map_err(|_| broken())?;
    let base64 = batch::field(&head, "content-transfer-encoding")
        .is_some_and(|way| way.eq_ignore_ascii_case("base64"));
    let content = if base64 {
        let text = String::from_utf8_lossy(content).replace(['\r', '\n'], "");
        Bytes::from(text::from_base64url(&text).ok_or_else(broken)?)
    } else {
        call.body.slice_ref(content)
    };
    let media_type = batch::field(&head, "content-type").map(str::to_owned);
    Ok((metadata, Upload { parts: vec![content], media_type }))
}

/// Begins a resumable upload. Whatever can be refused without the content is refused now.
fn begin(tenant: &mut Tenant, call: &Call, target: Option<String>) -> Answer {
    let metadata = call.object()?;
    let read = Metadata::read(&metadata)?;
    match &target {
        Some(_) => update::check(tenant, call, &read, true).map(|_| ())?,
        None => create::check(tenant, call, &read).map(|_| ())?,
    }
    let number = tenant.drive.tree.next_number();
    let id = tenant.drive.tree.ids.secret(number);
    let file = target.as_ref().map_or_else(String::new, |target| format!("/{target}"));
    let query: String =
        call.query.iter().map(|(name, value)| format!("{name}={}&", encoded(value))).collect();
    let location = format!("{}/upload/drive/v3/files{file}?{query}upload_id={id}", tenant.url);
    let session = Session {
        target,
        metadata,
        media_type: call.header("x-upload-content-type").map(str::to_owned),
        length: call.header("x-upload-content-length").and_then(|length| length.parse().ok()),
        parts: Vec::new(),
        received: 0,
        query: call.query.clone(),
        user: Arc::clone(&call.caller.user),
    };
    tenant.drive.uploads.insert(id.clone(), session);
    let reply =
        Reply { code: 200, headers: Vec::new(), body: Body::Bytes("text/plain".to_owned(), Bytes::new()) };
    Ok(reply.header("location", location).header("x-guploader-uploadid", id))
}

fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

/// What a `Content-Range` header says.
#[derive(Debug, PartialEq, Eq)]
struct Chunk {
    /// The first byte and how many; none when only the state is asked for.
    run: Option<(u64, u64)>,
    total: Option<u64>,
}

fn chunk(header: Option<&str>, body: u64) -> Option<Chunk> {
    let Some(header) = header else { return Some(Chunk { run: Some((0, body)), total: Some(body) }) };
    let (run, total) = header.trim().strip_prefix("bytes")?.trim().split_once('/')?;
    let total = match total.trim() {
        "*" => None,
        total => Some(total.parse().ok()?),
    };
    if run.trim() == "*" {
        return Some(Chunk { run: None, total });
    }
    let (first, last) = run.split_once('-')?;
    let (first, last): (u64, u64) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    let count = last.checked_sub(first)?.checked_add(1)?;
    let fits = count == body && total.is_none_or(|total| last < total);
    fits.then_some(Chunk { run: Some((first, count)), total })
}

/// Takes a chunk of a resumable upload, or says how much has come.
pub(super) fn proceed(tenant: &mut Tenant, call: &Call) -> Answer {
    let id = call.query("upload_id").unwrap_or_default();
    let settings = tenant.settings.drive.clone();
    let session = tenant.drive.uploads.get_mut(id).filter(|session| session.user == call.caller.user);
    let session = session.ok_or_else(|| none("Upload", "upload_id", id))?;
    let chunk = chunk(call.header("content-range"), call.body.len() as u64);
    let chunk = chunk.ok_or_else(|| bad_request("Failed to parse Content-Range header."))?;
    if let (Some(before), Some(now)) = (session.length, chunk.total)
        && before != now
    {
        return Err(bad_request("The total size of the upload has changed."));
    }
    session.length = session.length.or(chunk.total);
    if let Some((first, count)) = chunk.run {
        if first > session.received {
            // A gap: the client has to be told where it stands.
            return Ok(incomplete(session.received));
        }
        let last = session.length.is_some_and(|length| first + count == length);
        if !last && !count.is_multiple_of(settings.chunk_multiple.max(1)) {
            return Err(bad_request("Chunk sizes must be multiples of 256 KiB, the last one excepted."));
        }
        let known = (session.received - first).min(count);
        let fresh = call.body.slice(known as usize..);
        let kept = if last { fresh.len() as u64 } else { settings.chunk_kept_max.unwrap_or(u64::MAX) };
        let fresh = fresh.slice(..usize::try_from(kept).map_or(fresh.len(), |kept| kept.min(fresh.len())));
        session.received += fresh.len() as u64;
        session.parts.push(fresh);
    }
    if session.length != Some(session.received) {
        return Ok(incomplete(session.received));
    }
    finish(tenant, call, id)
}

fn incomplete(received: u64) -> Reply {
    let reply = Reply { code: 308, headers: Vec::new(), body: Body::Empty };
    if received == 0 { reply } else { reply.header("range", format!("bytes=0-{}", received - 1)) }
}

fn finish(tenant: &mut Tenant, call: &Call, id: &str) -> Answer {
    let Some(session) = tenant.drive.uploads.remove(id) else { return Err(none("Upload", "upload_id", id)) };
    let upload = Upload { parts: session.parts, media_type: session.media_type };
    // The call that began decides what is made and how the answer looks.
    let parameters = session.target.clone().map(|target| ("fileId", target)).into_iter().collect();
    let first = Call {
        method: call.method.clone(),
        path: call.path.clone(),
        parameters,
        query: session.query,
        headers: call.headers.clone(),
        body: Bytes::new(),
        caller: Arc::clone(&call.caller),
        address: call.address,
        now: call.now,
    };
    carry_out(tenant, &first, session.target.is_some(), &session.metadata, Some(upload))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_read_as_their_headers_say() {
        let of = |run, total| Some(Chunk { run, total });
        assert_eq!(chunk(None, 7), of(Some((0, 7)), Some(7)));
        assert_eq!(chunk(Some("bytes 0-6/10"), 7), of(Some((0, 7)), Some(10)));
        assert_eq!(chunk(Some("bytes 7-9/*"), 3), of(Some((7, 3)), None));
        assert_eq!(chunk(Some("bytes */10"), 0), of(None, Some(10)));
        assert_eq!(chunk(Some("bytes */*"), 0), of(None, None));
        for broken in ["bytes 0-6/7x", "bytes 0-6/5", "bytes 6-0/10", "bytes 0-6", "0-6/10"] {
            assert_eq!(chunk(Some(broken), 7), None, "{broken}");
        }
        assert_eq!(chunk(Some("bytes 0-6/10"), 5), None, "the body has another length");
    }
}
