//! Rows: the Heap and Heap2 resource managers.

use crate::bytes::Bytes;
use crate::error::WalError;
use crate::names::ResourceManager;
use crate::object::{RelationLocator, TupleId};
use crate::record::{BlockReference, Record};

/// Every opcode lies in these three bits; the fourth says that replay starts from an empty page.
const OPERATION_MASK: u8 = 0x70;
const INITIALIZES_PAGE: u8 = 0x80;

const INSERT: u8 = 0x00;
const DELETE: u8 = 0x10;
const UPDATE: u8 = 0x20;
const TRUNCATE: u8 = 0x30;
const HOT_UPDATE: u8 = 0x40;
const CONFIRM: u8 = 0x50;
const LOCK: u8 = 0x60;
const INPLACE: u8 = 0x70;
const MULTI_INSERT: u8 = 0x50;

const DELETE_IS_SUPER: u8 = 1 << 3;
const DELETE_IS_PARTITION_MOVE: u8 = 1 << 4;
const INSERT_IS_SPECULATIVE: u8 = 1 << 2;
const TRUNCATE_CASCADES: u8 = 1 << 0;
const TRUNCATE_RESTARTS_SEQUENCES: u8 = 1 << 1;

/// A change of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeapChange<'a> {
    /// A row was inserted; speculatively, if `ON CONFLICT` may still take it back.
    Insert {
        /// The relation's file.
        relation: RelationLocator,
        /// The new row.
        tuple: TupleId,
        /// Whether it still awaits confirmation.
        speculative: bool,
    },
    /// Several rows were inserted on one page.
    MultiInsert(MultiInsert<'a>),
    /// A row was deleted.
    Delete {
        /// The relation's file.
        relation: RelationLocator,
        /// The row.
        tuple: TupleId,
        /// Whether an `UPDATE` moved it to another partition, where it was inserted.
        moved: bool,
    },
    /// A speculative insertion was taken back: the row never was.
    Retract {
        /// The relation's file.
        relation: RelationLocator,
        /// The row.
        tuple: TupleId,
    },
    /// A row got a new version.
    Update {
        /// The relation's file.
        relation: RelationLocator,
        /// The old version.
        old: TupleId,
        /// The new version.
        new: TupleId,
        /// Whether no index had to change.
        heap_only: bool,
    },
    /// A speculative insertion was confirmed.
    Confirm {
        /// The relation's file.
        relation: RelationLocator,
        /// The row.
        tuple: TupleId,
    },
    /// A row was locked.
    Lock {
        /// The relation's file.
        relation: RelationLocator,
        /// The row.
        tuple: TupleId,
    },
    /// A catalog row was overwritten where it stands.
    InPlace {
        /// The relation's file.
        relation: RelationLocator,
        /// The row.
        tuple: TupleId,
    },
}

/// Several rows inserted on one page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MultiInsert<'a> {
    /// The relation's file.
    pub relation: RelationLocator,
    /// The page.
    pub block: u32,
    /// How many rows.
    pub rows: u16,
    /// Two bytes for each row; `None` on a fresh page, whose rows are numbered from 1.
    offsets: Option<&'a [u8]>,
}

impl<'a> MultiInsert<'a> {
    /// The new rows.
    pub fn tuples(self) -> impl Iterator<Item = TupleId> + use<'a> {
        (0..self.rows).map(move |index| {
            let listed = self.offsets.and_then(|offsets| offsets.as_chunks::<2>().0.get(usize::from(index)));
            let offset = listed.map_or(index.saturating_add(1), |bytes| u16::from_le_bytes(*bytes));
            TupleId { block: self.block, offset }
        })
    }
}

/// The tables that a `TRUNCATE` names; written only at `wal_level=logical`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableTruncate {
    /// The database.
    pub database: u32,
    /// The tables' object numbers (not file numbers).
    pub tables: Vec<u32>,
    /// Whether it said `CASCADE`.
    pub cascade: bool,
    /// Whether it said `RESTART IDENTITY`.
    pub restart_sequences: bool,
}

/// The change of rows that a record makes, if it makes one.
pub fn heap_change<'a>(record: &Record<'a>) -> Result<Option<HeapChange<'a>>, WalError> {
    let operation = record.operation() & OPERATION_MASK;
    let change = match record.resource_manager() {
        ResourceManager::HEAP if operation != TRUNCATE => single_row(record, operation),
        ResourceManager::HEAP2 if operation == MULTI_INSERT => {
            multi_insert(record).map(HeapChange::MultiInsert)
        }
        _ => return Ok(None),
    };
    change.map(Some).ok_or_else(|| record.invalid_payload())
}

fn single_row<'a>(record: &Record<'a>, operation: u8) -> Option<HeapChange<'a>> {
    let block = record.block(0)?;
    let relation = block.relation;
    let mut data = Bytes::new(record.main_data());
    Some(match operation {
        INSERT => {
            let tuple = tuple(block, data.u16()?)?;
            HeapChange::Insert { relation, tuple, speculative: data.u8()? & INSERT_IS_SPECULATIVE != 0 }
        }
        DELETE => {
            data.skip(4)?;
            let tuple = tuple(block, data.u16()?)?;
            data.skip(1)?;
            let flags = data.u8()?;
            if flags & DELETE_IS_SUPER != 0 {
                HeapChange::Retract { relation, tuple }
            } else {
                HeapChange::Delete { relation, tuple, moved: flags & DELETE_IS_PARTITION_MOVE != 0 }
            }
        }
        UPDATE | HOT_UPDATE => {
            data.skip(4)?;
            let old_offset = data.u16()?;
            data.skip(2 + 4)?;
            let new_offset = data.u16()?;
            // Block 0 holds the new version; block 1 the old one, only when that is another page.
            let old_block = record.block(1).unwrap_or(block);
            let old = tuple(old_block, old_offset)?;
            let new = tuple(block, new_offset)?;
            HeapChange::Update { relation, old, new, heap_only: operation == HOT_UPDATE }
        }
        CONFIRM => HeapChange::Confirm { relation, tuple: tuple(block, data.u16()?)? },
        LOCK => {
            data.skip(4)?;
            HeapChange::Lock { relation, tuple: tuple(block, data.u16()?)? }
        }
        INPLACE => HeapChange::InPlace { relation, tuple: tuple(block, data.u16()?)? },
        _ => return None,
    })
}

fn tuple(block: &BlockReference, offset: u16) -> Option<TupleId> {
    (offset != 0).then_some(TupleId { block: block.block, offset })
}

fn multi_insert<'a>(record: &Record<'a>) -> Option<MultiInsert<'a>> {
    let block = record.block(0)?;
    let mut data = Bytes::new(record.main_data());
    data.skip(2)?;
    let rows = data.u16()?;
    let listed = record.operation() & INITIALIZES_PAGE == 0;
    let offsets = if listed { Some(data.take(usize::from(rows) * 2)?) } else { None };
    Some(MultiInsert { relation: block.relation, block: block.block, rows, offsets })
}

/// The tables that a record truncates, if it is such a record.
pub fn table_truncate(record: &Record<'_>) -> Result<Option<TableTruncate>, WalError> {
    let is_truncate =
        record.resource_manager() == ResourceManager::HEAP && record.operation() & OPERATION_MASK == TRUNCATE;
    if !is_truncate {
        return Ok(None);
    }
    read_truncate(record.main_data()).map(Some).ok_or_else(|| record.invalid_payload())
}

fn read_truncate(data: &[u8]) -> Option<TableTruncate> {
    let mut data = Bytes::new(data);
    let database = data.u32()?;
    let count = data.u32()? as usize;
    let flags = data.u8()?;
    data.skip(3)?;
    let mut listed = Bytes::new(data.take(count.checked_mul(4)?)?);
    let tables = (0..count).map_while(|_| listed.u32()).collect();
    Some(TableTruncate {
        database,
        tables,
        cascade: flags & TRUNCATE_CASCADES != 0,
        restart_sequences: flags & TRUNCATE_RESTARTS_SEQUENCES != 0,
    })
}
