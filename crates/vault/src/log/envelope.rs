use model::{Ledger, Moment, SourceName};
use ring::signature::{ED25519, Ed25519KeyPair, UnparsedPublicKey};

use crate::{
    CommitHash, PackId, VaultId,
    encoding::{DecodeError, Decoder, Encoder, VERSION},
    keys::change::{KeyState, Standing},
    seal::WRAPPED_BYTES,
};

/// The part of a commit that needs no key: what it builds on, what it needs, how complete it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The vault.
    pub vault: VaultId,
    /// The source whose log this is.
    pub source: SourceName,
    /// Its place in the log, from 1.
    pub sequence: u64,
    /// The hash of the commit before it.
    pub previous: CommitHash,
    /// Who signed it.
    pub signer: [u8; 32],
    /// When it was made, by the vault's time.
    pub vault_time: Moment,
    /// Until when everything that it names is locked at least.
    pub locked_until: Moment,
    /// For how many days commits are kept; the largest number in a log is in force.
    pub retention_days: u32,
    /// The account of the items.
    pub ledger: Ledger,
    /// Where capture resumes.
    pub cursor: Vec<u8>,
    /// The packs that were written for it.
    pub packs: Vec<PackEntry>,
    /// The packs that were there before and that it needs.
    pub earlier_packs: Vec<PackId>,
    /// The packs whose frames are change blocks.
    pub body_packs: Vec<PackEntry>,
    /// The change blocks in the commit itself.
    pub body: InlineBody,
}

/// A pack with its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackEntry {
    /// Its id, which is the hash of its bytes.
    pub id: PackId,
    /// Its size.
    pub size_bytes: u64,
}

/// The description of a commit's inline body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InlineBody {
    /// How many change blocks it has.
    pub blocks: u32,
    /// How long it is.
    pub length: u64,
    /// The hash of its bytes.
    pub hash: [u8; 32],
    /// Its key, wrapped to the data key.
    pub wrapped: [u8; WRAPPED_BYTES],
}

/// A commit as it lies in the vault: envelope checked, body still sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// What it says without a key.
    pub envelope: Envelope,
    /// Its hash.
    pub hash: CommitHash,
    pub(crate) body: Vec<u8>,
}

/// Why bytes are no commit of this vault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// They do not follow the format.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// It belongs to another vault.
    #[error("the commit belongs to vault {found}")]
    OtherVault {
        /// That vault.
        found: VaultId,
    },
    /// Its signer is not one of the vault's.
    #[error("the commit is signed by a key that this vault does not know")]
    Signer,
    /// Its signer may add to another source only.
    #[error("the commit is signed by the key of another source")]
    SignerSource,
    /// Its signer was retired before this commit.
    #[error("the commit is signed by a key that was retired before it")]
    SignerRetired,
    /// The signature does not fit.
    #[error("the commit's signature does not fit its bytes")]
    Signature,
    /// The body is not the one that was signed.
    #[error("the commit's body is not the one that was signed")]
    Body,
    /// It stands under another name than it says.
    #[error("the commit says that it is {source_name} {sequence}")]
    Misplaced {
        /// The source it names.
        source_name: SourceName,
        /// The sequence number it names.
        sequence: u64,
    },
    /// It does not continue the commit before it.
    #[error("the commit does not continue the one before it")]
    Chain,
}

const MAGIC: &[u8; 8] = b"UNWCOMM\0";
const SIGNATURE_LABEL: &[u8] = b"unwipe/v1/commit";
const SIGNATURE_BYTES: usize = 64;
const HEAD_BYTES: usize = 8 + 2 + 2 + 4;
const ENVELOPE_BYTES_MAX: usize = 64 << 20;
const CURSOR_BYTES_MAX: usize = 1 << 20;

impl Envelope {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut to = Encoder::new();
        to.raw(&self.vault.0).text(self.source.as_str()).varint(self.sequence);
        to.raw(&self.previous.0).raw(&self.signer);
        to.i64(self.vault_time.as_micros()).i64(self.locked_until.as_micros());
        to.varint(u64::from(self.retention_days));
        let Ledger { enumerated, stored, unchanged, unreadable } = self.ledger;
        to.varint(enumerated).varint(stored).varint(unchanged).varint(unreadable);
        to.bytes(&self.cursor);
        encode_entries(&self.packs, &mut to);
        to.varint(self.earlier_packs.len() as u64);
        for id in &self.earlier_packs {
            to.raw(&id.0);
        }
        encode_entries(&self.body_packs, &mut to);
        let InlineBody { blocks, length, hash, wrapped } = &self.body;
        to.varint(u64::from(*blocks)).varint(*length).raw(hash).raw(wrapped);
        to.into_bytes()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut from = Decoder::new("commit", bytes);
        let envelope = Self {
            vault: VaultId(from.array()?),
            source: SourceName::new(from.text(63)?).map_err(|_| from.range())?,
            sequence: from.varint()?,
            previous: CommitHash(from.array()?),
            signer: from.array()?,
            vault_time: Moment::from_micros(from.i64()?),
            locked_until: Moment::from_micros(from.i64()?),
            retention_days: u32::try_from(from.varint()?).map_err(|_| from.range())?,
            ledger: decode_ledger(&mut from)?,
            cursor: from.bytes(CURSOR_BYTES_MAX)?.to_vec(),
            packs: decode_entries(&mut from)?,
            earlier_packs: {
                let count = from.count(32)?;
                (0..count).map(|_| from.array().map(PackId)).collect::<Result<_, _>>()?
            },
            body_packs: decode_entries(&mut from)?,
            body: InlineBody {
                blocks: u32::try_from(from.varint()?).map_err(|_| from.range())?,
                length: from.varint()?,
                hash: from.array()?,
                wrapped: from.array()?,
            },
        };
        from.end()?;
        Ok(envelope)
    }
}

impl Commit {
    /// Reads a commit and checks all that needs no key and no predecessor.
    pub fn parse(bytes: &[u8], vault: VaultId, keys: &KeyState) -> Result<Self, CommitError> {
        let mut from = Decoder::new("commit", bytes);
        from.header(MAGIC)?;
        if from.u16()? != 0 {
            return Err(from.range().into());
        }
        let length = from.u32()? as usize;
        if length > ENVELOPE_BYTES_MAX {
            return Err(from.range().into());
        }
        let envelope_bytes = from.raw(length)?;
        let signature: [u8; SIGNATURE_BYTES] = from.array()?;
        let body = from.raw(from.left())?;
        let signed_bytes = &bytes[..HEAD_BYTES + length];

        let envelope = Envelope::decode(envelope_bytes)?;
        if envelope.vault != vault {
            return Err(CommitError::OtherVault { found: envelope.vault });
        }
        match keys.may_sign(&envelope.signer, &envelope.source, envelope.sequence) {
            Standing::Counts => {}
            Standing::Unknown => return Err(CommitError::Signer),
            Standing::OtherSource => return Err(CommitError::SignerSource),
            Standing::Retired => return Err(CommitError::SignerRetired),
        }
        UnparsedPublicKey::new(&ED25519, &envelope.signer)
            .verify(&[SIGNATURE_LABEL, signed_bytes].concat(), &signature)
            .map_err(|_| CommitError::Signature)?;
        if body.len() as u64 != envelope.body.length || *blake3::hash(body).as_bytes() != envelope.body.hash {
            return Err(CommitError::Body);
        }
        let hash = hash(&bytes[..HEAD_BYTES + length + SIGNATURE_BYTES]);
        Ok(Self { envelope, hash, body: body.to_vec() })
    }

    /// Checks that this commit is the next after `previous`.
    pub fn check_follows(&self, previous: Option<&Self>) -> Result<(), CommitError> {
        let (hash, sequence, earlier) = previous.map_or((CommitHash::NONE, 0, None), |commit| {
            (commit.hash, commit.envelope.sequence, Some(commit.envelope.vault_time))
        });
        let follows = self.envelope.previous == hash
            && self.envelope.sequence == sequence + 1
            && earlier.is_none_or(|earlier| self.envelope.vault_time > earlier);
        if follows { Ok(()) } else { Err(CommitError::Chain) }
    }
}

/// Signs an envelope and puts the object together.
pub(crate) fn assemble(
    envelope: &Envelope,
    body: &[u8],
    signer: &Ed25519KeyPair,
) -> Result<(Vec<u8>, CommitHash), DecodeError> {
    let encoded = envelope.encode();
    let too_large = DecodeError::Range { what: "commit" };
    if encoded.len() > ENVELOPE_BYTES_MAX || envelope.cursor.len() > CURSOR_BYTES_MAX {
        return Err(too_large);
    }
    let mut to = Encoder::new();
    to.raw(MAGIC).u16(VERSION).u16(0).u32(encoded.len() as u32).raw(&encoded);
    let mut bytes = to.into_bytes();
    let signature = signer.sign(&[SIGNATURE_LABEL, &bytes].concat());
    bytes.extend_from_slice(signature.as_ref());
    let hash = hash(&bytes);
    bytes.extend_from_slice(body);
    Ok((bytes, hash))
}

fn hash(bytes: &[u8]) -> CommitHash {
    CommitHash(*blake3::hash(bytes).as_bytes())
}

fn encode_entries(entries: &[PackEntry], to: &mut Encoder) {
    to.varint(entries.len() as u64);
    for entry in entries {
        to.raw(&entry.id.0).varint(entry.size_bytes);
    }
}

fn decode_entries(from: &mut Decoder<'_>) -> Result<Vec<PackEntry>, DecodeError> {
    let count = from.count(33)?;
    (0..count).map(|_| Ok(PackEntry { id: PackId(from.array()?), size_bytes: from.varint()? })).collect()
}

fn decode_ledger(from: &mut Decoder<'_>) -> Result<Ledger, DecodeError> {
    let ledger = Ledger {
        enumerated: from.varint()?,
        stored: from.varint()?,
        unchanged: from.varint()?,
        unreadable: from.varint()?,
    };
    let sum = ledger.stored.checked_add(ledger.unchanged).and_then(|sum| sum.checked_add(ledger.unreadable));
    if sum == Some(ledger.enumerated) { Ok(ledger) } else { Err(from.range()) }
}
