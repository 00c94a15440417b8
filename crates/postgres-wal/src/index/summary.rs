//! What the index yields.

use serde::{Deserialize, Serialize};

use crate::lsn::Lsn;
use crate::object::{RelationLocator, TransactionId};
use crate::payload::LogicalMessage;

/// What a record completes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum IndexEvent {
    /// A transaction committed.
    Committed(Box<TransactionSummary>),
    /// A database's files were removed, at once and whether or not the transaction commits.
    DatabaseDropped {
        /// The start of the record: the last moment before is just here.
        lsn: Lsn,
        /// The transaction.
        transaction: Option<TransactionId>,
        /// What was removed.
        files: DatabaseFiles,
    },
    /// A message that counts whether or not its transaction commits.
    Message(MessageSummary),
}

/// What a committed transaction did, its subtransactions included.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransactionSummary {
    /// The top-level transaction.
    pub transaction: TransactionId,
    /// Its committed subtransactions.
    pub subtransactions: Vec<TransactionId>,
    /// The start of its first record, as far as it was read.
    pub first_lsn: Lsn,
    /// The start of its commit record: recovery to here, exclusive, stops just before it.
    pub commit_lsn: Lsn,
    /// The end of its commit record.
    pub end_lsn: Lsn,
    /// When it committed, in microseconds since 1970-01-01 UTC, by the server's clock.
    pub commit_time_unix_microseconds: i64,
    /// The databases it touched.
    pub databases: Vec<u32>,
    /// The rows of user relations it changed, by relation file; TOAST relations count by themselves.
    pub relations: Vec<RelationRows>,
    /// The rows of all user relations together; exact even where `relations` was cut off.
    pub rows: RowCounts,
    /// The files removed by its commit.
    pub files_dropped: Vec<RelationLocator>,
    /// The files it created. Dropped without created: `DROP`. Both: `TRUNCATE`, `VACUUM FULL` or another rewrite.
    ///
    /// At `wal_level=minimal`, where no physical copy can follow a server, files are created before the transaction has
    /// a number and are missing here.
    pub files_created: Vec<RelationLocator>,
    /// The files it cut, which cannot be rolled back.
    pub files_truncated: Vec<FileTruncation>,
    /// The tables that `TRUNCATE` named; known only at `wal_level=logical`.
    pub tables_truncated: Vec<TableTruncation>,
    /// The databases it made.
    pub databases_created: Vec<DatabaseFiles>,
    /// The databases it removed.
    pub databases_dropped: Vec<DatabaseFiles>,
    /// What it did to the catalogs.
    pub catalog: CatalogChanges,
    /// The messages it wrote.
    pub messages: Vec<MessageSummary>,
    /// The access-exclusive locks it took: what it meant to drop, truncate or redefine.
    pub locks: Vec<AccessExclusiveLock>,
    /// The name it was prepared under, if it was committed in two phases.
    pub prepared: Option<String>,
    /// The replication origin, if it was received from another server.
    pub origin: Option<u16>,
    /// Whether it may have begun before the log that was read, so that the counts may be too low.
    pub partial: bool,
    /// Whether a limit was reached, so that some list here is incomplete.
    pub overflow: bool,
}

impl TransactionSummary {
    /// Whether it changed definitions: tables, columns, indexes, grants, functions and so on.
    pub fn changes_catalog(&self) -> bool {
        self.catalog.invalidations > 0 || self.catalog.rows != RowCounts::default()
    }
}

/// Numbers of rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowCounts {
    /// Rows inserted.
    pub inserted: u64,
    /// Rows updated.
    pub updated: u64,
    /// Rows deleted.
    pub deleted: u64,
    /// Rows that an update moved to another partition, where they count as inserted.
    pub moved: u64,
}

impl RowCounts {
    pub(super) fn add(&mut self, other: &Self) {
        self.inserted += other.inserted;
        self.updated += other.updated;
        self.deleted += other.deleted;
        self.moved += other.moved;
    }
}

/// The rows of one relation file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelationRows {
    /// The relation's file.
    pub relation: RelationLocator,
    /// The rows.
    pub rows: RowCounts,
}

/// A file that was cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileTruncation {
    /// The relation's file.
    pub relation: RelationLocator,
    /// The blocks that are left.
    pub blocks: u32,
}

/// Tables that one `TRUNCATE` named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableTruncation {
    /// The database.
    pub database: u32,
    /// The tables' object numbers, not file numbers.
    pub tables: Vec<u32>,
    /// Whether it said `CASCADE`.
    pub cascade: bool,
    /// Whether it said `RESTART IDENTITY`.
    pub restart_sequences: bool,
}

/// The directories of a database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseFiles {
    /// The database.
    pub database: u32,
    /// The tablespaces in which it has files.
    pub tablespaces: Vec<u32>,
}

/// Changes of the system catalogs: a sign of changed definitions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatalogChanges {
    /// Rows of catalogs.
    pub rows: RowCounts,
    /// Cache invalidations sent at commit.
    pub invalidations: u64,
    /// Relations whose definition changed, as (database, relation object number).
    pub relations: Vec<(u32, u32)>,
}

/// An access-exclusive lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AccessExclusiveLock {
    /// The database.
    pub database: u32,
    /// The relation's object number.
    pub relation: u32,
}

/// A message written with `pg_logical_emit_message`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageSummary {
    /// The start of its record.
    pub lsn: Lsn,
    /// The database of the session.
    pub database: u32,
    /// Who speaks.
    pub prefix: String,
    /// What was said, up to the limit.
    pub content: MessageContent,
    /// The length of all that was said.
    pub content_bytes: u64,
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MessageContent {
    /// Text.
    Text(String),
    /// Bytes that are no text.
    Binary(Vec<u8>),
}

impl MessageContent {
    /// The text, if it is text.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Binary(_) => None,
        }
    }
}

impl MessageSummary {
    pub(super) fn read(lsn: Lsn, message: &LogicalMessage<'_>, limit: usize) -> Self {
        let kept = message.content.get(..limit).unwrap_or(message.content);
        // A limit may fall within a character; what is whole before it stays text.
        let content = match std::str::from_utf8(kept) {
            Ok(text) => MessageContent::Text(text.to_owned()),
            Err(error) if error.error_len().is_none() => {
                let whole = kept.get(..error.valid_up_to()).unwrap_or_default();
                MessageContent::Text(String::from_utf8_lossy(whole).into_owned())
            }
            Err(_) => MessageContent::Binary(kept.to_vec()),
        };
        let prefix = message.prefix.get(..256).unwrap_or(message.prefix);
        Self {
            lsn,
            database: message.database,
            prefix: String::from_utf8_lossy(prefix).into_owned(),
            content,
            content_bytes: message.content_bytes,
        }
    }
}

/// How much the index keeps; all counts stay exact, lists are cut off and marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexLimits {
    /// Open transactions and subtransactions.
    pub open_transactions: usize,
    /// Entries of each list of one transaction.
    pub items_per_transaction: usize,
    /// Bytes of one message.
    pub message_bytes: usize,
    /// Bytes of all messages of one transaction.
    pub message_bytes_per_transaction: usize,
}

impl Default for IndexLimits {
    fn default() -> Self {
        Self {
            open_transactions: 200_000,
            items_per_transaction: 65_536,
            message_bytes: 65_536,
            message_bytes_per_transaction: 1 << 20,
        }
    }
}
