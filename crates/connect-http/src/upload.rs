//! Uploads that go on where they broke off.
//!
//! A call with the metadata opens a session, whose address comes in `Location`. The bytes follow in chunks with
//! `Content-Range`; `308` with `Range` says what has arrived, any success that all has. After a break the session is
//! asked (`Content-Range: bytes */total`), and the source is rewound to what arrived.

use std::io::{self, Read, Seek, SeekFrom};

use model::Redacted;
use ureq::http::{
    HeaderValue, Method, StatusCode, Uri,
    header::{CONTENT_RANGE, CONTENT_TYPE, LOCATION, RANGE},
};

use crate::{
    call::{ANSWER_BYTES_MAX, Call, CallError, RefusalKind, Taking},
    client::Client,
    digest::Digest,
    transport::{Request, Response, TransportError},
};

/// Chunks are multiples of this.
pub const CHUNK_UNIT: u64 = 256 << 10;

/// Where uploaded bytes come from: what was confirmed less far than it was read is read again.
pub trait UploadSource: Read + Seek {}

impl<T: Read + Seek> UploadSource for T {}

/// Why an upload did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// A call failed.
    #[error("the upload failed")]
    Call(#[from] CallError),
    /// The service no longer knows the session. Nothing of it counts: open another one.
    #[error("the upload's session has ended")]
    Expired,
    /// The service did not do what its answers say.
    #[error("the upload's session does not make sense: {what}")]
    Confused {
        /// What it said.
        what: String,
    },
    /// What is to be uploaded cannot be read.
    #[error("the bytes to upload cannot be read")]
    Source(#[source] io::Error),
}

/// An opened upload. Keep it to go on in another run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadSession {
    /// Where the bytes go. Whoever has it can write to the upload.
    pub url: Redacted<String>,
    /// How many bytes there are.
    pub total: u64,
    /// Whether it is on the host that opened it, so that a token may be sent along.
    pub trusted: bool,
}

/// A finished upload.
#[derive(Debug)]
pub struct Uploaded {
    /// The service's last answer.
    pub response: Response,
    /// The digest of what was sent.
    pub digest: Vec<u8>,
}

/// Uploads to one kind of place.
#[derive(Debug)]
pub struct Uploader<'a> {
    client: &'a Client,
    /// Its token and price count for each chunk; its request does not.
    like: Call,
    chunk: u64,
}

enum Answer {
    /// So much has arrived.
    Confirmed(u64),
    Finished(Response),
}

impl<'a> Uploader<'a> {
    /// Makes an uploader. The access and the charges of `like` are those of each chunk. A chunk has about this many
    /// bytes: the next smaller multiple of [`CHUNK_UNIT`], and one unit at least. It is held in memory.
    pub fn new(client: &'a Client, like: Call, chunk: u64) -> Self {
        Self { client, like, chunk: (chunk / CHUNK_UNIT).max(1) * CHUNK_UNIT }
    }

    /// Opens a session with the call that carries the metadata, for so many bytes.
    pub fn begin(&self, call: &Call, total: u64) -> Result<UploadSession, UploadError> {
        let response = self.client.call(call)?;
        let confused = |what: &str| UploadError::Confused { what: what.to_owned() };
        let location = response.headers.get(LOCATION).and_then(|value| value.to_str().ok());
        let location = location.ok_or_else(|| confused("no address came for the bytes"))?;
        let to: Uri = location.parse().map_err(|_| confused("the address for the bytes is none"))?;
        let from: Uri = call.request.url.parse().map_err(|_| confused("the session was opened nowhere"))?;
        if to.authority().is_none() {
            return Err(confused("the address for the bytes names no host"));
        }
        let trusted = to.scheme() == from.scheme() && to.authority() == from.authority();
        Ok(UploadSession { url: Redacted::new(location.to_owned()), total, trusted })
    }

    /// Sends all bytes from the source's beginning into a new session.
    pub fn send(
        &self,
        session: &UploadSession,
        source: &mut dyn UploadSource,
        digest: &mut dyn Digest,
    ) -> Result<Uploaded, UploadError> {
        self.run(session, Answer::Confirmed(0), Reader { source, digest, digested: 0 })
    }

    /// Goes on with a session of which some may have arrived. The source is read from its beginning for the digest.
    pub fn resume(
        &self,
        session: &UploadSession,
        source: &mut dyn UploadSource,
        digest: &mut dyn Digest,
    ) -> Result<Uploaded, UploadError> {
        let standing = self.ask(session)?;
        self.run(session, standing, Reader { source, digest, digested: 0 })
    }

    fn run(
        &self,
        session: &UploadSession,
        mut standing: Answer,
        mut reader: Reader<'_>,
    ) -> Result<Uploaded, UploadError> {
        let mut retry = self.client.attempts();
        let mut farthest = 0;
        loop {
            let offset = match standing {
                Answer::Confirmed(offset) => offset,
                Answer::Finished(response) => {
                    reader.digest_up_to(session.total)?;
                    return Ok(Uploaded { response, digest: reader.digest.value() });
                }
            };
            if offset > farthest {
                farthest = offset;
                retry = self.client.attempts();
            }
            let bytes = reader.chunk(offset, self.chunk.min(session.total - offset))?;
            let end = offset + bytes.len() as u64;
            let call = self.put(session, range(offset, end, session.total)?, bytes);
            standing = match self.client.attempt(&call) {
                Ok(response) => {
                    let standing = read(response, session, end)?;
                    if matches!(standing, Answer::Confirmed(confirmed) if confirmed <= offset) {
                        // Nothing arrived although something was sent: that, too, happens only so often.
                        let nothing = TransportError::broken("nothing of the chunk arrived");
                        self.client.wait_or_fail(&call, nothing.into(), &mut retry)?;
                    }
                    standing
                }
                Err(failure) => {
                    self.client.wait_or_fail(&call, failure, &mut retry).map_err(expired)?;
                    self.ask(session)?
                }
            };
        }
    }

    /// Asks what has arrived.
    fn ask(&self, session: &UploadSession) -> Result<Answer, UploadError> {
        let all = HeaderValue::from_str(&format!("bytes */{}", session.total)).map_err(|_| odd())?;
        let response = self.client.call(&self.put(session, all, Vec::new())).map_err(expired)?;
        read(response, session, session.total)
    }

    fn put(&self, session: &UploadSession, range: HeaderValue, bytes: Vec<u8>) -> Call {
        let mut request = Request::new(Method::PUT, session.url.expose().as_str());
        request.headers.insert(CONTENT_RANGE, range);
        request.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        request.body = bytes;
        let mut call = Call { request, idempotent: true, also_good: Vec::new(), ..self.like.clone() }
            .taking(Taking::Whole(ANSWER_BYTES_MAX))
            .accepting(StatusCode::PERMANENT_REDIRECT);
        if !session.trusted {
            call.access = None;
        }
        call
    }
}

/// Reads chunks at any place, and digests each byte once, in order.
struct Reader<'a> {
    source: &'a mut dyn UploadSource,
    digest: &'a mut dyn Digest,
    digested: u64,
}

impl Reader<'_> {
    fn chunk(&mut self, offset: u64, length: u64) -> Result<Vec<u8>, UploadError> {
        self.digest_up_to(offset)?;
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
        self.source.seek(SeekFrom::Start(offset)).map_err(UploadError::Source)?;
        self.source.read_exact(&mut bytes).map_err(UploadError::Source)?;
        let known = usize::try_from(self.digested - offset).unwrap_or(usize::MAX);
        if let Some(fresh) = bytes.get(known..) {
            self.digest.update(fresh);
            self.digested += fresh.len() as u64;
        }
        Ok(bytes)
    }

    /// Digests what was sent in an earlier run.
    fn digest_up_to(&mut self, offset: u64) -> Result<(), UploadError> {
        if self.digested >= offset {
            return Ok(());
        }
        self.source.seek(SeekFrom::Start(self.digested)).map_err(UploadError::Source)?;
        let mut buffer = vec![0; 64 << 10];
        while self.digested < offset {
            let wanted = usize::try_from(offset - self.digested).unwrap_or(usize::MAX).min(buffer.len());
            self.source.read_exact(&mut buffer[..wanted]).map_err(UploadError::Source)?;
            self.digest.update(&buffer[..wanted]);
            self.digested += wanted as u64;
        }
        Ok(())
    }
}

fn range(start: u64, end: u64, total: u64) -> Result<HeaderValue, UploadError> {
    let text = if total == 0 { "bytes */0".to_owned() } else { format!("bytes {start}-{}/{total}", end - 1) };
    HeaderValue::from_str(&text).map_err(|_| odd())
}

fn odd() -> UploadError {
    UploadError::Confused { what: "its size cannot be sent".to_owned() }
}

/// Reads what a session answered when bytes up to `sent` may have arrived.
fn read(response: Response, session: &UploadSession, sent: u64) -> Result<Answer, UploadError> {
    let confused = |what: String| Err(UploadError::Confused { what });
    if response.status != StatusCode::PERMANENT_REDIRECT {
        return if sent == session.total {
            Ok(Answer::Finished(response))
        } else {
            confused(format!("it is finished after {sent} of {} bytes", session.total))
        };
    }
    let Some(range) = response.headers.get(RANGE) else { return Ok(Answer::Confirmed(0)) };
    let text = range.to_str().unwrap_or_default();
    let last = text.strip_prefix("bytes=0-").and_then(|last| last.parse::<u64>().ok());
    match last.and_then(|last| last.checked_add(1)) {
        Some(confirmed) if confirmed <= sent => Ok(Answer::Confirmed(confirmed)),
        _ => confused(format!("{text:?} has arrived, {sent} bytes were sent")),
    }
}

/// Returns how much an answer says has arrived; `None` when it says something else.
pub(crate) fn confirmed(response: Response, session: &UploadSession, sent: u64) -> Option<u64> {
    match read(response, session, sent) {
        Ok(Answer::Confirmed(confirmed)) => Some(confirmed),
        _ => None,
    }
}

fn expired(error: CallError) -> UploadError {
    if error.is(RefusalKind::NotFound) || error.is(RefusalKind::Expired) {
        UploadError::Expired
    } else {
        UploadError::Call(error)
    }
}

#[cfg(test)]
mod tests;
