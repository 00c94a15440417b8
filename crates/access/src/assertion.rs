//! What a passkey signs, and the checks of it. Pure: bytes in, a verdict out.

use serde::{Deserialize, Serialize};

use crate::{
    CredentialId, PublicPasskey, RelyingParty,
    bytes::Bytes,
    cbor::{self, Value},
    client_data::{self, Kind, sha256},
};

/// What comes before a statement when a passkey approves it.
const APPROVAL: &[u8] = b"unwipe/v1/passkey-approval";

/// Why an assertion does not count. Each says one check.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AssertionError {
    /// The answer is not one that a browser gives.
    #[error("the answer is not one that a browser gives for a passkey")]
    Shape,
    /// The browser's account is unreadable.
    #[error("the browser's account of what it did cannot be read")]
    ClientData,
    /// It was made for something else.
    #[error("the passkey was used for another kind of ceremony")]
    Kind,
    /// It answers another question.
    #[error("the passkey answered another challenge")]
    Challenge,
    /// It was made on another page, or inside another page.
    #[error("the passkey was used on {origin:?}, or on a page inside another page")]
    Origin {
        /// Where it was used.
        origin: String,
    },
    /// The authenticator's data are unreadable.
    #[error("the authenticator's data cannot be read")]
    AuthenticatorData,
    /// It belongs to another domain.
    #[error("the passkey belongs to another domain")]
    Domain,
    /// Nobody touched the device.
    #[error("nobody was there when the passkey was used")]
    Presence,
    /// The device did not check who touched it.
    #[error("the device did not check who used the passkey: no PIN, no fingerprint, no face")]
    Verification,
    /// It is of another passkey.
    #[error("this was signed by another passkey")]
    Credential,
    /// The signature does not hold.
    #[error("the passkey's signature does not hold")]
    Signature,
}

/// What a passkey signed, whole: it can be stored, and checked later without anything else than the public passkey.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PasskeyAssertion {
    /// Which passkey.
    pub credential: CredentialId,
    /// The browser's account, with the challenge and the origin.
    pub client_data: Bytes,
    /// The authenticator's data: domain, presence, verification, counter.
    pub authenticator_data: Bytes,
    /// The signature over the authenticator's data and the hash of the account.
    pub signature: Bytes,
}

/// Returns the challenge with which a passkey signs a statement: SHA-256 of `unwipe/v1/passkey-approval`, then it.
pub fn statement_challenge(statement: &[u8]) -> [u8; 32] {
    sha256(&[APPROVAL, statement])
}

impl PasskeyAssertion {
    /// Checks that this passkey, with its person verified by the device, signed this statement for this party.
    ///
    /// Nothing else is needed: no file, no clock, no session. A counter is not looked at here; that is for whoever takes
    /// an answer while it is fresh.
    pub fn verify(
        &self,
        statement: &[u8],
        passkey: &PublicPasskey,
        party: &RelyingParty,
    ) -> Result<(), AssertionError> {
        self.check(&statement_challenge(statement), passkey, party).map(|_| ())
    }

    /// Checks everything but the counter, which it returns with the rest of what the authenticator said.
    pub(crate) fn check(
        &self,
        challenge: &[u8],
        passkey: &PublicPasskey,
        party: &RelyingParty,
    ) -> Result<AuthenticatorData<'_>, AssertionError> {
        if self.credential != passkey.credential {
            return Err(AssertionError::Credential);
        }
        let hash = client_data::check(&self.client_data.0, Kind::Get, challenge, party)?;
        let data = AuthenticatorData::read(&self.authenticator_data.0)?;
        data.check(party)?;
        let message = [&self.authenticator_data.0[..], &hash[..]].concat();
        if !passkey.key.signed(&message, &self.signature.0) {
            return Err(AssertionError::Signature);
        }
        Ok(data)
    }
}

/// What a browser answers to `navigator.credentials.get`, as its `toJSON` writes it.
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
    authenticator_data: Bytes,
    signature: Bytes,
    #[serde(default)]
    user_handle: Option<Bytes>,
}

/// Reads a browser's answer to a sign-in or an approval: the assertion, and the handle of the person if it was given.
pub fn parse_assertion(
    response: &serde_json::Value,
) -> Result<(PasskeyAssertion, Option<Bytes>), AssertionError> {
    let answer = Answer::deserialize(response).map_err(|_| AssertionError::Shape)?;
    let same = answer.raw_id.is_none_or(|raw| raw == answer.id);
    if answer.kind != "public-key" || !same || answer.id.0.0.len() > CredentialId::BYTES_MAX {
        return Err(AssertionError::Shape);
    }
    let AnswerParts { client_data, authenticator_data, signature, user_handle } = answer.response;
    // An empty handle is how some browsers write that there is none.
    let handle = user_handle.filter(|handle| !handle.0.is_empty());
    Ok((PasskeyAssertion { credential: answer.id, client_data, authenticator_data, signature }, handle))
}

/// What an authenticator says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct AuthenticatorData<'a> {
    domain_hash: &'a [u8],
    flags: u8,
    /// How often the passkey was used, by its own count; zero when it does not count.
    pub(crate) count: u32,
    /// A new passkey, when one was made.
    pub(crate) attested: Option<Attested<'a>>,
}

/// A new passkey.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Attested<'a> {
    pub(crate) credential: &'a [u8],
    pub(crate) key: Value<'a>,
}

const PRESENT: u8 = 1;
const VERIFIED: u8 = 1 << 2;
const MAY_BE_BACKED_UP: u8 = 1 << 3;
const BACKED_UP: u8 = 1 << 4;
const ATTESTED: u8 = 1 << 6;
const EXTENDED: u8 = 1 << 7;

impl<'a> AuthenticatorData<'a> {
    /// Reads the data; every byte has to have a meaning.
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, AssertionError> {
        Self::parts(bytes).ok_or(AssertionError::AuthenticatorData)
    }

    fn parts(bytes: &'a [u8]) -> Option<Self> {
        let (domain_hash, rest) = bytes.split_at_checked(32)?;
        let (&flags, rest) = rest.split_first()?;
        let (count, mut rest) = rest.split_first_chunk::<4>()?;
        let mut attested = None;
        if flags & ATTESTED != 0 {
            // The model of the authenticator says nothing that is checked.
            let (_, after) = rest.split_at_checked(16)?;
            let (length, after) = after.split_first_chunk::<2>()?;
            let (credential, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
            let (key, after) = cbor::read(after).ok()?;
            attested = Some(Attested { credential, key });
            rest = after;
        }
        if flags & EXTENDED != 0 {
            let (extensions, after) = cbor::read(rest).ok()?;
            matches!(extensions, Value::Map(_)).then_some(())?;
            rest = after;
        }
        // A passkey that cannot be backed up is not backed up.
        let consistent = flags & BACKED_UP == 0 || flags & MAY_BE_BACKED_UP != 0;
        (rest.is_empty() && consistent).then_some(Self {
            domain_hash,
            flags,
            count: u32::from_be_bytes(*count),
            attested,
        })
    }

    /// Checks the domain, that somebody was there, and that the device checked who.
    pub(crate) fn check(&self, party: &RelyingParty) -> Result<(), AssertionError> {
        if self.domain_hash != sha256(&[party.rp_id.as_bytes()]) {
            return Err(AssertionError::Domain);
        }
        if self.flags & PRESENT == 0 {
            return Err(AssertionError::Presence);
        }
        if self.flags & VERIFIED == 0 {
            return Err(AssertionError::Verification);
        }
        Ok(())
    }

    /// Returns whether copies of the passkey may be on several devices.
    pub(crate) const fn may_be_copied(&self) -> bool {
        self.flags & MAY_BE_BACKED_UP != 0
    }
}
