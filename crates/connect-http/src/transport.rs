//! Requests, answers and what carries them.

use std::{
    fmt,
    io::{self, Read},
};

use model::Redacted;
use serde::{Serialize, de::DeserializeOwned};
use ureq::http::{
    HeaderMap, HeaderName, HeaderValue, Method, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE},
};

/// Carries one request to a server and brings back its answer.
///
/// An answer of any status is a success here; only what is no answer is an error.
pub trait Transport: Send + Sync {
    /// Sends the request once and returns when the answer's headers are there.
    fn send(&self, request: &Request) -> Result<Response, TransportError>;
}

impl<T: Transport + ?Sized> Transport for std::sync::Arc<T> {
    fn send(&self, request: &Request) -> Result<Response, TransportError> {
        (**self).send(request)
    }
}

/// What is sent. It can be sent again: the body is in memory.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// The verb.
    pub method: Method,
    /// The absolute address, with its query.
    pub url: String,
    /// The headers; the transport adds those of the connection and of the body's length.
    pub headers: HeaderMap,
    /// The body; only `POST`, `PUT` and `PATCH` may have one.
    pub body: Vec<u8>,
}

impl Request {
    /// Makes a request without headers and body.
    pub fn new(method: Method, url: impl Into<String>) -> Self {
        Self { method, url: url.into(), headers: HeaderMap::new(), body: Vec::new() }
    }

    /// Makes a `GET`.
    pub fn get(url: impl Into<String>) -> Self {
        Self::new(Method::GET, url)
    }

    /// Makes a `POST`.
    pub fn post(url: impl Into<String>) -> Self {
        Self::new(Method::POST, url)
    }

    /// Makes a `PUT`.
    pub fn put(url: impl Into<String>) -> Self {
        Self::new(Method::PUT, url)
    }

    /// Appends one escaped pair to the query.
    #[must_use]
    pub fn query(mut self, name: &str, value: &str) -> Self {
        let separator = if self.url.contains('?') { '&' } else { '?' };
        self.url.push_str(&format!("{separator}{}={}", escape(name), escape(value)));
        self
    }

    /// Sets a header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Sets a header from text, which must be printable.
    pub fn text_header(self, name: HeaderName, value: &str) -> Result<Self, TransportError> {
        let value = HeaderValue::from_str(value)
            .map_err(|_| TransportError::Unsendable { what: format!("the header {name} cannot be sent") })?;
        Ok(self.header(name, value))
    }

    /// Sets the token that is sent; it shows in no debug output.
    pub fn bearer(mut self, secret: &Redacted<String>) -> Result<Self, TransportError> {
        let mut value = HeaderValue::from_str(&format!("Bearer {}", secret.expose()))
            .map_err(|_| TransportError::Unsendable { what: "the token cannot be sent".to_owned() })?;
        value.set_sensitive(true);
        self.headers.insert(AUTHORIZATION, value);
        Ok(self)
    }

    /// Sets the body and its type.
    #[must_use]
    pub fn body(mut self, kind: &'static str, bytes: Vec<u8>) -> Self {
        self.headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        self.body = bytes;
        self
    }

    /// Sets a JSON body.
    pub fn json(self, value: &impl Serialize) -> Result<Self, TransportError> {
        let bytes = serde_json::to_vec(value)
            .map_err(|error| TransportError::Unsendable { what: format!("the body is no JSON: {error}") })?;
        Ok(self.body("application/json; charset=utf-8", bytes))
    }

    /// Sets a body of escaped pairs, as a form is sent.
    #[must_use]
    pub fn form(self, pairs: &[(&str, &str)]) -> Self {
        let pairs: Vec<String> =
            pairs.iter().map(|(name, value)| format!("{}={}", escape(name), escape(value))).collect();
        self.body("application/x-www-form-urlencoded", pairs.join("&").into_bytes())
    }

    /// Returns the address without its query, which may hold secrets.
    #[must_use]
    pub fn place(&self) -> &str {
        self.url.split(['?', '#']).next().unwrap_or_default()
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.keys().map(HeaderName::as_str).collect();
        write!(f, "{} {} {names:?} and {} bytes", self.method, self.place(), self.body.len())
    }
}

/// Escapes a text for a part of a path, or for a name or value of a query or form.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

/// What a server answered.
#[derive(Debug)]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// The headers. Where the transport unpacked the body, those of the packing are gone.
    pub headers: HeaderMap,
    /// The body, which may still be on its way.
    pub body: Body,
}

impl Response {
    /// Makes an answer whose body is in memory.
    #[must_use]
    pub fn new(status: StatusCode, headers: HeaderMap, body: Vec<u8>) -> Self {
        Self { status, headers, body: Body::of(body) }
    }

    /// Returns a header's text, when it is there and printable.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Reads the body into memory, at most `limit` bytes of it, and returns the answer with it.
    pub fn whole(self, limit: u64) -> Result<Self, TransportError> {
        let packed = self.body.packed;
        let bytes = self.body.bytes(limit)?;
        let mut body = Body::of(bytes);
        body.packed = packed;
        Ok(Self { status: self.status, headers: self.headers, body })
    }
}

/// The bytes of an answer. Reading fails when they end too early; it never ends short.
pub struct Body {
    reader: Box<dyn Read + Send>,
    packed: bool,
    /// What must live until the body is read: a place among the calls that run at once.
    guard: Option<Box<dyn Send>>,
}

impl Body {
    /// Makes a body of bytes that are there.
    #[must_use]
    pub fn of(bytes: Vec<u8>) -> Self {
        Self::from_reader(io::Cursor::new(bytes))
    }

    /// Makes a body of bytes that are still to come. The reader fails when they end too early.
    pub fn from_reader(reader: impl Read + Send + 'static) -> Self {
        Self { reader: Box::new(reader), packed: false, guard: None }
    }

    /// Says that the bytes travel compressed: a position in them is none in what the server holds.
    #[must_use]
    pub fn packed(mut self) -> Self {
        self.packed = true;
        self
    }

    /// Tells whether the bytes travel compressed.
    #[must_use]
    pub const fn is_packed(&self) -> bool {
        self.packed
    }

    /// Keeps something alive for as long as the body.
    #[must_use]
    pub fn guarded(mut self, guard: impl Send + 'static) -> Self {
        self.guard = Some(Box::new(guard));
        self
    }

    /// Reads all bytes; more than `limit` of them are an error.
    pub fn bytes(mut self, limit: u64) -> Result<Vec<u8>, TransportError> {
        let mut bytes = Vec::new();
        self.reader
            .by_ref()
            .take(limit.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(TransportError::of)?;
        if bytes.len() as u64 > limit {
            return Err(TransportError::TooLarge { what: "the body", limit });
        }
        Ok(bytes)
    }

    /// Reads all bytes as UTF-8.
    pub fn text(self, limit: u64) -> Result<String, TransportError> {
        String::from_utf8(self.bytes(limit)?)
            .map_err(|_| TransportError::Invalid { what: "the body is no UTF-8".to_owned() })
    }

    /// Reads all bytes as JSON.
    pub fn json<T: DeserializeOwned>(self, limit: u64) -> Result<T, TransportError> {
        serde_json::from_slice(&self.bytes(limit)?).map_err(|error| TransportError::Invalid {
            what: format!("the body is not the JSON that was expected: {error}"),
        })
    }
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reader.read(buffer)
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a body")
    }
}

/// Why there is no answer, or not all of it.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// The request is none that may be sent. Nothing was sent.
    #[error("the request cannot be sent: {what}")]
    Unsendable {
        /// What is wrong with it.
        what: String,
    },
    /// No connection came about. Nothing was sent.
    #[error("the server cannot be reached")]
    Unreachable {
        /// What the connection said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The connection broke after something was sent: it may have been done.
    #[error("the connection broke")]
    Broken {
        /// What the connection said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The server was silent for too long after something was sent: it may have been done.
    #[error("the server did not answer in time ({phase})")]
    TimedOut {
        /// What was waited for.
        phase: String,
    },
    /// More came than is taken. It may have been done.
    #[error("{what} of the answer is larger than {limit} bytes")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// How many bytes are taken.
        limit: u64,
    },
    /// What came is no answer. It may have been done.
    #[error("the answer is none: {what}")]
    Invalid {
        /// What is wrong with it.
        what: String,
    },
}

impl TransportError {
    /// Makes an error of the connection, after something was sent.
    pub fn broken(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Broken { source: source.into() }
    }

    /// Tells whether the request may have taken effect although there is no answer.
    #[must_use]
    pub const fn may_be_done(&self) -> bool {
        !matches!(self, Self::Unsendable { .. } | Self::Unreachable { .. })
    }

    /// Tells whether the same request may succeed later.
    #[must_use]
    pub const fn is_passing(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Broken { .. } | Self::TimedOut { .. })
    }

    /// Tells whether sending the request again is safe and may help.
    #[must_use]
    pub const fn is_repeatable(&self, idempotent: bool) -> bool {
        self.is_passing() && (idempotent || !self.may_be_done())
    }

    /// Takes an error out of what reading a body answered.
    #[must_use]
    pub fn of(error: io::Error) -> Self {
        match error.downcast::<Self>() {
            Ok(inner) => inner,
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                Self::TimedOut { phase: error.to_string() }
            }
            Err(error) => Self::broken(error),
        }
    }

    /// Wraps the error for a reader to answer with; [`TransportError::of`] takes it out again.
    #[must_use]
    pub fn into_io(self) -> io::Error {
        let kind = match &self {
            Self::Unsendable { .. } => io::ErrorKind::InvalidInput,
            Self::Unreachable { .. } => io::ErrorKind::NotConnected,
            Self::Broken { .. } => io::ErrorKind::ConnectionAborted,
            Self::TimedOut { .. } => io::ErrorKind::TimedOut,
            Self::TooLarge { .. } | Self::Invalid { .. } => io::ErrorKind::InvalidData,
        };
        io::Error::new(kind, self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_shows_neither_its_token_nor_its_query_nor_its_body() {
        let token = Redacted::new("s3cr3t-token".to_owned());
        let request = Request::post("https://api.example.org/x")
            .query("sig", "s3cr3t-sig")
            .body("text/plain", b"s3cr3t-body".to_vec())
            .bearer(&token)
            .unwrap();
        let shown = format!("{request:?} {:?}", request.headers);
        assert!(!shown.contains("s3cr3t"), "{shown}");
        assert!(shown.contains("POST https://api.example.org/x"));
    }

    #[test]
    fn a_query_is_escaped() {
        let request = Request::get("https://a.example/?k=1").query("q", "'me' in owners & ä");
        assert_eq!(request.url, "https://a.example/?k=1&q=%27me%27%20in%20owners%20%26%20%C3%A4");
        assert_eq!(request.place(), "https://a.example/");
        let form = Request::post("https://a.example/").form(&[("a b", "1+1"), ("c", "=")]);
        assert_eq!(form.body, b"a%20b=1%2B1&c=%3D");
    }

    #[test]
    fn a_body_longer_than_its_limit_is_an_error_and_one_as_long_is_none() {
        assert_eq!(Body::of(b"12345".to_vec()).bytes(5).unwrap(), b"12345");
        let error = Body::of(b"12345".to_vec()).bytes(4).unwrap_err();
        assert!(matches!(error, TransportError::TooLarge { limit: 4, .. }));
    }

    #[test]
    fn a_header_with_a_line_break_is_refused() {
        let token = Redacted::new("a\r\nx: y".to_owned());
        let error = Request::get("https://a.example/").bearer(&token).unwrap_err();
        assert!(!error.may_be_done());
        assert!(!error.to_string().contains("x: y"));
    }

    #[test]
    fn an_error_survives_being_read_through_a_reader() {
        let wrapped = TransportError::TooLarge { what: "the body", limit: 7 }.into_io();
        assert!(matches!(TransportError::of(wrapped), TransportError::TooLarge { limit: 7, .. }));
        assert!(matches!(
            TransportError::of(io::Error::from(io::ErrorKind::UnexpectedEof)),
            TransportError::Broken { .. }
        ));
    }

    #[test]
    fn only_what_was_not_sent_may_be_repeated_without_thought() {
        let broken = TransportError::broken("cut");
        assert!(broken.is_repeatable(true) && !broken.is_repeatable(false));
        let unreachable = TransportError::Unreachable { source: "refused".into() };
        assert!(unreachable.is_repeatable(false));
        assert!(!TransportError::Invalid { what: String::new() }.is_repeatable(true));
    }
}
