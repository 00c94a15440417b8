//! Where one transaction's rows lie: the basis for undoing it by row position.

use std::collections::{BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use crate::error::WalError;
use crate::object::{RelationLocator, TransactionId, TupleId};
use crate::payload::{HeapChange, heap_change};
use crate::record::Record;

mod strands;

pub use strands::{RowVersion, Strand, StrandChanges, StrandWatch};

/// What a transaction did to one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum RowChange {
    /// The row is new.
    Inserted {
        /// The relation's file.
        relation: RelationLocator,
        /// Where the row is.
        tuple: TupleId,
    },
    /// The row has a new version.
    Updated {
        /// The relation's file.
        relation: RelationLocator,
        /// Where the old version is.
        old: TupleId,
        /// Where the new version is.
        new: TupleId,
    },
    /// The row is gone.
    Deleted {
        /// The relation's file.
        relation: RelationLocator,
        /// Where the row was.
        tuple: TupleId,
        /// Whether an update moved it to another partition, where it is among the inserted.
        moved: bool,
    },
}

impl RowChange {
    /// The relation's file.
    pub fn relation(&self) -> RelationLocator {
        match self {
            Self::Inserted { relation, .. }
            | Self::Updated { relation, .. }
            | Self::Deleted { relation, .. } => *relation,
        }
    }
}

/// A transaction changed more rows than the caller is ready to hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the transaction changed more than {limit} rows")]
pub struct TooManyRows {
    limit: usize,
}

/// Collects the rows that one transaction and its subtransactions changed, system catalogs included.
#[derive(Clone, Debug)]
pub struct TransactionRows {
    transactions: BTreeSet<TransactionId>,
    limit: usize,
    changes: Vec<RowChange>,
    exceeded: bool,
}

impl TransactionRows {
    /// Collects for `transactions`: the top-level one and those of its subtransactions that committed.
    pub fn new(transactions: impl IntoIterator<Item = TransactionId>, limit: usize) -> Self {
        let transactions = transactions.into_iter().collect();
        Self { transactions, limit, changes: Vec::new(), exceeded: false }
    }

    /// Takes a record in; those of other transactions do nothing.
    pub fn apply(&mut self, record: &Record<'_>) -> Result<(), WalError> {
        if !record.transaction().is_some_and(|transaction| self.transactions.contains(&transaction)) {
            return Ok(());
        }
        match heap_change(record)? {
            Some(HeapChange::Insert { relation, tuple, .. }) => {
                self.add(RowChange::Inserted { relation, tuple });
            }
            Some(HeapChange::MultiInsert(insert)) => {
                let relation = insert.relation;
                insert.tuples().for_each(|tuple| self.add(RowChange::Inserted { relation, tuple }));
            }
            Some(HeapChange::Update { relation, old, new, .. }) => {
                self.add(RowChange::Updated { relation, old, new });
            }
            Some(HeapChange::Delete { relation, tuple, moved }) => {
                self.add(RowChange::Deleted { relation, tuple, moved });
            }
            Some(HeapChange::Retract { relation, tuple }) => {
                self.retract(RowChange::Inserted { relation, tuple });
            }
            Some(HeapChange::Confirm { .. } | HeapChange::Lock { .. } | HeapChange::InPlace { .. })
            | None => {}
        }
        Ok(())
    }

    fn add(&mut self, change: RowChange) {
        if self.changes.len() < self.limit {
            self.changes.push(change);
        } else {
            self.exceeded = true;
        }
    }

    fn retract(&mut self, insertion: RowChange) {
        if let Some(position) = self.changes.iter().rposition(|change| *change == insertion) {
            self.changes.remove(position);
        }
    }

    /// Every change in the order of the log.
    pub fn changes(&self) -> Result<&[RowChange], TooManyRows> {
        if self.exceeded { Err(TooManyRows { limit: self.limit }) } else { Ok(&self.changes) }
    }

    /// What the transaction did to each row on the whole: its state before against its state after.
    ///
    /// A row changed twice appears once, with the version before the transaction and the one after it; a row that came
    /// and went within the transaction not at all. Ordered by relation and place.
    pub fn net_changes(&self) -> Result<Vec<RowChange>, TooManyRows> {
        let changes = self.changes()?;
        // From where a version is now to where the row was before the transaction; `None` for a new row.
        let mut origins: HashMap<(RelationLocator, TupleId), Option<TupleId>> = HashMap::new();
        let mut net = Vec::new();
        for change in changes {
            match *change {
                RowChange::Inserted { relation, tuple } => {
                    origins.insert((relation, tuple), None);
                }
                RowChange::Updated { relation, old, new } => {
                    let origin = origins.remove(&(relation, old)).unwrap_or(Some(old));
                    origins.insert((relation, new), origin);
                }
                RowChange::Deleted { relation, tuple, moved } => {
                    if let Some(tuple) = origins.remove(&(relation, tuple)).unwrap_or(Some(tuple)) {
                        net.push(RowChange::Deleted { relation, tuple, moved });
                    }
                }
            }
        }
        net.extend(origins.into_iter().map(|((relation, new), origin)| match origin {
            Some(old) => RowChange::Updated { relation, old, new },
            None => RowChange::Inserted { relation, tuple: new },
        }));
        net.sort_unstable();
        Ok(net)
    }
}

#[cfg(test)]
mod tests;
