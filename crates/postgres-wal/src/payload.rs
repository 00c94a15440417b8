//! What records say, decoded per resource manager.
//!
//! Each function takes any record and returns `Ok(None)` when it is of another kind.

mod database;
mod heap;
mod message;
mod running;
mod storage;
mod transaction;

pub use database::{DatabaseChange, database_change};
pub use heap::{HeapChange, MultiInsert, TableTruncate, heap_change, table_truncate};
pub use message::{LogicalMessage, logical_message};
pub use running::{RunningTransactions, StandbyLock, next_transaction, running_transactions, standby_locks};
pub use storage::{StorageChange, storage_change};
pub use transaction::{
    Assignment, Completion, Invalidations, Outcome, Prepared, RelationList, TransactionList,
    TransactionRecord, transaction_record,
};
