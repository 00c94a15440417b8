//! What the vault holds of a cluster: bases, branches of its timeline, and runs of WAL.

mod branch;
mod coverage;
#[cfg(test)]
pub(crate) mod tests;

use std::{collections::BTreeMap, ops::Range};

use connect::{Stored, StoredError, StoredItem};
use model::NameError;
use serde::Serialize;
use source_postgres::layout::{self, Base, Hole};

pub use branch::{Branch, BranchError, Piece};
pub use coverage::Coverage;

/// Why the history of a cluster could not be read.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The vault did not answer.
    #[error("cannot read what the vault holds of the cluster")]
    Stored(#[from] StoredError),
    /// The name of a stream is not allowed.
    #[error("the stream has no valid name")]
    Name(#[from] NameError),
    /// The description of an item is not what capture writes.
    #[error("the description of {key} cannot be read")]
    Attributes {
        /// The item's key.
        key: String,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// A timeline history file is damaged.
    #[error("the timeline history {key} cannot be read")]
    Branch {
        /// The file's name.
        key: String,
        /// What is wrong with it.
        #[source]
        source: BranchError,
    },
}

/// A base with the item that holds its manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownBase {
    /// What capture wrote about it.
    pub base: Base,
    /// The item, whose content is the manifest.
    pub item: StoredItem,
}

/// A span of positions that can be restored on one timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Span {
    /// The timeline.
    pub timeline: u32,
    /// The first position; everything that ended before it is in.
    pub first_lsn: u64,
    /// The last position.
    pub last_lsn: u64,
}

/// Everything that recovery knows of a cluster before it reads a byte of content.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClusterHistory {
    /// The bases, in the order of their positions.
    pub bases: Vec<KnownBase>,
    /// The timelines, each with its way from the beginning.
    pub branches: BTreeMap<u32, Branch>,
    /// The stored WAL of each timeline.
    pub coverage: BTreeMap<u32, Coverage>,
    /// What capture knows to be lost.
    pub holes: Vec<Hole>,
    /// The timeline history files, as the server wrote them.
    pub history_files: BTreeMap<u32, Vec<u8>>,
}

impl ClusterHistory {
    /// Reads the history of one cluster.
    pub fn read(stored: &dyn Stored) -> Result<Self, HistoryError> {
        let mut bases = Vec::new();
        for item in stored.items(&layout::bases_stream()?)? {
            let base: Base = attributes(&item)?;
            bases.push(KnownBase { base, item });
        }
        let mut history_files = BTreeMap::new();
        let mut branches = BTreeMap::new();
        for item in stored.items(&layout::history_stream()?)? {
            let mut content = Vec::new();
            stored.read(&item, &mut content)?;
            let key = &item.item.key;
            let branch = Branch::parse(key, &content)
                .map_err(|source| HistoryError::Branch { key: key.clone(), source })?;
            history_files.insert(branch.timeline, content);
            branches.insert(branch.timeline, branch);
        }
        let mut holes = Vec::new();
        for item in stored.items(&layout::holes_stream()?)? {
            holes.push(attributes(&item)?);
        }
        let mut history = Self::assemble(bases, branches, holes, |timeline| coverage_of(stored, timeline))?;
        history.history_files = history_files;
        Ok(history)
    }

    /// Puts together what was read; asks for the WAL of every timeline that anything mentions.
    fn assemble(
        mut bases: Vec<KnownBase>,
        mut branches: BTreeMap<u32, Branch>,
        holes: Vec<Hole>,
        coverage_of: impl Fn(u32) -> Result<Coverage, HistoryError>,
    ) -> Result<Self, HistoryError> {
        // Another identifier means another cluster behind the same address; its positions mean nothing to this one.
        if let Some(newest) = bases.iter().max_by_key(|known| known.base.finished_at) {
            let system_identifier = newest.base.system_identifier;
            bases.retain(|known| known.base.system_identifier == system_identifier);
        }
        bases.sort_by_key(|known| (known.base.end_lsn, known.base.finished_at));
        let mut timelines: Vec<u32> = bases.iter().map(|known| known.base.timeline).collect();
        timelines.extend(branches.values().flat_map(|branch| branch.pieces.iter().map(|p| p.timeline)));
        for timeline in timelines {
            branches.entry(timeline).or_insert_with(|| Branch::root(timeline));
        }
        let mut coverage = BTreeMap::new();
        for &timeline in branches.keys() {
            coverage.insert(timeline, coverage_of(timeline)?);
        }
        Ok(Self { bases, branches, coverage, holes, history_files: BTreeMap::new() })
    }

    /// Returns the timelines, newest first.
    pub fn timelines(&self) -> impl Iterator<Item = u32> {
        self.branches.keys().rev().copied()
    }

    /// Returns the stored WAL on the way to a timeline.
    ///
    /// A server that is promoted copies the beginning of the segment in which it forks. So a later timeline may hold
    /// bytes from before its own origin, and they are the same bytes.
    pub fn coverage_along(&self, branch: &Branch) -> Coverage {
        let mut all = Coverage::default();
        for piece in &branch.pieces {
            for run in self.coverage.get(&piece.timeline).map_or(&[][..], Coverage::runs) {
                all.add(run.start..run.end.min(piece.end));
            }
        }
        all
    }

    /// Returns the timeline whose stored WAL holds the byte at a position of a branch, and how far that run goes.
    pub fn holder(&self, branch: &Branch, lsn: u64) -> Option<(u32, u64)> {
        let mut reaching = branch.pieces.iter().filter(|piece| lsn < piece.end);
        reaching.find_map(|piece| {
            let run = self.coverage.get(&piece.timeline)?.run_at(lsn)?;
            Some((piece.timeline, run.end.min(piece.end)))
        })
    }

    /// Returns the bases from which a branch can be reached, in the order of their positions.
    pub fn bases_of<'a>(&'a self, branch: &'a Branch) -> impl DoubleEndedIterator<Item = &'a KnownBase> {
        self.bases.iter().filter(|known| {
            let pieces = &branch.pieces;
            pieces.iter().any(|p| p.timeline == known.base.timeline && known.base.end_lsn <= p.end)
        })
    }

    /// Lists what can be restored, timeline by timeline; what a timeline shares with its parent counts for the parent.
    pub fn restorable(&self) -> Vec<Span> {
        self.branches.values().flat_map(|branch| self.spans(branch)).collect()
    }

    /// Returns the newest restorable position of the newest timeline that has one.
    pub fn newest(&self) -> Option<Span> {
        self.branches.values().rev().find_map(|branch| self.spans(branch).last().copied())
    }

    /// Lists what can be restored on a timeline's own part.
    pub fn spans(&self, branch: &Branch) -> Vec<Span> {
        let coverage = self.coverage_along(branch);
        let origin = branch.origin_lsn();
        let mut reachable = Coverage::default();
        for known in self.bases_of(branch) {
            let reach = coverage.reach(known.base.start_lsn);
            let first = known.base.end_lsn.max(origin);
            if reach >= known.base.end_lsn && reach >= first {
                // A base that ends where the WAL ends is one restorable position, not an empty span.
                reachable.add(first..reach.saturating_add(1));
            }
        }
        let span = |run: &Range<u64>| Span {
            timeline: branch.timeline,
            first_lsn: run.start,
            last_lsn: run.end.saturating_sub(1),
        };
        reachable.runs().iter().map(span).collect()
    }

    /// Returns the lost span that a position lies in, when capture noted it.
    pub fn hole_at(&self, timeline: u32, lsn: u64) -> Option<&Hole> {
        self.holes
            .iter()
            .find(|hole| hole.timeline == timeline && (hole.from_lsn..hole.to_lsn).contains(&lsn))
    }
}

fn coverage_of(stored: &dyn Stored, timeline: u32) -> Result<Coverage, HistoryError> {
    let mut coverage = Coverage::default();
    for range in stored.log_ranges(&layout::wal_stream(timeline)?, 0, u64::MAX)? {
        coverage.add(range.start..range.end);
    }
    Ok(coverage)
}

pub(crate) fn attributes<T: serde::de::DeserializeOwned>(item: &StoredItem) -> Result<T, HistoryError> {
    serde_json::from_str(&item.item.attributes)
        .map_err(|source| HistoryError::Attributes { key: item.item.key.clone(), source })
}
