//! Open transactions that have already taken rows away: what can still be stopped with nothing lost.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::TransactionIndex;
use super::open::OpenTransaction;
use super::summary::{RelationRows, RowCounts};
use crate::lsn::Lsn;
use crate::object::{RelationLocator, TransactionId};

/// A transaction that has not ended and has deleted or changed rows of user relations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Losing {
    /// The top-level transaction; a subtransaction as long as the log has not said whose it is.
    pub transaction: TransactionId,
    /// The start of its first record, as far as it was read.
    pub first_lsn: Lsn,
    /// The rows it changed so far, by relation file, with those of its known subtransactions.
    pub relations: Vec<RelationRows>,
}

/// Who has lost how much, kept up record by record.
#[derive(Debug, Default)]
pub(super) struct Losses {
    /// From how many rows on a transaction is told; none if nobody asks.
    from: Option<u64>,
    /// The transactions that have lost so many; not one that is known as somebody's subtransaction.
    losing: BTreeSet<TransactionId>,
    children: HashMap<TransactionId, Vec<TransactionId>>,
}

impl TransactionIndex {
    /// Makes the index keep track of open transactions that deleted or updated so many rows; see
    /// [`TransactionIndex::losing`].
    #[must_use]
    pub fn watching(mut self, rows: u64) -> Self {
        self.losses.from = Some(rows.max(1));
        self
    }

    /// Reports whether [`TransactionIndex::losing`] would yield anything; costs nothing.
    pub fn is_losing(&self) -> bool {
        !self.losses.losing.is_empty()
    }

    /// Yields the number of each open transaction that has lost enough rows, with how many: the sum of deleted and
    /// updated ones.
    pub fn losing(&self) -> impl Iterator<Item = (TransactionId, u64)> {
        let known = |transaction: &TransactionId| Some((*transaction, self.open.get(transaction)?.lost));
        self.losses.losing.iter().filter_map(known)
    }

    /// Returns what an open transaction did so far, its known subtransactions included.
    pub fn losing_of(&self, transaction: TransactionId) -> Option<Losing> {
        let open = self.open.get(&transaction)?;
        let children = self.losses.children.get(&transaction).into_iter().flatten();
        let family = children.filter_map(|child| self.open.get(child));
        let mut relations: BTreeMap<RelationLocator, RowCounts> = BTreeMap::new();
        let mut first_lsn = open.first_lsn;
        for member in std::iter::once(open).chain(family) {
            first_lsn = first_lsn.min(member.first_lsn);
            for (relation, rows) in member.relations() {
                relations.entry(relation).or_default().add(&rows);
            }
        }
        let relations =
            relations.into_iter().map(|(relation, rows)| RelationRows { relation, rows }).collect();
        Some(Losing { transaction, first_lsn, relations })
    }

    /// Counts rows that a transaction took away.
    pub(super) fn count_loss(&mut self, transaction: TransactionId, rows: u64) {
        let Some(from) = self.losses.from else { return };
        let Some(open) = self.open.get_mut(&transaction) else { return };
        open.own_lost += rows;
        open.lost += rows;
        let (place, lost) = match open.parent {
            None => (transaction, open.lost),
            Some(parent) => {
                let Some(parent_open) = self.open.get_mut(&parent) else { return };
                parent_open.lost += rows;
                (parent, parent_open.lost)
            }
        };
        // Those that lost more than that before are in the set already.
        if lost >= from && lost - rows < from {
            self.losses.losing.insert(place);
        }
    }

    /// Takes the news whose subtransaction it is.
    pub(super) fn adopt(&mut self, parent: TransactionId, child: TransactionId, lsn: Lsn) {
        let Some(from) = self.losses.from else { return };
        let Some(open) = self.entry(child, lsn) else { return };
        if child == parent || open.parent.is_some() {
            return;
        }
        open.parent = Some(parent);
        let rows = open.own_lost;
        self.losses.losing.remove(&child);
        self.losses.children.entry(parent).or_default().push(child);
        let Some(parent_open) = self.entry(parent, lsn) else { return };
        parent_open.lost += rows;
        if parent_open.lost >= from {
            self.losses.losing.insert(parent);
        }
    }

    /// Forgets a transaction that committed or was rolled back.
    pub(super) fn end(&mut self, transaction: TransactionId) -> Option<OpenTransaction> {
        let open = self.open.remove(&transaction)?;
        if let Some(parent) = open.parent
            && let (Some(from), Some(parent_open)) = (self.losses.from, self.open.get_mut(&parent))
        {
            parent_open.lost = parent_open.lost.saturating_sub(open.own_lost);
            if parent_open.lost < from {
                self.losses.losing.remove(&parent);
            }
        }
        self.losses.losing.remove(&transaction);
        self.losses.children.remove(&transaction);
        Some(open)
    }

    /// Forgets what a restart or a note of the running transactions ended.
    pub(super) fn forget_ended(&mut self) {
        let Self { losses, open, .. } = self;
        losses.losing.retain(|transaction| open.contains_key(transaction));
        losses.children.retain(|transaction, _| open.contains_key(transaction));
    }
}
