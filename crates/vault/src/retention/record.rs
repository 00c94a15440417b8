use model::{Moment, SourceName};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use serde::{Deserialize, Serialize};

use crate::{
    PackId, VaultId,
    encoding::{DecodeError, Decoder, Encoder, VERSION},
    id::{hex, unhex},
    keys::KeyState,
    quorum::{Answer, Quorum},
};

/// One entry of the log of retention (format §12).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The vault.
    pub vault: VaultId,
    /// Its place in the log, from 1.
    pub number: u64,
    /// The hash of the entry before it; zeros for the first.
    pub previous: String,
    /// Vault time when it was made.
    pub at: Moment,
    /// Who signed it: 64 hexadecimal digits.
    pub signer: String,
    /// What it states.
    pub statement: Statement,
}

/// What an entry of the log of retention states. None of them makes a window shorter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Statement {
    /// Whose word counts for what people decide together.
    People {
        /// The people and how many of them it takes.
        quorum: Quorum,
        /// The word of the people so far; none for the first.
        answers: Vec<Answer>,
    },
    /// No live version needs these packs: their windows begin to run out.
    Release {
        /// The packs.
        packs: Vec<PackId>,
        /// Up to which commit each source was looked at, and how many items were live then.
        surveyed: Vec<Surveyed>,
    },
    /// These packs are needed again: their windows run no more.
    Recall {
        /// The packs.
        packs: Vec<PackId>,
    },
    /// These packs are about to be removed: their windows have run out.
    Reap {
        /// The packs.
        packs: Vec<PackId>,
    },
    /// Nothing is released or reaped until the hold is lifted.
    Hold {
        /// Whose data; all of the vault's when absent.
        source: Option<SourceName>,
        /// Why.
        reason: String,
    },
    /// A hold ends, on the word of people.
    Lift {
        /// The number of the entry that began it.
        hold: u64,
        /// Their word.
        answers: Vec<Answer>,
    },
    /// A source has really shrunk or changed that much, on the word of people.
    Confirm {
        /// The source.
        source: SourceName,
        /// Up to which commit.
        sequence: u64,
        /// Their word.
        answers: Vec<Answer>,
    },
}

/// How far a survey looked at one source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Surveyed {
    /// The source.
    pub source: SourceName,
    /// Its newest commit then.
    pub sequence: u64,
    /// How many items were live.
    pub live_items: u64,
}

/// Why bytes are no entry of the log of retention.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// They do not follow the format.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The document inside is not one.
    #[error("the entry is no document of this format: {reason}")]
    Document {
        /// What is wrong.
        reason: String,
    },
    /// It belongs to another vault or stands under another number.
    #[error("the entry says that it is number {number} of vault {vault}")]
    Misplaced {
        /// The number it names.
        number: u64,
        /// The vault it names.
        vault: VaultId,
    },
    /// The signature does not fit.
    #[error("the entry's signature does not fit its bytes")]
    Signature,
    /// Whoever signed it may not state this.
    #[error("the entry is signed by a key that may not state this")]
    Signer,
}

const MAGIC: &[u8; 8] = b"UNWRETN\0";
const SIGNATURE_LABEL: &[u8] = b"unwipe/v1/retention";
const SIGNATURE_BYTES: usize = 64;
/// Room for a release of some 800,000 packs.
const DOCUMENT_BYTES_MAX: usize = 60 << 20;

/// The hash of an entry, which its successor names.
pub(super) type RecordHash = [u8; 32];

impl Record {
    /// Signs the entry and returns its bytes with their hash.
    pub(super) fn seal(&self, signer: &Ed25519KeyPair) -> Result<(Vec<u8>, RecordHash), RecordError> {
        let document =
            serde_json::to_vec(self).map_err(|e| RecordError::Document { reason: e.to_string() })?;
        if document.len() > DOCUMENT_BYTES_MAX {
            return Err(RecordError::Document { reason: "it is too long".to_owned() });
        }
        Ok(seal_document(&document, signer))
    }

    /// Returns whether the vault's owner signed it.
    pub fn is_owners(&self, keys: &KeyState) -> bool {
        keys.owner.is_some_and(|owner| self.signer == hex(&owner))
    }

    /// Returns whether somebody who captures signed it, and it holds nothing but the data of this source.
    pub fn is_hold_of(&self, source: &SourceName, keys: &KeyState) -> bool {
        let holds =
            matches!(&self.statement, Statement::Hold { source: held, .. } if held.as_ref() == Some(source));
        holds && keys.signers.iter().any(|signer| self.signer == hex(&signer.key))
    }

    /// Reads an entry and checks its form, place and signature; whether the signer may state this is not checked.
    pub fn parse(bytes: &[u8], vault: VaultId, number: u64) -> Result<(Self, [u8; 32]), RecordError> {
        let mut from = Decoder::new("retention entry", bytes);
        from.header(MAGIC)?;
        if from.u16()? != 0 {
            return Err(from.range().into());
        }
        let length = from.u32()? as usize;
        if length > DOCUMENT_BYTES_MAX {
            return Err(from.range().into());
        }
        let document = from.raw(length)?;
        let signature: [u8; SIGNATURE_BYTES] = from.array()?;
        from.end()?;
        let record: Self =
            serde_json::from_slice(document).map_err(|e| RecordError::Document { reason: e.to_string() })?;
        if record.vault != vault || record.number != number {
            return Err(RecordError::Misplaced { number: record.number, vault: record.vault });
        }
        let signer: [u8; 32] = unhex(&record.signer).ok_or(RecordError::Signature)?;
        let signed = &bytes[..bytes.len() - SIGNATURE_BYTES];
        UnparsedPublicKey::new(&ED25519, signer)
            .verify(&[SIGNATURE_LABEL, signed].concat(), &signature)
            .map_err(|_| RecordError::Signature)?;
        Ok((record, *blake3::hash(bytes).as_bytes()))
    }
}

/// Signs a document as an entry.
pub(crate) fn seal_document(document: &[u8], signer: &Ed25519KeyPair) -> (Vec<u8>, RecordHash) {
    let mut encoder = Encoder::new();
    encoder.raw(MAGIC).u16(VERSION).u16(0).u32(document.len() as u32).raw(document);
    let mut bytes = encoder.into_bytes();
    let signature = signer.sign(&[SIGNATURE_LABEL, &bytes].concat());
    bytes.extend_from_slice(signature.as_ref());
    let hash = *blake3::hash(&bytes).as_bytes();
    (bytes, hash)
}

/// Returns the public half of a signing key in hexadecimal.
pub(super) fn public_text(signer: &Ed25519KeyPair) -> String {
    hex(signer.public_key().as_ref())
}
