//! The things a record speaks of: transactions, relation files, blocks and rows.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The first object number of user objects; smaller ones belong to the system catalogs.
pub const FIRST_USER_OBJECT: u32 = 16_384;

/// A transaction number. Zero stands for none; numbers wrap around after four thousand million.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TransactionId(pub u32);

impl TransactionId {
    /// Whether this is a number that a transaction can have (the first three are reserved).
    pub fn is_normal(self) -> bool {
        self.0 >= 3
    }

    /// Whether this transaction began before the other, in the circular order PostgreSQL uses.
    pub fn precedes(self, other: Self) -> bool {
        (self.0.wrapping_sub(other.0) as i32) < 0
    }
}

impl fmt::Display for TransactionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// A relation's file: tablespace, database and file number. Rewriting a table gives it a new one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RelationLocator {
    /// The tablespace's object number.
    pub tablespace: u32,
    /// The database's object number; 0 for relations shared by all databases.
    pub database: u32,
    /// The file number (`pg_class.relfilenode`), which is not the table's object number after a rewrite.
    pub relation: u32,
}

impl fmt::Display for RelationLocator {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}/{}", self.tablespace, self.database, self.relation)
    }
}

/// Which of a relation's files is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Fork {
    /// The rows or index entries themselves.
    Main,
    /// The free space map.
    FreeSpaceMap,
    /// The visibility map.
    VisibilityMap,
    /// The empty form of an unlogged relation.
    Initialization,
}

impl Fork {
    pub(crate) fn from_number(number: u32) -> Option<Self> {
        [Self::Main, Self::FreeSpaceMap, Self::VisibilityMap, Self::Initialization]
            .get(number as usize)
            .copied()
    }
}

/// A row version's place in its relation (`ctid`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TupleId {
    /// The block.
    pub block: u32,
    /// The line pointer within the block, counted from 1.
    pub offset: u16,
}

impl fmt::Display for TupleId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "({},{})", self.block, self.offset)
    }
}
