//! One request: who asks, what for, and the answer.

use std::{sync::Arc, time::Duration};

use blobs::remote::protocol::{LOCKED_UNTIL, SIZE_BYTES, Status, Time};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    HeaderMap, Response, StatusCode,
    body::Incoming,
    header::{CONTENT_TYPE, HeaderName, HeaderValue},
};
use model::Moment;
use ports::Blob;
use serde::Serialize;
use tokio::time::timeout;

use super::{Shared, refusal::Refused};
use crate::{
    authority,
    capability::Identity,
    request::{self, Request},
};

/// An answer before it is put into HTTP.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// How long the whole content of one object may take.
const CONTENT_TIMEOUT: Duration = Duration::from_mins(15);
/// What is set aside for content before any of it has come.
const CONTENT_BYTES_BEGIN: u64 = 1 << 20;

pub(super) async fn respond(
    shared: &Arc<Shared>,
    identity: &Arc<Identity>,
    request: hyper::Request<Incoming>,
) -> Response<Full<Bytes>> {
    let answer = match carry_out(shared, identity, request).await {
        Ok(answer) => answer,
        Err(refused) => refused.into_answer(),
    };
    let mut response = Response::new(Full::new(Bytes::from(answer.body)));
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    response
}

async fn carry_out(
    shared: &Arc<Shared>,
    identity: &Arc<Identity>,
    request: hyper::Request<Incoming>,
) -> Result<Answer, Refused> {
    let wanted = request::parse(request.method(), request.uri(), request.headers())?;
    // Whatever the request says of itself, what counts is who shook hands.
    let shared_here = Arc::clone(shared);
    let known = Arc::clone(identity);
    blocking(move || shared_here.check_identity(&known)).await?;
    let turn = match wanted {
        Request::Create { .. } | Request::Read { .. } | Request::List { .. } => {
            let account = identity.capability.to_string();
            Some(shared.slots.transfer(&account).await.ok_or(Refused::Busy)?)
        }
        _ => None,
    };
    let keeper = Arc::clone(&shared.keeper);
    let identity = Arc::clone(identity);
    let answer = match wanted {
        Request::Create { name, length, asked } => {
            let admission = {
                let keeper = Arc::clone(&keeper);
                blocking(move || Ok(keeper.admit(&identity.capability, &name, length, asked)?)).await?
            };
            let content = receive(request.into_body(), length, shared.patience).await?;
            let lock = blocking(move || Ok(keeper.create(admission, &content)?)).await?;
            Answer::new(StatusCode::CREATED).lock(Some(lock))
        }
        Request::Head { name } => {
            let blob = blocking(move || Ok(keeper.head(&identity.capability, &name)?)).await?;
            Answer::new(StatusCode::OK).describe(&blob)
        }
        Request::Read { name, range } => {
            let status = if range.is_some() { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
            let (blob, body) = blocking(move || Ok(keeper.read(&identity.capability, &name, range)?)).await?;
            Answer { body, ..Answer::new(status).describe(&blob) }
        }
        Request::Extend { name, asked } => {
            let lock = blocking(move || Ok(keeper.extend(&identity.capability, &name, asked)?)).await?;
            Answer::new(StatusCode::OK).lock(Some(lock))
        }
        Request::List { prefix, after } => {
            let page = blocking(move || Ok(keeper.list(&identity.capability, &prefix, &after)?)).await?;
            Answer::json(&page)
        }
        Request::Time => Answer::json(&Time { now: keeper.now().as_micros() }),
        Request::Status => {
            let expires = Some(identity.expires.as_micros());
            let status = blocking(move || Ok(keeper.status(&identity.capability))).await?;
            Answer::json(&Status { certificate_expires: expires, ..status })
        }
    };
    drop(turn);
    Ok(answer)
}

impl Shared {
    /// A connection can outlive its certificate, so this is asked with every request.
    fn check_identity(&self, identity: &Identity) -> Result<(), Refused> {
        if identity.expires <= self.keeper.now() {
            return Err(Refused::Expired);
        }
        let revoked = match &self.revoked {
            Some(path) => authority::revoked(path).map_err(Refused::RevokedUnknown)?,
            None => Vec::new(),
        };
        if revoked.contains(&identity.serial) { Err(Refused::Revoked) } else { Ok(()) }
    }
}

/// Does something that waits for the disk.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refused> + Send + 'static,
) -> Result<T, Refused> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Refused::Thread)?
}

/// Reads content of a known length; a client that stops sending is not waited for.
async fn receive(mut body: Incoming, length: u64, patience: Duration) -> Result<Vec<u8>, Refused> {
    let mut content = Vec::with_capacity(usize::try_from(length.min(CONTENT_BYTES_BEGIN)).unwrap_or(0));
    let reading = async {
        loop {
            let frame = timeout(patience, body.frame()).await.map_err(|_| Refused::Slow { patience })?;
            let Some(frame) = frame else { break };
            let truncated = Refused::Truncated { announced: length, found: content.len() as u64 };
            let Ok(data) = frame.map_err(|_| truncated)?.into_data() else { continue };
            if content.len() as u64 + data.len() as u64 > length {
                return Err(Refused::Truncated { announced: length, found: content.len() as u64 });
            }
            content.extend_from_slice(&data);
        }
        Ok(())
    };
    timeout(CONTENT_TIMEOUT, reading).await.map_err(|_| Refused::Slow { patience: CONTENT_TIMEOUT })??;
    Ok(content)
}

impl Answer {
    fn new(status: StatusCode) -> Self {
        Self { status, headers: HeaderMap::new(), body: Vec::new() }
    }

    fn json(value: &impl Serialize) -> Self {
        let mut answer = Self::new(StatusCode::OK);
        answer.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        // These types have string keys and numbers alone: nothing that JSON lacks.
        answer.body = serde_json::to_vec(value).unwrap_or_default();
        answer
    }

    fn lock(mut self, lock: Option<Moment>) -> Self {
        if let Some(lock) = lock {
            let value = HeaderValue::from(lock.as_micros());
            self.headers.insert(HeaderName::from_static(LOCKED_UNTIL), value);
        }
        self
    }

    fn describe(mut self, blob: &Blob) -> Self {
        let size = HeaderValue::from(blob.size_bytes);
        self.headers.insert(HeaderName::from_static(SIZE_BYTES), size);
        self.lock(blob.locked_until)
    }
}
