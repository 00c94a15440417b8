//! Calls that change something. The reader of a domain has no access to them.

use std::{borrow::Cow, time::Duration};

use connect_http::{
    Access, Call, Client, QuotaError, Request, Workload, estimate,
    http::{
        HeaderValue, Method as Verb,
        header::{CONTENT_TYPE, IF_MATCH},
    },
};
use ring::digest::{Context, SHA256};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{ApiError, ApiParts, ApiSettings, Method, ReadApi};

/// A call that changes something.
#[derive(Debug, Clone)]
pub struct Change {
    /// What is called.
    pub method: &'static Method,
    verb: Verb,
    path: String,
    query: Vec<(&'static str, String)>,
    body: Value,
    media: Option<(Cow<'static, str>, Vec<u8>)>,
    idempotent: bool,
    /// The state that is changed, and no other.
    state: Option<String>,
}

impl Change {
    /// Makes a POST that does the same when it is made twice.
    pub fn post(method: &'static Method, path: impl Into<String>, body: Value) -> Self {
        Self::of(Verb::POST, method, path.into(), body)
    }

    /// Makes a PATCH, which does the same when it is made twice.
    pub fn patch(method: &'static Method, path: impl Into<String>, body: Value) -> Self {
        Self::of(Verb::PATCH, method, path.into(), body)
    }

    /// Makes a PUT, which does the same when it is made twice.
    pub fn put(method: &'static Method, path: impl Into<String>, body: Value) -> Self {
        Self::of(Verb::PUT, method, path.into(), body)
    }

    /// Makes a DELETE.
    pub fn delete(method: &'static Method, path: impl Into<String>) -> Self {
        Self::of(Verb::DELETE, method, path.into(), Value::Null)
    }

    const fn of(verb: Verb, method: &'static Method, path: String, body: Value) -> Self {
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
    pub fn with_media(mut self, media_type: impl Into<Cow<'static, str>>, content: Vec<u8>) -> Self {
        self.media = Some((plain(media_type.into()), content));
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

    pub(crate) fn client(&self) -> &Client {
        &self.reading.client
    }

    pub(crate) fn call(&self, subject: &str, change: &Change) -> Result<Call, ApiError> {
        let method = change.method;
        let mut request = Request::new(change.verb.clone(), self.reading.url(method.service, &change.path));
        for (name, value) in &change.query {
            request = request.query(name, value);
        }
        request = match &change.media {
            Some((media_type, content)) => multipart(request, &change.body.to_string(), media_type, content),
            None if change.body.is_null() => Ok(request),
            None => request.json(&change.body).map_err(Into::into),
        }
        .map_err(|source| ApiError::Answer { method: method.name, source })?;
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

/// Returns what parts the description of an upload from its content: a hash of both, which neither can hold.
fn boundary(description: &str, content: &[u8]) -> String {
    // A boundary has 70 characters at most: three quarters of the hash are enough.
    const BYTES: usize = 24;
    let mut hash = Context::new(&SHA256);
    hash.update(&(description.len() as u64).to_le_bytes());
    hash.update(description.as_bytes());
    hash.update(content);
    let mut text = "unwipe-".to_owned();
    for byte in hash.finish().as_ref().iter().take(BYTES) {
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

/// Takes a media type that can stand in a header; any other is that of bytes.
pub(crate) fn plain(media_type: Cow<'static, str>) -> Cow<'static, str> {
    let good = !media_type.is_empty() && media_type.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if good { media_type } else { Cow::Borrowed("application/octet-stream") }
}

/// Puts a description and a content into one body, as Google's uploads take it.
fn multipart(
    request: Request,
    description: &str,
    media_type: &str,
    content: &[u8],
) -> Result<Request, Box<dyn std::error::Error + Send + Sync>> {
    let boundary = boundary(description, content);
    let mut body = format!(
        "--{boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n{description}\r\n\
         --{boundary}\r\nContent-Type: {media_type}\r\n\r\n"
    )
    .into_bytes();
    body.extend_from_slice(content);
    body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    let kind = HeaderValue::from_str(&format!("multipart/related; boundary={boundary}"))?;
    let mut request = request.header(CONTENT_TYPE, kind);
    request.body = body;
    Ok(request)
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the boundary that a request names, and what its body consists of between those.
    fn parts(request: &Request) -> (String, Vec<String>) {
        let kind = request.headers[CONTENT_TYPE].to_str().unwrap();
        let boundary = kind.strip_prefix("multipart/related; boundary=").unwrap().to_owned();
        let body = String::from_utf8(request.body.clone()).unwrap();
        (boundary.clone(), body.split(&format!("--{boundary}")).map(str::to_owned).collect())
    }

    fn upload(content: &str) -> (String, Vec<String>) {
        let request = Request::post("https://x.test/upload");
        parts(&multipart(request, r#"{"labelIds":["INBOX"]}"#, "message/rfc822", content.as_bytes()).unwrap())
    }

    #[test]
    fn an_upload_has_a_description_and_a_content() {
        let (boundary, parts) = upload("Subject: a\r\n\r\nb");
        assert!(boundary.len() <= 70);
        let description =
            "\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n{\"labelIds\":[\"INBOX\"]}\r\n";
        let content = "\r\nContent-Type: message/rfc822\r\n\r\nSubject: a\r\n\r\nb\r\n";
        assert_eq!(parts, ["", description, content, "--\r\n"]);
    }

    #[test]
    fn a_message_that_was_written_to_hold_the_boundary_does_not() {
        // Whoever knows the boundary of a message and puts it into that message has made another one.
        let mut content = "Subject: a\r\n\r\nb".to_owned();
        for _ in 0..5 {
            let (boundary, parts) = upload(&content);
            assert_eq!(parts.len(), 4, "{parts:?}");
            content.push_str(&format!("\r\n--{boundary}--\r\n"));
        }
    }
}
