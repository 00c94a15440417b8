//! How the service is called, and how it says no.

use std::{sync::Arc, time::Duration};

use connect::{Stop, units::UnitError};
use connect_http::{
    Access, Call, CallError, Charge, Client, ClientParts, PoolSettings, Pools, Quota, RefusalKind, Request,
    RetrySettings, Token, TokenCache, TokenError, TokenSource, Transport, Vendor, Verdict,
    http::{HeaderMap, StatusCode},
};
use model::{Redacted, UnreadableReason};
use ports::{Clock, SeededRandom};
use serde::{Deserialize, Serialize};

use super::service::{ADDRESS, CALLS_AT_ONCE, CALLS_PER_SECOND};

/// The name of the only pool.
pub(crate) const POOL: &str = "calls";

/// A note as the service lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) id: String,
    #[serde(flatten)]
    pub(crate) attributes: NoteAttributes,
    #[serde(default)]
    pub(crate) origin: Option<String>,
}

/// What is kept of a note beside its text.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NoteAttributes {
    pub(crate) folder: String,
    pub(crate) tags: Vec<String>,
    pub(crate) trashed: bool,
    /// The service's number of the version; it grows with each change.
    pub(crate) version: u64,
    /// The BLAKE3 hash of the text.
    pub(crate) digest: String,
}

impl NoteAttributes {
    pub(crate) fn of_text(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    pub(crate) fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// How the service says no.
pub(crate) struct Notes;

impl Vendor for Notes {
    fn verdict(&self, status: StatusCode, _headers: &HeaderMap, body: &[u8]) -> Verdict {
        let word = serde_json::from_slice::<serde_json::Value>(body).ok();
        let reason = word.and_then(|word| word["error"].as_str().map(str::to_owned)).unwrap_or_default();
        let message = String::new();
        let refused = |kind| Verdict::Refused { kind, reason: reason.clone(), message: String::new() };
        match status.as_u16() {
            401 => Verdict::Unauthorized { reason, message },
            403 => refused(RefusalKind::Denied),
            404 => refused(RefusalKind::NotFound),
            410 => refused(RefusalKind::Expired),
            412 => refused(RefusalKind::Conflict),
            415 => refused(RefusalKind::Unsupported),
            429 => Verdict::Throttled { after: None, pool: Some(POOL.to_owned()), reason },
            500.. => Verdict::Transient { undone: false, reason },
            _ => refused(RefusalKind::Other),
        }
    }
}

/// Asks for tokens.
pub(crate) struct Tokens {
    pub(crate) key: Redacted<String>,
    pub(crate) transport: Arc<dyn Transport>,
}

impl TokenSource for Tokens {
    fn fetch(&self, subject: &str, _scopes: &[String]) -> Result<Token, TokenError> {
        let unreachable =
            |source: connect_http::TransportError| TokenError::Unreachable { source: Arc::new(source) };
        let key = self.key.expose().clone().into_bytes();
        let request = Request::post(format!("{ADDRESS}/token")).body("text/plain", key);
        let response = self.transport.send(&request).map_err(unreachable)?;
        if response.status == StatusCode::FORBIDDEN {
            let (reason, message) = ("wrong-key".to_owned(), String::new());
            return Err(TokenError::Refused { subject: subject.to_owned(), reason, message });
        }
        let answer: serde_json::Value = response.body.json(4096).map_err(unreachable)?;
        let secret = answer["token"].as_str().ok_or_else(|| {
            unreachable(connect_http::TransportError::Invalid { what: "there is no token in it".to_owned() })
        })?;
        let valid_for = Duration::from_secs(answer["seconds"].as_u64().unwrap_or(60));
        Ok(Token { secret: Redacted::new(secret.to_owned()), valid_for })
    }
}

/// What calls cost: one of a second's calls each.
pub(crate) fn pools() -> Pools {
    let pool = PoolSettings {
        units: CALLS_PER_SECOND,
        per: Duration::from_secs(1),
        burst: CALLS_AT_ONCE,
        concurrent: None,
    };
    Pools::from([(POOL.to_owned(), pool)])
}

/// Calls the service.
pub(crate) struct Api {
    pub(crate) client: Client,
    paced: bool,
}

impl Api {
    pub(crate) fn new(
        transport: Arc<dyn Transport>,
        key: Redacted<String>,
        clock: Arc<dyn Clock>,
        stop: Stop,
        paced: bool,
    ) -> Self {
        let source = Arc::new(Tokens { key, transport: Arc::clone(&transport) });
        let tokens = TokenCache::new(source, Arc::clone(&clock), Duration::from_mins(5));
        let client = Client::new(ClientParts {
            transport,
            vendor: Arc::new(Notes),
            quota: Quota::new(pools(), Arc::clone(&clock)),
            tokens: Some(Arc::new(tokens)),
            retry: RetrySettings::default(),
            clock,
            random: Arc::new(SeededRandom::new(1)),
            stop,
        });
        Self { client, paced }
    }

    /// Makes a call of a request, with its token and its price.
    pub(crate) fn call(&self, request: Request) -> Call {
        let call = Call::new(request).with(Access::new("all", ["notes"]));
        if self.paced { call.charged(Charge::shared(POOL, 1)) } else { call }
    }

    pub(crate) fn get<T: serde::de::DeserializeOwned>(&self, path: &str) -> Result<T, CallError> {
        self.client.json(&self.call(Request::get(format!("{ADDRESS}/{path}"))))
    }
}

/// Says what a failed call means for a unit that cannot go on without it.
pub(crate) fn unit_error(error: &CallError) -> UnitError {
    let hint = || Some("let an administrator give the reader the right `notes` again".to_owned());
    match error {
        CallError::Stopped => UnitError::Stopped,
        CallError::Refused(refusal) if refusal.kind == RefusalKind::Denied => {
            UnitError::Blinded { detail: refusal.to_string(), hint: hint() }
        }
        CallError::Token(TokenError::Refused { .. }) => {
            UnitError::Blinded { detail: error.to_string(), hint: hint() }
        }
        other => UnitError::Failed { detail: other.to_string() },
    }
}

/// Says why a note that was listed is not there; `None` when the run is to end.
pub(crate) fn as_unreadable(error: &CallError) -> Option<UnreadableReason> {
    let detail = error.to_string();
    Some(match error {
        CallError::Stopped => return None,
        CallError::Refused(refusal) => match refusal.kind {
            RefusalKind::NotFound => UnreadableReason::Vanished,
            RefusalKind::Denied => UnreadableReason::Denied { detail },
            RefusalKind::Unsupported => UnreadableReason::Unsupported { detail },
            // A token that was not taken, or a refusal that nobody knows, may pass.
            _ => UnreadableReason::Failed { detail },
        },
        _ => UnreadableReason::Failed { detail },
    })
}
