//! Stored WAL as the segment files that a server reads.

use std::{
    fs::OpenOptions,
    io::{self, Read, Seek, SeekFrom, Write},
    ops::Range,
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use connect::{Stored, StoredError};
use model::NameError;
use ports::files::FileError;
use postgres_server::lsn;
use source_postgres::layout;

use crate::{
    history::{Branch, ClusterHistory},
    scan::Scan,
};

const COPY_BYTES: usize = 256 << 10;

/// Why WAL could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum WalFileError {
    /// Bytes are missing on the way.
    #[error("WAL of timeline {timeline} is missing at {}", lsn::to_text(*at))]
    Missing {
        /// The timeline.
        timeline: u32,
        /// The first missing position.
        at: u64,
    },
    /// The vault did not give what it listed.
    #[error("cannot read WAL from the vault")]
    Stored(#[from] StoredError),
    /// A stored run ended before its time.
    #[error("the stored WAL of timeline {timeline} breaks off at {}", lsn::to_text(*at))]
    Short {
        /// The timeline.
        timeline: u32,
        /// Where it ends.
        at: u64,
        /// What reading answered.
        #[source]
        source: io::Error,
    },
    /// The bytes are not what a server writes. Everything before can be restored.
    #[error("the stored WAL is damaged at {}; everything up to there can be restored", lsn::to_text(*at))]
    Damaged {
        /// The end of the last good record.
        at: u64,
        /// What is wrong.
        #[source]
        source: postgres_wal::WalError,
    },
    /// No record ends where recovery is to stop.
    #[error("no WAL record ends at {}: the nearest end before is {}", lsn::to_text(*asked), lsn::to_text(*found))]
    NoBoundary {
        /// Where recovery is to stop.
        asked: u64,
        /// The end of the last whole record before.
        found: u64,
    },
    /// The name of a stream is not allowed.
    #[error("the stream has no valid name")]
    Name(#[from] NameError),
    /// A file could not be written.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Reads the bytes of a branch in order, whichever timelines hold them.
pub(crate) struct BranchReader<'a> {
    stored: &'a dyn Stored,
    history: &'a ClusterHistory,
    branch: &'a Branch,
    position: u64,
    end: u64,
    run: Option<Run<'a>>,
}

struct Run<'a> {
    reader: Box<dyn Read + 'a>,
    timeline: u32,
    end: u64,
}

impl<'a> BranchReader<'a> {
    pub(crate) fn new(
        stored: &'a dyn Stored,
        history: &'a ClusterHistory,
        branch: &'a Branch,
        range: Range<u64>,
    ) -> Self {
        Self { stored, history, branch, position: range.start, end: range.end, run: None }
    }

    /// Fills the buffer from its start; returns fewer bytes only at a run's end, and none at the range's end.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, WalFileError> {
        if self.position >= self.end {
            return Ok(0);
        }
        let timeline = self.branch.timeline_at(self.position);
        if self.run.as_ref().is_none_or(|run| run.end <= self.position) {
            let missing = WalFileError::Missing { timeline, at: self.position };
            let (timeline, end) = self.history.holder(self.branch, self.position).ok_or(missing)?;
            let end = end.min(self.end);
            let reader = self.stored.read_log(&layout::wal_stream(timeline)?, self.position, end)?;
            self.run = Some(Run { reader, timeline, end });
        }
        let Some(run) = &mut self.run else { return Ok(0) };
        let want = usize::try_from(run.end - self.position).unwrap_or(usize::MAX).min(buffer.len());
        let part = &mut buffer[..want];
        run.reader.read_exact(part).map_err(|source| WalFileError::Short {
            timeline: run.timeline,
            at: self.position,
            source,
        })?;
        self.position += want as u64;
        Ok(want)
    }
}

/// Hears the bytes that lie at a position, and may refuse them.
pub(crate) type Hear<'a> = dyn FnMut(u64, &[u8]) -> Result<(), WalFileError> + 'a;

/// Writes the segment files of a range of a branch. The first and the last one may hold less than a segment;
/// what is not stored of them is zero, as in a segment that the server has just begun.
///
/// Where a segment holds a fork it is written once, under the later timeline: so does a server when it is promoted.
pub(crate) fn write_segments(
    source: &Scan<'_>,
    range: Range<u64>,
    segment_bytes: u32,
    folder: &Path,
    seen: &mut Hear<'_>,
) -> Result<Vec<String>, WalFileError> {
    let segment = u64::from(segment_bytes.max(1));
    let mut names = Vec::new();
    let mut start = range.start - range.start % segment;
    let mut buffer = vec![0; COPY_BYTES];
    let begin = first_stored(source, start, range.start);
    let mut reader = BranchReader::new(source.stored, source.history, source.branch, begin..range.end);
    while start < range.end {
        let end = start.saturating_add(segment);
        let last = end.min(range.end).saturating_sub(1);
        let name = lsn::segment_name(source.branch.timeline_at(last), start, segment_bytes);
        let path = folder.join(&name);
        let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let mut file = opened.map_err(|e| FileError::new("create", &path, e))?;
        let failed = |e| FileError::new("write", &path, e);
        file.set_len(segment).map_err(failed)?;
        file.seek(SeekFrom::Start(reader.position.saturating_sub(start))).map_err(failed)?;
        while reader.position < end.min(range.end) {
            let want = usize::try_from(end - reader.position).unwrap_or(COPY_BYTES).min(COPY_BYTES);
            let at = reader.position;
            let count = reader.read(&mut buffer[..want])?;
            file.write_all(&buffer[..count]).map_err(failed)?;
            seen(at, &buffer[..count])?;
        }
        names.push(name);
        start = end;
    }
    Ok(names)
}

/// Returns where the stored bytes of the first segment begin: replay reads the header of its first page too.
fn first_stored(source: &Scan<'_>, segment_start: u64, start: u64) -> u64 {
    let coverage = source.history.coverage_along(source.branch);
    coverage.run_at(start).map_or(start, |run| run.start.max(segment_start))
}
