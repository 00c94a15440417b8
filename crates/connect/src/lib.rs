//! The contract between the engine and a connector.
//!
//! A connector reads a source through [`SourceReader`], made from a read-only identity, and hands what it sees to a
//! [`ChangeSink`]. It knows neither the vault nor the catalog: what is stored comes back to it as [`Stored`].
//! Writing to a source is another type, made from another credential, in the restoring part of the connector.

pub mod fidelity;
mod file_item;
mod observe;
pub mod pause;
pub mod plan;
mod quota_use;
mod read;
mod report;
mod stored;
mod stored_items;
pub mod testing;
pub mod units;

pub use file_item::{FileItem, FileOf};
pub use observe::{Observer, Urge};
pub use quota_use::{QuotaMeter, QuotaOfLate, QuotaUnit, QuotaUse};
pub use read::{ChangeSink, Cursor, KnownItem, LogTail, ReadEnd, ReadError, SinkError, SourceReader, Stop};
pub use report::{Finding, Progress, Silent, Standing};
pub use stored::{LogRange, Stored, StoredError, StoredItem};
pub use stored_items::{StoredBody, StoredHistory, StoredItems, StoredVersion, TakeItem};
