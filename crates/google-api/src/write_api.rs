//! Calls that change something. The reader of a domain has no access to them.

use std::time::Duration;

use connect_http::{
    Access, Call, Client, QuotaError, Request, Workload, estimate,
    http::{
        HeaderValue, Method as Verb,
        header::{CONTENT_TYPE, IF_MATCH},
    },
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{ApiError, ApiParts, ApiSettings, Method, ReadApi};

/// Parts the metadata of an upload from its content; no message holds it by chance.
const BOUNDARY: &str = "unwipe-6f0c8a52b1d94f1e9d7c";

/// A call that changes something.
#[derive(Debug, Clone)]
pub struct Change {
    /// What is called.
    pub method: &'static Method,
    verb: Verb,
    path: String,
    query: Vec<(&'static str, String)>,
    body: Value,
    media: Option<(&'static str, Vec<u8>)>,
    idempotent: bool,
    /// The state that is changed, and no other.
    state: Option<String>,
}

impl Change {
    /// Makes a POST that does the same when it is made twice.
    pub fn post(method: &'static Method, path: impl Into<String>, body: Value) -> Self {
        Self::new(Verb::POST, method, path.into(), body)
    }

    /// Makes a PATCH, which does the same when it is made twice.
    pub fn patch(method: &'static Method, path: impl Into<String>, body: Value) -> Self {
        Self::new(Verb::PATCH, method, path.into(), body)
    }

    /// Makes a PUT, which does the same when it is made twice.
    pub fn put(method: &'static Method, path: impl Into<String>, body: Value) -> Self {
        Self::new(Verb::PUT, method, path.into(), body)
    }

    fn new(verb: Verb, method: &'static Method, path: String, body: Value) -> Self {
        Self { method, verb, path, query: Vec::new(), body, media: None, idempotent: true, state: None }
    }

    /// Changes only what still has this etag; else it is refused.
    #[must_use]
    pub fn only_if(mut self, etag: Option<&str>) -> Self {
        self.state = etag.map(str::to_owned);
        self
    }

    /// Sends a content along with the body, which describes it.
    #[must_use]
    pub fn with_media(mut self, media_type: &'static str, content: Vec<u8>) -> Self {
        self.media = Some((media_type, content));
        self.query("uploadType", "multipart")
    }

    /// Says that making it twice makes two things.
    #[must_use]
    pub const fn once(mut self) -> Self {
        self.idempotent = false;
        self
    }

    /// Adds a parameter.
    #[must_use]
    pub fn query(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }
}

/// Changes things in the name of users, with an identity of its own that may write.
pub struct WriteApi {
    reading: ReadApi,
}

impl WriteApi {
    /// Puts a client together.
    pub fn new(parts: ApiParts, settings: ApiSettings) -> Self {
        Self { reading: ReadApi::new(parts, settings) }
    }

    /// Returns what reads with the same identity.
    pub const fn reading(&self) -> &ReadApi {
        &self.reading
    }

    /// Makes a call in the name of a user and reads its answer.
    pub fn send<T: DeserializeOwned>(&self, subject: &str, change: &Change) -> Result<T, ApiError> {
        let call = self.call(subject, change)?;
        self.client().json(&call).map_err(|error| self.reading.error(error, change.method))
    }

    /// Makes a call whose answer says nothing.
    pub fn send_only(&self, subject: &str, change: &Change) -> Result<(), ApiError> {
        let call = self.call(subject, change)?;
        self.client().call(&call).map(drop).map_err(|error| self.reading.error(error, change.method))
    }

    fn client(&self) -> &Client {
        &self.reading.client
    }

    fn call(&self, subject: &str, change: &Change) -> Result<Call, ApiError> {
        let method = change.method;
        let mut request = Request::new(change.verb.clone(), self.reading.url(method.service, &change.path));
        for (name, value) in &change.query {
            request = request.query(name, value);
        }
        request = match &change.media {
            Some((media_type, content)) => multipart(request, &change.body, media_type, content),
            None => request
                .json(&change.body)
                .map_err(|source| ApiError::Answer { method: method.name, source: Box::new(source) })?,
        };
        if let Some(state) = change.state.as_deref().and_then(|etag| HeaderValue::from_str(etag).ok()) {
            request = request.header(IF_MATCH, state);
        }
        let mut call = Call::new(request).with(Access::new(subject, [method.scope]));
        for charge in self.reading.settings.charges(subject, method) {
            call = call.charged(charge);
        }
        Ok(if change.idempotent { call } else { call.once() })
    }
}

/// Puts a description and a content into one body, as Google's uploads take it.
fn multipart(request: Request, description: &Value, media_type: &str, content: &[u8]) -> Request {
    let mut body = format!(
        "--{BOUNDARY}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n{description}\r\n\
         --{BOUNDARY}\r\nContent-Type: {media_type}\r\n\r\n"
    )
    .into_bytes();
    body.extend_from_slice(content);
    body.extend_from_slice(format!("\r\n--{BOUNDARY}--\r\n").as_bytes());
    let kind = HeaderValue::from_static("multipart/related; boundary=unwipe-6f0c8a52b1d94f1e9d7c");
    let mut request = request.header(CONTENT_TYPE, kind);
    request.body = body;
    request
}

impl ApiSettings {
    /// Returns how long some calls take, by the pools of quota and by what a call takes when there is quota: so many at a
    /// time. A pool that gives nothing is an error.
    pub fn duration(
        &self,
        workload: &Workload,
        threads: u32,
        per_call: Duration,
    ) -> Result<Duration, QuotaError> {
        estimate(&self.pools, workload, threads, per_call.as_secs_f64())
    }
}
