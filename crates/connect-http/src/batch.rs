//! Batches: many requests in one `multipart/mixed` body, and their answers.
//!
//! Each inner request is a part of type `application/http` with a `Content-ID` of its own, `<call-7>`; its answer is
//! the part with `<response-call-7>`. The order of answers means nothing. What a server sends is taken for hostile.

mod parts;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ports::Random;
use ureq::http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode, Uri,
    header::{CONTENT_LENGTH, CONTENT_TYPE},
};

use self::parts::{Part, split};
use crate::transport::{Request, Response};

/// The most headers of one part, or of one inner answer.
const HEADERS_MAX: usize = 64;

/// Why a batch cannot be sent, or why nothing of its answer is usable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// An inner request cannot be put into a batch.
    #[error("the call cannot be put into a batch: {what}")]
    Unsendable {
        /// What is wrong with it.
        what: String,
    },
    /// The answer is no batch of answers.
    #[error("the answer is no batch: {what}")]
    NoBatch {
        /// What is wrong with it.
        what: &'static str,
    },
}

/// Why one call of a batch has no answer although others have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PartError {
    /// No part answers this call. It may have been done.
    #[error("the batch holds no answer to this call")]
    Missing,
    /// Several parts answer this call.
    #[error("the batch holds several answers to this call")]
    Ambiguous,
    /// The part's body ends before its length. It may have been done.
    #[error("the answer in the batch is cut")]
    Cut,
    /// The part holds no answer of HTTP.
    #[error("the part of the batch is no answer")]
    Invalid,
}

/// Requests that are sent as one.
#[derive(Debug)]
pub struct Batch {
    boundary: String,
    body: Vec<u8>,
    count: usize,
}

impl Batch {
    /// Makes an empty batch. Chance makes a boundary that no request holds.
    pub fn new(random: &dyn Random) -> Self {
        let mut chance = [0; 24];
        random.fill(&mut chance);
        Self { boundary: format!("batch_{}", URL_SAFE_NO_PAD.encode(chance)), body: Vec::new(), count: 0 }
    }

    /// Returns how many requests it holds.
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Tells whether it holds none.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Appends a request; of its address, the path and the query are sent. Its answer has the number that is returned.
    ///
    /// A token in its headers is sent with it; without one, the token of the batch counts.
    pub fn push(&mut self, request: &Request) -> Result<usize, BatchError> {
        let unsendable = |what: &str| BatchError::Unsendable { what: what.to_owned() };
        let uri: Uri = request.url.parse().map_err(|_| unsendable("its address is no URL"))?;
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        if contains(&request.body, self.boundary.as_bytes()) {
            return Err(unsendable("its body holds the boundary"));
        }
        let number = self.count;
        let head = format!(
            "--{}\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\nContent-ID: <call-{number}>\r\n\r\n\
             {} {target} HTTP/1.1\r\n",
            self.boundary, request.method
        );
        self.body.extend_from_slice(head.as_bytes());
        for (name, value) in request.headers.iter().filter(|(name, _)| *name != CONTENT_LENGTH) {
            self.body.extend_from_slice(name.as_str().as_bytes());
            self.body.extend_from_slice(b": ");
            self.body.extend_from_slice(value.as_bytes());
            self.body.extend_from_slice(b"\r\n");
        }
        if !request.body.is_empty() {
            self.body.extend_from_slice(format!("content-length: {}\r\n", request.body.len()).as_bytes());
        }
        self.body.extend_from_slice(b"\r\n");
        self.body.extend_from_slice(&request.body);
        self.body.extend_from_slice(b"\r\n");
        self.count += 1;
        Ok(number)
    }

    /// Returns the request that carries all of them to this address.
    pub fn request(&self, url: impl Into<String>) -> Result<Request, BatchError> {
        let kind = HeaderValue::from_str(&format!("multipart/mixed; boundary={}", self.boundary))
            .map_err(|_| BatchError::Unsendable { what: "its boundary cannot be sent".to_owned() })?;
        let mut request = Request::post(url).header(CONTENT_TYPE, kind);
        request.body.clone_from(&self.body);
        request.body.extend_from_slice(format!("--{}--\r\n", self.boundary).as_bytes());
        Ok(request)
    }

    /// Takes the answer apart: one result for each request, in the order of the requests.
    pub fn answers(
        &self,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Vec<Result<Response, PartError>>, BatchError> {
        decode(headers, body, self.count)
    }
}

/// Takes the answer to a batch of so many requests apart.
pub fn decode(
    headers: &HeaderMap,
    body: &[u8],
    count: usize,
) -> Result<Vec<Result<Response, PartError>>, BatchError> {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let boundary = kind
        .and_then(parts::boundary)
        .ok_or(BatchError::NoBatch { what: "its type names no boundary of a multipart body" })?;
    let mut answers: Vec<Result<Response, PartError>> = (0..count).map(|_| Err(PartError::Missing)).collect();
    // More parts than calls are no answers; a server that sends many is not read to its end.
    for part in split(body, &boundary).take(2 * count + 1) {
        let Some((number, inner)) = read_part(part) else { continue };
        if let Some(place) = answers.get_mut(number) {
            *place = match place {
                Err(PartError::Missing) => read_inner(inner),
                _ => Err(PartError::Ambiguous),
            };
        }
    }
    Ok(answers)
}

/// Returns the number of the call that a part answers, and the answer's bytes.
fn read_part(part: Part<'_>) -> Option<(usize, Part<'_>)> {
    let (headers, body) = read_headers(part.bytes)?;
    let id = headers.get("content-id")?.to_str().ok()?.trim();
    let id = id.strip_prefix('<').and_then(|id| id.strip_suffix('>')).unwrap_or(id);
    let digits = id.strip_prefix("response-call-")?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some((digits.parse().ok()?, Part { bytes: body, ..part }))
}

fn read_inner(part: Part<'_>) -> Result<Response, PartError> {
    let cut = || if part.closed { PartError::Invalid } else { PartError::Cut };
    let mut slots = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = httparse::Response::new(&mut slots);
    let length = match parsed.parse(part.bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Err(cut()),
        Err(_) => return Err(PartError::Invalid),
    };
    let status = parsed.code.and_then(|code| StatusCode::from_u16(code).ok()).ok_or(PartError::Invalid)?;
    let headers = collect(parsed.headers).ok_or(PartError::Invalid)?;
    let body = part.bytes.get(length..).unwrap_or_default();
    let body = match headers.get(CONTENT_LENGTH) {
        Some(value) => {
            let length = value.to_str().ok().and_then(|text| text.parse().ok()).ok_or(PartError::Invalid)?;
            body.get(..length).ok_or(PartError::Cut)?
        }
        None if part.closed => body,
        None => return Err(PartError::Cut),
    };
    Ok(Response::new(status, headers, body.to_vec()))
}

/// Reads headers up to their empty line; returns them and what follows.
fn read_headers(bytes: &[u8]) -> Option<(HeaderMap, &[u8])> {
    let mut slots = [httparse::EMPTY_HEADER; HEADERS_MAX];
    match httparse::parse_headers(bytes, &mut slots) {
        Ok(httparse::Status::Complete((length, parsed))) => Some((collect(parsed)?, bytes.get(length..)?)),
        _ => None,
    }
}

fn collect(parsed: &[httparse::Header<'_>]) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    for header in parsed {
        let name = HeaderName::from_bytes(header.name.as_bytes()).ok()?;
        headers.append(name, HeaderValue::from_bytes(header.value).ok()?);
    }
    Some(headers)
}

fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    memchr::memmem::find(bytes, needle).is_some()
}

#[cfg(test)]
mod tests;
