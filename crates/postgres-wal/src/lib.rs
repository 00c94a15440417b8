//! Reads the PostgreSQL write-ahead log of majors 13 to 18 and summarises its transactions.
//!
//! The crate is pure: bytes go in, records and summaries come out, and nothing is read, written or timed here.
//!
//! * [`RecordStream`] takes the log's bytes in any portions and yields checked [`Record`]s.
//! * [`TransactionIndex`] turns records into one [`TransactionSummary`] per committed transaction: rows per relation,
//!   files dropped, databases dropped, catalog changes, messages, locks.
//! * [`TransactionRows`] collects where one transaction's rows lie, which is what undoing it needs.
//! * [`Statistics`] counts records and bytes exactly as `pg_waldump --stats` does.
//!
//! The layouts come from PostgreSQL's own headers (`access/xlogrecord.h`, `access/xlog_internal.h`,
//! `access/heapam_xlog.h`, `access/xact.h`, `commands/dbcommands_xlog.h`, `storage/standbydefs.h`,
//! `replication/message.h`), for a little-endian server with 8 kB pages, which is what every distributed build is.

mod bytes;
mod error;
pub mod fuzzing;
mod index;
mod lsn;
mod major;
mod names;
mod object;
mod page;
pub mod payload;
mod record;
mod rows;
mod statistics;
mod stream;

pub use error::WalError;
pub use index::{
    AccessExclusiveLock, CatalogChanges, DatabaseFiles, FileTruncation, IndexEvent, IndexLimits, Losing,
    MessageContent, MessageSummary, RelationRows, RowCounts, TableTruncation, TransactionIndex,
    TransactionSummary,
};
pub use lsn::{InvalidLsn, InvalidSegmentSize, Lsn, SegmentSize, Timeline};
pub use major::{Major, UnsupportedMajor};
pub use names::{ResourceManager, record_name};
pub use object::{FIRST_USER_OBJECT, Fork, RelationLocator, TransactionId, TupleId};
pub use page::{PAGE_BYTES, PageHeader, SegmentHeader};
pub use record::{BlockImage, BlockReference, ChangedBlock, Record, RecordHeader};
pub use rows::{RowChange, RowVersion, Strand, StrandChanges, StrandWatch, TooManyRows, TransactionRows};
pub use statistics::{RecordTotals, Statistics, StatisticsRow};
pub use stream::RecordStream;
