//! An HTTP `POST` whose body is signed, so that the receiver knows who sent it and when.

use std::sync::Arc;

use connect_http::{
    Request, Transport, TransportError,
    http::{HeaderName, HeaderValue, StatusCode, header::CONTENT_TYPE},
};
use model::{Moment, Redacted};
use ring::hmac;

use crate::{Channel, Message, NotifyError};

/// Carries `t=SECONDS,v1=HEX`: the HMAC-SHA256 under the shared secret over `SECONDS.BODY`.
pub const SIGNATURE_HEADER: &str = "unwipe-signature";
/// Carries the message's id, the same for every attempt.
const ID_HEADER: &str = "unwipe-message-id";
/// So much of a refusal's text is kept.
const ANSWER_CHARACTERS_MAX: usize = 200;

/// Posts the message as JSON: the finding, with the text for people beside it.
pub struct Webhook {
    name: String,
    url: String,
    secret: Option<Redacted<String>>,
    transport: Arc<dyn Transport>,
}

impl Webhook {
    /// Makes a webhook. Without a secret nothing is signed.
    pub fn new(url: String, secret: Option<Redacted<String>>, transport: Arc<dyn Transport>) -> Self {
        Self { name: format!("webhook {}", host(&url)), url, secret, transport }
    }
}

impl Channel for Webhook {
    fn name(&self) -> &str {
        &self.name
    }

    fn send(&self, message: &Message) -> Result<(), NotifyError> {
        let body = serde_json::to_vec(message).map_err(|error| settings(&self.name, error.to_string()))?;
        let mut headers = vec![(ID_HEADER, message.id.clone())];
        if let Some(secret) = &self.secret {
            headers.push((SIGNATURE_HEADER, signature(secret.expose(), message.at, &body)));
        }
        post(&self.name, &*self.transport, &self.url, &headers, body)
    }
}

/// Returns the signature of a body that is sent at a moment.
pub fn signature(secret: &str, at: Moment, body: &[u8]) -> String {
    let seconds = at.as_micros().div_euclid(1_000_000);
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let mut context = hmac::Context::with_key(&key);
    context.update(format!("{seconds}.").as_bytes());
    context.update(body);
    let digest: String = context.sign().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t={seconds},v1={digest}")
}

/// Posts JSON and takes any 2xx for an arrival.
pub(crate) fn post(
    channel: &str,
    transport: &dyn Transport,
    url: &str,
    headers: &[(&'static str, String)],
    body: Vec<u8>,
) -> Result<(), NotifyError> {
    let mut request = Request::post(url);
    request.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for (name, value) in headers {
        let value = HeaderValue::from_str(value).map_err(|error| settings(channel, error.to_string()))?;
        request.headers.insert(HeaderName::from_static(name), value);
    }
    request.body = body;
    let response = transport.send(&request).map_err(|error| unreachable(channel, error))?;
    if response.status.is_success() {
        return Ok(());
    }
    let status = response.status;
    let transient = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
    let text: String =
        response.header("x-slack-failure").unwrap_or_default().chars().take(ANSWER_CHARACTERS_MAX).collect();
    Err(NotifyError::Refused {
        channel: channel.to_owned(),
        answer: format!("{status} {text}").trim().to_owned(),
        transient,
    })
}

fn unreachable(channel: &str, error: TransportError) -> NotifyError {
    NotifyError::Unreachable { channel: channel.to_owned(), source: Box::new(error) }
}

pub(crate) fn settings(channel: &str, reason: String) -> NotifyError {
    NotifyError::Settings { channel: channel.to_owned(), reason }
}

/// Returns the host of an address: its path often is the secret.
pub(crate) fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority.rsplit('@').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_over_the_time_and_the_body() {
        // printf '1777125609.{"a":1}' | openssl dgst -sha256 -hmac shared
        let at = "2026-04-25T14:00:09.25Z".parse().unwrap();
        assert_eq!(
            signature("shared", at, br#"{"a":1}"#),
            "t=1777125609,v1=de826328d9107da6d979a5ad358111ffb320d30bdf7dadd14dcd1cb6a869ed07"
        );
        assert_ne!(signature("other", at, br#"{"a":1}"#), signature("shared", at, br#"{"a":1}"#));
    }

    #[test]
    fn a_channel_is_named_without_what_may_be_secret_in_its_address() {
        assert_eq!(host("https://hooks.example.org/services/T0/B0/secret?x=1"), "hooks.example.org");
        assert_eq!(host("https://user:word@hooks.example.org:8443/x"), "hooks.example.org:8443");
    }
}
