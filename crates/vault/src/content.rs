//! What an item's bytes are, as places in packs (format §6).

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
};

use zeroize::Zeroizing;

use crate::{
    LeafHash, LineShape, PackId,
    base64_text::DECODED_BYTES_MAX,
    encoding::{DecodeError, Decoder, Encoder},
};

/// How content is cut, searched for duplicates and grouped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// A database file: pages of a power of two; each page is looked up, zero pages cost nothing.
    Pages {
        /// The page size: 8192 for PostgreSQL as it is packaged.
        page_bytes: u32,
    },
    /// Bytes that are written once, such as a log: not looked up.
    Stream,
    /// A small item: looked up as a whole, compressed together with its neighbours.
    Small,
    /// Any other file: blocks of a power of two, each looked up.
    Blocks {
        /// The block size.
        block_bytes: u32,
    },
}

/// A pack as an extent knows it. Its id is the hash of its bytes, so it is known only once the pack is written.
#[derive(Clone)]
pub struct PackRef(Arc<OnceLock<PackId>>);

/// A position in a pack's raw space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The pack.
    pub pack: PackRef,
    /// The position in the concatenation of the pack's decompressed frames.
    pub offset: u64,
}

/// A run of content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Extent {
    /// Zeros.
    Zero {
        /// How many.
        length: u64,
    },
    /// Bytes of a pack.
    Data {
        /// Where they begin.
        place: Place,
        /// How many.
        length: u64,
    },
    /// Bytes of one place XOR bytes of another.
    Delta {
        /// Where the difference begins.
        delta: Place,
        /// Where the earlier bytes begin; always plain data.
        base: Place,
        /// How many.
        length: u64,
    },
    /// A part of the base64 text of bytes of a pack.
    Base64 {
        /// Where the decoded bytes begin.
        place: Place,
        /// How many decoded bytes there are.
        decoded_length: u64,
        /// How the text is cut into lines.
        shape: LineShape,
        /// Where in the text the run begins.
        skip: u64,
        /// How many bytes of text.
        length: u64,
    },
}

/// The content of one item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// Its size.
    pub length: u64,
    /// The unit of its digest.
    pub leaf_bytes: u32,
    /// The keyed digest of all of it.
    pub digest: LeafHash,
    /// Where it is, in order.
    pub extents: Vec<Extent>,
}

/// The smallest leaf.
pub const LEAF_BYTES_MIN: u32 = 512;
/// The largest leaf, and the leaf of streams and small items.
pub const LEAF_BYTES_MAX: u32 = 1 << 20;

const TAG_ZERO: u8 = 0;
const TAG_DATA: u8 = 1;
const TAG_DELTA: u8 = 2;
const TAG_BASE64: u8 = 3;
const DIGEST_CONTEXT: &str = "unwipe/v1/content digest";

/// The block size of files that are neither database pages nor small.
const FILE_BLOCK_BYTES: u32 = 128 << 10;

impl From<model::Layout> for Layout {
    fn from(layout: model::Layout) -> Self {
        match layout {
            model::Layout::Pages { page_bytes } => Self::Pages { page_bytes },
            model::Layout::Stream => Self::Stream,
            model::Layout::Small => Self::Small,
            model::Layout::Blocks => Self::Blocks { block_bytes: FILE_BLOCK_BYTES },
        }
    }
}

impl Layout {
    /// Returns the unit of the digest and of the search for duplicates.
    pub const fn leaf_bytes(self) -> u32 {
        match self {
            Self::Pages { page_bytes: bytes } | Self::Blocks { block_bytes: bytes } => bytes,
            Self::Stream | Self::Small => LEAF_BYTES_MAX,
        }
    }
}

impl PackRef {
    /// Makes a reference to a pack that is being written.
    pub(crate) fn unwritten() -> Self {
        Self(Arc::new(OnceLock::new()))
    }

    /// Makes a reference to a written pack.
    pub fn written(id: PackId) -> Self {
        Self(Arc::new(OnceLock::from(id)))
    }

    /// Returns the id, if the pack is written.
    pub fn id(&self) -> Option<PackId> {
        self.0.get().copied()
    }

    pub(crate) fn key(&self) -> PackKey {
        match self.id() {
            Some(id) => PackKey::Written(id),
            None => PackKey::Unwritten(Arc::as_ptr(&self.0).addr()),
        }
    }

    pub(crate) fn resolve(&self, id: PackId) {
        self.0.get_or_init(|| id);
    }
}

impl PartialEq for PackRef {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.id().is_some() && self.id() == other.id()
    }
}

impl Eq for PackRef {}

impl std::fmt::Debug for PackRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.id() {
            Some(id) => write!(f, "PackRef({id})"),
            None => f.write_str("PackRef(unwritten)"),
        }
    }
}

impl Place {
    fn plus(&self, bytes: u64) -> Self {
        Self { pack: self.pack.clone(), offset: self.offset.saturating_add(bytes) }
    }

    fn follows(&self, earlier: &Self, length: u64) -> bool {
        self.offset == earlier.offset.saturating_add(length) && self.pack == earlier.pack
    }
}

impl Extent {
    /// Returns the length of the run.
    pub const fn length(&self) -> u64 {
        match self {
            Self::Zero { length }
            | Self::Data { length, .. }
            | Self::Delta { length, .. }
            | Self::Base64 { length, .. } => *length,
        }
    }

    /// Returns the part of the run from `start`, at most `length` long.
    #[must_use]
    pub fn part(&self, start: u64, length: u64) -> Self {
        let length = length.min(self.length().saturating_sub(start));
        match self {
            Self::Zero { .. } => Self::Zero { length },
            Self::Data { place, .. } => Self::Data { place: place.plus(start), length },
            Self::Delta { delta, base, .. } => {
                Self::Delta { delta: delta.plus(start), base: base.plus(start), length }
            }
            Self::Base64 { place, decoded_length, shape, skip, .. } => Self::Base64 {
                place: place.clone(),
                decoded_length: *decoded_length,
                shape: *shape,
                skip: skip + start,
                length,
            },
        }
    }

    /// Returns the packs that the run needs.
    pub fn packs(&self) -> impl Iterator<Item = &PackRef> {
        let (first, second) = match self {
            Self::Zero { .. } => (None, None),
            Self::Data { place, .. } | Self::Base64 { place, .. } => (Some(&place.pack), None),
            Self::Delta { delta, base, .. } => (Some(&delta.pack), Some(&base.pack)),
        };
        first.into_iter().chain(second)
    }
}

impl Content {
    /// Returns the runs that make up the range, cut to it.
    pub fn range(&self, start: u64, length: u64) -> Vec<Extent> {
        let end = start.saturating_add(length);
        let mut position = 0_u64;
        let mut parts = Vec::new();
        for extent in &self.extents {
            let extent_end = position.saturating_add(extent.length());
            if extent_end > start && position < end {
                let from = start.saturating_sub(position);
                let until = end.min(extent_end) - position;
                parts.push(extent.part(from, until - from));
            }
            position = extent_end;
            if position >= end {
                break;
            }
        }
        parts
    }

    /// Walks through the content leaf by leaf: each time the runs that make up one leaf, most often a single one.
    ///
    /// The last leaf may be short. One walk costs as much as one call of [`Content::range`].
    pub fn leaves(&self) -> Leaves<'_> {
        Leaves { leaf_bytes: u64::from(self.leaf_bytes), extents: self.extents.iter(), rest: None }
    }

    /// Writes the content with its own pack table, for indexes outside of the vault.
    pub fn to_bytes(&self) -> Result<Vec<u8>, UnwrittenPack> {
        let (mut packs, mut content) = (PackTable::default(), Encoder::new());
        self.encode(&mut packs, &mut content);
        let mut to = Encoder::new();
        let ids = packs.ids()?;
        to.varint(ids.len() as u64);
        for id in &ids {
            to.raw(&id.0);
        }
        to.raw(&content.into_bytes());
        Ok(to.into_bytes())
    }

    /// Reads what [`Self::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut from = Decoder::new("content", bytes);
        let count = from.count(32)?;
        let packs = (0..count)
            .map(|_| from.array().map(|id| PackRef::written(PackId(id))))
            .collect::<Result<Vec<_>, _>>()?;
        let content = Self::decode(&mut from, &packs)?;
        from.end()?;
        Ok(content)
    }

    pub(crate) fn encode(&self, packs: &mut PackTable, to: &mut Encoder) {
        to.varint(self.length).varint(u64::from(self.leaf_bytes)).raw(&self.digest.0);
        to.varint(self.extents.len() as u64);
        let mut expected = Expected::default();
        for extent in &self.extents {
            let length = extent.length();
            match extent {
                Extent::Zero { .. } => {
                    to.u8(TAG_ZERO).varint(length);
                }
                Extent::Data { place, .. } => {
                    to.u8(TAG_DATA).varint(length);
                    expected.encode(Role::First, place, length, packs, to);
                }
                Extent::Delta { delta, base, .. } => {
                    to.u8(TAG_DELTA).varint(length);
                    expected.encode(Role::First, delta, length, packs, to);
                    expected.encode(Role::Second, base, length, packs, to);
                }
                Extent::Base64 { place, decoded_length, shape, skip, .. } => {
                    to.u8(TAG_BASE64).varint(length).varint(*skip).varint(*decoded_length);
                    shape.encode(to);
                    expected.encode(Role::First, place, *decoded_length, packs, to);
                }
            }
        }
    }

    pub(crate) fn decode(from: &mut Decoder<'_>, packs: &[PackRef]) -> Result<Self, DecodeError> {
        let length = from.varint()?;
        let leaf_bytes = u32::try_from(from.varint()?).map_err(|_| from.range())?;
        let allowed = (LEAF_BYTES_MIN..=LEAF_BYTES_MAX).contains(&leaf_bytes) && leaf_bytes.is_power_of_two();
        if !allowed {
            return Err(from.range());
        }
        let digest = LeafHash(from.array()?);
        let count = from.count(2)?;
        let mut extents = Vec::with_capacity(count);
        let mut expected = Expected::default();
        let mut total = 0_u64;
        for _ in 0..count {
            let tag = from.u8()?;
            let length = from.varint()?;
            total = total.checked_add(length).filter(|_| length > 0).ok_or_else(|| from.range())?;
            extents.push(match tag {
                TAG_ZERO => Extent::Zero { length },
                TAG_DATA => {
                    Extent::Data { place: expected.decode(Role::First, length, packs, from)?, length }
                }
                TAG_DELTA => Extent::Delta {
                    delta: expected.decode(Role::First, length, packs, from)?,
                    base: expected.decode(Role::Second, length, packs, from)?,
                    length,
                },
                TAG_BASE64 => {
                    let (skip, decoded_length) = (from.varint()?, from.varint()?);
                    let shape = LineShape::decode(from)?;
                    let sound = (1..=DECODED_BYTES_MAX).contains(&decoded_length)
                        && skip
                            .checked_add(length)
                            .is_some_and(|end| end <= shape.text_length(decoded_length));
                    if !sound {
                        return Err(from.range());
                    }
                    let place = expected.decode(Role::First, decoded_length, packs, from)?;
                    Extent::Base64 { place, decoded_length, shape, skip, length }
                }
                _ => return Err(from.range()),
            });
        }
        if total == length { Ok(Self { length, leaf_bytes, digest, extents }) } else { Err(from.range()) }
    }
}

/// The leaves of a content, in order.
#[derive(Debug, Clone)]
pub struct Leaves<'a> {
    leaf_bytes: u64,
    extents: std::slice::Iter<'a, Extent>,
    rest: Option<Extent>,
}

impl Iterator for Leaves<'_> {
    type Item = Vec<Extent>;

    fn next(&mut self) -> Option<Self::Item> {
        let (mut leaf, mut missing) = (Vec::with_capacity(1), self.leaf_bytes);
        while missing > 0 {
            let Some(extent) = self.rest.take().or_else(|| self.extents.next().cloned()) else { break };
            let taken = extent.part(0, missing);
            let left = extent.length() - taken.length();
            if left > 0 {
                self.rest = Some(extent.part(taken.length(), left));
            }
            missing -= taken.length();
            leaf.push(taken);
        }
        (!leaf.is_empty()).then_some(leaf)
    }
}

/// Appends a run; one that continues the last is merged with it.
pub(crate) fn push_extent(extents: &mut Vec<Extent>, next: Extent) {
    let merged = match (extents.last_mut(), &next) {
        (Some(Extent::Zero { length }), Extent::Zero { length: more }) => {
            *length += more;
            true
        }
        (Some(Extent::Data { place, length }), Extent::Data { place: after, length: more })
            if after.follows(place, *length) =>
        {
            *length += more;
            true
        }
        (
            Some(Extent::Delta { delta, base, length }),
            Extent::Delta { delta: delta_after, base: base_after, length: more },
        ) if delta_after.follows(delta, *length) && base_after.follows(base, *length) => {
            *length += more;
            true
        }
        (
            Some(Extent::Base64 { place, decoded_length, shape, skip, length }),
            Extent::Base64 { place: same, decoded_length: whole, shape: form, skip: after, length: more },
        ) if *after == *skip + *length && place == same && decoded_length == whole && shape == form => {
            *length += more;
            true
        }
        _ => false,
    };
    if !merged && next.length() > 0 {
        extents.push(next);
    }
}

/// A reference to a pack whose commit never came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the content refers to a pack that was never written")]
pub struct UnwrittenPack;

/// The pack table of one change block, of packs that may still be unwritten.
#[derive(Debug, Default)]
pub(crate) struct PackTable {
    packs: Vec<PackRef>,
    numbers: HashMap<PackKey, u64>,
}

/// What tells packs apart while some have no id yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum PackKey {
    Written(PackId),
    Unwritten(usize),
}

impl PackTable {
    /// Returns the ids, once all packs are written.
    pub(crate) fn ids(&self) -> Result<Vec<PackId>, UnwrittenPack> {
        self.packs.iter().map(|pack| pack.id().ok_or(UnwrittenPack)).collect()
    }

    fn number(&mut self, pack: &PackRef) -> u64 {
        *self.numbers.entry(pack.key()).or_insert_with(|| {
            self.packs.push(pack.clone());
            self.packs.len() as u64 - 1
        })
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Role {
    First,
    Second,
}

/// Where the next run of each pack would begin if it continued the last.
#[derive(Default)]
struct Expected(Vec<((Role, u64), u64)>);

impl Expected {
    /// Notes where a run ends, and returns where the one before it in the same pack ended. Few packs share one content.
    fn replace(&mut self, role: Role, number: u64, end: u64) -> u64 {
        match self.0.iter_mut().rev().find(|(key, _)| *key == (role, number)) {
            Some((_, last)) => std::mem::replace(last, end),
            None => {
                self.0.push(((role, number), end));
                0
            }
        }
    }

    fn encode(&mut self, role: Role, place: &Place, length: u64, packs: &mut PackTable, to: &mut Encoder) {
        let number = packs.number(&place.pack);
        let expected = self.replace(role, number, place.offset.wrapping_add(length));
        to.varint(number).zigzag(place.offset.wrapping_sub(expected) as i64);
    }

    fn decode(
        &mut self,
        role: Role,
        length: u64,
        packs: &[PackRef],
        from: &mut Decoder<'_>,
    ) -> Result<Place, DecodeError> {
        let number = from.varint()?;
        let pack = usize::try_from(number).ok().and_then(|n| packs.get(n)).ok_or_else(|| from.range())?;
        let known = self.0.iter().rev().find(|(key, _)| *key == (role, number));
        let expected = known.map_or(0, |(_, end)| *end);
        let offset = expected.wrapping_add(from.zigzag()? as u64);
        let end = offset.checked_add(length).ok_or_else(|| from.range())?;
        self.replace(role, number, end);
        Ok(Place { pack: pack.clone(), offset })
    }
}

/// Hashes leaves and contents with the vault's chunk key.
#[derive(Clone)]
pub struct ContentHasher {
    leaf_key: Zeroizing<[u8; 32]>,
    digest_key: Zeroizing<[u8; 32]>,
}

/// A content's digest in the making: its leaves, in order.
pub struct ContentDigest {
    leaves: blake3::Hasher,
}

impl ContentHasher {
    /// Takes the chunk key into use.
    pub fn new(chunk_key: &[u8; 32]) -> Self {
        Self {
            leaf_key: Zeroizing::new(*chunk_key),
            digest_key: Zeroizing::new(blake3::derive_key(DIGEST_CONTEXT, chunk_key)),
        }
    }

    /// Hashes one leaf.
    pub fn leaf(&self, leaf: &[u8]) -> LeafHash {
        LeafHash(*blake3::keyed_hash(&self.leaf_key, leaf).as_bytes())
    }

    /// Begins the digest of a content.
    pub fn begin(&self) -> ContentDigest {
        ContentDigest { leaves: blake3::Hasher::new_keyed(&self.digest_key) }
    }
}

impl ContentDigest {
    /// Adds the next leaf.
    pub fn leaf(&mut self, leaf: &LeafHash) {
        self.leaves.update(&leaf.0);
    }

    /// Returns the digest of a content of this length.
    pub fn finish(mut self, length: u64) -> LeafHash {
        self.leaves.update(&length.to_le_bytes());
        LeafHash(*self.leaves.finalize().as_bytes())
    }
}

#[cfg(test)]
mod tests;
