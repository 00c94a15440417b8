use serde::{Deserialize, Serialize};

use crate::StreamName;

/// One restorable thing as a commit describes it, without its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// The stream that the item belongs to.
    pub stream: StreamName,
    /// The item's key in its stream: a path, an id, a position in a log.
    pub key: String,
    /// What the connector must know to bring the item back, as JSON text; opaque to the vault.
    pub attributes: String,
}

/// The shape of an item's content, so that the vault can cut it where it repeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// A database file: pages of this size, each a unit that is stored once.
    Pages {
        /// Bytes in a page.
        page_bytes: u32,
    },
    /// Bytes of a log that never repeat, such as WAL.
    Stream,
    /// A small item: one unit, compressed together with its neighbours.
    Small,
    /// Any other file, in blocks.
    Blocks,
}

/// Content up to this size is a small item.
const SMALL_BYTES_MAX: u64 = 1 << 20;

impl Layout {
    /// Returns the layout of a content of its own shape: a message, a document, a record.
    pub const fn of_size(bytes: u64) -> Self {
        if bytes <= SMALL_BYTES_MAX { Self::Small } else { Self::Blocks }
    }
}

/// Why an enumerated item has no content in the vault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
pub enum UnreadableReason {
    /// The identity may not read it.
    Denied {
        /// The source's own words.
        detail: String,
    },
    /// It vanished between listing and reading.
    Vanished,
    /// The source said it cannot be had in any form, permanently.
    Unsupported {
        /// The source's own words.
        detail: String,
    },
    /// Reading failed although it was tried again; a later capture tries it again.
    Failed {
        /// The source's own words.
        detail: String,
    },
    /// A whole part of the source cannot be seen, so nobody knows what is in it. Nothing in it is taken for deleted.
    Blinded {
        /// The source's own words.
        detail: String,
    },
}

/// The account of every enumerated item of one commit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// Items the source listed.
    pub enumerated: u64,
    /// Items whose content is in this commit.
    pub stored: u64,
    /// Items whose content an earlier commit holds.
    pub unchanged: u64,
    /// Items that could not be read; each is in the commit with its reason.
    pub unreadable: u64,
}

/// Whether a commit holds all that the source listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Completeness {
    /// Every enumerated item is stored or unchanged.
    Complete,
    /// Some item was unreadable.
    Partial,
}

impl Ledger {
    /// Returns whether the counts add up; a commit whose ledger does not balance is never written.
    pub const fn balances(&self) -> bool {
        self.enumerated == self.stored + self.unchanged + self.unreadable
    }

    /// Returns `Partial` as soon as one item is unreadable.
    pub const fn completeness(&self) -> Completeness {
        if self.unreadable == 0 { Completeness::Complete } else { Completeness::Partial }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_unreadable_item_makes_a_commit_partial() {
        let ledger = Ledger { enumerated: 3, stored: 1, unchanged: 1, unreadable: 1 };
        assert!(ledger.balances());
        assert_eq!(ledger.completeness(), Completeness::Partial);
        assert!(!Ledger { enumerated: 4, ..ledger }.balances());
    }
}
