//! What transactions did, row by row, read again from stored WAL.

mod joint;

pub use joint::{JointDeed, read_joint};

use std::ops::ControlFlow;

use connect::Stored;
use postgres_wal::{
    IndexEvent, IndexLimits, RowChange, TooManyRows, TransactionId, TransactionIndex, TransactionRows,
    TransactionSummary,
};

use crate::{
    history::ClusterHistory,
    scan::{CommitPoint, Scan, ScanError},
};

/// How many rows one undo handles; each takes about 40 bytes of memory while it is planned.
pub const ROWS_MAX: usize = 50_000_000;

/// The first stretch of WAL before a commit that is searched for the transaction's beginning.
const STRETCH_BYTES_FIRST: u64 = 64 << 20;

/// What one transaction did.
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
    #[error("more rows were changed than can be undone row by row")]
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

/// Collects the net row changes of a summary's transactions up to their commit.
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
