use model::{Event, Item, StreamName, UnreadableReason};

use crate::{
    content::{Content, PackRef, PackTable, UnwrittenPack},
    encoding::{DecodeError, Decoder, Encoder},
    seal::BLOCK_BYTES_MAX,
};

/// One observed change of a source.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// An item appeared or has new content.
    Upsert {
        /// What it is.
        item: Item,
        /// Its content.
        content: Content,
    },
    /// An item is gone.
    Removed {
        /// Its stream.
        stream: StreamName,
        /// Its key.
        key: String,
    },
    /// An item was listed but could not be read.
    Unreadable {
        /// What it is.
        item: Item,
        /// Why.
        reason: UnreadableReason,
    },
    /// Something happened.
    Event(Event),
}

/// One block of changes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ChangeBlock {
    /// The changes, in the order of observation.
    pub changes: Vec<Change>,
}

/// All changes of a commit, in the order of observation.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CommitBody {
    /// The changes.
    pub changes: Vec<Change>,
}

const TAG_UPSERT: u8 = 1;
const TAG_REMOVED: u8 = 2;
const TAG_UNREADABLE: u8 = 3;
const TAG_EVENT: u8 = 4;

const STREAM_BYTES_MAX: usize = 512;
const KEY_BYTES_MAX: usize = 64 << 10;
const TEXT_BYTES_MAX: usize = 1 << 20;
/// A block is closed when it has grown to this size, so that reading it back needs little memory.
const BLOCK_BYTES_TARGET: usize = 1 << 20;

/// A field that is longer than the format allows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the {field} has {length} bytes, more than the {max} that the format allows")]
pub struct FieldTooLong {
    /// Which field.
    pub field: &'static str,
    /// How long it is.
    pub length: usize,
    /// How long it may be.
    pub max: usize,
}

/// Checks the limits of the format before anything is stored.
pub(crate) fn check_change(change: &Change) -> Result<(), FieldTooLong> {
    let check = |field, length, max| {
        if length <= max { Ok(()) } else { Err(FieldTooLong { field, length, max }) }
    };
    match change {
        Change::Upsert { item, .. } | Change::Unreadable { item, .. } => {
            check("key", item.key.len(), KEY_BYTES_MAX)?;
            check("attributes", item.attributes.len(), TEXT_BYTES_MAX)
        }
        Change::Removed { key, .. } => check("key", key.len(), KEY_BYTES_MAX),
        Change::Event(event) => {
            let json = serde_json::to_string(event).map_or(usize::MAX, |json| json.len());
            check("event", json, TEXT_BYTES_MAX)
        }
    }
}

/// Encodes changes into one block after the other.
#[derive(Debug, Default)]
pub(crate) struct BlockBuilder {
    open: OpenBlock,
}

/// Encoded changes whose packs may still be unwritten.
#[derive(Debug, Default)]
pub(crate) struct OpenBlock {
    packs: PackTable,
    records: Encoder,
    count: u64,
}

/// Why a change could not be encoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EncodeError {
    #[error(transparent)]
    Unwritten(#[from] UnwrittenPack),
    #[error("one change is larger than a block may be")]
    TooLarge,
}

impl BlockBuilder {
    /// Adds a change; returns the block that it filled.
    pub(crate) fn push(&mut self, change: &Change) -> Result<Option<OpenBlock>, EncodeError> {
        let OpenBlock { packs, records: to, count } = &mut self.open;
        match change {
            Change::Upsert { item, content } => {
                to.u8(TAG_UPSERT).text(item.stream.as_str()).text(&item.key).text(&item.attributes);
                content.encode(packs, to);
            }
            Change::Removed { stream, key } => {
                to.u8(TAG_REMOVED).text(stream.as_str()).text(key);
            }
            Change::Unreadable { item, reason } => {
                let reason = serde_json::to_string(reason).map_err(|_| EncodeError::TooLarge)?;
                to.u8(TAG_UNREADABLE).text(item.stream.as_str()).text(&item.key).text(&item.attributes);
                to.text(&reason);
            }
            Change::Event(event) => {
                let event = serde_json::to_string(event).map_err(|_| EncodeError::TooLarge)?;
                to.u8(TAG_EVENT).text(&event);
            }
        }
        *count += 1;
        let full = to.length() >= BLOCK_BYTES_TARGET;
        Ok(full.then(|| std::mem::take(&mut self.open)))
    }

    /// Returns the last block, if it holds anything.
    pub(crate) fn finish(self) -> Option<OpenBlock> {
        (self.open.count > 0).then_some(self.open)
    }
}

impl OpenBlock {
    pub(crate) fn length(&self) -> usize {
        self.records.length()
    }

    /// Returns whether all packs of the block are written.
    pub(crate) fn is_ready(&self) -> bool {
        self.packs.ids().is_ok()
    }

    /// Returns the raw block.
    pub(crate) fn encode(self) -> Result<Vec<u8>, EncodeError> {
        let mut block = Encoder::new();
        let ids = self.packs.ids()?;
        block.varint(ids.len() as u64);
        for id in &ids {
            block.raw(&id.0);
        }
        block.varint(self.count).raw(&self.records.into_bytes());
        let block = block.into_bytes();
        if block.len() > BLOCK_BYTES_MAX { Err(EncodeError::TooLarge) } else { Ok(block) }
    }
}

impl ChangeBlock {
    /// Reads an opened change block.
    pub fn parse(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut from = Decoder::new("change block", bytes);
        let pack_count = from.count(32)?;
        let packs = (0..pack_count)
            .map(|_| from.array().map(|id| PackRef::written(crate::PackId(id))))
            .collect::<Result<Vec<_>, _>>()?;
        let count = from.count(2)?;
        let changes = (0..count).map(|_| decode_change(&mut from, &packs)).collect::<Result<_, _>>()?;
        from.end()?;
        Ok(Self { changes })
    }
}

fn decode_change(from: &mut Decoder<'_>, packs: &[PackRef]) -> Result<Change, DecodeError> {
    Ok(match from.u8()? {
        TAG_UPSERT => Change::Upsert { item: decode_item(from)?, content: Content::decode(from, packs)? },
        TAG_REMOVED => Change::Removed { stream: decode_stream(from)?, key: decode_key(from)? },
        TAG_UNREADABLE => {
            let item = decode_item(from)?;
            let reason = serde_json::from_str(from.text(TEXT_BYTES_MAX)?).map_err(|_| from.range())?;
            Change::Unreadable { item, reason }
        }
        TAG_EVENT => {
            Change::Event(serde_json::from_str(from.text(TEXT_BYTES_MAX)?).map_err(|_| from.range())?)
        }
        _ => return Err(from.range()),
    })
}

fn decode_item(from: &mut Decoder<'_>) -> Result<Item, DecodeError> {
    let (stream, key) = (decode_stream(from)?, decode_key(from)?);
    Ok(Item { stream, key, attributes: from.text(TEXT_BYTES_MAX)?.to_owned() })
}

fn decode_stream(from: &mut Decoder<'_>) -> Result<StreamName, DecodeError> {
    StreamName::new(from.text(STREAM_BYTES_MAX)?).map_err(|_| from.range())
}

fn decode_key(from: &mut Decoder<'_>) -> Result<String, DecodeError> {
    Ok(from.text(KEY_BYTES_MAX)?.to_owned())
}

/// Splits an inline body into its sealed blocks.
pub(crate) fn split_blocks(body: &[u8], blocks: u32) -> Result<Vec<&[u8]>, DecodeError> {
    let mut from = Decoder::new("commit body", body);
    let mut found = Vec::new();
    for _ in 0..blocks {
        let length = from.u32()? as usize;
        found.push(from.raw(length)?);
    }
    from.end()?;
    Ok(found)
}
