//! Ends of transactions: the Transaction resource manager.

use crate::bytes::Bytes;
use crate::error::WalError;
use crate::lsn::Lsn;
use crate::major::Major;
use crate::names::ResourceManager;
use crate::object::{RelationLocator, TransactionId};
use crate::record::{Record, read_locator};

const COMMIT: u8 = 0x00;
const PREPARE: u8 = 0x10;
const ABORT: u8 = 0x20;
const COMMIT_PREPARED: u8 = 0x30;
const ABORT_PREPARED: u8 = 0x40;
const ASSIGNMENT: u8 = 0x50;
const HAS_INFO: u8 = 0x80;

const HAS_DATABASE: u32 = 1 << 0;
const HAS_SUBTRANSACTIONS: u32 = 1 << 1;
const HAS_FILES: u32 = 1 << 2;
const HAS_INVALIDATIONS: u32 = 1 << 3;
const HAS_TWO_PHASE: u32 = 1 << 4;
const HAS_ORIGIN: u32 = 1 << 5;
const HAS_ACCESS_EXCLUSIVE_LOCKS: u32 = 1 << 6;
const HAS_GLOBAL_IDENTIFIER: u32 = 1 << 7;
const HAS_DROPPED_STATISTICS: u32 = 1 << 8;

const INVALIDATION_BYTES: usize = 16;
const LOCATOR_BYTES: usize = 12;
/// Microseconds from 1970-01-01, which is how other systems count, to 2000-01-01, which is how PostgreSQL does.
const EPOCH_SHIFT_MICROSECONDS: i64 = 946_684_800_000_000;

/// A record of the Transaction resource manager.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransactionRecord<'a> {
    /// The transaction ended.
    Completed(Completion<'a>),
    /// The transaction was prepared and waits for its second phase.
    Prepared(Prepared<'a>),
    /// Subtransactions got their top-level transaction.
    Assigned(Assignment<'a>),
    /// Catalog caches were invalidated within a running transaction.
    Invalidated,
}

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each name is its own description")]
pub enum Outcome {
    Committed,
    Aborted,
}

/// The end of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion<'a> {
    /// Whether it committed.
    pub outcome: Outcome,
    /// The top-level transaction; for a prepared one not the transaction of the record's header.
    /// An abort may be of a subtransaction alone.
    pub transaction: TransactionId,
    /// When, in microseconds since 1970-01-01 UTC.
    pub time_unix_microseconds: i64,
    /// The database, where the record names it.
    pub database: Option<u32>,
    /// The subtransactions that end with it.
    pub subtransactions: TransactionList<'a>,
    /// The files that are removed now.
    pub files: RelationList<'a>,
    /// The catalog cache invalidations.
    pub invalidations: Invalidations<'a>,
    /// Whether it was prepared before.
    pub was_prepared: bool,
    /// The name given to `PREPARE TRANSACTION`, where the record repeats it.
    pub global_identifier: Option<&'a [u8]>,
    /// Whether it held access-exclusive locks.
    pub held_exclusive_locks: bool,
    /// Where the transaction was committed first, if it was received from another server.
    pub origin_lsn: Option<Lsn>,
    /// Whether the record was longer than retained, so that the lists may be incomplete.
    pub is_clipped: bool,
}

/// A transaction in its first phase of two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared<'a> {
    /// The top-level transaction.
    pub transaction: TransactionId,
    /// The database.
    pub database: u32,
    /// When, in microseconds since 1970-01-01 UTC.
    pub time_unix_microseconds: i64,
    /// The name given to `PREPARE TRANSACTION`.
    pub global_identifier: &'a [u8],
}

/// Subtransactions and their top-level transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assignment<'a> {
    /// The top-level transaction.
    pub top_level: TransactionId,
    /// Its subtransactions.
    pub subtransactions: TransactionList<'a>,
}

/// Transaction numbers in a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TransactionList<'a>(&'a [u8]);

impl<'a> TransactionList<'a> {
    /// The transactions.
    pub fn iter(self) -> impl Iterator<Item = TransactionId> + use<'a> {
        self.0.as_chunks::<4>().0.iter().map(|bytes| TransactionId(u32::from_le_bytes(*bytes)))
    }
}

/// Relation files in a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RelationList<'a>(&'a [u8]);

impl<'a> RelationList<'a> {
    /// The files.
    pub fn iter(self) -> impl Iterator<Item = RelationLocator> + use<'a> {
        self.0.chunks_exact(LOCATOR_BYTES).filter_map(|bytes| read_locator(&mut Bytes::new(bytes)))
    }
}

/// Catalog cache invalidations in a record; whatever changes a catalog sends some.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Invalidations<'a>(&'a [u8]);

impl<'a> Invalidations<'a> {
    /// How many there are.
    pub fn count(self) -> usize {
        self.0.len() / INVALIDATION_BYTES
    }

    /// The relations whose definition changed, as (database, relation object number).
    pub fn relations(self) -> impl Iterator<Item = (u32, u32)> + use<'a> {
        const RELATION_CACHE: u8 = -2_i8 as u8;
        self.0.chunks_exact(INVALIDATION_BYTES).filter_map(|message| {
            let mut message = Bytes::new(message);
            let kind = message.u8()?;
            message.skip(3)?;
            (kind == RELATION_CACHE).then_some((message.u32()?, message.u32()?))
        })
    }
}

/// What a record says about a transaction, if it is such a record.
pub fn transaction_record<'a>(record: &Record<'a>) -> Result<Option<TransactionRecord<'a>>, WalError> {
    if record.resource_manager() != ResourceManager::TRANSACTION {
        return Ok(None);
    }
    let decoded = match record.operation() & !HAS_INFO {
        COMMIT => completion(record, Outcome::Committed, false),
        ABORT => completion(record, Outcome::Aborted, false),
        COMMIT_PREPARED => completion(record, Outcome::Committed, true),
        ABORT_PREPARED => completion(record, Outcome::Aborted, true),
        PREPARE => prepared(record).map(TransactionRecord::Prepared),
        ASSIGNMENT => assignment(record).map(TransactionRecord::Assigned),
        // Since 14, at `wal_level=logical`: what a commit would say, said as each command ends.
        _ => Some(TransactionRecord::Invalidated),
    };
    decoded.map(Some).ok_or_else(|| record.invalid_payload())
}

fn completion<'a>(
    record: &Record<'a>,
    outcome: Outcome,
    was_prepared: bool,
) -> Option<TransactionRecord<'a>> {
    let mut data = Bytes::new(record.main_data());
    let mut completion = Completion {
        outcome,
        transaction: record.header().transaction,
        time_unix_microseconds: data.i64()?.saturating_add(EPOCH_SHIFT_MICROSECONDS),
        database: None,
        subtransactions: TransactionList::default(),
        files: RelationList::default(),
        invalidations: Invalidations::default(),
        was_prepared,
        global_identifier: None,
        held_exclusive_locks: false,
        origin_lsn: None,
        is_clipped: record.is_clipped(),
    };
    let parts = if record.operation() & HAS_INFO == 0 { 0 } else { data.u32()? };
    completion.held_exclusive_locks = parts & HAS_ACCESS_EXCLUSIVE_LOCKS != 0;
    let complete = completion_parts(&mut completion, &mut data, parts, record.major());
    // Of a clipped record the parts that are there still count; a whole one must hold all that it announces,
    // and a prepared transaction is known only by the number among its parts.
    let usable = complete.is_some() || (completion.is_clipped && !was_prepared);
    (usable && completion.transaction.is_normal()).then_some(TransactionRecord::Completed(completion))
}

fn completion_parts<'a>(
    completion: &mut Completion<'a>,
    data: &mut Bytes<'a>,
    parts: u32,
    major: Major,
) -> Option<()> {
    if parts & HAS_DATABASE != 0 {
        completion.database = Some(data.u32()?);
        data.skip(4)?;
    }
    if parts & HAS_SUBTRANSACTIONS != 0 {
        completion.subtransactions = TransactionList(list(data, 4, completion.is_clipped)?);
    }
    if parts & HAS_FILES != 0 {
        completion.files = RelationList(list(data, LOCATOR_BYTES, completion.is_clipped)?);
    }
    if parts & HAS_DROPPED_STATISTICS != 0 && major >= Major::V15 {
        // Since 18 an entry's object number has eight bytes.
        list(data, if major >= Major::V18 { 16 } else { 12 }, completion.is_clipped)?;
    }
    if parts & HAS_INVALIDATIONS != 0 {
        completion.invalidations = Invalidations(list(data, INVALIDATION_BYTES, completion.is_clipped)?);
    }
    if parts & HAS_TWO_PHASE != 0 {
        completion.transaction = TransactionId(data.u32()?);
        if parts & HAS_GLOBAL_IDENTIFIER != 0 {
            completion.global_identifier = Some(data.c_string()?);
        }
    }
    if parts & HAS_ORIGIN != 0 {
        completion.origin_lsn = Some(Lsn(data.u64()?));
        data.skip(8)?;
    }
    Some(())
}

/// Takes a count and as many entries; of a clipped record, as many as are there.
fn list<'a>(data: &mut Bytes<'a>, entry_bytes: usize, clipped: bool) -> Option<&'a [u8]> {
    let length = (data.u32()? as usize).checked_mul(entry_bytes)?;
    let available = data.rest().len();
    data.take(if clipped { length.min(available) } else { length })
}

fn prepared<'a>(record: &Record<'a>) -> Option<Prepared<'a>> {
    let mut data = Bytes::new(record.main_data());
    data.skip(8)?;
    let transaction = TransactionId(data.u32()?);
    let database = data.u32()?;
    let time_unix_microseconds = data.i64()?.saturating_add(EPOCH_SHIFT_MICROSECONDS);
    // Owner, then the counts of subtransactions, files dropped on commit and on abort.
    data.skip(4 + 3 * 4)?;
    if record.major() >= Major::V15 {
        data.skip(2 * 4)?;
    }
    // The count of invalidations, and the flag for the relation cache's file.
    data.skip(4 + 2)?;
    let length = usize::from(data.u16()?);
    data.skip(16)?;
    let text = data.take(length)?;
    let global_identifier = text.split(|byte| *byte == 0).next()?;
    Some(Prepared { transaction, database, time_unix_microseconds, global_identifier })
}

fn assignment<'a>(record: &Record<'a>) -> Option<Assignment<'a>> {
    let mut data = Bytes::new(record.main_data());
    let top_level = TransactionId(data.u32()?);
    Some(Assignment { top_level, subtransactions: TransactionList(list(&mut data, 4, record.is_clipped())?) })
}
