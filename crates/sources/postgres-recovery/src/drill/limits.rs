//! What a drill may take: room is made sure of before, time is looked at between steps.

use std::{io::Read, io::Write, path::Path, sync::Arc, time::Duration};

use ::drill::{Budget, OverBudget};
use connect::{LogRange, Progress, Stored, StoredError, StoredItem};
use model::StreamName;
use ports::Clock;
use source_postgres::layout;

use crate::{history::HistoryError, route::RecoveryRoute};

/// Room for what is neither in the base nor WAL: the server's own files, a checkpoint, sorts.
const SPARE_BYTES: u64 = 128 << 20;

/// When a drill began, and what it may take.
#[derive(Clone)]
pub struct Limits {
    /// What it may take.
    pub budget: Budget,
    /// When it began, by elapsed time.
    pub began: Duration,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

impl Limits {
    /// Returns what the drill has taken so far.
    pub fn taken(&self) -> Duration {
        self.clock.elapsed().saturating_sub(self.began)
    }

    /// Refuses to go on when the time is over; else returns what is left, where there is a limit.
    pub fn left(&self) -> Result<Option<Duration>, OverBudget> {
        let taken = self.taken();
        self.budget.check(taken)?;
        Ok(self.budget.left(taken))
    }
}

/// Returns about how much room a restored cluster takes, in bytes.
pub fn room_needed(stored: &dyn Stored, route: &RecoveryRoute) -> Result<u64, HistoryError> {
    let items = stored.items(&layout::base_files_stream(route.base.base.start_lsn)?)?;
    let base: u64 = items.iter().map(|item| item.size_bytes).sum();
    // Replay makes pages that the base did not have, and keeps the WAL it reads.
    let wal = route.wal_end_lsn.saturating_sub(route.wal_start_lsn());
    Ok(base.saturating_add(wal.saturating_mul(2)).saturating_add(SPARE_BYTES))
}

/// Returns how much is free where a folder is going to be, in bytes.
pub fn room_free(folder: &Path) -> std::io::Result<u64> {
    let there = folder.ancestors().find(|path| path.is_dir()).unwrap_or(folder);
    let volume = rustix::fs::statvfs(there)?;
    Ok(volume.f_bavail.saturating_mul(volume.f_frsize))
}

/// Hands out what is stored as long as there is time.
pub(super) struct WhileTime<'s> {
    pub(super) stored: &'s dyn Stored,
    pub(super) limits: &'s Limits,
}

impl WhileTime<'_> {
    fn check(&self) -> Result<(), StoredError> {
        self.limits.left().map(|_| ()).map_err(|over| StoredError::Write {
            what: "the restored cluster".to_owned(),
            source: std::io::Error::new(std::io::ErrorKind::TimedOut, over),
        })
    }
}

impl Stored for WhileTime<'_> {
    fn items(&self, stream: &StreamName) -> Result<Vec<StoredItem>, StoredError> {
        self.stored.items(stream)
    }

    fn read(&self, item: &StoredItem, out: &mut dyn Write) -> Result<(), StoredError> {
        self.check()?;
        self.stored.read(item, out)
    }

    fn read_many(
        &self,
        items: &[StoredItem],
        open: &(dyn Fn(&StoredItem) -> std::io::Result<Box<dyn Write + Send>> + Sync),
        progress: &dyn Progress,
    ) -> Result<(), StoredError> {
        let open = |item: &StoredItem| {
            self.limits
                .left()
                .map_err(|over| std::io::Error::new(std::io::ErrorKind::TimedOut, over))
                .and_then(|_| open(item))
        };
        self.stored.read_many(items, &open, progress)
    }

    fn log_ranges(&self, stream: &StreamName, start: u64, end: u64) -> Result<Vec<LogRange>, StoredError> {
        self.check()?;
        self.stored.log_ranges(stream, start, end)
    }

    fn read_log<'a>(
        &'a self,
        stream: &StreamName,
        start: u64,
        end: u64,
    ) -> Result<Box<dyn Read + 'a>, StoredError> {
        self.check()?;
        self.stored.read_log(stream, start, end)
    }
}
