use std::collections::BTreeMap;

use model::{Moment, SourceName};
use ring::signature::Ed25519KeyPair;

use super::{
    Algorithm, Checkpoint, CheckpointError, Edge, Note, SignedCheckpoint, VerifierKey,
    checkpoint::{HEAD_LINE, TIME_LINE},
    leaf_hash, note, origin,
};
use crate::{
    CommitHash, HeadHash, TreeHash, VaultId,
    encoding::{DecodeError, Decoder, Encoder, VERSION},
    id::hex,
    keys::KeyState,
};

/// One commit as a leaf of the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// The source.
    pub source: SourceName,
    /// Its place in the source's log.
    pub sequence: u64,
    /// Its hash.
    pub hash: CommitHash,
}

/// Up to where a tree covers the log of one source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Covered {
    /// The newest commit in the tree.
    pub sequence: u64,
    /// Its hash.
    pub hash: CommitHash,
}

/// An object `heads/<n>`: what it appends to the tree, and the signed checkpoint of the result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeHead {
    /// Its number, from 0.
    pub number: u64,
    /// The hash of the head before it.
    pub previous: HeadHash,
    /// When it was made, by the vault's time.
    pub vault_time: Moment,
    /// The size of the tree before it.
    pub first: u64,
    /// What it appends.
    pub leaves: Vec<Leaf>,
    /// The right edge of the tree with it; the next head needs nothing else.
    pub edge: Edge,
    /// Up to where the tree covers each source.
    pub sources: BTreeMap<SourceName, Covered>,
    /// The checkpoint, signed by the vault's key.
    pub signed: SignedCheckpoint,
    /// The hash of the object.
    pub hash: HeadHash,
}

/// Why bytes are no tree head of this vault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    /// They do not follow the format.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// It belongs to another vault.
    #[error("the tree head belongs to vault {found}")]
    OtherVault {
        /// That vault.
        found: VaultId,
    },
    /// Its checkpoint is none, or is not signed by the vault's key.
    #[error("its checkpoint does not hold")]
    Checkpoint(#[from] CheckpointError),
    /// The checkpoint was signed for other bytes.
    #[error("its checkpoint was signed for another content")]
    Content,
    /// It stands under another name than it says.
    #[error("the tree head says that it is {number}")]
    Misplaced {
        /// The number it says.
        number: u64,
    },
    /// It does not continue the head before it.
    #[error("the tree head does not continue the one before it")]
    Chain,
    /// It names commits in an order that no writer makes, or up to a place that is not the last of them.
    #[error("the commits that it names are not the next ones of {source_name}")]
    Order {
        /// The source concerned.
        source_name: SourceName,
    },
    /// The hashes in it are not those of the tree that its commits make.
    #[error("its root is not that of the tree which its commits make")]
    Root,
}

const MAGIC: &[u8; 8] = b"UNWHEAD\0";
const BODY_BYTES_MAX: usize = 16 << 20;
/// A head appends at most this many commits; more need several heads.
pub(super) const LEAVES_MAX: usize = 16_384;
const SOURCE_BYTES_MAX: usize = 63;
/// The fewest bytes of a leaf: a source of one byte, a sequence number of one byte, a hash.
const LEAF_BYTES_MIN: usize = 2 + 1 + 32;

impl Leaf {
    /// Returns the hash of the leaf in the tree.
    pub fn tree_hash(&self) -> TreeHash {
        let mut to = Encoder::new();
        self.encode(&mut to);
        leaf_hash(&to.into_bytes())
    }

    fn encode(&self, to: &mut Encoder) {
        to.text(self.source.as_str()).varint(self.sequence).raw(&self.hash.0);
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            source: SourceName::new(from.text(SOURCE_BYTES_MAX)?).map_err(|_| from.range())?,
            sequence: from.varint()?,
            hash: CommitHash(from.array()?),
        })
    }
}

/// What is hashed and signed through the checkpoint's first extension line.
struct Body {
    vault: VaultId,
    number: u64,
    previous: HeadHash,
    vault_time: Moment,
    first: u64,
    leaves: Vec<Leaf>,
    edge: Edge,
    sources: BTreeMap<SourceName, Covered>,
}

impl Body {
    fn encode(&self) -> Vec<u8> {
        let mut to = Encoder::new();
        to.raw(&self.vault.0).varint(self.number).raw(&self.previous.0);
        to.i64(self.vault_time.as_micros()).varint(self.first).varint(self.leaves.len() as u64);
        self.leaves.iter().for_each(|leaf| leaf.encode(&mut to));
        to.varint(self.edge.nodes().len() as u64);
        for node in self.edge.nodes() {
            to.raw(&node.0);
        }
        to.varint(self.sources.len() as u64);
        for (source, Covered { sequence, hash }) in &self.sources {
            Leaf { source: source.clone(), sequence: *sequence, hash: *hash }.encode(&mut to);
        }
        to.into_bytes()
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut from = Decoder::new("tree head", bytes);
        let vault = VaultId(from.array()?);
        let number = from.varint()?;
        let previous = HeadHash(from.array()?);
        let vault_time = Moment::from_micros(from.i64()?);
        let first = from.varint()?;
        let count = from.count(LEAF_BYTES_MIN)?;
        if !(1..=LEAVES_MAX).contains(&count) {
            return Err(from.range());
        }
        let leaves = (0..count).map(|_| Leaf::decode(&mut from)).collect::<Result<Vec<_>, _>>()?;
        let size = first.checked_add(count as u64).ok_or(from.range())?;
        let nodes = from.count(32)?;
        let nodes = (0..nodes).map(|_| from.array().map(TreeHash)).collect::<Result<Vec<_>, _>>()?;
        let edge = Edge::new(size, nodes).ok_or(from.range())?;
        let count = from.count(LEAF_BYTES_MIN)?;
        let mut sources = BTreeMap::new();
        for _ in 0..count {
            let Leaf { source, sequence, hash } = Leaf::decode(&mut from)?;
            // In the order of names and each once, so that one content has one encoding.
            if sources.last_key_value().is_some_and(|(last, _)| *last >= source) {
                return Err(from.range());
            }
            sources.insert(source, Covered { sequence, hash });
        }
        from.end()?;
        Ok(Self { vault, number, previous, vault_time, first, leaves, edge, sources })
    }
}

impl TreeHead {
    /// Reads a tree head and checks all that needs no predecessor and no log.
    pub fn parse(bytes: &[u8], vault: VaultId, keys: &KeyState) -> Result<Self, HeadError> {
        let mut from = Decoder::new("tree head", bytes);
        from.header(MAGIC)?;
        if from.u16()? != 0 {
            return Err(from.range().into());
        }
        let length = from.u32()? as usize;
        if length > BODY_BYTES_MAX {
            return Err(from.range().into());
        }
        let encoded = from.raw(length)?;
        let body = Body::decode(encoded)?;
        if body.vault != vault {
            return Err(HeadError::OtherVault { found: body.vault });
        }
        let note = std::str::from_utf8(from.raw(from.left())?).map_err(|_| from.range())?;
        let note = Note::parse(note).map_err(CheckpointError::from)?;
        let checkpoint = Checkpoint::parse(note.text()).map_err(HeadError::from)?;
        let signed = SignedCheckpoint { checkpoint, note };
        signed.check(vault, keys)?;
        if signed.checkpoint != body.checkpoint(encoded) {
            return Err(HeadError::Content);
        }
        let hash = HeadHash(*blake3::hash(bytes).as_bytes());
        let Body { number, previous, vault_time, first, leaves, edge, sources, .. } = body;
        Ok(Self { number, previous, vault_time, first, leaves, edge, sources, signed, hash })
    }

    /// Returns the size of the tree with it.
    pub const fn size(&self) -> u64 {
        self.edge.size()
    }

    /// Checks that this head is the next after `previous`: its number, its time, its commits, its hashes.
    pub fn check_follows(&self, previous: Option<&Self>) -> Result<(), HeadError> {
        let chained = match previous {
            None => self.number == 0 && self.previous == HeadHash::NONE && self.first == 0,
            Some(previous) => {
                self.number == previous.number + 1
                    && self.previous == previous.hash
                    && self.first == previous.size()
                    && self.vault_time > previous.vault_time
            }
        };
        if !chained {
            return Err(HeadError::Chain);
        }
        let (mut edge, mut sources) =
            previous.map_or_else(Default::default, |head| (head.edge.clone(), head.sources.clone()));
        for leaf in &self.leaves {
            cover(&mut sources, leaf)?;
            edge.append(leaf.tree_hash());
        }
        if edge != self.edge {
            return Err(HeadError::Root);
        }
        let differs = sources.iter().find(|(source, covered)| self.sources.get(*source) != Some(*covered));
        match differs.or_else(|| self.sources.iter().find(|(source, _)| !sources.contains_key(*source))) {
            Some((source, _)) => Err(HeadError::Order { source_name: source.clone() }),
            None => Ok(()),
        }
    }
}

/// Notes that a leaf is covered; it must be the next of its source.
fn cover(sources: &mut BTreeMap<SourceName, Covered>, leaf: &Leaf) -> Result<(), HeadError> {
    let before = sources.get(&leaf.source).map_or(0, |covered| covered.sequence);
    if leaf.sequence != before + 1 {
        return Err(HeadError::Order { source_name: leaf.source.clone() });
    }
    sources.insert(leaf.source.clone(), Covered { sequence: leaf.sequence, hash: leaf.hash });
    Ok(())
}

impl Body {
    /// Returns the checkpoint that belongs to it. The extension lines bind the whole content to the signature, and
    /// tell whoever holds a piece of paper when it was made.
    fn checkpoint(&self, encoded: &[u8]) -> Checkpoint {
        let content = hex(blake3::hash(encoded).as_bytes());
        Checkpoint {
            origin: origin(self.vault),
            size: self.edge.size(),
            root: self.edge.root(),
            extensions: vec![
                format!("{HEAD_LINE}{} {content}", self.number),
                format!("{TIME_LINE}{}", self.vault_time),
            ],
        }
    }
}

/// Puts the head together that appends these leaves, and signs it. Returns the object's bytes too.
pub(super) fn assemble(
    vault: VaultId,
    previous: Option<&TreeHead>,
    leaves: Vec<Leaf>,
    vault_time: Moment,
    signer: &Ed25519KeyPair,
    signer_public: [u8; 32],
) -> Result<(Vec<u8>, TreeHead), HeadError> {
    let (mut edge, mut sources) =
        previous.map_or_else(Default::default, |head| (head.edge.clone(), head.sources.clone()));
    for leaf in &leaves {
        cover(&mut sources, leaf)?;
        edge.append(leaf.tree_hash());
    }
    let earliest = previous.map_or(vault_time, |head| head.vault_time.plus_micros(1));
    let body = Body {
        vault,
        number: previous.map_or(0, |head| head.number + 1),
        previous: previous.map_or(HeadHash::NONE, |head| head.hash),
        vault_time: vault_time.max(earliest),
        first: previous.map_or(0, TreeHead::size),
        leaves,
        edge,
        sources,
    };
    let encoded = body.encode();
    if encoded.len() > BODY_BYTES_MAX {
        return Err(DecodeError::Range { what: "tree head" }.into());
    }
    let checkpoint = body.checkpoint(&encoded);
    let key = VerifierKey::new(origin(vault), Algorithm::Ed25519, signer_public)
        .map_err(|_| DecodeError::Range { what: "tree head" })?;
    let note = note::signed(checkpoint.to_text(), signer, &key);
    let mut to = Encoder::new();
    to.raw(MAGIC).u16(VERSION).u16(0).u32(encoded.len() as u32).raw(&encoded);
    to.raw(note.to_string().as_bytes());
    let bytes = to.into_bytes();
    let hash = HeadHash(*blake3::hash(&bytes).as_bytes());
    let Body { number, previous, vault_time, first, leaves, edge, sources, .. } = body;
    let signed = SignedCheckpoint { checkpoint, note };
    Ok((bytes, TreeHead { number, previous, vault_time, first, leaves, edge, sources, signed, hash }))
}
