//! Batches: many calls in one request, each checked, charged and answered by itself.

use std::time::Duration;

use bytes::Bytes;
use hyper::{
    HeaderMap, Method, StatusCode,
    header::{AUTHORIZATION, HeaderName, HeaderValue},
};

use crate::{
    dispatch::{self, Outcome, Request, Shared, Transport},
    refusal::Refusal,
};

const BOUNDARY: &str = "batch_simulated_google";

/// Tells whether a path is one to which batches are sent.
pub(crate) fn is_batch(method: &Method, path: &str) -> bool {
    let path = path.trim_end_matches('/');
    *method == Method::POST && (path == "/batch" || path.starts_with("/batch/"))
}

/// One call of a batch.
struct Part {
    content_id: Option<String>,
    request: Request,
}

impl Shared {
    /// Carries out the calls of a batch, one after the other.
    pub(crate) fn batch(&self, request: &Request) -> Outcome {
        let parts = match read(request) {
            Ok(parts) => parts,
            Err(refusal) => return dispatch::refused(&refusal),
        };
        let max = self.lock().settings.batch_max;
        if parts.len() > max {
            let message = format!("The batch request has {} calls; at most {max} are allowed.", parts.len());
            return dispatch::refused(&Refusal::invalid_value(message));
        }
        let mut body = Vec::new();
        let (mut transport, mut delay) = (Transport::Whole, Duration::ZERO);
        for (number, part) in parts.into_iter().enumerate() {
            let mut outcome = self.dispatch(part.request);
            if number == 0 {
                self.request(outcome.slot.as_ref());
            }
            self.end(outcome.slot.as_ref());
            if outcome.stream.is_some() {
                let refusal = Refusal::invalid_value("Media download is not supported in a batch request.");
                outcome = dispatch::refused(&refusal);
            }
            // What befalls one answer on its way befalls the batch that carries it.
            if outcome.transport != Transport::Whole {
                transport = outcome.transport;
            }
            delay = delay.max(outcome.delay);
            write(&mut body, part.content_id.as_deref(), &outcome);
        }
        body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
        Outcome {
            media_type: Some(format!("multipart/mixed; boundary={BOUNDARY}")),
            body: Bytes::from(body),
            transport,
            delay,
            ..Outcome::empty()
        }
    }
}

fn write(body: &mut Vec<u8>, content_id: Option<&str>, outcome: &Outcome) {
    let mut head = format!("--{BOUNDARY}\r\nContent-Type: application/http\r\n");
    if let Some(id) = content_id {
        let inner = id.trim().trim_start_matches('<').trim_end_matches('>');
        head.push_str(&format!("Content-ID: <response-{inner}>\r\n"));
    }
    let reason = StatusCode::from_u16(outcome.code).ok().and_then(|code| code.canonical_reason());
    head.push_str(&format!("\r\nHTTP/1.1 {} {}\r\n", outcome.code, reason.unwrap_or("Unknown")));
    if let Some(media_type) = &outcome.media_type {
        head.push_str(&format!("Content-Type: {media_type}\r\n"));
    }
    for (name, value) in &outcome.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("Content-Length: {}\r\n\r\n", outcome.body.len()));
    body.extend_from_slice(head.as_bytes());
    body.extend_from_slice(&outcome.body);
    body.extend_from_slice(b"\r\n");
}

fn read(request: &Request) -> Result<Vec<Part>, Refusal> {
    let broken = || Refusal::invalid_value("Failed to parse batch request, error: cannot be read");
    let media_type =
        request.headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let boundary = boundary(media_type).ok_or_else(broken)?;
    let parts: Option<Vec<Part>> =
        split(&request.body, &boundary).into_iter().map(|content| part(request, content)).collect();
    parts.filter(|parts| !parts.is_empty()).ok_or_else(broken)
}

/// Returns the boundary of a multipart media type.
pub(crate) fn boundary(media_type: &str) -> Option<String> {
    if !media_type.to_ascii_lowercase().starts_with("multipart/") {
        return None;
    }
    let mut parameters = media_type.split(';').filter_map(|parameter| parameter.trim().split_once('='));
    let (_, value) = parameters.find(|(name, _)| name.eq_ignore_ascii_case("boundary"))?;
    Some(value.trim_matches('"').to_owned())
}

/// Splits a multipart body into its parts, heads included.
pub(crate) fn split<'a>(body: &'a [u8], boundary: &str) -> Vec<&'a [u8]> {
    let line = format!("--{boundary}");
    let mut starts = Vec::new();
    let mut at = 0;
    while let Some(found) = find(&body[at..], line.as_bytes()) {
        let start = at + found;
        at = start + line.len();
        // A boundary stands at the beginning of a line.
        if start == 0 || body[start - 1] == b'\n' {
            starts.push((start, at));
        }
    }
    let mut parts = Vec::new();
    for pair in starts.windows(2) {
        let content = &body[pair[0].1..pair[1].0];
        // The rest of the boundary's line, and the line break before the next boundary, belong to neither.
        let Some(begin) = find(content, b"\n") else { continue };
        let line_break: &[u8] = if content[..begin].ends_with(b"\r") { b"\r\n" } else { b"\n" };
        let content = &content[begin + 1..];
        parts.push(content.strip_suffix(line_break).unwrap_or(content));
    }
    parts
}

/// Finds bytes in bytes.
pub(crate) fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    let first = *needle.first()?;
    let mut at = 0;
    while let Some(found) = haystack[at..].iter().position(|byte| *byte == first) {
        let start = at + found;
        if haystack[start..].starts_with(needle) {
            return Some(start);
        }
        at = start + 1;
    }
    None
}

/// Splits a head from the body after it; fields that go on in the next line come in one.
pub(crate) fn head(message: &[u8]) -> (String, &[u8]) {
    if let Some(rest) = message.strip_prefix(b"\r\n").or_else(|| message.strip_prefix(b"\n")) {
        return (String::new(), rest);
    }
    let windows = find(message, b"\r\n\r\n").map(|at| (at, at + 4));
    let unix = find(message, b"\n\n").map(|at| (at, at + 2));
    let ends = [windows, unix].into_iter().flatten().min();
    let (end, body) = ends.unwrap_or((message.len(), message.len()));
    let mut head = String::new();
    for line in String::from_utf8_lossy(&message[..end]).lines() {
        if !line.starts_with([' ', '\t']) && !head.is_empty() {
            head.push('\n');
        }
        head.push_str(line);
    }
    (head, &message[body..])
}

/// Returns a field of a head.
pub(crate) fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut fields = head.lines().filter_map(|line| line.split_once(':'));
    fields.find(|(own, _)| own.trim().eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

fn part(outer: &Request, content: &[u8]) -> Option<Part> {
    let (outer_head, inner) = head(content);
    let content_id = field(&outer_head, "content-id").map(str::to_owned);
    let (inner_head, body) = head(inner);
    let (line, fields) = inner_head.split_once('\n').unwrap_or((&inner_head, ""));
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?, words.next()?);
    let target =
        target.split_once("://").map_or(target, |(_, rest)| rest.find('/').map_or("/", |at| &rest[at..]));
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut headers = HeaderMap::new();
    if let Some(token) = outer.headers.get(AUTHORIZATION) {
        headers.insert(AUTHORIZATION, token.clone());
    }
    for (name, value) in fields.lines().filter_map(|line| line.split_once(':')) {
        let name = HeaderName::from_bytes(name.trim().as_bytes()).ok()?;
        headers.insert(name, HeaderValue::from_str(value.trim()).ok()?);
    }
    // A line break after the body belongs to the batch; JSON does not mind, and nothing else may be sent in one.
    let request = Request {
        method: Method::from_bytes(method.as_bytes()).ok()?,
        path: path.to_owned(),
        query: query.to_owned(),
        headers,
        body: Bytes::copy_from_slice(body.trim_ascii_end()),
        address: outer.address,
    };
    Some(Part { content_id, request })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_multipart_body_is_split_at_its_boundaries_only() {
        let body = b"preamble\r\n--b\r\nA: 1\r\n\r\none --b two\r\n--b\r\n\r\nthree\r\n\r\n--b--\r\n";
        let parts = split(body, "b");
        assert_eq!(parts, [&b"A: 1\r\n\r\none --b two"[..], b"\r\nthree\r\n"]);
        let (fields, content) = head(parts[0]);
        assert_eq!((field(&fields, "a"), content), (Some("1"), &b"one --b two"[..]));
        assert_eq!(head(parts[1]), (String::new(), &b"three\r\n"[..]));
        assert_eq!(boundary("multipart/mixed; boundary=\"===x==\"").as_deref(), Some("===x=="));
        assert_eq!(boundary("application/json"), None);
    }

    #[test]
    fn a_long_field_goes_on_in_the_next_line_and_content_keeps_its_last_byte() {
        let body = b"--b\nContent-Type:\n application/x\nA: 1\n\none\r\n--b--\n";
        let parts = split(body, "b");
        let (fields, content) = head(parts[0]);
        assert_eq!(field(&fields, "content-type"), Some("application/x"));
        assert_eq!((field(&fields, "a"), content), (Some("1"), &b"one\r"[..]));
    }
}
