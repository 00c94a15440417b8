//! What the browser says that it did: `clientDataJSON`.

use ring::digest;
use serde::Deserialize;

use crate::{RelyingParty, assertion::AssertionError, bytes};

const BYTES_MAX: usize = 8 << 10;

/// Fields twice are an error; fields unknown are left alone, as WebAuthn demands.
#[derive(Deserialize)]
struct ClientData {
    #[serde(rename = "type")]
    kind: String,
    challenge: String,
    origin: String,
    #[serde(default, rename = "crossOrigin")]
    cross_origin: Option<bool>,
    #[serde(default, rename = "topOrigin")]
    top_origin: Option<serde::de::IgnoredAny>,
}

/// What a browser was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Create,
    Get,
}

/// Checks the browser's account of what it did, and returns its SHA-256, which the authenticator signed.
pub(crate) fn check(
    json: &[u8],
    kind: Kind,
    challenge: &[u8],
    party: &RelyingParty,
) -> Result<[u8; 32], AssertionError> {
    if json.len() > BYTES_MAX {
        return Err(AssertionError::ClientData);
    }
    let data: ClientData = serde_json::from_slice(json).map_err(|_| AssertionError::ClientData)?;
    let expected = match kind {
        Kind::Create => "webauthn.create",
        Kind::Get => "webauthn.get",
    };
    if data.kind != expected {
        return Err(AssertionError::Kind);
    }
    if bytes::decode(&data.challenge).ok().as_deref() != Some(challenge) {
        return Err(AssertionError::Challenge);
    }
    let framed = data.cross_origin == Some(true) || data.top_origin.is_some();
    if data.origin != party.origin || framed {
        return Err(AssertionError::Origin { origin: data.origin });
    }
    Ok(sha256(&[json]))
}

/// Returns the SHA-256 of the pieces one after the other.
pub(crate) fn sha256(pieces: &[&[u8]]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    for piece in pieces {
        context.update(piece);
    }
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}
