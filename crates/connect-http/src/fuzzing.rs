//! Entries for fuzzing: any bytes, as the answers of a server. None may panic.

use model::Redacted;
use ureq::http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{CONTENT_TYPE, RANGE},
};

use crate::{batch, transport::Response, upload};

/// Reads bytes as the answer to a batch: how many calls it had, its content type up to the end of the line, its body.
/// Returns how many of the calls have an answer.
pub fn batch(data: &[u8]) -> usize {
    let Some((calls, rest)) = data.split_first() else { return 0 };
    let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
    let (kind, body) = (&rest[..end], rest.get(end + 1..).unwrap_or_default());
    let Ok(kind) = HeaderValue::from_bytes(kind) else { return 0 };
    let headers: HeaderMap = [(CONTENT_TYPE, kind)].into_iter().collect();
    let Ok(answers) = batch::decode(&headers, body, usize::from(*calls)) else { return 0 };
    assert_eq!(answers.len(), usize::from(*calls), "each call has an answer or none");
    answers.iter().filter(|answer| answer.is_ok()).count()
}

/// Reads bytes as the header that says how much of an upload has arrived: the length of the upload, how much of it was
/// sent, the header. Returns whether it makes sense.
pub fn upload_range(data: &[u8]) -> bool {
    let Some((total, rest)) = data.split_first_chunk() else { return false };
    let Some((sent, header)) = rest.split_first_chunk() else { return false };
    let total = u64::from_le_bytes(*total);
    let sent = u64::from_le_bytes(*sent).min(total);
    let Ok(range) = HeaderValue::from_bytes(header) else { return false };
    let headers = [(RANGE, range)].into_iter().collect();
    let response = Response::new(StatusCode::PERMANENT_REDIRECT, headers, Vec::new());
    let session = upload::UploadSession { url: Redacted::new(String::new()), total, trusted: false };
    let confirmed = upload::confirmed(response, &session, sent);
    assert!(confirmed.is_none_or(|confirmed| confirmed <= sent), "no more has arrived than was sent");
    confirmed.is_some()
}
