//! A new passkey: what the browser answers, and the checks of it. Pure.

use serde::Deserialize;

use crate::{
    CredentialId, PublicKey, PublicPasskey, RelyingParty,
    assertion::{AssertionError, AuthenticatorData},
    bytes::Bytes,
    cbor::{self, CborError, Value},
    client_data::{self, Kind},
};

/// Why a new passkey is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistrationError {
    /// One of the checks that every use of a passkey has.
    #[error(transparent)]
    Check(#[from] AssertionError),
    /// The attestation is unreadable.
    #[error("the new passkey cannot be read")]
    Cbor(#[from] CborError),
    /// There is no new passkey in it.
    #[error("the answer brings no passkey")]
    NoPasskey,
    /// Its key is of none of the kinds that are taken.
    #[error("the passkey's key is neither ES256, EdDSA nor RS256")]
    Algorithm,
    /// None was asked for.
    #[error("the answer brings an attestation of a kind that was not asked for")]
    Attestation,
}

/// A new passkey, as its authenticator told of it.
pub(crate) struct NewPasskey {
    pub(crate) passkey: PublicPasskey,
    pub(crate) count: u32,
    pub(crate) may_be_copied: bool,
}

/// What a browser answers to `navigator.credentials.create`, as its `toJSON` writes it.
#[derive(Deserialize)]
struct Answer {
    id: CredentialId,
    #[serde(rename = "rawId")]
    raw_id: Option<CredentialId>,
    #[serde(rename = "type")]
    kind: String,
    response: AnswerParts,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AnswerParts {
    #[serde(rename = "clientDataJSON")]
    client_data: Bytes,
    attestation_object: Bytes,
}

const ATTESTATION_BYTES_MAX: usize = 16 << 10;

/// Reads a browser's answer to the making of a passkey and checks it: the public passkey and its count.
pub fn parse_registration(
    response: &serde_json::Value,
    challenge: &[u8],
    party: &RelyingParty,
) -> Result<(PublicPasskey, u32), RegistrationError> {
    read(response, challenge, party).map(|new| (new.passkey, new.count))
}

/// Reads and checks a new passkey.
pub(crate) fn read(
    response: &serde_json::Value,
    challenge: &[u8],
    party: &RelyingParty,
) -> Result<NewPasskey, RegistrationError> {
    let answer = Answer::deserialize(response).map_err(|_| AssertionError::Shape)?;
    let same = answer.raw_id.is_none_or(|raw| raw == answer.id);
    let object = &answer.response.attestation_object.0;
    if answer.kind != "public-key" || !same || object.len() > ATTESTATION_BYTES_MAX {
        return Err(AssertionError::Shape.into());
    }
    let hash = client_data::check(&answer.response.client_data.0, Kind::Create, challenge, party)?;
    let object = cbor::read_all(object)?;
    let bytes = object.named("authData").and_then(Value::bytes).ok_or(RegistrationError::NoPasskey)?;
    let data = AuthenticatorData::read(bytes)?;
    data.check(party)?;
    let attested = data.attested.as_ref().ok_or(RegistrationError::NoPasskey)?;
    let sizes = 1..=CredentialId::BYTES_MAX;
    if attested.credential != answer.id.0.0 || !sizes.contains(&attested.credential.len()) {
        return Err(AssertionError::Credential.into());
    }
    let key = PublicKey::from_cose(&attested.key).ok_or(RegistrationError::Algorithm)?;
    attestation(&object, &key, &[bytes, &hash].concat())?;
    Ok(NewPasskey {
        passkey: PublicPasskey { credential: answer.id, key },
        count: data.count,
        may_be_copied: data.may_be_copied(),
    })
}

/// No attestation is asked for. A browser may leave one in which the passkey signs for itself: that adds nothing, and
/// has to hold.
fn attestation(object: &Value<'_>, key: &PublicKey, message: &[u8]) -> Result<(), RegistrationError> {
    let statement = object.named("attStmt").ok_or(RegistrationError::Attestation)?;
    match (object.named("fmt").and_then(Value::text), statement) {
        (Some("none"), Value::Map(pairs)) if pairs.is_empty() => Ok(()),
        (Some("packed"), Value::Map(_)) if statement.named("x5c").is_none() => {
            let algorithm = statement.named("alg").and_then(Value::integer);
            let signature = statement.named("sig").and_then(Value::bytes).unwrap_or_default();
            if algorithm != Some(key.algorithm()) {
                return Err(RegistrationError::Attestation);
            }
            if !key.signed(message, signature) {
                return Err(AssertionError::Signature.into());
            }
            Ok(())
        }
        _ => Err(RegistrationError::Attestation),
    }
}
