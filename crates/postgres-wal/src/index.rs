//! The index: what each committed transaction did.

mod losing;
mod open;
mod summary;

use std::collections::HashMap;

use crate::error::WalError;
use crate::lsn::Lsn;
use crate::object::{FIRST_USER_OBJECT, TransactionId};
use crate::payload::{
    Completion, DatabaseChange, HeapChange, Outcome, RunningTransactions, StorageChange, TransactionRecord,
    database_change, heap_change, logical_message, next_transaction, running_transactions, standby_locks,
    storage_change, table_truncate, transaction_record,
};
use crate::record::Record;
use crate::{Fork, ResourceManager};

pub use losing::Losing;
use losing::Losses;
use open::{Builder, OpenTransaction};
pub use summary::{
    AccessExclusiveLock, CatalogChanges, DatabaseFiles, FileTruncation, IndexEvent, IndexLimits,
    MessageContent, MessageSummary, RelationRows, RowCounts, TableTruncation, TransactionSummary,
};

/// Follows a log record by record and yields what each committed transaction did.
///
/// It keeps sums per open transaction, never rows, and within [`IndexLimits`]; where a limit cuts something off, the
/// summary says so. To resume after a restart, read the log again from [`TransactionIndex::restart_lsn`].
#[derive(Debug)]
pub struct TransactionIndex {
    limits: IndexLimits,
    open: HashMap<TransactionId, OpenTransaction>,
    /// Transactions from this number on began within the log that was read.
    complete_from: Option<TransactionId>,
    /// Whether some transaction could not be followed because too many were open.
    saturated: bool,
    position: Lsn,
    losses: Losses,
}

impl TransactionIndex {
    /// An empty index.
    pub fn new(limits: IndexLimits) -> Self {
        Self {
            limits,
            open: HashMap::new(),
            complete_from: None,
            saturated: false,
            position: Lsn(0),
            losses: Losses::default(),
        }
    }

    /// Transactions, subtransactions among them, that have neither committed nor aborted.
    pub fn open_transactions(&self) -> usize {
        self.open.len()
    }

    /// Where reading must begin again so that no open transaction loses anything: a record's start.
    pub fn restart_lsn(&self) -> Lsn {
        self.open.values().map(|open| open.first_lsn).min().unwrap_or(self.position).min(self.position)
    }

    /// Takes the next record in, and yields what it completes.
    pub fn apply(&mut self, record: &Record<'_>) -> Result<Option<IndexEvent>, WalError> {
        self.position = record.end();
        match record.resource_manager() {
            ResourceManager::HEAP | ResourceManager::HEAP2 => self.apply_heap(record).map(|()| None),
            ResourceManager::TRANSACTION => self.apply_transaction(record),
            ResourceManager::STORAGE => self.apply_storage(record).map(|()| None),
            ResourceManager::DATABASE => self.apply_database(record),
            ResourceManager::STANDBY => self.apply_standby(record).map(|()| None),
            ResourceManager::XLOG => {
                if let Some((next, shutdown)) = next_transaction(record)? {
                    self.apply_checkpoint(next, shutdown);
                }
                Ok(None)
            }
            ResourceManager::LOGICAL_MESSAGE => self.apply_message(record),
            _ => {
                self.open_mut(record);
                Ok(None)
            }
        }
    }

    /// The sums of the record's transaction, which begin with its first record.
    fn open_mut(&mut self, record: &Record<'_>) -> Option<&mut OpenTransaction> {
        self.entry(record.transaction()?, record.start())
    }

    fn entry(&mut self, transaction: TransactionId, lsn: Lsn) -> Option<&mut OpenTransaction> {
        if self.open.len() >= self.limits.open_transactions && !self.open.contains_key(&transaction) {
            self.saturated = true;
            return None;
        }
        Some(self.open.entry(transaction).or_insert_with(|| OpenTransaction::new(lsn)))
    }

    fn apply_heap(&mut self, record: &Record<'_>) -> Result<(), WalError> {
        let change = heap_change(record)?;
        let truncation = table_truncate(record)?;
        let limits = self.limits;
        let Some(open) = self.open_mut(record) else { return Ok(()) };
        let lost = change.is_some_and(|change| count_rows(open, &change, &limits));
        if let Some(truncation) = truncation {
            open.add_table_truncation(truncation, &limits);
        }
        if let Some(transaction) = record.transaction() {
            if let Some(parent) = record.top_level_transaction() {
                self.adopt(parent, transaction, record.start());
            }
            if lost {
                self.count_loss(transaction, 1);
            }
        }
        Ok(())
    }

    fn apply_transaction(&mut self, record: &Record<'_>) -> Result<Option<IndexEvent>, WalError> {
        match transaction_record(record)? {
            Some(TransactionRecord::Completed(completion)) => match completion.outcome {
                Outcome::Committed => Ok(Some(self.commit(record, &completion))),
                Outcome::Aborted => {
                    self.abort(&completion);
                    Ok(None)
                }
            },
            Some(TransactionRecord::Prepared(prepared)) => {
                let name = String::from_utf8_lossy(prepared.global_identifier).into_owned();
                if let Some(open) = self.entry(prepared.transaction, record.start()) {
                    open.prepared = Some(name);
                    open.add_database(prepared.database);
                }
                Ok(None)
            }
            Some(TransactionRecord::Assigned(assignment)) => {
                self.open_mut(record);
                for child in assignment.subtransactions.iter() {
                    self.adopt(assignment.top_level, child, record.start());
                }
                Ok(None)
            }
            Some(TransactionRecord::Invalidated) | None => {
                self.open_mut(record);
                Ok(None)
            }
        }
    }

    fn commit(&mut self, record: &Record<'_>, completion: &Completion<'_>) -> IndexEvent {
        let limits = self.limits;
        let mut builder = Builder::new(record, completion, &limits);
        for transaction in std::iter::once(completion.transaction).chain(completion.subtransactions.iter()) {
            match self.end(transaction) {
                Some(open) => builder.fold(open),
                None if self.saturated => builder.mark_overflow(),
                None => {}
            }
        }
        let began_before = |from: TransactionId| completion.transaction.precedes(from);
        let partial = self.complete_from.is_none_or(began_before);
        if self.open.is_empty() {
            self.saturated = false;
        }
        IndexEvent::Committed(Box::new(builder.finish(partial)))
    }

    fn abort(&mut self, completion: &Completion<'_>) {
        for transaction in std::iter::once(completion.transaction).chain(completion.subtransactions.iter()) {
            self.end(transaction);
        }
    }

    fn apply_storage(&mut self, record: &Record<'_>) -> Result<(), WalError> {
        let Some(change) = storage_change(record)? else { return Ok(()) };
        let limits = self.limits;
        let Some(open) = self.open_mut(record) else { return Ok(()) };
        match change {
            StorageChange::Created { relation, fork: Fork::Main } => open.add_file_created(relation, &limits),
            StorageChange::Created { .. } => {}
            StorageChange::Truncated { relation, blocks } => {
                open.add_file_truncation(FileTruncation { relation, blocks }, &limits);
            }
        }
        Ok(())
    }

    fn apply_database(&mut self, record: &Record<'_>) -> Result<Option<IndexEvent>, WalError> {
        let change = database_change(record)?;
        let limits = self.limits;
        let open = self.open_mut(record);
        Ok(match change {
            Some(DatabaseChange::Created { database, tablespace, .. }) => {
                if let Some(open) = open {
                    open.add_database_created(
                        DatabaseFiles { database, tablespaces: vec![tablespace] },
                        &limits,
                    );
                }
                None
            }
            Some(DatabaseChange::Dropped { database, tablespaces }) => {
                let files = DatabaseFiles { database, tablespaces };
                if let Some(open) = open {
                    open.add_database_dropped(files.clone(), &limits);
                }
                let transaction = record.transaction();
                Some(IndexEvent::DatabaseDropped { lsn: record.start(), transaction, files })
            }
            None => None,
        })
    }

    fn apply_standby(&mut self, record: &Record<'_>) -> Result<(), WalError> {
        let limits = self.limits;
        if let Some(locks) = standby_locks(record)? {
            for lock in locks {
                if let Some(open) = self.entry(lock.transaction, record.start()) {
                    let lock = AccessExclusiveLock { database: lock.database, relation: lock.relation };
                    open.add_lock(lock, &limits);
                }
            }
        }
        if let Some(RunningTransactions { next, oldest }) = running_transactions(record)? {
            self.complete_from.get_or_insert(next);
            // What is older has ended, even where a crash kept its abort from being written.
            self.open.retain(|transaction, _| !transaction.precedes(oldest));
            self.forget_ended();
        }
        Ok(())
    }

    fn apply_checkpoint(&mut self, next: TransactionId, shutdown: bool) {
        self.complete_from.get_or_insert(next);
        if shutdown {
            // Nothing but prepared transactions outlives the server.
            self.open.retain(|_, open| open.prepared.is_some());
            self.forget_ended();
        }
    }

    fn apply_message(&mut self, record: &Record<'_>) -> Result<Option<IndexEvent>, WalError> {
        let Some(message) = logical_message(record)? else { return Ok(None) };
        let limits = self.limits;
        let summary = MessageSummary::read(record.start(), &message, limits.message_bytes);
        if !message.transactional {
            return Ok(Some(IndexEvent::Message(summary)));
        }
        if let Some(open) = self.open_mut(record) {
            open.add_message(summary, &limits);
        }
        Ok(None)
    }
}

impl Default for TransactionIndex {
    fn default() -> Self {
        Self::new(IndexLimits::default())
    }
}

/// Counts a change's rows; returns whether a row of a user relation was deleted or changed.
fn count_rows(open: &mut OpenTransaction, change: &HeapChange<'_>, limits: &IndexLimits) -> bool {
    let (relation, rows) = match *change {
        HeapChange::Insert { relation, .. } => (relation, RowCounts { inserted: 1, ..RowCounts::default() }),
        HeapChange::MultiInsert(insert) => {
            (insert.relation, RowCounts { inserted: insert.rows.into(), ..RowCounts::default() })
        }
        HeapChange::Update { relation, .. } => (relation, RowCounts { updated: 1, ..RowCounts::default() }),
        HeapChange::Delete { relation, moved: true, .. } => {
            (relation, RowCounts { moved: 1, ..RowCounts::default() })
        }
        HeapChange::Delete { relation, .. } => (relation, RowCounts { deleted: 1, ..RowCounts::default() }),
        HeapChange::Retract { relation, .. } => {
            open.retract(relation);
            return false;
        }
        HeapChange::InPlace { .. } | HeapChange::Lock { .. } | HeapChange::Confirm { .. } => return false,
    };
    if relation.relation < FIRST_USER_OBJECT {
        open.add_catalog_rows(&rows);
        return false;
    }
    open.add_rows(relation, &rows, limits);
    rows.deleted + rows.updated > 0
}

/// Moves entries over until `limit` are held; `false` if some had to be left behind.
fn append_within<T>(target: &mut Vec<T>, mut source: Vec<T>, limit: usize) -> bool {
    let room = limit.saturating_sub(target.len());
    let fits = source.len() <= room;
    source.truncate(room);
    target.append(&mut source);
    fits
}

#[cfg(test)]
mod tests;
