//! What several transactions did to each row, told apart from what others did in between.

use std::collections::{BTreeSet, HashMap, HashSet};

use serde::{Deserialize, Serialize};

use crate::{
    error::WalError,
    lsn::Lsn,
    object::{RelationLocator, TransactionId, TupleId},
    payload::{HeapChange, Outcome, TransactionRecord, heap_change, transaction_record},
    record::Record,
    rows::TooManyRows,
};

/// One version of a row, and for how long it was the one that everybody saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RowVersion {
    /// Where it is.
    pub tuple: TupleId,
    /// The commit record of whoever wrote it; 0 for one from before the log that was read.
    pub from: Lsn,
    /// The commit record of whoever replaced or deleted it; the greatest position while nobody did.
    pub until: Lsn,
}

impl RowVersion {
    /// Returns whether a server that stands just before the record at `lsn` shows it.
    pub fn is_seen_before(&self, lsn: Lsn) -> bool {
        self.from < lsn && lsn <= self.until
    }
}

/// Versions of one row that the transactions wrote one after the other, with nobody in between.
///
/// A row that somebody else changed between two of the transactions has two strands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Strand {
    /// The relation's file.
    pub relation: RelationLocator,
    /// The row as it was before; `None` if the transactions added it.
    pub before: Option<RowVersion>,
    /// The row as they left it; `None` if they deleted it.
    pub after: Option<RowVersion>,
    /// Where the last of the changes is in the log.
    pub last: Lsn,
}

/// What the transactions did to a row of a relation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Inserted(TupleId),
    Updated(TupleId, TupleId),
    Deleted(TupleId),
}

/// The first pass: collects what the transactions themselves did.
#[derive(Clone, Debug)]
pub struct StrandChanges {
    transactions: BTreeSet<TransactionId>,
    limit: usize,
    changes: Vec<(Lsn, RelationLocator, Change)>,
    exceeded: bool,
}

impl StrandChanges {
    /// Collects for `transactions`: the top-level ones and those of their subtransactions that committed.
    pub fn new(transactions: impl IntoIterator<Item = TransactionId>, limit: usize) -> Self {
        let transactions = transactions.into_iter().collect();
        Self { transactions, limit, changes: Vec::new(), exceeded: false }
    }

    /// Takes a record in; those of other transactions do nothing.
    pub fn apply(&mut self, record: &Record<'_>) -> Result<(), WalError> {
        if !record.transaction().is_some_and(|transaction| self.transactions.contains(&transaction)) {
            return Ok(());
        }
        let at = record.start();
        match heap_change(record)? {
            Some(HeapChange::Insert { relation, tuple, .. }) => {
                self.add(at, relation, Change::Inserted(tuple));
            }
            Some(HeapChange::MultiInsert(insert)) => {
                insert.tuples().for_each(|tuple| self.add(at, insert.relation, Change::Inserted(tuple)));
            }
            Some(HeapChange::Update { relation, old, new, .. }) => {
                self.add(at, relation, Change::Updated(old, new));
            }
            Some(HeapChange::Delete { relation, tuple, .. }) => {
                self.add(at, relation, Change::Deleted(tuple));
            }
            Some(HeapChange::Retract { relation, tuple }) => {
                let insertion = (relation, Change::Inserted(tuple));
                let found = self.changes.iter().rposition(|(_, file, change)| (*file, *change) == insertion);
                if let Some(position) = found {
                    self.changes.remove(position);
                }
            }
            Some(HeapChange::Confirm { .. } | HeapChange::Lock { .. } | HeapChange::InPlace { .. })
            | None => {}
        }
        Ok(())
    }

    fn add(&mut self, at: Lsn, relation: RelationLocator, change: Change) {
        if self.changes.len() < self.limit {
            self.changes.push((at, relation, change));
        } else {
            self.exceeded = true;
        }
    }

    /// Ends the first pass; the second one must see the same records again, those of everybody.
    pub fn watch(self) -> Result<StrandWatch, TooManyRows> {
        if self.exceeded {
            return Err(TooManyRows { limit: self.limit });
        }
        let mut places = HashSet::new();
        for (_, relation, change) in &self.changes {
            match *change {
                Change::Inserted(tuple) | Change::Deleted(tuple) => drop(places.insert((*relation, tuple))),
                Change::Updated(old, new) => places.extend([(*relation, old), (*relation, new)]),
            }
        }
        let Self { transactions, changes, .. } = self;
        Ok(StrandWatch { transactions, changes, places, events: HashMap::new(), commits: HashMap::new() })
    }
}

type Place = (RelationLocator, TupleId);

/// Something that somebody did to the row at a watched place.
#[derive(Clone, Copy, Debug)]
struct Seen {
    at: Lsn,
    by: TransactionId,
    /// Whether a version came to be here; otherwise the one that was here ended.
    creates: bool,
}

/// The second pass: watches what everybody did at the places that the transactions touched.
#[derive(Clone, Debug)]
pub struct StrandWatch {
    transactions: BTreeSet<TransactionId>,
    changes: Vec<(Lsn, RelationLocator, Change)>,
    places: HashSet<Place>,
    events: HashMap<Place, Vec<Seen>>,
    /// Where each transaction of the log, subtransactions included, committed.
    commits: HashMap<TransactionId, Lsn>,
}

impl StrandWatch {
    /// Takes a record in, whosever it is.
    pub fn apply(&mut self, record: &Record<'_>) -> Result<(), WalError> {
        if let Some(TransactionRecord::Completed(done)) = transaction_record(record)? {
            if done.outcome == Outcome::Committed {
                self.commits.insert(done.transaction, record.start());
                self.commits.extend(done.subtransactions.iter().map(|part| (part, record.start())));
            }
            return Ok(());
        }
        let Some(by) = record.transaction() else { return Ok(()) };
        let at = record.start();
        match heap_change(record)? {
            Some(HeapChange::Insert { relation, tuple, .. }) => {
                self.see((relation, tuple), Seen { at, by, creates: true });
            }
            Some(HeapChange::MultiInsert(insert)) => {
                insert
                    .tuples()
                    .for_each(|tuple| self.see((insert.relation, tuple), Seen { at, by, creates: true }));
            }
            Some(HeapChange::Update { relation, old, new, .. }) => {
                self.see((relation, old), Seen { at, by, creates: false });
                self.see((relation, new), Seen { at, by, creates: true });
            }
            Some(HeapChange::Delete { relation, tuple, .. } | HeapChange::Retract { relation, tuple }) => {
                self.see((relation, tuple), Seen { at, by, creates: false });
            }
            Some(HeapChange::Confirm { .. } | HeapChange::Lock { .. } | HeapChange::InPlace { .. })
            | None => {}
        }
        Ok(())
    }

    fn see(&mut self, place: Place, seen: Seen) {
        if self.places.contains(&place) {
            self.events.entry(place).or_default().push(seen);
        }
    }

    /// Returns who wrote the version at a place that was there when a record of the transactions came, and the version.
    fn version(&self, place: Place, at: Lsn, own: bool) -> (Option<TransactionId>, RowVersion) {
        let lasting = |seen: &&Seen| self.commits.contains_key(&seen.by);
        let events = self.events.get(&place).map(Vec::as_slice).unwrap_or_default();
        let commit = |by: TransactionId| self.commits.get(&by).copied().unwrap_or(Lsn(u64::MAX));
        // A version that the record itself made is found at the record's own position.
        let is_before = |seen: &&Seen| if own { seen.at <= at } else { seen.at < at };
        let made = events.iter().filter(lasting).rfind(|seen| seen.creates && is_before(seen));
        let since = made.map_or(Lsn(0), |made| made.at);
        let ended = events
            .iter()
            .filter(lasting)
            .find(|seen| !seen.creates && (if made.is_some() { seen.at > since } else { seen.at >= since }));
        let version = RowVersion {
            tuple: place.1,
            from: made.map_or(Lsn(0), |made| commit(made.by)),
            until: ended.map_or(Lsn(u64::MAX), |ended| commit(ended.by)),
        };
        (made.map(|made| made.by), version)
    }

    /// Ends the second pass. Rows that came and went within the transactions leave no strand.
    pub fn strands(self) -> Vec<Strand> {
        let mut open: HashMap<Place, (Option<RowVersion>, Lsn)> = HashMap::new();
        let mut strands = Vec::new();
        for (at, relation, change) in &self.changes {
            let (at, relation) = (*at, *relation);
            match *change {
                Change::Inserted(tuple) => {
                    let stale = open.insert((relation, tuple), (None, at));
                    self.close(&mut strands, (relation, tuple), stale);
                }
                Change::Updated(old, new) => {
                    let before = self.origin(&mut strands, &mut open, (relation, old), at);
                    let stale = open.insert((relation, new), (before, at));
                    self.close(&mut strands, (relation, new), stale);
                }
                Change::Deleted(tuple) => {
                    let before = self.origin(&mut strands, &mut open, (relation, tuple), at);
                    if before.is_some() {
                        strands.push(Strand { relation, before, after: None, last: at });
                    }
                }
            }
        }
        for (place, left) in open {
            self.close(&mut strands, place, Some(left));
        }
        strands.sort_unstable_by_key(|strand| (strand.relation, strand.last, strand.before, strand.after));
        strands
    }

    /// Returns the row as it was before the transactions came to the version at this place.
    fn origin(
        &self,
        strands: &mut Vec<Strand>,
        open: &mut HashMap<Place, (Option<RowVersion>, Lsn)>,
        place: Place,
        at: Lsn,
    ) -> Option<RowVersion> {
        let (by, version) = self.version(place, at, false);
        let ours = by.is_some_and(|by| self.transactions.contains(&by));
        match open.remove(&place) {
            Some((before, _)) if ours => before,
            // Somebody ended the version that the transactions left here, and the place was taken again.
            stale => {
                self.close(strands, place, stale);
                Some(version)
            }
        }
    }

    fn close(&self, strands: &mut Vec<Strand>, place: Place, left: Option<(Option<RowVersion>, Lsn)>) {
        if let Some((before, last)) = left {
            let (_, after) = self.version(place, last, true);
            strands.push(Strand { relation: place.0, before, after: Some(after), last });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RELATION: RelationLocator = RelationLocator { tablespace: 1663, database: 5, relation: 20_000 };
    const OURS: TransactionId = TransactionId(7);
    const THEIRS: TransactionId = TransactionId(8);

    fn at(offset: u16) -> TupleId {
        TupleId { block: 7, offset }
    }

    /// Plays a history in which each entry is a transaction's change, committed at once.
    fn strands(history: &[(TransactionId, Change)]) -> Vec<(Option<u16>, Option<u16>)> {
        let mut changes = StrandChanges::new([OURS], 100);
        for (position, (by, change)) in history.iter().enumerate() {
            if *by == OURS {
                changes.add(Lsn(10 * (position as u64 + 1)), RELATION, *change);
            }
        }
        let mut watch = changes.watch().unwrap();
        for (position, (by, change)) in history.iter().enumerate() {
            let (at, by) = (Lsn(10 * (position as u64 + 1)), *by);
            match *change {
                Change::Inserted(tuple) => watch.see((RELATION, tuple), Seen { at, by, creates: true }),
                Change::Updated(old, new) => {
                    watch.see((RELATION, old), Seen { at, by, creates: false });
                    watch.see((RELATION, new), Seen { at, by, creates: true });
                }
                Change::Deleted(tuple) => watch.see((RELATION, tuple), Seen { at, by, creates: false }),
            }
            watch.commits.insert(by, Lsn(10 * (position as u64 + 1) + 5));
        }
        let place = |version: Option<RowVersion>| version.map(|version| version.tuple.offset);
        let found = watch.strands();
        found.iter().map(|strand| (place(strand.before), place(strand.after))).collect()
    }

    #[test]
    fn without_others_a_row_has_one_strand() {
        let chain = [(OURS, Change::Updated(at(1), at(2))), (OURS, Change::Updated(at(2), at(3)))];
        assert_eq!(strands(&chain), [(Some(1), Some(3))]);
        let gone = [(OURS, Change::Inserted(at(1))), (OURS, Change::Deleted(at(1)))];
        assert_eq!(strands(&gone), []);
    }

    #[test]
    fn somebody_in_between_begins_another_strand() {
        let chain = [
            (OURS, Change::Updated(at(1), at(2))),
            (THEIRS, Change::Updated(at(2), at(3))),
            (OURS, Change::Deleted(at(3))),
        ];
        assert_eq!(strands(&chain), [(Some(1), Some(2)), (Some(3), None)]);
    }

    #[test]
    fn a_place_that_somebody_takes_again_is_not_the_transactions_row() {
        // They add a row, somebody deletes it, its place is taken by a stranger's row, and that is deleted by them.
        let taken = [
            (OURS, Change::Inserted(at(1))),
            (THEIRS, Change::Deleted(at(1))),
            (THEIRS, Change::Inserted(at(1))),
            (OURS, Change::Deleted(at(1))),
        ];
        assert_eq!(strands(&taken), [(None, Some(1)), (Some(1), None)]);
    }

    #[test]
    fn a_version_is_seen_from_its_commit_to_that_of_its_end() {
        let version = RowVersion { tuple: at(1), from: Lsn(20), until: Lsn(40) };
        assert!(version.is_seen_before(Lsn(21)) && version.is_seen_before(Lsn(40)));
        assert!(!version.is_seen_before(Lsn(20)) && !version.is_seen_before(Lsn(41)));
    }
}
