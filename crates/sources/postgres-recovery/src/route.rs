//! From a position to the base and the WAL that lead there.

#[cfg(test)]
mod tests;

use std::fmt;

use postgres_server::lsn;
use serde::Serialize;

use crate::history::{Branch, ClusterHistory, KnownBase, Span};

/// Where recovery stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "stop", content = "lsn", rename_all = "kebab-case")]
pub enum Stop {
    /// The record that starts here is not replayed.
    Before(u64),
    /// The record that starts here is the last one that is replayed.
    After(u64),
    /// Everything stored up to here is replayed.
    End(u64),
}

impl Stop {
    /// Returns the position.
    pub const fn lsn(self) -> u64 {
        match self {
            Self::Before(lsn) | Self::After(lsn) | Self::End(lsn) => lsn,
        }
    }

    /// Returns the position up to which WAL must be stored; the record itself may need more.
    const fn needs(self) -> u64 {
        match self {
            Self::Before(lsn) | Self::End(lsn) => lsn,
            Self::After(lsn) => lsn.saturating_add(1),
        }
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Before(at) => write!(f, "before {}", lsn::to_text(*at)),
            Self::After(at) => write!(f, "after the record at {}", lsn::to_text(*at)),
            Self::End(at) => write!(f, "at {}", lsn::to_text(*at)),
        }
    }
}

/// The nearest restorable positions around one that is not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Nearest {
    /// The last restorable position before.
    pub before: Option<u64>,
    /// The first restorable position after.
    pub after: Option<u64>,
}

impl fmt::Display for Nearest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.before.map(lsn::to_text), self.after.map(lsn::to_text)) {
            (Some(before), Some(after)) => write!(f, "the nearest are {before} and {after}"),
            (Some(only), None) => write!(f, "the newest is {only}"),
            (None, Some(only)) => write!(f, "the oldest is {only}"),
            (None, None) => f.write_str("there is none"),
        }
    }
}

/// Why there is no way to a position.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// The vault holds no base.
    #[error("the vault holds no base of this cluster")]
    NoBase,
    /// The vault knows no such timeline.
    #[error("the vault knows no timeline {timeline} of this cluster")]
    NoTimeline {
        /// The timeline asked for.
        timeline: u32,
    },
    /// The position lies before the first or after the last restorable one.
    #[error("{} on timeline {timeline} cannot be restored; of the restorable positions {nearest}", lsn::to_text(*asked))]
    Outside {
        /// The timeline asked for.
        timeline: u32,
        /// The position asked for.
        asked: u64,
        /// What could be had instead.
        nearest: Nearest,
    },
    /// WAL on the way is missing. Everything up to where it begins can be restored.
    #[error(
        "WAL of timeline {timeline} is missing from {} {}; everything up to there can be restored",
        lsn::to_text(*from),
        to.map_or_else(|| "on".to_owned(), |to| format!("to {}", lsn::to_text(to)))
    )]
    MissingWal {
        /// The timeline.
        timeline: u32,
        /// The first missing position.
        from: u64,
        /// The first position that is stored again.
        to: Option<u64>,
        /// Why, when capture noted it.
        reason: Option<String>,
        /// What could be had instead.
        nearest: Nearest,
    },
}

impl RouteError {
    /// Says what a person can do.
    pub fn hint(&self) -> Option<String> {
        let choose = |nearest: &Nearest| {
            let at = nearest.before.or(nearest.after)?;
            Some(format!("choose a restorable moment, for example before:{}", lsn::to_text(at)))
        };
        match self {
            Self::NoBase => Some("wait until the first base is complete: unwipe sources".to_owned()),
            Self::NoTimeline { .. } => None,
            Self::Outside { nearest, .. } | Self::MissingWal { nearest, .. } => choose(nearest),
        }
    }
}

/// How to reach one position: a base, and WAL along a branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecoveryRoute {
    /// Where to start.
    pub base: KnownBase,
    /// The branch to follow; it ends on the timeline on which the stop lies.
    pub branch: Branch,
    /// Where to stop.
    pub stop: Stop,
    /// Up to where stored WAL goes on without a gap; at least up to the stop.
    pub wal_end_lsn: u64,
    /// The gap after which more WAL lies that cannot be reached, when the stop is the newest reachable position.
    pub lost_after: Option<u64>,
}

impl RecoveryRoute {
    /// Returns the first position of WAL that is needed.
    pub const fn wal_start_lsn(&self) -> u64 {
        self.base.base.start_lsn
    }
}

impl ClusterHistory {
    /// Chooses the way to a stop on a timeline (or on one of its ancestors, when the stop lies there).
    pub fn choose(&self, timeline: u32, stop: Stop) -> Result<RecoveryRoute, RouteError> {
        if self.bases.is_empty() {
            return Err(RouteError::NoBase);
        }
        let asked = self.branches.get(&timeline).ok_or(RouteError::NoTimeline { timeline })?;
        // A stop before the fork is a stop on the ancestor: its own WAL beyond the fork may be needed to see the stop.
        let own = asked.timeline_at(stop.needs().saturating_sub(1));
        let branch = self.branches.get(&own).unwrap_or(asked);
        let coverage = self.coverage_along(branch);
        let mut first_gap = None;
        for known in self.bases_of(branch).rev().filter(|known| known.base.end_lsn <= stop.lsn()) {
            let reach = coverage.reach(known.base.start_lsn);
            if reach >= stop.needs() {
                return Ok(RecoveryRoute {
                    base: known.clone(),
                    branch: branch.clone(),
                    stop,
                    wal_end_lsn: reach,
                    lost_after: None,
                });
            }
            first_gap.get_or_insert(reach);
        }
        let nearest = self.nearest(branch, stop.lsn());
        let outside = RouteError::Outside { timeline, asked: stop.lsn(), nearest };
        let Some(from) = first_gap else { return Err(outside) };
        match coverage.next_start(from) {
            // Nothing is stored beyond: the moment is newer than the vault.
            None => Err(outside),
            to => {
                let timeline = branch.timeline_at(from);
                let reason = self.hole_at(timeline, from).map(|hole| hole.reason.clone());
                Err(RouteError::MissingWal { timeline, from, to, reason, nearest })
            }
        }
    }

    /// Chooses the way to the newest restorable position, of one timeline or of the newest that has one.
    pub fn choose_latest(&self, timeline: Option<u32>) -> Result<RecoveryRoute, RouteError> {
        if self.bases.is_empty() {
            return Err(RouteError::NoBase);
        }
        let newest = match timeline {
            None => self.newest(),
            Some(timeline) => {
                let branch = self.branches.get(&timeline).ok_or(RouteError::NoTimeline { timeline })?;
                self.spans(branch).last().copied()
            }
        };
        let Some(newest) = newest else { return Err(self.nothing_restorable(timeline)) };
        let mut route = self.choose(newest.timeline, Stop::End(newest.last_lsn))?;
        let coverage = self.coverage_along(&route.branch);
        route.lost_after = coverage.next_start(newest.last_lsn).map(|_| newest.last_lsn);
        Ok(route)
    }

    /// Says why not even one position can be restored: no base has the WAL that makes it consistent.
    fn nothing_restorable(&self, timeline: Option<u32>) -> RouteError {
        let newest = self.bases.iter().rev().find(|known| timeline.is_none_or(|t| known.base.timeline == t));
        let Some(known) = newest else {
            return timeline.map_or(RouteError::NoBase, |timeline| RouteError::NoTimeline { timeline });
        };
        let timeline = known.base.timeline;
        let from = self
            .branches
            .get(&timeline)
            .map_or(known.base.start_lsn, |branch| self.coverage_along(branch).reach(known.base.start_lsn));
        let nearest = Nearest::default();
        RouteError::MissingWal { timeline, from, to: Some(known.base.end_lsn), reason: None, nearest }
    }

    fn nearest(&self, branch: &Branch, lsn: u64) -> Nearest {
        let mut spans: Vec<Span> = branch
            .pieces
            .iter()
            .filter_map(|piece| {
                let of_piece = self.branches.get(&piece.timeline)?;
                Some(
                    self.spans(of_piece)
                        .into_iter()
                        .map(|span| Span { last_lsn: span.last_lsn.min(piece.end), ..span }),
                )
            })
            .flatten()
            .filter(|span| span.first_lsn <= span.last_lsn)
            .collect();
        spans.sort_by_key(|span| span.first_lsn);
        Nearest {
            before: spans.iter().filter(|span| span.first_lsn < lsn).map(|span| span.last_lsn.min(lsn)).max(),
            after: spans.iter().map(|span| span.first_lsn).find(|&first| first >= lsn),
        }
    }
}
