//! What transactions did, row by row, read again from stored WAL.

use std::ops::ControlFlow;

use connect::Stored;
use postgres_wal::{
    IndexEvent, IndexLimits, RowChange, RowCounts, TooManyRows, TransactionId, TransactionIndex,
    TransactionRows, TransactionSummary,
};

use crate::{
    history::ClusterHistory,
    scan::{CommitPoint, Scan, ScanError},
};

/// How many rows one undo handles; each takes about 40 bytes of memory while it is planned.
pub const ROWS_MAX: usize = 50_000_000;

/// The first stretch of WAL before a commit that is searched for the transaction's beginning.
const STRETCH_BYTES_FIRST: u64 = 64 << 20;

/// What one transaction did, or several together.
#[derive(Debug, Clone)]
pub struct Deed {
    /// Its sums, objects and messages.
    pub summary: TransactionSummary,
    /// Its net effect on each row.
    pub rows: Vec<RowChange>,
}

/// Why a transaction could not be read again.
#[derive(Debug, thiserror::Error)]
pub enum DeedError {
    /// The timeline of its commit is not stored.
    #[error("timeline {timeline} is not stored")]
    NoTimeline {
        /// The timeline.
        timeline: u32,
    },
    /// Its first records are not stored, so that an undo would be incomplete.
    #[error("transaction {transaction} began before the stored WAL")]
    BeginsBefore {
        /// The transaction.
        transaction: u32,
    },
    /// It changed more rows than an undo handles.
    #[error("the transaction is too large to be undone row by row")]
    TooManyRows(#[from] TooManyRows),
    /// Stored WAL could not be searched.
    #[error("the transaction's records cannot be read")]
    Scan(#[from] ScanError),
}

impl DeedError {
    /// Says what a person can do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::BeginsBefore { .. } | Self::TooManyRows(_) => Some(
                "bring the tables back as they were before it: unwipe rewind SOURCE@before-transaction:XID --table …"
                    .to_owned(),
            ),
            Self::NoTimeline { .. } | Self::Scan(_) => None,
        }
    }
}

/// Reads what transactions did together, given their commits on one timeline.
///
/// A row that several of them changed appears once: as it was before the first, and as the last left it.
pub fn read_deeds(
    stored: &dyn Stored,
    history: &ClusterHistory,
    commits: &[CommitPoint],
) -> Result<Option<Deed>, DeedError> {
    let Some(first) = commits.iter().min_by_key(|commit| commit.lsn) else { return Ok(None) };
    if commits.len() == 1 {
        return read_deed(stored, history, first).map(Some);
    }
    let branch =
        history.branches.get(&first.timeline).ok_or(DeedError::NoTimeline { timeline: first.timeline })?;
    let scan = Scan { stored, history, branch };
    let coverage = history.coverage_along(branch);
    let oldest = |commit: &CommitPoint| coverage.run_at(commit.lsn).map_or(commit.lsn, |run| run.start);
    let mut together = summary(scan, oldest(first), first)?;
    let mut end = first.lsn;
    for commit in commits.iter().filter(|commit| commit.lsn != first.lsn) {
        merge(&mut together, summary(scan, oldest(commit), commit)?);
        end = end.max(commit.lsn);
    }
    let rows = rows(scan, &together, end)?;
    Ok(Some(Deed { rows, summary: together }))
}

/// Adds what another transaction did; the position and time stay those of the first.
fn merge(together: &mut TransactionSummary, other: TransactionSummary) {
    together.first_lsn = together.first_lsn.min(other.first_lsn);
    together.end_lsn = together.end_lsn.max(other.end_lsn);
    together.subtransactions.push(other.transaction);
    together.subtransactions.extend(other.subtransactions);
    for relation in other.relations {
        match together.relations.iter_mut().find(|known| known.relation == relation.relation) {
            Some(known) => known.rows = sum(known.rows, relation.rows),
            None => together.relations.push(relation),
        }
    }
    for database in other.databases {
        if !together.databases.contains(&database) {
            together.databases.push(database);
        }
    }
    together.rows = sum(together.rows, other.rows);
    together.files_dropped.extend(other.files_dropped);
    together.files_created.extend(other.files_created);
    together.files_truncated.extend(other.files_truncated);
    together.tables_truncated.extend(other.tables_truncated);
    together.databases_created.extend(other.databases_created);
    together.databases_dropped.extend(other.databases_dropped);
    together.catalog.invalidations += other.catalog.invalidations;
    together.catalog.rows = sum(together.catalog.rows, other.catalog.rows);
    together.catalog.relations.extend(other.catalog.relations);
    together.messages.extend(other.messages);
    together.locks.extend(other.locks);
    together.partial |= other.partial;
    together.overflow |= other.overflow;
}

const fn sum(a: RowCounts, b: RowCounts) -> RowCounts {
    RowCounts {
        inserted: a.inserted + b.inserted,
        updated: a.updated + b.updated,
        deleted: a.deleted + b.deleted,
        moved: a.moved + b.moved,
    }
}

/// Collects the net row changes of a summary's transactions up to their last commit.
fn rows(scan: Scan<'_>, summary: &TransactionSummary, end: u64) -> Result<Vec<RowChange>, DeedError> {
    let numbers = std::iter::once(summary.transaction).chain(summary.subtransactions.iter().copied());
    let mut rows = TransactionRows::new(numbers, ROWS_MAX);
    scan.each(summary.first_lsn.0..end, |record| {
        rows.apply(record)?;
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(rows.net_changes()?)
}

/// Reads what a transaction did, given its commit.
pub fn read_deed(
    stored: &dyn Stored,
    history: &ClusterHistory,
    commit: &CommitPoint,
) -> Result<Deed, DeedError> {
    let branch =
        history.branches.get(&commit.timeline).ok_or(DeedError::NoTimeline { timeline: commit.timeline })?;
    let scan = Scan { stored, history, branch };
    let coverage = history.coverage_along(branch);
    let oldest = coverage.run_at(commit.lsn).map_or(commit.lsn, |run| run.start);
    let summary = summary(scan, oldest, commit)?;
    Ok(Deed { rows: rows(scan, &summary, commit.lsn)?, summary })
}

/// Looks at ever longer stretches that end with the commit, until the transaction's beginning is among them.
fn summary(scan: Scan<'_>, oldest: u64, commit: &CommitPoint) -> Result<TransactionSummary, DeedError> {
    let mut stretch = STRETCH_BYTES_FIRST;
    loop {
        let start = commit.lsn.saturating_sub(stretch).max(oldest);
        let mut index = TransactionIndex::new(IndexLimits::default());
        let mut found = None;
        scan.each(start..commit.end_lsn, |record| {
            if let Some(IndexEvent::Committed(summary)) = index.apply(record)?
                && summary.transaction == TransactionId(commit.transaction)
                && summary.commit_lsn.0 == commit.lsn
            {
                found = Some(*summary);
                return Ok(ControlFlow::Break(()));
            }
            Ok(ControlFlow::Continue(()))
        })?;
        match found {
            Some(summary) if !summary.partial => return Ok(summary),
            _ if start == oldest => {
                return Err(DeedError::BeginsBefore { transaction: commit.transaction });
            }
            _ => stretch = stretch.saturating_mul(4),
        }
    }
}
