//! Tokens for users of the domain, had with the service account's key.

use std::{sync::Arc, time::Duration};

use connect_http::{Request, Token, TokenCache, TokenError, TokenSource, Transport};
use model::Redacted;
use ports::Clock;
use serde::Deserialize;

use crate::{ServiceAccountKey, assertion::assertion};

const ANSWER_BYTES_MAX: u64 = 64 << 10;
const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// What Google says when it says nothing.
const USUAL_LIFETIME_S: u64 = 3600;
/// Tokens are renewed so long before their end.
const MARGIN: Duration = Duration::from_mins(5);

/// Asks Google for tokens in the name of users: the service account must have been granted the scopes over the domain.
pub struct ServiceAccountTokens {
    key: ServiceAccountKey,
    transport: Arc<dyn Transport>,
    clock: Arc<dyn Clock>,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    #[serde(default)]
    expires_in: Option<u64>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Refusal {
    error: String,
    error_description: String,
}

impl ServiceAccountTokens {
    /// Makes a source of tokens.
    pub fn new(key: ServiceAccountKey, transport: Arc<dyn Transport>, clock: Arc<dyn Clock>) -> Self {
        Self { key, transport, clock }
    }

    /// Makes a cache of such tokens; each is renewed five minutes before its end.
    pub fn cached(
        key: ServiceAccountKey,
        transport: Arc<dyn Transport>,
        clock: Arc<dyn Clock>,
    ) -> Arc<TokenCache> {
        let source = Self::new(key, transport, Arc::clone(&clock));
        Arc::new(TokenCache::new(Arc::new(source), clock, MARGIN))
    }
}

impl TokenSource for ServiceAccountTokens {
    fn fetch(&self, subject: &str, scopes: &[String]) -> Result<Token, TokenError> {
        let scopes: Vec<&str> = scopes.iter().map(String::as_str).collect();
        let statement = assertion(&self.key, subject, &scopes, self.clock.now())
            .map_err(|error| TokenError::Credential { detail: error.to_string() })?;
        let request = Request::post(&self.key.token_uri)
            .form(&[("grant_type", GRANT), ("assertion", statement.expose())]);
        let unreachable =
            |error: connect_http::TransportError| TokenError::Unreachable { source: Arc::new(error) };
        let response = self.transport.send(&request).map_err(unreachable)?;
        let status = response.status;
        let body = response.body.bytes(ANSWER_BYTES_MAX).map_err(unreachable)?;
        if status.is_success() {
            // Something between here and the issuer spoke: this says nothing about the account.
            let granted: Granted =
                serde_json::from_slice(&body).map_err(|error| TokenError::Unreachable {
                    source: Arc::from(Box::<dyn std::error::Error + Send + Sync>::from(format!(
                        "it answers {status} without a token: {error}"
                    ))),
                })?;
            return Ok(Token {
                secret: Redacted::new(granted.access_token),
                valid_for: Duration::from_secs(granted.expires_in.unwrap_or(USUAL_LIFETIME_S)),
            });
        }
        if status.is_server_error() || status.as_u16() == 429 {
            let source: Box<dyn std::error::Error + Send + Sync> = format!("it answers {status}").into();
            return Err(TokenError::Unreachable { source: source.into() });
        }
        let refusal: Refusal = serde_json::from_slice(&body).unwrap_or_default();
        let reason = if refusal.error.is_empty() { status.to_string() } else { refusal.error };
        Err(TokenError::Refused { subject: subject.to_owned(), reason, message: refusal.error_description })
    }
}
