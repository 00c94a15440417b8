//! Looks for ends of transactions in stored WAL.

use std::ops::{ControlFlow, Range};

use connect::Stored;
use model::Moment;
use postgres_wal::{
    Lsn, Major, Record, RecordStream, SegmentSize, WalError,
    payload::{Outcome, TransactionRecord, transaction_record},
};
use serde::Serialize;

use crate::{
    history::{Branch, ClusterHistory},
    route::Stop,
    wal::{BranchReader, WalFileError},
};

const PORTION_BYTES: usize = 1 << 20;
const PAGE_BYTES: u64 = postgres_wal::PAGE_BYTES;

/// Why stored WAL could not be searched.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// The WAL could not be read.
    #[error("cannot read stored WAL")]
    Read(#[from] WalFileError),
    /// The WAL is not what a server writes.
    #[error("the stored WAL cannot be understood")]
    Wal(#[from] WalError),
    /// The cluster's version or segment size is none that we know.
    #[error("the base says {what}, which no supported server has")]
    Unsupported {
        /// What it says.
        what: String,
    },
}

/// The commit of one transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct CommitPoint {
    /// The transaction.
    pub transaction: u32,
    /// Where the commit record begins.
    pub lsn: u64,
    /// Where it ends.
    pub end_lsn: u64,
    /// The timeline that it lies on.
    pub timeline: u32,
    /// When the server says that it committed.
    pub at: Moment,
}

/// A cluster whose WAL is searched along one branch.
#[derive(Clone, Copy)]
pub(crate) struct Scan<'a> {
    pub(crate) stored: &'a dyn Stored,
    pub(crate) history: &'a ClusterHistory,
    pub(crate) branch: &'a Branch,
}

impl<'a> Scan<'a> {
    /// Shows every commit whose record begins in the range, in order, with whether a transaction is part of it.
    /// Returns the end of the last whole record that was seen.
    pub(crate) fn commits(
        self,
        range: Range<u64>,
        mut visit: impl FnMut(&CommitPoint, &dyn Fn(u32) -> bool) -> ControlFlow<()>,
    ) -> Result<u64, ScanError> {
        let mut records = self.records(range.start)?;
        let mut whole = records.position;
        loop {
            while let Some(record) = next_record(&mut records.stream)? {
                if record.start().0 >= range.end {
                    return Ok(whole);
                }
                whole = record.end().0;
                if record.start().0 < range.start {
                    continue;
                }
                let Some(TransactionRecord::Completed(done)) = transaction_record(&record)? else { continue };
                if done.outcome != Outcome::Committed {
                    continue;
                }
                let point = CommitPoint {
                    transaction: done.transaction.0,
                    lsn: record.start().0,
                    end_lsn: record.end().0,
                    timeline: self.branch.timeline_at(record.start().0),
                    at: Moment::from_micros(done.time_unix_microseconds),
                };
                let includes = |transaction: u32| {
                    done.transaction.0 == transaction
                        || done.subtransactions.iter().any(|part| part.0 == transaction)
                };
                if visit(&point, &includes).is_break() {
                    return Ok(whole);
                }
            }
            if !records.refill()? {
                return Ok(whole);
            }
        }
    }

    /// Shows every record that begins in the range, in order, until told to stop.
    pub(crate) fn each(
        self,
        range: Range<u64>,
        mut visit: impl FnMut(&Record<'_>) -> Result<ControlFlow<()>, WalError>,
    ) -> Result<(), ScanError> {
        let mut records = self.records(range.start)?;
        loop {
            while let Some(record) = next_record(&mut records.stream)? {
                if record.start().0 >= range.end {
                    return Ok(());
                }
                if record.start().0 >= range.start && visit(&record)?.is_break() {
                    return Ok(());
                }
            }
            if !records.refill()? {
                return Ok(());
            }
        }
    }

    /// Finds the last commit before a position by looking at ever longer stretches that end there.
    pub(crate) fn last_commit(self, range: Range<u64>) -> Result<Option<CommitPoint>, ScanError> {
        let mut length = 4 << 20;
        loop {
            let start = range.end.saturating_sub(length).max(range.start);
            let mut last = None;
            self.commits(start..range.end, |point, _| {
                last = Some(*point);
                ControlFlow::Continue(())
            })?;
            if last.is_some() || start == range.start {
                return Ok(last);
            }
            length = length.saturating_mul(4);
        }
    }

    /// Returns where to open the stream so that a position lies in it: at its page when that is stored.
    fn opening(self, position: u64) -> u64 {
        let page = position - position % PAGE_BYTES;
        let coverage = self.history.coverage_along(self.branch);
        if coverage.reach(page) > position { page } else { position }
    }

    /// Returns the position at which WAL must end so that recovery stops where it should.
    ///
    /// WAL that is cut at the end of a record replays to exactly there and needs nothing beyond. The server's own
    /// targets stop at a record that it must be able to read as a whole first.
    pub(crate) fn cut(self, stop: Stop) -> Result<u64, ScanError> {
        let asked = match stop {
            Stop::Before(lsn) | Stop::End(lsn) => return Ok(lsn),
            Stop::After(lsn) => lsn,
        };
        if let Some((start, end)) = self.record_from(asked)? {
            return Ok(if start == asked { end } else { start });
        }
        let asked = self.history.coverage_along(self.branch).reach(asked);
        Err(WalFileError::NoBoundary { asked, found: stop.lsn() }.into())
    }

    /// Returns where the first record at or after a position begins and ends, if it is stored as a whole.
    pub(crate) fn record_from(self, position: u64) -> Result<Option<(u64, u64)>, ScanError> {
        let mut records = self.records(position)?;
        while let Some((start, end)) = records.next_bounds()? {
            if start >= position {
                return Ok(Some((start, end)));
            }
        }
        Ok(None)
    }

    /// Opens a stream of the records from around a position on.
    fn records(self, position: u64) -> Result<Records<'a>, ScanError> {
        let (major, segment_size) = self.format()?;
        let start = self.opening(position);
        let reach = self.history.coverage_along(self.branch).reach(start);
        Ok(Records {
            stream: RecordStream::new(major, segment_size, Lsn(start)),
            reader: BranchReader::new(self.stored, self.history, self.branch, start..reach),
            buffer: vec![0; PORTION_BYTES],
            position: start,
        })
    }

    /// Makes a check that hears the bytes of a range and says whether they are whole records.
    pub(crate) fn check(self, start: u64) -> Result<RecordCheck, ScanError> {
        let (major, segment_size) = self.format()?;
        let opening = self.opening(start);
        Ok(RecordCheck {
            stream: RecordStream::new(major, segment_size, Lsn(opening)),
            opening,
            whole: opening,
        })
    }

    fn format(self) -> Result<(Major, SegmentSize), ScanError> {
        let unsupported = |what: String| ScanError::Unsupported { what };
        let Some(known) = self.history.bases.last() else { return Err(unsupported("nothing".to_owned())) };
        let major = Major::from_number(known.base.major)
            .map_err(|_| unsupported(format!("version {}", known.base.major)))?;
        let size = SegmentSize::new(known.base.wal_segment_bytes.into())
            .map_err(|_| unsupported(format!("segments of {} bytes", known.base.wal_segment_bytes)))?;
        Ok((major, size))
    }
}

/// Returns the next record of the bytes at hand; zeros, where the server had not written yet, end them.
fn next_record(stream: &mut RecordStream) -> Result<Option<Record<'_>>, WalError> {
    match stream.next_record() {
        Err(WalError::EndOfWal { .. }) => Ok(None),
        other => other,
    }
}

/// The records of a branch from some position on.
struct Records<'a> {
    stream: RecordStream,
    reader: BranchReader<'a>,
    buffer: Vec<u8>,
    position: u64,
}

impl Records<'_> {
    /// Hands the next bytes to the stream; false at the end.
    fn refill(&mut self) -> Result<bool, ScanError> {
        let count = self.reader.read(&mut self.buffer)?;
        if count > 0 {
            self.stream.push(Lsn(self.position), &self.buffer[..count])?;
            self.position += count as u64;
        }
        Ok(count > 0)
    }

    fn next_bounds(&mut self) -> Result<Option<(u64, u64)>, ScanError> {
        loop {
            if let Some(record) = next_record(&mut self.stream)? {
                return Ok(Some((record.start().0, record.end().0)));
            }
            if !self.refill()? {
                return Ok(None);
            }
        }
    }
}

/// Checks bytes of WAL on their way into files: each record's checksum and its link to the one before.
pub(crate) struct RecordCheck {
    stream: RecordStream,
    opening: u64,
    whole: u64,
}

impl RecordCheck {
    /// Takes the bytes that lie at a position; those before the first record are left aside.
    pub(crate) fn push(&mut self, at: u64, bytes: &[u8]) -> Result<(), WalFileError> {
        let skip = usize::try_from(self.opening.saturating_sub(at)).unwrap_or(usize::MAX);
        let Some(bytes) = bytes.get(skip..).filter(|bytes| !bytes.is_empty()) else { return Ok(()) };
        let whole = self.whole;
        let damaged = |source| WalFileError::Damaged { at: whole, source };
        self.stream.push(Lsn(at + skip as u64), bytes).map_err(damaged)?;
        loop {
            let whole = self.whole;
            match next_record(&mut self.stream) {
                Ok(Some(record)) => self.whole = record.end().0,
                Ok(None) => return Ok(()),
                Err(source) => return Err(WalFileError::Damaged { at: whole, source }),
            }
        }
    }

    /// Ends the check: a whole record must end where the WAL was cut. Returns that end.
    pub(crate) fn finish(self, cut: u64, stop: Stop) -> Result<u64, WalFileError> {
        let exact = is_same_boundary(self.whole, cut);
        // The newest bytes may hold half of a record that the server was still writing.
        if exact || matches!(stop, Stop::End(_)) {
            Ok(self.whole)
        } else {
            Err(WalFileError::NoBoundary { asked: cut, found: self.whole })
        }
    }
}

/// Returns whether a record that ends at `end` is followed by one that starts at `start`: page headers and the filling
/// up to the next multiple of eight may lie between.
pub(crate) fn is_same_boundary(end: u64, start: u64) -> bool {
    const LONG_HEADER_BYTES: u64 = 40;
    let aligned = end.next_multiple_of(8);
    let header = if aligned.is_multiple_of(PAGE_BYTES) { LONG_HEADER_BYTES } else { 0 };
    (end..=aligned + header).contains(&start)
}
