//! The signed statement with which a service account asks for a token in the name of a user.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use model::{Moment, Redacted};
use ring::{rand::SystemRandom, signature::RSA_PKCS1_SHA256};
use serde::Serialize;

use crate::{KeyError, ServiceAccountKey};

/// Google refuses statements that are valid for longer.
const LIFETIME_S: i64 = 3600;

#[derive(Serialize)]
struct Header<'a> {
    alg: &'static str,
    typ: &'static str,
    kid: &'a str,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    aud: &'a str,
    scope: &'a str,
    sub: &'a str,
    iat: i64,
    exp: i64,
}

/// Signs that the account wants to act for `subject` within `scopes`, from `now` on for an hour.
#[expect(
    clippy::disallowed_methods,
    reason = "the signature is the same whatever the chance, which only hides its time"
)]
pub(crate) fn assertion(
    key: &ServiceAccountKey,
    subject: &str,
    scopes: &[&str],
    now: Moment,
) -> Result<Redacted<String>, KeyError> {
    let issued_s = now.as_micros().div_euclid(1_000_000);
    let claims = Claims {
        iss: &key.client_email,
        aud: &key.token_uri,
        scope: &scopes.join(" "),
        sub: subject,
        iat: issued_s,
        exp: issued_s + LIFETIME_S,
    };
    let header = Header { alg: "RS256", typ: "JWT", kid: &key.key_id };
    let mut text = format!("{}.{}", part(&header)?, part(&claims)?);
    let mut signature = vec![0; key.pair.public().modulus_len()];
    key.pair
        .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature)
        .map_err(|error| KeyError::PrivateKey(error.to_string().into()))?;
    text.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut text);
    Ok(Redacted::new(text))
}

fn part(value: &impl Serialize) -> Result<String, KeyError> {
    serde_json::to_vec(value).map(|json| URL_SAFE_NO_PAD.encode(json)).map_err(KeyError::Format)
}
