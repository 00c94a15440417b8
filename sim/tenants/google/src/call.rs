//! A request as a handler sees it, and what it answers.

use std::{net::IpAddr, sync::Arc};

use bytes::Bytes;
use hyper::{HeaderMap, Method};
use model::Moment;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{oauth::Session, refusal::Refusal, stream::Stream, text};

/// Parameters that say how an answer looks and not what is in it.
const LOOKS: [&str; 9] =
    ["pageToken", "maxResults", "pageSize", "fields", "alt", "prettyPrint", "key", "quotaUser", "$.xgafv"];

/// A request with its caller, after its route was found.
#[derive(Debug)]
pub(crate) struct Call {
    /// The verb.
    pub(crate) method: Method,
    /// The path as it came, without the query.
    pub(crate) path: String,
    /// What stands in the path's braces, decoded.
    pub(crate) parameters: Vec<(&'static str, String)>,
    /// The query, decoded, in order; names may repeat.
    pub(crate) query: Vec<(String, String)>,
    /// The headers.
    pub(crate) headers: HeaderMap,
    /// The body.
    pub(crate) body: Bytes,
    /// Who calls, by its token.
    pub(crate) caller: Arc<Session>,
    /// Where the call comes from.
    pub(crate) address: IpAddr,
    /// The tenant's time when it arrived.
    pub(crate) now: Moment,
}

impl Call {
    /// Returns what stands in the path's braces of this name; empty when the route has none.
    pub(crate) fn parameter(&self, name: &str) -> &str {
        self.parameters.iter().find(|(own, _)| *own == name).map_or("", |(_, value)| value)
    }

    /// Returns a parameter of the query; of a repeated one the last counts.
    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().rev().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// Returns all values of a repeated parameter.
    pub(crate) fn queries<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.query.iter().filter(move |(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// Tells whether a parameter of the query is `true`.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.query(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// Returns the wanted size of a page: between 1 and `max`, `default` when it is not said.
    pub(crate) fn page_size(&self, name: &str, default: usize, max: usize) -> Result<usize, Refusal> {
        let Some(text) = self.query(name) else { return Ok(default) };
        let number: i64 = text
            .parse()
            .map_err(|_| Refusal::invalid(format!("Invalid value at '{name}' (TYPE_INT32), \"{text}\"")))?;
        match usize::try_from(number) {
            Ok(0) => Ok(default),
            Ok(number) => Ok(number.min(max)),
            Err(_) => Err(Refusal::invalid(format!("Invalid value at '{name}': {text}"))),
        }
    }

    /// Returns a header as text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Reads the body as JSON of a known shape; an empty body is an empty object.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        let body: &[u8] = if self.body.is_empty() { b"{}" } else { &self.body };
        serde_json::from_slice(body)
            .map_err(|error| Refusal::invalid(format!("Invalid JSON payload received. {error}")))
    }

    /// Reads the body as a JSON object.
    pub(crate) fn object(&self) -> Result<serde_json::Map<String, Value>, Refusal> {
        self.json()
    }

    /// Returns what of the query decides a list's contents, for page tokens: everything but sizes and looks.
    pub(crate) fn list_identity(&self) -> u64 {
        let mut text = format!("{}\n{}", self.caller.user, self.path);
        for (name, value) in &self.query {
            if !LOOKS.contains(&name.as_str()) {
                text.push_str(&format!("\n{name}={value}"));
            }
        }
        text::drawn(text.as_bytes())
    }

    /// Returns what of the query decides a list's contents, for sync tokens: in any order, and without the parameters
    /// that may differ between calls that follow one another.
    pub(crate) fn sync_identity(&self, list: &str, free: &[&str]) -> String {
        let decides = |name: &String| !free.contains(&name.as_str()) && !LOOKS.contains(&name.as_str());
        let mut said: Vec<&(String, String)> = self.query.iter().filter(|(name, _)| decides(name)).collect();
        said.sort();
        let said = format!("{} {list} {said:?}", self.caller.user);
        format!("{:016x}", text::drawn(said.as_bytes()))
    }
}

/// Makes a body when nobody waits for the tenant any more.
pub(crate) type Later = Box<dyn FnOnce() -> Value + Send>;

/// The body of an answer.
pub(crate) enum Body {
    /// Nothing, as 204 has it.
    Empty,
    /// JSON.
    Json(Value),
    /// JSON that is expensive to make; it is made outside of the tenant's lock.
    Later(Later),
    /// Bytes with their media type.
    Bytes(String, Bytes),
    /// Bytes that are made while they are sent, with their media type.
    Stream(String, Stream),
}

/// An answer that says yes.
pub(crate) struct Reply {
    /// The HTTP status.
    pub(crate) code: u16,
    /// Headers besides the usual ones, with names in lower case.
    pub(crate) headers: Vec<(&'static str, String)>,
    /// The body.
    pub(crate) body: Body,
}

impl Reply {
    /// 200 with JSON.
    pub(crate) const fn json(value: Value) -> Self {
        Self { code: 200, headers: Vec::new(), body: Body::Json(value) }
    }

    /// 200 with JSON that is made outside of the tenant's lock.
    pub(crate) fn later(make: impl FnOnce() -> Value + Send + 'static) -> Self {
        Self { code: 200, headers: Vec::new(), body: Body::Later(Box::new(make)) }
    }

    /// 204 without a body.
    pub(crate) const fn empty() -> Self {
        Self { code: 204, headers: Vec::new(), body: Body::Empty }
    }

    /// 200 with bytes.
    pub(crate) fn bytes(media_type: &str, bytes: impl Into<Bytes>) -> Self {
        Self { code: 200, headers: Vec::new(), body: Body::Bytes(media_type.to_owned(), bytes.into()) }
    }

    /// 200 with bytes that are made while they are sent.
    pub(crate) fn stream(media_type: &str, stream: Stream) -> Self {
        Self { code: 200, headers: Vec::new(), body: Body::Stream(media_type.to_owned(), stream) }
    }

    /// Any status with JSON.
    pub(crate) const fn with_code(code: u16, value: Value) -> Self {
        Self { code, headers: Vec::new(), body: Body::Json(value) }
    }

    /// Adds a header; the name is in lower case.
    #[must_use]
    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// What a handler returns.
pub(crate) type Answer = Result<Reply, Refusal>;
