//! What several transactions did together, while others went on working.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::ControlFlow,
};

use connect::Stored;
use postgres_wal::{
    IndexEvent, IndexLimits, Lsn, RowCounts, Strand, StrandChanges, TransactionIndex, TransactionSummary,
};

use super::{DeedError, ROWS_MAX, STRETCH_BYTES_FIRST};
use crate::{
    history::ClusterHistory,
    scan::{CommitPoint, Scan},
};

/// What several transactions of one cluster did together.
#[derive(Debug, Clone)]
pub struct JointDeed {
    /// Their sums, objects and messages; position and time are those of the first commit, and all other numbers are
    /// among the subtransactions.
    pub summary: TransactionSummary,
    /// What they did to each row, told apart from what others did in between.
    pub strands: Vec<Strand>,
    /// Where each of them committed, in the order of the log.
    pub commits: Vec<CommitPoint>,
    /// The commit just before which most of what they destroyed is there: the first that took a whole table or object
    /// away, or else the first of all.
    pub stand: CommitPoint,
}

impl JointDeed {
    /// Returns the position at which all of them have ended.
    pub fn end(&self) -> Lsn {
        Lsn(self.commits.iter().map(|commit| commit.end_lsn).max().unwrap_or_default())
    }

    /// Returns the first commit's position.
    pub fn first(&self) -> Lsn {
        Lsn(self.commits.iter().map(|commit| commit.lsn).min().unwrap_or_default())
    }
}

/// Reads what transactions did together, given their commits on one branch; `None` without any.
///
/// The log from the first to the last of them is read three times, however many there are.
pub fn read_joint(
    stored: &dyn Stored,
    history: &ClusterHistory,
    commits: &[CommitPoint],
) -> Result<Option<JointDeed>, DeedError> {
    let mut commits = commits.to_vec();
    commits.sort_unstable_by_key(|commit| commit.lsn);
    commits.dedup_by_key(|commit| commit.lsn);
    let (Some(first), Some(last)) = (commits.first().copied(), commits.last()) else { return Ok(None) };
    let branch =
        history.branches.get(&last.timeline).ok_or(DeedError::NoTimeline { timeline: last.timeline })?;
    let scan = Scan { stored, history, branch };
    let end = last.end_lsn;
    let (start, summaries) = summaries(scan, &commits)?;
    let takes_whole = |commit: &&CommitPoint| {
        summaries
            .get(&commit.lsn)
            .is_some_and(|summary| !summary.files_dropped.is_empty() || summary.catalog.rows.deleted > 0)
    };
    let stand = commits.iter().find(takes_whole).copied().unwrap_or(first);
    let mut together: Option<TransactionSummary> = None;
    for summary in summaries.into_values() {
        match &mut together {
            None => together = Some(summary),
            Some(together) => merge(together, summary),
        }
    }
    let Some(summary) = together else { return Ok(None) };
    let numbers = std::iter::once(summary.transaction).chain(summary.subtransactions.iter().copied());
    let mut changes = StrandChanges::new(numbers, ROWS_MAX);
    scan.each(summary.first_lsn.0..end, |record| {
        changes.apply(record)?;
        Ok(ControlFlow::Continue(()))
    })?;
    let mut watch = changes.watch()?;
    scan.each(start..end, |record| {
        watch.apply(record)?;
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(Some(JointDeed { summary, strands: watch.strands(), commits, stand }))
}

/// Reads the summaries of all the transactions, by the positions of their commits, from a start that holds their
/// beginnings.
fn summaries(
    scan: Scan<'_>,
    commits: &[CommitPoint],
) -> Result<(u64, BTreeMap<u64, TransactionSummary>), DeedError> {
    let (Some(first), Some(last)) = (commits.first(), commits.last()) else {
        return Ok((0, BTreeMap::new()));
    };
    let wanted: BTreeSet<u64> = commits.iter().map(|commit| commit.lsn).collect();
    let coverage = scan.history.coverage_along(scan.branch);
    let oldest = coverage.run_at(first.lsn).map_or(first.lsn, |run| run.start);
    let mut stretch = STRETCH_BYTES_FIRST;
    loop {
        let start = first.lsn.saturating_sub(stretch).max(oldest);
        let mut index = TransactionIndex::new(IndexLimits::default());
        let mut found: BTreeMap<u64, TransactionSummary> = BTreeMap::new();
        scan.each(start..last.end_lsn, |record| {
            if let Some(IndexEvent::Committed(summary)) = index.apply(record)?
                && wanted.contains(&summary.commit_lsn.0)
            {
                found.insert(summary.commit_lsn.0, *summary);
            }
            Ok(ControlFlow::Continue(()))
        })?;
        let open = commits.iter().find(|commit| found.get(&commit.lsn).is_none_or(|found| found.partial));
        match open {
            None => return Ok((start, found)),
            Some(commit) if start == oldest => {
                return Err(DeedError::BeginsBefore { transaction: commit.transaction });
            }
            Some(_) => stretch = stretch.saturating_mul(4),
        }
    }
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
