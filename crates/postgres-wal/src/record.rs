//! One log record: header, block references and data.

use serde::{Deserialize, Serialize};

use crate::bytes::Bytes;
use crate::error::WalError;
use crate::lsn::Lsn;
use crate::major::Major;
use crate::names::{ResourceManager, record_name};
use crate::object::{Fork, RelationLocator, TransactionId};

pub(crate) const HEADER_BYTES: usize = 24;
/// The part of the header that the checksum covers: all before the checksum itself.
pub(crate) const CHECKED_HEADER_BYTES: usize = 20;

const LAST_BLOCK_NUMBER: u8 = 32;
const SHORT_DATA: u8 = 255;
const LONG_DATA: u8 = 254;
const ORIGIN: u8 = 253;
const TOP_LEVEL_TRANSACTION: u8 = 252;

const FORK_MASK: u8 = 0x0F;
const HAS_IMAGE: u8 = 0x10;
const HAS_DATA: u8 = 0x20;
const WILL_INITIALIZE: u8 = 0x40;
const SAME_RELATION: u8 = 0x80;

const IMAGE_HAS_HOLE: u8 = 0x01;

/// A record's fixed header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordHeader {
    /// The length of the whole record, header included, without page headers and padding.
    pub total_bytes: u32,
    /// The transaction, possibly a subtransaction; 0 if none.
    pub transaction: TransactionId,
    /// The start of the record before.
    pub previous: Lsn,
    /// The flags; the upper four bits belong to the resource manager.
    pub info: u8,
    /// The resource manager that wrote the record.
    pub resource_manager: ResourceManager,
    /// The CRC-32C in the header.
    pub checksum: u32,
}

impl RecordHeader {
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let mut bytes = Bytes::new(bytes);
        let total_bytes = bytes.u32()?;
        let transaction = TransactionId(bytes.u32()?);
        let previous = Lsn(bytes.u64()?);
        let info = bytes.u8()?;
        let resource_manager = ResourceManager(bytes.u8()?);
        bytes.skip(2)?;
        let checksum = bytes.u32()?;
        Some(Self { total_bytes, transaction, previous, info, resource_manager, checksum })
    }
}

/// A block that a record changes, with what the record says about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockReference {
    /// The number by which the record speaks of the block.
    pub number: u8,
    /// The relation's file.
    pub relation: RelationLocator,
    /// Which of the relation's files.
    pub fork: Fork,
    /// The block.
    pub block: u32,
    /// The full-page image, if there is one.
    pub image: Option<BlockImage>,
    /// Whether replay begins from an empty page.
    pub will_initialize: bool,
    data_start: u32,
    data_bytes: u32,
}

/// A full-page image in a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockImage {
    /// The stored length, after compression and without the hole.
    pub stored_bytes: u16,
    /// Where the page's unused middle begins.
    pub hole_offset: u16,
    /// The flags, whose meaning depends on the major version.
    pub flags: u8,
    start: u32,
}

/// A page that a record changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ChangedBlock {
    /// The relation's file.
    pub relation: RelationLocator,
    /// Which of the relation's files.
    pub fork: Fork,
    /// The block.
    pub block: u32,
}

/// One checked record, borrowed from its [`RecordStream`](crate::RecordStream).
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    pub(crate) major: Major,
    pub(crate) start: Lsn,
    pub(crate) end: Lsn,
    pub(crate) header: RecordHeader,
    pub(crate) envelope: Envelope,
    pub(crate) bytes: &'a [u8],
    pub(crate) blocks: &'a [BlockReference],
}

/// Where the parts of a record lie in it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Envelope {
    pub(crate) origin: Option<u16>,
    pub(crate) top_level: Option<TransactionId>,
    pub(crate) main_start: usize,
    pub(crate) main_bytes: usize,
}

impl<'a> Record<'a> {
    /// The major version that wrote the record.
    pub fn major(&self) -> Major {
        self.major
    }

    /// Where the record begins.
    pub fn start(&self) -> Lsn {
        self.start
    }

    /// Where the next record may begin; a segment switch reaches to the end of its segment.
    pub fn end(&self) -> Lsn {
        self.end
    }

    /// The fixed header.
    pub fn header(&self) -> &RecordHeader {
        &self.header
    }

    /// The transaction that wrote the record, possibly a subtransaction.
    pub fn transaction(&self) -> Option<TransactionId> {
        self.header.transaction.is_normal().then_some(self.header.transaction)
    }

    /// The top-level transaction, where the record names it (from PostgreSQL 14, at `wal_level=logical`).
    pub fn top_level_transaction(&self) -> Option<TransactionId> {
        self.envelope.top_level
    }

    /// The replication origin, where the change was received from another server.
    pub fn origin(&self) -> Option<u16> {
        self.envelope.origin
    }

    /// The resource manager.
    pub fn resource_manager(&self) -> ResourceManager {
        self.header.resource_manager
    }

    /// The kind of record within its resource manager: the upper four bits of the flags.
    pub fn operation(&self) -> u8 {
        self.header.info & 0xF0
    }

    /// The name as `pg_waldump --stats=record` shows it, such as `Heap/INSERT+INIT`.
    pub fn name(&self) -> String {
        record_name(self.major, self.header.resource_manager, self.operation())
    }

    /// The blocks the record speaks of.
    pub fn blocks(&self) -> &'a [BlockReference] {
        self.blocks
    }

    /// The block the record speaks of under this number.
    pub fn block(&self, number: u8) -> Option<&'a BlockReference> {
        self.blocks.iter().find(|block| block.number == number)
    }

    /// The pages that replaying this record may change.
    ///
    /// Records that change whole files (creation, truncation, dropping, copying of a database's directory) name no blocks.
    pub fn changed_blocks(&self) -> impl Iterator<Item = ChangedBlock> + use<'a> {
        self.blocks.iter().map(|block| ChangedBlock {
            relation: block.relation,
            fork: block.fork,
            block: block.block,
        })
    }

    /// What the record says about a block, without its full-page image.
    pub fn block_data(&self, block: &BlockReference) -> &'a [u8] {
        self.part(block.data_start as usize, block.data_bytes as usize)
    }

    /// The stored bytes of a block's full-page image, as the server compressed them.
    pub fn image_data(&self, image: &BlockImage) -> &'a [u8] {
        self.part(image.start as usize, image.stored_bytes.into())
    }

    /// The record's data that belong to no block.
    pub fn main_data(&self) -> &'a [u8] {
        self.part(self.envelope.main_start, self.envelope.main_bytes)
    }

    /// Whether the main data were longer than the stream retains, so that only their beginning is here.
    pub fn is_clipped(&self) -> bool {
        self.envelope.main_start.saturating_add(self.envelope.main_bytes) > self.bytes.len()
    }

    /// The bytes taken by full-page images.
    pub fn image_bytes(&self) -> u32 {
        self.blocks.iter().filter_map(|block| block.image).map(|image| u32::from(image.stored_bytes)).sum()
    }

    pub(crate) fn invalid_payload(&self) -> WalError {
        WalError::InvalidPayload { lsn: self.start, name: self.name() }
    }

    fn part(&self, start: usize, length: usize) -> &'a [u8] {
        let tail = self.bytes.get(start..).unwrap_or_default();
        tail.get(..length).unwrap_or(tail)
    }
}

/// Takes a record's envelope apart, filling `blocks`.
///
/// `bytes` may be only the beginning of a record of `total_bytes`, as long as just main data are missing.
pub(crate) fn read_envelope(
    bytes: &[u8],
    total_bytes: usize,
    major: Major,
    blocks: &mut Vec<BlockReference>,
) -> Result<Envelope, &'static str> {
    blocks.clear();
    let mut envelope = Envelope::default();
    let mut reader = Bytes::new(bytes.get(HEADER_BYTES..).ok_or("it is shorter than its header")?);
    let mut unread = total_bytes.checked_sub(HEADER_BYTES).ok_or("it is shorter than its header")?;
    let mut data_total = 0_usize;
    // Headers come first and the data after them; they end where only the announced data are left.
    while unread > data_total {
        let before = reader.rest().len();
        let number = reader.u8().ok_or(CUT_SHORT)?;
        match number {
            SHORT_DATA | LONG_DATA => {
                let length = if number == SHORT_DATA { reader.u8().map(u32::from) } else { reader.u32() };
                envelope.main_bytes = length.ok_or(CUT_SHORT)? as usize;
                data_total += envelope.main_bytes;
                unread -= (before - reader.rest().len()).min(unread);
                break;
            }
            ORIGIN => envelope.origin = Some(reader.u16().ok_or(CUT_SHORT)?),
            TOP_LEVEL_TRANSACTION => {
                envelope.top_level = Some(TransactionId(reader.u32().ok_or(CUT_SHORT)?));
            }
            0..=LAST_BLOCK_NUMBER => {
                let block = read_block(number, &mut reader, major, blocks.last())?;
                let image_bytes = block.image.map_or(0, |image| usize::from(image.stored_bytes));
                data_total += image_bytes + block.data_bytes as usize;
                blocks.push(block);
            }
            _ => return Err("a block number is out of range"),
        }
        unread -= (before - reader.rest().len()).min(unread);
    }
    if unread != data_total {
        return Err("the lengths of its parts do not add up");
    }
    let mut position = total_bytes - data_total;
    for block in blocks.iter_mut() {
        if let Some(image) = &mut block.image {
            image.start = position as u32;
            position += usize::from(image.stored_bytes);
        }
        block.data_start = position as u32;
        position += block.data_bytes as usize;
    }
    if position > bytes.len() {
        return Err(CUT_SHORT);
    }
    envelope.main_start = position;
    Ok(envelope)
}

const CUT_SHORT: &str = "it is cut short";

fn read_block(
    number: u8,
    reader: &mut Bytes<'_>,
    major: Major,
    previous: Option<&BlockReference>,
) -> Result<BlockReference, &'static str> {
    if previous.is_some_and(|previous| previous.number >= number) {
        return Err("its block numbers do not ascend");
    }
    let flags = reader.u8().ok_or(CUT_SHORT)?;
    let fork = Fork::from_number((flags & FORK_MASK).into()).ok_or("there is no such fork")?;
    let data_bytes = u32::from(reader.u16().ok_or(CUT_SHORT)?);
    if (flags & HAS_DATA != 0) != (data_bytes != 0) {
        return Err("a block's data flag and length disagree");
    }
    let image = if flags & HAS_IMAGE == 0 { None } else { Some(read_image(reader, major).ok_or(CUT_SHORT)?) };
    let relation = if flags & SAME_RELATION == 0 {
        read_locator(reader).ok_or(CUT_SHORT)?
    } else {
        previous.ok_or("its first block has no relation")?.relation
    };
    let block = reader.u32().ok_or(CUT_SHORT)?;
    let will_initialize = flags & WILL_INITIALIZE != 0;
    Ok(BlockReference { number, relation, fork, block, image, will_initialize, data_start: 0, data_bytes })
}

fn read_image(reader: &mut Bytes<'_>, major: Major) -> Option<BlockImage> {
    let stored_bytes = reader.u16()?;
    let hole_offset = reader.u16()?;
    let flags = reader.u8()?;
    // Until 14 one bit said "compressed"; since 15 there is one for each method.
    let compressed = if major <= Major::V14 { 0x02 } else { 0x04 | 0x08 | 0x10 };
    if flags & IMAGE_HAS_HOLE != 0 && flags & compressed != 0 {
        reader.skip(2)?;
    }
    Some(BlockImage { stored_bytes, hole_offset, flags, start: 0 })
}

pub(crate) fn read_locator(reader: &mut Bytes<'_>) -> Option<RelationLocator> {
    Some(RelationLocator { tablespace: reader.u32()?, database: reader.u32()?, relation: reader.u32()? })
}
