//! The archives of a base backup as a sequence of entries whose contents are pulled.
//!
//! The server pushes, a sink pulls: a body asks the connection for the next message when it has handed out the last
//! one. So nothing is buffered beyond one message, whatever the size of a file.

use std::{
    collections::VecDeque,
    io::{self, Read},
    ops::Range,
};

use connect::Stop;
use postgres_wire::{
    BaseBackupEvent, BaseBackupStream, WireError,
    base_backup::Tablespace,
    tar::{Entry, TarError, TarEvent, TarParser},
};

use crate::manifest::Received;

/// A larger manifest than this has not been seen; it would list two million files.
const MANIFEST_BYTES_MAX: usize = 512 << 20;

/// Why a base broke off.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ArchiveError {
    /// The connection failed.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// An archive cannot be read.
    #[error("the server's base backup cannot be read")]
    Tar(#[from] TarError),
    /// The manifest has no end.
    #[error("the server's backup manifest is larger than {MANIFEST_BYTES_MAX} bytes")]
    ManifestTooLarge,
    /// The messages come in an order that has no meaning.
    #[error("the server's base backup is out of order")]
    Order,
    /// Somebody asked for an end.
    #[error("it was asked to end")]
    Stopped,
}

/// A step through all archives of a base backup.
#[derive(Debug)]
pub(crate) enum Step {
    /// Where recovery starts.
    Start { lsn: u64, timeline: u32 },
    /// What will be sent.
    Tablespaces(Vec<Tablespace>),
    /// An archive begins; its entries are relative to the tablespace's directory if one is named.
    Archive { tablespace_oid: Option<u32> },
    /// An entry begins; for a file [`Archives::body`] must be read before the next step.
    Entry(Entry),
    /// The manifest.
    Manifest(Vec<u8>),
    /// The backup is complete.
    End { lsn: u64 },
}

enum Piece {
    Entry(Entry),
    Data(Range<usize>),
    EntryEnd,
}

/// A running base backup.
pub(crate) struct Archives<'c> {
    stream: BaseBackupStream<'c>,
    stop: Stop,
    parser: TarParser,
    /// The message that is being handed out; `at` says how far.
    piece: Vec<u8>,
    at: usize,
    /// Steps that are still to be told.
    next: VecDeque<Step>,
    manifest: Option<Vec<u8>>,
}

impl<'c> Archives<'c> {
    pub(crate) fn new(stream: BaseBackupStream<'c>, stop: Stop) -> Self {
        Self {
            stream,
            stop,
            parser: TarParser::new(),
            piece: Vec::new(),
            at: 0,
            next: VecDeque::new(),
            manifest: None,
        }
    }

    /// Returns the next step, or nothing after the end.
    pub(crate) fn next(&mut self) -> Result<Option<Step>, ArchiveError> {
        loop {
            if let Some(step) = self.next.pop_front() {
                return Ok(Some(step));
            }
            match self.parse()? {
                Some(Piece::Entry(entry)) => return Ok(Some(Step::Entry(entry))),
                // Contents that nobody wanted: the entry was skipped.
                Some(Piece::Data(_) | Piece::EntryEnd) => {}
                None => {
                    if !self.fetch()? {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// Returns the content of the file whose entry was the last step.
    pub(crate) fn body(&mut self) -> Body<'_, 'c> {
        Body {
            archives: self,
            pending: 0..0,
            received: Received { size_bytes: 0, crc32c: 0 },
            is_over: false,
            failure: None,
        }
    }

    /// Takes the next event out of the message at hand; nothing when it is used up.
    fn parse(&mut self) -> Result<Option<Piece>, ArchiveError> {
        let mut rest = &self.piece[self.at..];
        let event = self.parser.advance(&mut rest)?;
        let end = self.piece.len() - rest.len();
        self.at = end;
        Ok(event.map(|event| match event {
            TarEvent::Entry(entry) => Piece::Entry(entry),
            TarEvent::Data(data) => Piece::Data(end - data.len()..end),
            TarEvent::EntryEnd => Piece::EntryEnd,
        }))
    }

    /// Waits for the next message; false after the end.
    fn fetch(&mut self) -> Result<bool, ArchiveError> {
        if self.stop.is_requested() {
            return Err(ArchiveError::Stopped);
        }
        let Some(event) = self.stream.next_event()? else { return Ok(false) };
        let step = match event {
            BaseBackupEvent::ArchiveData(data) => {
                self.piece.clear();
                self.piece.extend_from_slice(data);
                self.at = 0;
                return Ok(true);
            }
            BaseBackupEvent::ManifestData(data) => {
                let manifest = self.manifest.as_mut().ok_or(ArchiveError::Order)?;
                if manifest.len() + data.len() > MANIFEST_BYTES_MAX {
                    return Err(ArchiveError::ManifestTooLarge);
                }
                manifest.extend_from_slice(data);
                return Ok(true);
            }
            BaseBackupEvent::Progress { .. } => return Ok(true),
            BaseBackupEvent::Start { lsn, timeline } => Step::Start { lsn, timeline },
            BaseBackupEvent::Tablespaces(tablespaces) => Step::Tablespaces(tablespaces),
            BaseBackupEvent::ArchiveStart { tablespace_oid, .. } => {
                self.finish_archive()?;
                Step::Archive { tablespace_oid }
            }
            BaseBackupEvent::ManifestStart => {
                self.finish_archive()?;
                self.manifest = Some(Vec::new());
                return Ok(true);
            }
            BaseBackupEvent::End { lsn, .. } => {
                self.finish_archive()?;
                // The manifest is whole only now that the server has ended without an error.
                let manifest = self.manifest.take().ok_or(ArchiveError::Order)?;
                self.next.push_back(Step::Manifest(manifest));
                Step::End { lsn }
            }
        };
        self.next.push_back(step);
        Ok(true)
    }

    fn finish_archive(&mut self) -> Result<(), ArchiveError> {
        self.parser.finish()?;
        self.parser = TarParser::new();
        self.piece.clear();
        self.at = 0;
        Ok(())
    }
}

/// The content of one file, pulled from the connection.
pub(crate) struct Body<'a, 'c> {
    archives: &'a mut Archives<'c>,
    pending: Range<usize>,
    received: Received,
    is_over: bool,
    failure: Option<ArchiveError>,
}

impl Body<'_, '_> {
    /// Reads what the taker left over; returns what was received in all.
    pub(crate) fn finish(mut self) -> Result<Received, ArchiveError> {
        while self.failure.is_none() && self.fill() {
            self.hand_out(usize::MAX);
        }
        match self.failure {
            Some(failure) => Err(failure),
            None => Ok(self.received),
        }
    }

    /// Returns why reading failed, if it did.
    pub(crate) fn failure(&mut self) -> Option<ArchiveError> {
        self.failure.take()
    }

    /// Makes sure that something is pending; false at the end or after a failure.
    fn fill(&mut self) -> bool {
        while self.pending.is_empty() && !self.is_over && self.failure.is_none() {
            if let Err(failure) = self.advance() {
                self.failure = Some(failure);
            }
        }
        !self.pending.is_empty()
    }

    fn advance(&mut self) -> Result<(), ArchiveError> {
        match self.archives.parse()? {
            Some(Piece::Data(range)) => self.pending = range,
            Some(Piece::EntryEnd) => self.is_over = true,
            Some(Piece::Entry(_)) => return Err(ArchiveError::Order),
            None => {
                if !self.archives.fetch()? || !self.archives.next.is_empty() {
                    return Err(ArchiveError::Tar(TarError::Truncated));
                }
            }
        }
        Ok(())
    }

    fn hand_out(&mut self, count_max: usize) -> Range<usize> {
        let count = self.pending.len().min(count_max);
        let range = self.pending.start..self.pending.start + count;
        self.pending.start += count;
        let bytes = &self.archives.piece[range.clone()];
        self.received.size_bytes += count as u64;
        self.received.crc32c = crc32c::crc32c_append(self.received.crc32c, bytes);
        range
    }
}

impl Read for Body<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() || !self.fill() {
            return match &self.failure {
                Some(failure) => Err(io::Error::other(failure.to_string())),
                None => Ok(0),
            };
        }
        let range = self.hand_out(buffer.len());
        buffer[..range.len()].copy_from_slice(&self.archives.piece[range.clone()]);
        Ok(range.len())
    }
}
