use std::ops::Range;

/// Runs of stored positions: in order, apart from each other, none empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage(Vec<Range<u64>>);

impl Coverage {
    /// Adds a run; what touches or overlaps becomes one.
    pub fn add(&mut self, run: Range<u64>) {
        if run.is_empty() {
            return;
        }
        let from = self.0.partition_point(|known| known.end < run.start);
        let to = self.0.partition_point(|known| known.start <= run.end);
        let touched = self.0.get(from..to).unwrap_or_default();
        let start = touched.first().map_or(run.start, |first| first.start.min(run.start));
        let end = touched.last().map_or(run.end, |last| last.end.max(run.end));
        self.0.splice(from..to, std::iter::once(start..end));
    }

    /// Returns the runs.
    pub fn runs(&self) -> &[Range<u64>] {
        &self.0
    }

    /// Returns the run that holds a position.
    pub fn run_at(&self, position: u64) -> Option<&Range<u64>> {
        self.0.iter().find(|run| run.contains(&position))
    }

    /// Returns the position up to which everything from `start` on is there; `start` itself when nothing is.
    pub fn reach(&self, start: u64) -> u64 {
        self.run_at(start).map_or(start, |run| run.end)
    }

    /// Returns where the next run after a position begins.
    pub fn next_start(&self, position: u64) -> Option<u64> {
        self.0.iter().map(|run| run.start).find(|&start| start > position)
    }

    /// Returns the position after the last run.
    pub fn end(&self) -> Option<u64> {
        self.0.last().map(|run| run.end)
    }
}
