//! What the server tells of running transactions: the Standby resource manager and checkpoints.

use crate::bytes::Bytes;
use crate::error::WalError;
use crate::names::ResourceManager;
use crate::object::TransactionId;
use crate::record::Record;

const LOCK: u8 = 0x00;
const RUNNING: u8 = 0x10;
const CHECKPOINT_SHUTDOWN: u8 = 0x00;
const CHECKPOINT_ONLINE: u8 = 0x10;

/// An access-exclusive lock that a transaction holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StandbyLock {
    /// The holder.
    pub transaction: TransactionId,
    /// The database.
    pub database: u32,
    /// The relation's object number.
    pub relation: u32,
}

/// The transactions that run at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunningTransactions {
    /// The number that the next transaction will get.
    pub next: TransactionId,
    /// The oldest that still runs, prepared ones included.
    pub oldest: TransactionId,
}

/// The locks in a record, if it holds such.
pub fn standby_locks<'a>(
    record: &Record<'a>,
) -> Result<Option<impl Iterator<Item = StandbyLock> + use<'a>>, WalError> {
    if record.resource_manager() != ResourceManager::STANDBY || record.operation() != LOCK {
        return Ok(None);
    }
    let mut data = Bytes::new(record.main_data());
    let listed = data.u32().and_then(|count| data.take((count as usize).checked_mul(12)?));
    let mut listed = Bytes::new(listed.ok_or_else(|| record.invalid_payload())?);
    Ok(Some(std::iter::from_fn(move || {
        Some(StandbyLock {
            transaction: TransactionId(listed.u32()?),
            database: listed.u32()?,
            relation: listed.u32()?,
        })
    })))
}

/// The running transactions in a record, if it lists them.
pub fn running_transactions(record: &Record<'_>) -> Result<Option<RunningTransactions>, WalError> {
    if record.resource_manager() != ResourceManager::STANDBY || record.operation() != RUNNING {
        return Ok(None);
    }
    let mut data = Bytes::new(record.main_data());
    // Two counts and the flag for overflowed subtransactions, padded, come before.
    let read = data.skip(12).and_then(|()| {
        Some(RunningTransactions { next: TransactionId(data.u32()?), oldest: TransactionId(data.u32()?) })
    });
    read.map(Some).ok_or_else(|| record.invalid_payload())
}

/// The number of the next transaction as a checkpoint record has it, and whether the server was shut down.
pub fn next_transaction(record: &Record<'_>) -> Result<Option<(TransactionId, bool)>, WalError> {
    let shutdown = match (record.resource_manager(), record.operation()) {
        (ResourceManager::XLOG, CHECKPOINT_SHUTDOWN) => true,
        (ResourceManager::XLOG, CHECKPOINT_ONLINE) => false,
        _ => return Ok(None),
    };
    let mut data = Bytes::new(record.main_data());
    // The redo position, two timelines and the full-page-writes flag come before; since 17 also `wal_level`, in its padding
    // up to the eight-byte number.
    let read = data.skip(8 + 4 + 4 + 8).and_then(|()| data.u32());
    read.map(|next| Some((TransactionId(next), shutdown))).ok_or_else(|| record.invalid_payload())
}
