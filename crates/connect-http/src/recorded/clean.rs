//! What is taken out of traffic before it is written down.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use ureq::http::{
    HeaderName,
    header::{AUTHORIZATION, COOKIE, LOCATION, PROXY_AUTHORIZATION, SET_COOKIE, WWW_AUTHENTICATE},
};

/// What stands in a secret's place.
const REMOVED: &str = "removed";

/// What is secret in some traffic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordSettings {
    /// Beginnings of addresses where tokens are issued: of requests to them the body does not count.
    pub token_endpoints: Vec<String>,
    /// Names of fields of JSON answers, and of pairs of queries and forms, whose values are secret.
    pub secret_names: Vec<String>,
    /// Beginnings of addresses that are secrets by their query: signed links, upload sessions. An empty text stands
    /// for all addresses.
    pub signed_urls: Vec<String>,
}

impl Default for RecordSettings {
    fn default() -> Self {
        let names =
            ["access_token", "refresh_token", "id_token", "client_secret", "assertion", "key", "token"];
        Self {
            token_endpoints: Vec::new(),
            secret_names: names.map(str::to_owned).to_vec(),
            signed_urls: Vec::new(),
        }
    }
}

impl RecordSettings {
    pub(super) fn is_token_endpoint(&self, url: &str) -> bool {
        self.token_endpoints.iter().any(|beginning| url.starts_with(beginning.as_str()))
    }

    fn is_secret(&self, name: &str) -> bool {
        self.secret_names.iter().any(|secret| secret.eq_ignore_ascii_case(name))
    }

    /// Takes secrets out of an address.
    pub(super) fn clean_url(&self, url: &str) -> String {
        let Some((place, query)) = url.split_once('?') else { return url.to_owned() };
        if self.signed_urls.iter().any(|beginning| url.starts_with(beginning.as_str())) {
            return format!("{place}?{REMOVED}");
        }
        let pairs = query.split('&').map(|pair| match pair.split_once('=') {
            Some((name, _)) if self.is_secret(name) => format!("{name}={REMOVED}"),
            _ => pair.to_owned(),
        });
        format!("{place}?{}", pairs.collect::<Vec<_>>().join("&"))
    }

    pub(super) fn clean_header(&self, name: &HeaderName, value: &str) -> String {
        if *name == LOCATION { self.clean_url(value) } else { value.to_owned() }
    }

    /// Takes secrets out of an answer's body. What a place that issues tokens answers is kept only as far as it is
    /// JSON.
    pub(super) fn clean_body(&self, url: &str, body: &[u8]) -> Vec<u8> {
        match serde_json::from_slice::<Value>(body) {
            Ok(mut value) => {
                // What holds no secret is kept to the byte.
                if self.clean_value(&mut value) { value.to_string().into_bytes() } else { body.to_vec() }
            }
            Err(_) if self.is_token_endpoint(url) => REMOVED.as_bytes().to_vec(),
            Err(_) => body.to_vec(),
        }
    }

    /// Returns whether anything was taken out.
    fn clean_value(&self, value: &mut Value) -> bool {
        let mut changed = false;
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    if self.is_secret(name) && value.is_string() {
                        *value = Value::from(REMOVED);
                        changed = true;
                    } else {
                        changed |= self.clean_value(value);
                    }
                }
            }
            Value::Array(values) => {
                for value in values {
                    changed |= self.clean_value(value);
                }
            }
            Value::String(text) => {
                if let Some(clean) = self.clean_link(text) {
                    *text = clean;
                    changed = true;
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
        changed
    }

    /// Takes the query out of a text that is a signed address.
    fn clean_link(&self, text: &str) -> Option<String> {
        if !text.starts_with("https://") && !text.starts_with("http://") {
            return None;
        }
        let clean = self.clean_url(text);
        (clean != text).then_some(clean)
    }
}

/// Tells whether a header is a secret whatever it holds.
pub(super) fn is_secret_header(name: &HeaderName) -> bool {
    [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION, SET_COOKIE, WWW_AUTHENTICATE].contains(name)
}
