//! From what a person asks for to an exact position.
//!
//! The server's own `recovery_target_time` is not used: commits share microseconds, and their times need not ascend
//! with their positions. Here the commit records are read, and the answer is a position.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::ControlFlow,
};

use connect::Stored;
use model::Moment;
use serde::Serialize;

use crate::{
    history::{Branch, ClusterHistory, KnownBase},
    route::{RecoveryRoute, RouteError, Stop},
    scan::{CommitPoint, Scan, ScanError},
    target::Target,
};

const HOUR_MICROS: i64 = 3_600_000_000;

/// Why a target has no position.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// The position cannot be reached.
    #[error(transparent)]
    Route(#[from] RouteError),
    /// The WAL could not be searched.
    #[error("cannot search the stored WAL for {target}")]
    Scan {
        /// What was looked for.
        target: Target,
        /// What searching answered.
        #[source]
        source: ScanError,
    },
    /// The time lies outside of what is stored.
    #[error("{asked} lies outside of what can be restored: {}", window(*oldest, *newest))]
    MomentOutside {
        /// The time asked for.
        asked: Moment,
        /// The oldest restorable time.
        oldest: Option<Moment>,
        /// The newest restorable time: that of the last stored commit.
        newest: Option<Moment>,
    },
    /// No stored WAL holds the transaction's commit.
    #[error("no commit of transaction {transaction} is stored")]
    NoTransaction {
        /// The transaction.
        transaction: u32,
    },
}

fn window(oldest: Option<Moment>, newest: Option<Moment>) -> String {
    match (oldest, newest) {
        (Some(oldest), Some(newest)) => format!("from {oldest} to {newest}"),
        (Some(oldest), None) => format!("nothing before {oldest}"),
        (None, Some(newest)) => format!("nothing after {newest}"),
        (None, None) => "nothing".to_owned(),
    }
}

impl ResolveError {
    /// Says what a person can do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Route(error) => error.hint(),
            Self::MomentOutside { asked, newest: Some(newest), .. } if asked > newest => {
                Some("for the newest restorable moment write: latest".to_owned())
            }
            Self::MomentOutside { oldest: Some(oldest), .. } => Some(format!("the oldest is {oldest}")),
            Self::NoTransaction { .. } => Some("unwipe timeline lists the transactions".to_owned()),
            Self::MomentOutside { .. } | Self::Scan { .. } => None,
        }
    }
}

/// A target with its exact position and the way there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolution {
    /// The way there.
    pub route: RecoveryRoute,
    /// The commit that decides: the first one that is left out, or the last one that is taken.
    pub commit: Option<CommitPoint>,
    /// Other timelines on which the target exists too; name one to get it.
    pub also_on: Vec<u32>,
}

/// A restorable span with the times of its ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Window {
    /// The timeline.
    pub timeline: u32,
    /// The first restorable position.
    pub first_lsn: u64,
    /// The last restorable position.
    pub last_lsn: u64,
    /// When the base that opens the span was complete, by our clock.
    pub first_at: Option<Moment>,
    /// When the last commit in the span was made, by the server's clock.
    pub last_at: Option<Moment>,
}

/// Resolves a target on one timeline, or on the newest one that has it.
pub fn resolve(
    stored: &dyn Stored,
    history: &ClusterHistory,
    target: Target,
    timeline: Option<u32>,
) -> Result<Resolution, ResolveError> {
    if history.bases.is_empty() {
        return Err(RouteError::NoBase.into());
    }
    if target == Target::Latest {
        let route = history.choose_latest(timeline)?;
        return Ok(Resolution { route, commit: None, also_on: Vec::new() });
    }
    let timelines: Vec<u32> = match timeline {
        Some(timeline) if history.branches.contains_key(&timeline) => vec![timeline],
        Some(timeline) => return Err(RouteError::NoTimeline { timeline }.into()),
        None => history.timelines().collect(),
    };
    let mut found: Option<Resolution> = None;
    let mut failure = None;
    for timeline in timelines {
        let Some(branch) = history.branches.get(&timeline) else { continue };
        match resolve_on(&Scan { stored, history, branch }, target) {
            Ok(resolution) => match &mut found {
                None => found = Some(resolution),
                Some(first) => note_alternative(first, &resolution),
            },
            // A vault that cannot be read must not look like a branch without the moment.
            Err(error @ ResolveError::Scan { .. }) => return Err(error),
            Err(error) => failure = Some(failure.unwrap_or(error)),
        }
    }
    let none = || failure.unwrap_or(ResolveError::Route(RouteError::NoBase));
    found.ok_or_else(none)
}

/// A stop on a shared ancestor is the same stop; only another one is worth telling.
fn note_alternative(first: &mut Resolution, other: &Resolution) {
    let timeline = other.route.branch.timeline;
    let same = timeline == first.route.branch.timeline && first.route.stop == other.route.stop;
    if !same && !first.also_on.contains(&timeline) {
        first.also_on.push(timeline);
    }
}

fn resolve_on(scan: &Scan<'_>, target: Target) -> Result<Resolution, ResolveError> {
    let failed = |source| ResolveError::Scan { target, source };
    let timeline = scan.branch.timeline;
    let (stop, commit) = match target {
        Target::Latest => (Stop::End(u64::MAX), None),
        Target::Lsn(lsn) => (Stop::After(lsn), None),
        Target::BeforeLsn(lsn) => (Stop::Before(lsn), None),
        Target::Transaction(transaction) | Target::BeforeTransaction(transaction) => {
            let commit = find_transaction(scan, transaction).map_err(failed)?;
            let commit = commit.ok_or(ResolveError::NoTransaction { transaction })?;
            let before = matches!(target, Target::BeforeTransaction(_));
            (if before { Stop::Before(commit.lsn) } else { Stop::After(commit.lsn) }, Some(commit))
        }
        Target::Moment(moment) => {
            let (stop, commit) = find_moment(scan, moment, target)?;
            (stop, Some(commit))
        }
    };
    let route = scan.history.choose(timeline, stop)?;
    Ok(Resolution { route, commit, also_on: Vec::new() })
}

/// Finds the newest commit of a transaction: numbers come again after four thousand million.
fn find_transaction(scan: &Scan<'_>, transaction: u32) -> Result<Option<CommitPoint>, ScanError> {
    let mut failure = None;
    for run in scan.history.coverage_along(scan.branch).runs().iter().rev() {
        let inside = scan.history.bases_of(scan.branch).map(|known| known.base.start_lsn);
        let mut cuts: Vec<u64> = inside.filter(|lsn| run.contains(lsn)).collect();
        cuts.push(run.start);
        cuts.sort_unstable();
        cuts.dedup();
        let mut end = run.end;
        for &start in cuts.iter().rev() {
            let mut found = None;
            let scanned = scan.commits(start..end, |point, includes| {
                if includes(transaction) {
                    found = Some(*point);
                }
                ControlFlow::Continue(())
            });
            if found.is_some() {
                return Ok(found);
            }
            // Damage further on must not hide a commit that lies before it.
            if let Err(error) = scanned {
                failure.get_or_insert(error);
            }
            end = start;
        }
    }
    failure.map_or(Ok(None), Err)
}

/// Finds the first commit after a time. The state before it is the state at that time.
fn find_moment(scan: &Scan<'_>, moment: Moment, target: Target) -> Result<(Stop, CommitPoint), ResolveError> {
    let failed = |source| ResolveError::Scan { target, source };
    let bases: Vec<_> = scan.history.bases_of(scan.branch).collect();
    for (index, known) in bases.iter().enumerate().rev() {
        if known.base.finished_at > moment && index > 0 {
            continue;
        }
        match first_after(scan, known, moment).map_err(failed)? {
            Search::Found(stop, commit) => return Ok((stop, commit)),
            Search::BaseIsLater => {}
            Search::Nothing => return Err(too_new(scan, known.base.start_lsn, moment).map_err(failed)?),
        }
    }
    let windows = windows(scan.stored, scan.history).map_err(failed)?;
    Err(outside(&windows, moment))
}

enum Search {
    Found(Stop, CommitPoint),
    /// The base itself holds commits from after the moment.
    BaseIsLater,
    Nothing,
}

fn first_after(scan: &Scan<'_>, known: &KnownBase, moment: Moment) -> Result<Search, ScanError> {
    let mut found = None;
    let mut last = None;
    // The base's times are by our clock and the commits' by the server's, so a commit decides where there is one.
    let mut reached = known.base.finished_at <= moment;
    scan.commits(known.base.start_lsn..u64::MAX, |point, _| {
        if point.at > moment {
            found = Some(*point);
            return ControlFlow::Break(());
        }
        reached = true;
        last = Some(*point);
        ControlFlow::Continue(())
    })?;
    Ok(match (found, last) {
        // The time of the newest commit itself is the newest restorable moment.
        (None, Some(last)) if last.at == moment && last.lsn >= known.base.end_lsn => {
            Search::Found(Stop::After(last.lsn), last)
        }
        (None, _) => Search::Nothing,
        (Some(commit), _) if reached && commit.lsn >= known.base.end_lsn => {
            Search::Found(Stop::Before(commit.lsn), commit)
        }
        (Some(_), _) => Search::BaseIsLater,
    })
}

/// Explains why no later commit was found: the WAL has a gap there, or ends.
fn too_new(scan: &Scan<'_>, start: u64, moment: Moment) -> Result<ResolveError, ScanError> {
    let coverage = scan.history.coverage_along(scan.branch);
    let from = coverage.reach(start);
    if coverage.next_start(from).is_some() {
        // Asking for the first missing byte names the gap and what lies around it.
        let inside = scan.history.choose(scan.branch.timeline, Stop::Before(from.saturating_add(1)));
        if let Err(error) = inside {
            return Ok(error.into());
        }
    }
    Ok(outside(&windows(scan.stored, scan.history)?, moment))
}

fn outside(windows: &[Window], asked: Moment) -> ResolveError {
    let oldest = windows.iter().filter_map(|window| window.first_at).min();
    let newest = windows.iter().filter_map(|window| window.last_at).max();
    ResolveError::MomentOutside { asked, oldest, newest }
}

/// Lists what can be restored with the times of the ends.
pub fn windows(stored: &dyn Stored, history: &ClusterHistory) -> Result<Vec<Window>, ScanError> {
    let window = |span: crate::history::Span| {
        let branch = history.branches.get(&span.timeline);
        let root = Branch::root(span.timeline);
        let branch = branch.unwrap_or(&root);
        let scan = Scan { stored, history, branch };
        let opening = history.bases_of(branch).rev().find(|known| known.base.end_lsn <= span.first_lsn);
        let from = opening.map_or(span.first_lsn, |known| known.base.start_lsn);
        let last = scan.last_commit(from..span.last_lsn)?;
        let first_at = opening.map(|known| known.base.finished_at);
        Ok(Window {
            timeline: span.timeline,
            first_lsn: span.first_lsn,
            last_lsn: span.last_lsn,
            first_at,
            // Without a commit since the base, the base itself is the newest state.
            last_at: last.map(|commit| commit.at).max(first_at),
        })
    };
    history.restorable().into_iter().map(window).collect()
}

/// Finds the commits of many transactions in one reading of the log; those that are not stored are not among them.
///
/// `since` is a time before which none of them was committed; the log from before the last base that is an hour older is
/// not read. Where a number was used twice, the later commit is meant.
pub fn find_commits(
    stored: &dyn Stored,
    history: &ClusterHistory,
    transactions: &BTreeSet<u32>,
    since: Option<Moment>,
) -> Result<Vec<CommitPoint>, ScanError> {
    let Some(branch) = history.timelines().find_map(|timeline| history.branches.get(&timeline)) else {
        return Ok(Vec::new());
    };
    let scan = Scan { stored, history, branch };
    let is_early = |known: &&KnownBase| {
        since.is_some_and(|since| known.base.finished_at.as_micros() <= since.as_micros() - HOUR_MICROS)
    };
    let start = history.bases_of(branch).rfind(is_early).map_or(0, |known| known.base.start_lsn);
    let mut found: BTreeMap<u32, CommitPoint> = BTreeMap::new();
    for run in history.coverage_along(branch).runs() {
        if run.end <= start {
            continue;
        }
        scan.commits(run.start.max(start)..run.end, |point, _| {
            if transactions.contains(&point.transaction) {
                found.insert(point.transaction, *point);
            }
            ControlFlow::Continue(())
        })?;
    }
    Ok(found.into_values().collect())
}
