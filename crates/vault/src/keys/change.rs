//! Signed changes of a vault's keys: further recipients, other data keys, other signers (format §3.4).

use std::collections::BTreeMap;

use model::{Moment, SourceName};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::KeyError;
use crate::{
    Manifest, VaultId,
    encoding::{DecodeError, Decoder, Encoder, VERSION},
    id::{hex, unhex},
    manifest::Recipient,
};

const MAGIC: &[u8; 8] = b"UNWKEYS\0";
const SIGNATURE_LABEL: &[u8] = b"unwipe/v1/keys";
const SIGNATURE_BYTES: usize = 64;
const OWNER_CONTEXT: &str = "unwipe/v1/owner";
const STATEMENT_FORMAT: &str = "unwipe-keys-change";
const STATEMENT_BYTES_MAX: usize = 1 << 20;

/// A key whose signature on commits counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    /// The Ed25519 public key.
    pub key: [u8; 32],
    /// The only source whose log it may continue, if it is bound to one.
    pub source: Option<SourceName>,
    /// Once retired: the last commit of each source that it may have signed; of a source not named here, none.
    pub retired: Option<BTreeMap<SourceName, u64>>,
}

/// Whose signatures count and who can open the vault, after all changes that the owner signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyState {
    /// How many changes there were.
    pub sequence: u64,
    /// When the last one was made.
    pub changed: Moment,
    /// The hash of the last change; of the manifest when there is none.
    pub head: [u8; 32],
    /// Whose signature the next change needs; nobody's when the vault was made without an owner.
    pub owner: Option<[u8; 32]>,
    /// To whom new packs are sealed.
    pub data_recipient: [u8; 32],
    /// Whose signatures on commits count.
    pub signers: Vec<Signer>,
    /// Who can open what is stored from now on.
    pub recipients: Vec<Recipient>,
}

/// What is to change.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub(crate) state: KeyState,
    pub(crate) wrapped: Vec<u8>,
}

/// Why an object is no change of this vault's keys.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// It does not follow the format.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// Its statement is none.
    #[error("the statement is no change of keys")]
    Statement,
    /// It is signed by somebody else than the owner.
    #[error("it is not signed by the vault's owner")]
    Signature,
    /// It follows another change than the last one.
    #[error("it does not continue the last change of keys")]
    Chain,
    /// It takes a signer away, which would make sound commits unsound.
    #[error("it takes away or alters a signer")]
    Signers,
    /// The wrapped keys are not those that were signed.
    #[error("the wrapped keys are not those that were signed")]
    Wrapped,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Statement {
    format: String,
    version: u16,
    vault: VaultId,
    sequence: u64,
    previous: String,
    made: Moment,
    owner: String,
    data_recipient: String,
    signers: Vec<SignerFields>,
    recipients: Vec<Recipient>,
    wrapped: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SignerFields {
    key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    source: Option<SourceName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retired: Option<BTreeMap<SourceName, u64>>,
}

impl Signer {
    /// A signer of every source.
    pub const fn any(key: [u8; 32]) -> Self {
        Self { key, source: None, retired: None }
    }

    /// Returns whether a commit signed by this key counts.
    pub fn may_sign(&self, source: &SourceName, sequence: u64) -> bool {
        self.source.as_ref().is_none_or(|bound| bound == source)
            && self.retired.as_ref().is_none_or(|last| last.get(source).is_some_and(|last| sequence <= *last))
    }

    /// Returns whether this is the same signer, retired at most.
    fn continues(&self, before: &Self) -> bool {
        self.key == before.key
            && self.source == before.source
            && (before.retired.is_none() || self.retired == before.retired)
    }
}

impl KeyState {
    /// Returns the state that the manifest states.
    pub fn of(manifest: &Manifest) -> Self {
        Self {
            sequence: 0,
            changed: manifest.created,
            head: manifest.fingerprint.0,
            owner: manifest.owner,
            data_recipient: manifest.data_recipient,
            signers: manifest.signers.iter().copied().map(Signer::any).collect(),
            recipients: manifest.recipients.clone(),
        }
    }

    /// Returns whether bytes claim to be a change; other objects under `keys/` are wrapped keys or foreign.
    pub fn is_change(bytes: &[u8]) -> bool {
        bytes.starts_with(MAGIC)
    }

    /// Checks a change against this state; returns the state after it, and the wrapped keys it carries.
    pub fn follow<'a>(&self, vault: VaultId, bytes: &'a [u8]) -> Result<(Self, &'a [u8]), ChangeError> {
        let mut from = Decoder::new("change of keys", bytes);
        from.header(MAGIC)?;
        if from.u16()? != 0 {
            return Err(from.range().into());
        }
        let length = from.u32()? as usize;
        if length > STATEMENT_BYTES_MAX {
            return Err(from.range().into());
        }
        let text = from.raw(length)?;
        let signed = &bytes[..bytes.len() - from.left()];
        let signature: [u8; SIGNATURE_BYTES] = from.array()?;
        let head = *blake3::hash(&bytes[..bytes.len() - from.left()]).as_bytes();
        let wrapped = from.raw(from.left())?;
        let owner = self.owner.ok_or(ChangeError::Signature)?;
        UnparsedPublicKey::new(&ED25519, &owner)
            .verify(&[SIGNATURE_LABEL, signed].concat(), &signature)
            .map_err(|_| ChangeError::Signature)?;

        let statement: Statement = serde_json::from_slice(text).map_err(|_| ChangeError::Statement)?;
        let key = |text: &str| unhex::<32>(text).ok_or(ChangeError::Statement);
        if statement.format != STATEMENT_FORMAT || statement.version != 1 || statement.vault != vault {
            return Err(ChangeError::Statement);
        }
        if statement.sequence != self.sequence + 1 || key(&statement.previous)? != self.head {
            return Err(ChangeError::Chain);
        }
        if key(&statement.wrapped)? != *blake3::hash(wrapped).as_bytes() {
            return Err(ChangeError::Wrapped);
        }
        let signers = statement
            .signers
            .into_iter()
            .map(|SignerFields { key: text, source, retired }| {
                Ok(Signer { key: key(&text)?, source, retired })
            })
            .collect::<Result<Vec<_>, ChangeError>>()?;
        let kept = self.signers.len() <= signers.len()
            && self.signers.iter().zip(&signers).all(|(before, now)| now.continues(before));
        if !kept {
            return Err(ChangeError::Signers);
        }
        let state = Self {
            sequence: statement.sequence,
            changed: statement.made,
            head,
            owner: Some(key(&statement.owner)?),
            data_recipient: key(&statement.data_recipient)?,
            signers,
            recipients: statement.recipients,
        };
        Ok((state, wrapped))
    }

    /// Returns whether a commit by this signer counts.
    pub fn may_sign(&self, key: &[u8; 32], source: &SourceName, sequence: u64) -> Standing {
        let mut standing = Standing::Unknown;
        for signer in self.signers.iter().filter(|signer| signer.key == *key) {
            if signer.may_sign(source, sequence) {
                return Standing::Counts;
            }
            let other = signer.source.as_ref().is_some_and(|bound| bound != source);
            standing = if other { Standing::OtherSource } else { Standing::Retired };
        }
        standing
    }
}

/// What a signer's signature on a commit is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It counts.
    Counts,
    /// The vault does not know the key.
    Unknown,
    /// The key is for another source.
    OtherSource,
    /// The key was retired before.
    Retired,
}

impl Change {
    /// Signs the change as the owner of the state before it.
    pub(crate) fn sign(
        &self,
        vault: VaultId,
        previous: &KeyState,
        owner: &Ed25519KeyPair,
    ) -> Result<Vec<u8>, KeyError> {
        let damaged = |reason: &str| KeyError::Damaged { reason: reason.to_owned() };
        let state = &self.state;
        let next_owner = state.owner.ok_or_else(|| damaged("a change needs an owner"))?;
        let fields = |signer: &Signer| SignerFields {
            key: hex(&signer.key),
            source: signer.source.clone(),
            retired: signer.retired.clone(),
        };
        let statement = Statement {
            format: STATEMENT_FORMAT.to_owned(),
            version: 1,
            vault,
            sequence: previous.sequence + 1,
            previous: hex(&previous.head),
            made: state.changed,
            owner: hex(&next_owner),
            data_recipient: hex(&state.data_recipient),
            signers: state.signers.iter().map(fields).collect(),
            recipients: state.recipients.clone(),
            wrapped: hex(blake3::hash(&self.wrapped).as_bytes()),
        };
        let text = serde_json::to_vec(&statement).map_err(|e| damaged(&e.to_string()))?;
        if text.len() > STATEMENT_BYTES_MAX {
            return Err(damaged("the list of signers and recipients is too long"));
        }
        let mut to = Encoder::new();
        to.raw(MAGIC).u16(VERSION).u16(0).u32(text.len() as u32).raw(&text);
        let mut bytes = to.into_bytes();
        let signature = owner.sign(&[SIGNATURE_LABEL, &bytes].concat());
        bytes.extend_from_slice(signature.as_ref());
        bytes.extend_from_slice(&self.wrapped);
        Ok(bytes)
    }
}

/// Derives the owner's signing key: whoever can open the vault is its owner, and nobody else.
pub(crate) fn owner_pair(data_secret: &[u8; 32]) -> Result<Ed25519KeyPair, KeyError> {
    let seed = Zeroizing::new(blake3::derive_key(OWNER_CONTEXT, data_secret));
    Ed25519KeyPair::from_seed_unchecked(&*seed)
        .map_err(|_| KeyError::Damaged { reason: "the owner's seed is refused".to_owned() })
}

/// Returns the public half of the owner's key.
pub(crate) fn owner_public(data_secret: &[u8; 32]) -> Result<[u8; 32], KeyError> {
    owner_pair(data_secret)?
        .public_key()
        .as_ref()
        .try_into()
        .map_err(|_| KeyError::Damaged { reason: "the owner's key has another length".to_owned() })
}
