use std::io::{Read, Write};

use model::{Item, StreamName};

/// Why stored content could not be had.
#[derive(Debug, thiserror::Error)]
pub enum StoredError {
    /// The moment needs something that the vault does not hold.
    #[error("{what} is not in the vault")]
    Missing {
        /// What is needed.
        what: String,
    },
    /// What the vault holds is damaged.
    #[error("the vault's copy of {what} is damaged")]
    Damaged {
        /// What is needed.
        what: String,
        /// What the vault found.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Where the content was to go did not take it.
    #[error("cannot write {what}")]
    Write {
        /// What was being written.
        what: String,
        /// The system's answer.
        #[source]
        source: std::io::Error,
    },
    /// The vault or the catalog failed otherwise.
    #[error("cannot read {what} from the vault")]
    Vault {
        /// What is needed.
        what: String,
        /// What the vault answered.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// One stored version of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredItem {
    /// The item, with the attributes that its connector gave it.
    pub item: Item,
    /// The commit that holds this version.
    pub sequence: u64,
    /// Bytes of its content.
    pub size_bytes: u64,
}

/// A run of a log that one commit holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogRange {
    /// The position of the first byte.
    pub start: u64,
    /// The position after the last byte.
    pub end: u64,
    /// The commit that holds it.
    pub sequence: u64,
}

/// What a connector may read of one source's stored past. There is no way from here to a writer.
pub trait Stored: Send + Sync {
    /// Lists the newest versions of a stream's items that are not removed, in key order.
    fn items(&self, stream: &StreamName) -> Result<Vec<StoredItem>, StoredError>;

    /// Writes an item's content to `out`.
    fn read(&self, item: &StoredItem, out: &mut dyn Write) -> Result<(), StoredError>;

    /// Writes many items' contents, several at a time; `open` makes the place where an item goes.
    fn read_many(
        &self,
        items: &[StoredItem],
        open: &(dyn Fn(&StoredItem) -> std::io::Result<Box<dyn Write + Send>> + Sync),
        progress: &dyn crate::Progress,
    ) -> Result<(), StoredError>;

    /// Lists the stored runs of a log that touch `start..end`, in order.
    fn log_ranges(&self, stream: &StreamName, start: u64, end: u64) -> Result<Vec<LogRange>, StoredError>;

    /// Reads a log from `start` to `end`; the caller has seen from the ranges that it is there.
    fn read_log<'a>(
        &'a self,
        stream: &StreamName,
        start: u64,
        end: u64,
    ) -> Result<Box<dyn Read + 'a>, StoredError>;
}
