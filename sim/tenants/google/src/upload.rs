//! Uploads: simple, multipart and resumable, for every service that takes media.
//!
//! A handler calls [`receive`]. When it has everything, it does its work and gives the answer to [`finish`], so that a
//! client that lost it can ask for it again.

use std::collections::HashMap;

use bytes::Bytes;
use hyper::Method;
use model::Moment;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    batch::{boundary, field, head, split},
    call::{Answer, Body, Call, Reply},
    refusal::Refusal,
    tenant::Tenant,
    text,
};

/// Pieces, but for the last one, are multiples of this.
const PIECE: usize = 256 << 10;
const LIFETIME_MICROS: i64 = 7 * 86_400 * 1_000_000;

/// Media that has arrived in full.
#[derive(Debug)]
pub(crate) struct Upload {
    metadata: Bytes,
    /// The media type of the media, as the client said it.
    pub(crate) media_type: String,
    /// The media.
    pub(crate) media: Bytes,
    session: Option<String>,
}

impl Upload {
    /// Reads the metadata; without any it is empty.
    pub(crate) fn metadata<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        let bytes: &[u8] = if self.metadata.trim_ascii().is_empty() { b"{}" } else { &self.metadata };
        serde_json::from_slice(bytes)
            .map_err(|error| Refusal::invalid(format!("Invalid JSON payload received. {error}")))
    }
}

/// What a request of an upload brought.
pub(crate) enum Received {
    /// Everything is there.
    Whole(Upload),
    /// One step of a resumable upload, with the answer to it.
    Step(Reply),
}

/// The resumable uploads that were begun.
#[derive(Debug, Default)]
pub(crate) struct Uploads {
    sessions: HashMap<String, Session>,
}

#[derive(Debug)]
struct Session {
    user: String,
    path: String,
    metadata: Bytes,
    media_type: String,
    total: Option<usize>,
    media: Vec<u8>,
    begun: Moment,
    /// The answer, once the upload is complete.
    done: Option<(u16, Value)>,
}

/// Takes the next request of an upload.
pub(crate) fn receive(tenant: &mut Tenant, call: &Call) -> Result<Received, Refusal> {
    if let Some(id) = call.query("upload_id") {
        return resume(tenant, call, id);
    }
    let kind = call.query("uploadType").or_else(|| call.query("upload_protocol")).unwrap_or_default();
    let resumable = kind == "resumable" || call.path.starts_with("/resumable/");
    let media_type = call.header("content-type").unwrap_or("application/octet-stream").to_owned();
    let whole = |metadata, media_type, media| {
        Ok(Received::Whole(Upload { metadata, media_type, media, session: None }))
    };
    // A client that says only by its body that it comes in parts is understood.
    let kind = match kind {
        "" if boundary(&media_type).is_some() => "multipart",
        kind => kind,
    };
    match kind {
        _ if resumable => begin(tenant, call),
        "multipart" => {
            let (metadata, media_type, media) = two_parts(call, &media_type)?;
            whole(metadata, media_type, media)
        }
        "media" => whole(Bytes::new(), media_type, call.body.clone()),
        _ => Err(Refusal::invalid(
            "Bad content type. Please use media upload: uploadType is missing or unknown.",
        )),
    }
}

/// Keeps the answer to a complete upload for a client that asks again.
pub(crate) fn finish(tenant: &mut Tenant, upload: &Upload, answer: Answer) -> Answer {
    let session = upload.session.as_ref().and_then(|id| tenant.uploads.sessions.get_mut(id));
    if let (Some(session), Ok(Reply { code, body: Body::Json(value), .. })) = (session, &answer) {
        session.done = Some((*code, value.clone()));
        session.media = Vec::new();
    }
    answer
}

/// Splits `multipart/related` into metadata and media.
fn two_parts(call: &Call, media_type: &str) -> Result<(Bytes, String, Bytes), Refusal> {
    let broken = || Refusal::invalid("Malformed multipart body.");
    let boundary = boundary(media_type).ok_or_else(broken)?;
    let [metadata, media] = split(&call.body, &boundary).try_into().map_err(|_| broken())?;
    let (_, metadata) = head(metadata);
    let (media_head, media) = head(media);
    let kind = field(&media_head, "content-type").unwrap_or("application/octet-stream").to_owned();
    let encoding = field(&media_head, "content-transfer-encoding").unwrap_or_default();
    let media = if encoding.eq_ignore_ascii_case("base64") {
        let text: String =
            media.iter().map(|byte| char::from(*byte)).filter(|c| !c.is_whitespace()).collect();
        Bytes::from(text::from_base64url(&text).ok_or_else(broken)?)
    } else {
        call.body.slice_ref(media)
    };
    Ok((call.body.slice_ref(metadata), kind, media))
}

fn begin(tenant: &mut Tenant, call: &Call) -> Result<Received, Refusal> {
    let total = call.header("x-upload-content-length").map(str::parse).transpose();
    let total = total.map_err(|_| Refusal::invalid("Invalid X-Upload-Content-Length"))?;
    let mut bytes = [0; 24];
    tenant.random.fill(&mut bytes);
    let id = text::base64url(&bytes);
    let session = Session {
        user: call.caller.user.to_string(),
        path: call.path.clone(),
        metadata: call.body.clone(),
        media_type: call.header("x-upload-content-type").unwrap_or("application/octet-stream").to_owned(),
        total,
        media: Vec::new(),
        begun: call.now,
        done: None,
    };
    tenant.uploads.sessions.insert(id.clone(), session);
    // The rest of the query goes on to say how the upload is meant.
    let mut location = format!("{}{}?upload_id={id}", tenant.url, call.path);
    for (name, value) in call.query.iter().filter(|(name, _)| name != "access_token") {
        location.push_str(&format!("&{}={}", escaped(name), escaped(value)));
    }
    let reply = Reply::bytes("text/plain; charset=utf-8", Bytes::new());
    Ok(Received::Step(reply.header("location", location).header("x-guploader-uploadid", id)))
}

fn escaped(text: &str) -> String {
    let keep = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
    text.bytes()
        .map(|byte| if keep(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

fn resume(tenant: &mut Tenant, call: &Call, id: &str) -> Result<Received, Refusal> {
    let now = call.now;
    let sessions = &mut tenant.uploads.sessions;
    sessions.retain(|_, session| now.micros_since(session.begun) <= LIFETIME_MICROS);
    let own = |session: &&mut Session| *session.user == *call.caller.user && session.path == call.path;
    let session = sessions.get_mut(id).filter(own).ok_or_else(Refusal::not_found)?;
    if call.method == Method::DELETE {
        sessions.remove(id);
        return Ok(Received::Step(Reply { code: 499, ..Reply::empty() }));
    }
    if let Some((code, value)) = &session.done {
        return Ok(Received::Step(Reply::with_code(*code, value.clone())));
    }
    session.take(call)?;
    if session.total != Some(session.media.len()) {
        return Ok(Received::Step(session.incomplete()));
    }
    let upload = Upload {
        metadata: session.metadata.clone(),
        media_type: session.media_type.clone(),
        media: Bytes::from(session.media.clone()),
        session: Some(id.to_owned()),
    };
    Ok(Received::Whole(upload))
}

impl Session {
    /// Takes a piece: what is new of it is appended, and a piece from beyond the end changes nothing.
    fn take(&mut self, call: &Call) -> Result<(), Refusal> {
        let bad = || Refusal::invalid("Invalid Content-Range");
        let body = &call.body;
        let Some(range) = call.header("content-range") else {
            self.media = body.to_vec();
            self.total = Some(body.len());
            return Ok(());
        };
        let (range, total) =
            range.trim().strip_prefix("bytes ").and_then(|r| r.split_once('/')).ok_or_else(bad)?;
        if total != "*" {
            let total: usize = total.parse().map_err(|_| bad())?;
            if self.total.is_some_and(|known| known != total) || total < self.media.len() {
                return Err(bad());
            }
            self.total = Some(total);
        }
        // Without a range it is a question: how far are we?
        if range.trim() == "*" {
            return Ok(());
        }
        let (start, end) = range.split_once('-').ok_or_else(bad)?;
        let start: usize = start.trim().parse().map_err(|_| bad())?;
        let end: usize = end.trim().parse().map_err(|_| bad())?;
        if end.checked_sub(start).and_then(|length| length.checked_add(1)) != Some(body.len()) {
            return Err(bad());
        }
        let last = self.total.is_some_and(|total| end + 1 == total);
        if self.total.is_some_and(|total| end >= total) || (!last && !body.len().is_multiple_of(PIECE)) {
            return Err(bad());
        }
        let known = self.media.len();
        if start <= known && end >= known {
            self.media.extend_from_slice(&body[known - start..]);
        }
        Ok(())
    }

    fn incomplete(&self) -> Reply {
        let reply = Reply { code: 308, ..Reply::empty() };
        match self.media.len() {
            0 => reply,
            length => reply.header("range", format!("bytes=0-{}", length - 1)),
        }
    }
}
