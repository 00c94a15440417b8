//! What can be wrong with a log.

use crate::lsn::Lsn;

/// Why the log cannot be read on; each variant names the exact position.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WalError {
    /// The bytes handed in do not follow those before.
    #[error("log bytes are missing: expected {expected}, got {found}")]
    Gap {
        /// Where the next byte should lie.
        expected: Lsn,
        /// Where the bytes handed in begin.
        found: Lsn,
    },
    /// A page belongs to another major version, or is no log page.
    #[error("page {lsn} has magic {found:04X}, expected {expected:04X}")]
    PageMagic {
        /// The page's start.
        lsn: Lsn,
        /// The magic of the version being read.
        expected: u16,
        /// The magic found.
        found: u16,
    },
    /// A page was written for another position: the log ended before it, in a recycled file.
    #[error("page {lsn} says that it is page {found}")]
    PageAddress {
        /// The page's start.
        lsn: Lsn,
        /// The position in its header.
        found: Lsn,
    },
    /// A page header contradicts itself or the log.
    #[error("page {lsn} has a bad header: {reason}")]
    PageHeader {
        /// The page's start.
        lsn: Lsn,
        /// What is wrong.
        reason: &'static str,
    },
    /// A page does not continue the record that runs onto it.
    #[error("page {lsn} continues a record with {found} bytes left, expected {expected}")]
    Continuation {
        /// The page's start.
        lsn: Lsn,
        /// Bytes of the record still to come.
        expected: u32,
        /// Bytes the page says are still to come.
        found: u32,
    },
    /// A record's checksum is wrong.
    #[error("record {lsn} has checksum {found:08X}, expected {expected:08X}")]
    Checksum {
        /// The record's start.
        lsn: Lsn,
        /// The checksum in its header.
        expected: u32,
        /// The checksum of its bytes.
        found: u32,
    },
    /// A record does not point back to the one before it.
    #[error("record {lsn} follows {found}, expected {expected}")]
    PreviousRecord {
        /// The record's start.
        lsn: Lsn,
        /// The start of the record before.
        expected: Lsn,
        /// The start that its header names.
        found: Lsn,
    },
    /// A record's envelope cannot be taken apart.
    #[error("record {lsn} is invalid: {reason}")]
    InvalidRecord {
        /// The record's start.
        lsn: Lsn,
        /// What is wrong.
        reason: &'static str,
    },
    /// A record's own data do not have the layout of its kind.
    #[error("record {lsn} has data that a {name} record cannot have")]
    InvalidPayload {
        /// The record's start.
        lsn: Lsn,
        /// The kind of record, such as `Heap/INSERT`.
        name: String,
    },
    /// Only zeros follow: nothing was written from here on.
    #[error("the log ends at {lsn}")]
    EndOfWal {
        /// Where the next record would begin.
        lsn: Lsn,
    },
}

impl WalError {
    /// The position at which reading stopped.
    pub fn lsn(&self) -> Lsn {
        match self {
            Self::Gap { expected, .. } => *expected,
            Self::PageMagic { lsn, .. }
            | Self::PageAddress { lsn, .. }
            | Self::PageHeader { lsn, .. }
            | Self::Continuation { lsn, .. }
            | Self::Checksum { lsn, .. }
            | Self::PreviousRecord { lsn, .. }
            | Self::InvalidRecord { lsn, .. }
            | Self::InvalidPayload { lsn, .. }
            | Self::EndOfWal { lsn } => *lsn,
        }
    }

    /// Whether this is what the unwritten rest of a live segment file looks like, rather than damage.
    ///
    /// Only a reader of files may ask: a replication stream never sends bytes that were not written.
    pub fn is_end_of_written_log(&self) -> bool {
        match self {
            Self::EndOfWal { .. } => true,
            Self::PageAddress { lsn, found } => found < lsn,
            _ => false,
        }
    }

    /// What a person can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Gap { expected, .. } => {
                Some(format!("stream again from {expected}: START_REPLICATION PHYSICAL {expected}"))
            }
            Self::PageMagic { found, .. } => crate::Major::from_page_magic(*found)
                .map(|major| format!("this log was written by PostgreSQL {major}")),
            Self::EndOfWal { .. } | Self::InvalidPayload { .. } => None,
            other => Some(format!(
                "compare with the server's own copy: pg_waldump --start={} <segment file>",
                other.lsn()
            )),
        }
    }
}
