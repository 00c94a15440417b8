//! What was received becomes durable, and is understood afterwards.

use connect::{ReadError, SinkError};
use postgres_wal::Lsn;

use super::{Follower, Interruption};
use crate::{failure, layout};

impl Follower<'_> {
    /// Makes the batch durable; returns whether anything in it was new.
    pub(super) fn store(&mut self, start_lsn: u64) -> Result<bool, Interruption> {
        let known = self.durable.saturating_sub(start_lsn).min(self.batch.len() as u64) as usize;
        self.compare_with_tail(start_lsn, known)?;
        let new = &self.batch[known..];
        if new.is_empty() {
            return Ok(false);
        }
        let stream = layout::wal_stream(self.timeline).map_err(failure::named)?;
        self.sink.append(&stream, self.durable, new)?;
        self.sink.sync()?;
        self.durable += new.len() as u64;
        Ok(true)
    }

    /// Reads the batch that ends at `end_lsn`; it is durable and acknowledged.
    pub(super) fn scan_batch(&mut self, end_lsn: u64) -> Result<(), SinkError> {
        let start = end_lsn - self.batch.len() as u64;
        if let Some(scan) = &mut self.scan {
            scan.push(start, &self.batch);
        }
        self.read_from = self.read_from.max(end_lsn);
        self.understand()
    }

    /// What an earlier run made durable must be what the server still says.
    fn compare_with_tail(&mut self, start_lsn: u64, known: usize) -> Result<(), ReadError> {
        let Some(tail) = &self.tail else { return Ok(()) };
        let tail_end = tail.offset + tail.bytes.len() as u64;
        let from = start_lsn.max(tail.offset);
        let to = (start_lsn + known as u64).min(tail_end);
        if from < to {
            let ours = &tail.bytes[(from - tail.offset) as usize..(to - tail.offset) as usize];
            let theirs = &self.batch[(from - start_lsn) as usize..(to - start_lsn) as usize];
            if let Some(at) = ours.iter().zip(theirs).position(|(ours, theirs)| ours != theirs) {
                return Err(failure::refused(
                    format!(
                        "the server's WAL at {} differs from what it sent before: its past was rewritten",
                        Lsn(from + at as u64)
                    ),
                    "protect the server as a source of its own: unwipe protect NAME postgres --url URL",
                ));
            }
        }
        if start_lsn + known as u64 >= tail_end {
            self.tail = None;
        }
        Ok(())
    }
}
