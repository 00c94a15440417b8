//! The record stream: log bytes in, checked records out.

use crate::error::WalError;
use crate::lsn::{Lsn, SegmentSize, Timeline};
use crate::major::Major;
use crate::names::ResourceManager;
use crate::page::{LONG_HEADER_BYTES, PAGE_BYTES, PageHeader, SHORT_HEADER_BYTES};
use crate::record::{
    BlockReference, CHECKED_HEADER_BYTES, HEADER_BYTES, Record, RecordHeader, read_envelope,
};

/// Records begin at multiples of this.
const ALIGNMENT: u64 = 8;
/// The longest record a server can write (`XLogRecordMaxSize`, and the server's allocation limit before it).
const RECORD_BYTES_MAX: u32 = 1 << 30;
/// How much of one record is kept in memory: block data always fit, only huge main data are clipped.
const RETAINED_BYTES: usize = 16 << 20;

/// Decodes a log handed in as contiguous bytes, in portions of any size.
///
/// ```text
/// stream.push(lsn, bytes)?;
/// while let Some(record) = stream.next_record()? { ... }
/// ```
///
/// Memory holds the bytes pushed and not yet read, and at most 16 MiB of a record that runs over several pages.
/// After an error the stream stays where it stopped and repeats the error.
#[derive(Debug)]
pub struct RecordStream {
    major: Major,
    segment_size: SegmentSize,
    buffer: Vec<u8>,
    /// How much of `buffer` has been read.
    read: usize,
    /// The position of the first unread byte.
    position: Lsn,
    state: State,
    /// The record being put together from several pages.
    assembly: Assembly,
    blocks: Vec<BlockReference>,
    previous: Option<Lsn>,
    timeline: Option<Timeline>,
    system_identifier: Option<u64>,
    failure: Option<WalError>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// At a page's start, before any record was read: a record may run onto the page.
    Opening,
    /// Skips the rest of a record that began before the stream did.
    SkippingRemainder(u32),
    /// At a record's start.
    Between,
    /// Within a record that runs over a page's end.
    Assembling,
    /// Skips what pads a segment after a switch.
    SkippingTo(Lsn),
}

#[derive(Debug, Default)]
struct Assembly {
    start: Lsn,
    total: u32,
    received: u32,
    /// The record's first bytes, up to `RETAINED_BYTES`.
    bytes: Vec<u8>,
    /// The checksum over everything after the header, once bytes are no longer retained.
    running_checksum: Option<u32>,
}

/// A complete record that has not been taken apart.
struct Located {
    start: Lsn,
    end: Lsn,
    header: RecordHeader,
    place: Place,
}

enum Place {
    Buffer { from: usize, length: usize },
    Assembly,
}

impl RecordStream {
    /// Opens a stream at `start`: the start of a page, or of a record.
    ///
    /// At a page's start the remainder of a record that began earlier is skipped; a segment's start is the usual choice.
    pub fn new(major: Major, segment_size: SegmentSize, start: Lsn) -> Self {
        let state = if start.0.is_multiple_of(PAGE_BYTES) { State::Opening } else { State::Between };
        Self {
            major,
            segment_size,
            buffer: Vec::new(),
            read: 0,
            position: start,
            state,
            assembly: Assembly::default(),
            blocks: Vec::new(),
            previous: None,
            timeline: None,
            system_identifier: None,
            failure: None,
        }
    }

    /// The major version being read.
    pub fn major(&self) -> Major {
        self.major
    }

    /// Where the next pushed byte must lie.
    pub fn expected(&self) -> Lsn {
        self.position.advanced((self.buffer.len() - self.read) as u64)
    }

    /// The timeline of the last page begun, if any was.
    pub fn timeline(&self) -> Option<Timeline> {
        self.timeline
    }

    /// The cluster's system identifier, once a segment's start was seen.
    pub fn system_identifier(&self) -> Option<u64> {
        self.system_identifier
    }

    /// Hands in the bytes that lie at `start`, which must be where those before ended.
    pub fn push(&mut self, start: Lsn, bytes: &[u8]) -> Result<(), WalError> {
        let expected = self.expected();
        if start != expected {
            return Err(WalError::Gap { expected, found: start });
        }
        if self.read == self.buffer.len() {
            self.buffer.clear();
        } else {
            self.buffer.drain(..self.read);
        }
        self.read = 0;
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    /// The next record, or `None` until more bytes are pushed.
    pub fn next_record(&mut self) -> Result<Option<Record<'_>>, WalError> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        let located = match self.locate() {
            Ok(Some(located)) => located,
            Ok(None) => return Ok(None),
            Err(failure) => return Err(self.fail(failure)),
        };
        let Located { start, end, header, place } = located;
        if let Err(failure) = self.check_order(start, &header) {
            return Err(self.fail(failure));
        }
        let bytes = match place {
            Place::Buffer { from, length } => self.buffer.get(from..from + length).unwrap_or_default(),
            Place::Assembly => &self.assembly.bytes,
        };
        let total = header.total_bytes as usize;
        let envelope = match read_envelope(bytes, total, self.major, &mut self.blocks) {
            Ok(envelope) => envelope,
            Err(reason) => {
                let failure = WalError::InvalidRecord { lsn: start, reason };
                self.failure = Some(failure.clone());
                return Err(failure);
            }
        };
        self.previous = Some(start);
        Ok(Some(Record { major: self.major, start, end, header, envelope, bytes, blocks: &self.blocks }))
    }

    fn fail(&mut self, failure: WalError) -> WalError {
        self.failure = Some(failure.clone());
        failure
    }

    fn check_order(&self, start: Lsn, header: &RecordHeader) -> Result<(), WalError> {
        let found = header.previous;
        match self.previous {
            Some(expected) if expected != found => {
                Err(WalError::PreviousRecord { lsn: start, expected, found })
            }
            None if found >= start => Err(WalError::InvalidRecord {
                lsn: start,
                reason: "it follows a record that is not before it",
            }),
            _ => Ok(()),
        }
    }

    fn unread(&self) -> &[u8] {
        self.buffer.get(self.read..).unwrap_or_default()
    }

    fn page_left(&self) -> u64 {
        PAGE_BYTES - self.position.0 % PAGE_BYTES
    }

    fn consume(&mut self, bytes: u64) {
        self.read += bytes as usize;
        self.position = self.position.advanced(bytes);
    }

    /// Goes on until a whole record is at hand; `None` asks for more bytes.
    fn locate(&mut self) -> Result<Option<Located>, WalError> {
        loop {
            if let State::SkippingTo(target) = self.state {
                let step = (target.0 - self.position.0).min(self.unread().len() as u64);
                self.consume(step);
                if self.position < target {
                    return Ok(None);
                }
                self.state = State::Between;
            }
            if self.position.0.is_multiple_of(PAGE_BYTES) && !self.open_page()? {
                return Ok(None);
            }
            match self.state {
                State::Between => match self.begin_record()? {
                    Begun::Whole(located) => return Ok(Some(located)),
                    Begun::Partly => {}
                    Begun::NeedsBytes => return Ok(None),
                },
                State::Assembling => {
                    if !self.assemble() {
                        return Ok(None);
                    }
                    if self.assembly.received == self.assembly.total {
                        return self.finish_assembly().map(Some);
                    }
                }
                State::SkippingRemainder(remaining) => {
                    if !self.skip_remainder(remaining) {
                        return Ok(None);
                    }
                }
                State::Opening | State::SkippingTo(_) => {}
            }
        }
    }

    /// Reads the page header at the current position; `false` asks for more bytes.
    fn open_page(&mut self) -> Result<bool, WalError> {
        let lsn = self.position;
        let long = lsn.segment_offset(self.segment_size) == 0;
        let length = if long { LONG_HEADER_BYTES } else { SHORT_HEADER_BYTES };
        let Some(bytes) = self.unread().get(..length as usize) else { return Ok(false) };
        let header = PageHeader::expect(bytes, self.major, self.segment_size, lsn)?;
        if self.timeline.is_some_and(|timeline| header.timeline < timeline) {
            return Err(WalError::PageHeader {
                lsn,
                reason: "its timeline is older than the page's before it",
            });
        }
        if let Some(segment) = header.segment {
            if self.system_identifier.is_some_and(|known| known != segment.system_identifier) {
                return Err(WalError::PageHeader { lsn, reason: "it belongs to another cluster" });
            }
            self.system_identifier = Some(segment.system_identifier);
        }
        let expected = match self.state {
            State::Opening => {
                self.state = match header.remaining {
                    0 => State::Between,
                    remaining => State::SkippingRemainder(remaining),
                };
                header.remaining
            }
            // A crash lost the rest of the record; the server says so and goes on with a new one.
            State::Assembling | State::SkippingRemainder(_) if header.replaces_continuation => {
                self.state = State::Between;
                0
            }
            State::Assembling => self.assembly.total - self.assembly.received,
            State::SkippingRemainder(remaining) => remaining,
            State::Between | State::SkippingTo(_) => 0,
        };
        if header.remaining != expected {
            return Err(WalError::Continuation { lsn, expected, found: header.remaining });
        }
        self.timeline = Some(header.timeline);
        self.consume(length);
        Ok(true)
    }

    /// Begins the record at the current position, which lies within a page.
    fn begin_record(&mut self) -> Result<Begun, WalError> {
        let lsn = self.position;
        if !lsn.0.is_multiple_of(ALIGNMENT) {
            return Err(WalError::InvalidRecord { lsn, reason: "records begin at multiples of eight" });
        }
        let Some(total) = self.unread().first_chunk::<4>().map(|bytes| u32::from_le_bytes(*bytes)) else {
            return Ok(Begun::NeedsBytes);
        };
        if total == 0 {
            return Err(WalError::EndOfWal { lsn });
        }
        if (total as usize) < HEADER_BYTES {
            return Err(WalError::InvalidRecord { lsn, reason: "it is shorter than its header" });
        }
        if total > RECORD_BYTES_MAX {
            return Err(WalError::InvalidRecord { lsn, reason: "it is longer than a server can write" });
        }
        if u64::from(total) > self.page_left() {
            self.assembly.begin(lsn, total);
            self.state = State::Assembling;
            return Ok(Begun::Partly);
        }
        // The padding belongs to the record's step, so that its end is known when it is yielded.
        let padded = u64::from(total).next_multiple_of(ALIGNMENT);
        let Some(bytes) = self.unread().get(..total as usize) else { return Ok(Begun::NeedsBytes) };
        if (self.unread().len() as u64) < padded {
            return Ok(Begun::NeedsBytes);
        }
        let header = check(lsn, bytes, None)?;
        let place = Place::Buffer { from: self.read, length: total as usize };
        self.consume(padded);
        let end = self.after_record(&header);
        Ok(Begun::Whole(Located { start: lsn, end, header, place }))
    }

    /// Takes what this page holds of the record; `false` asks for more bytes.
    fn assemble(&mut self) -> bool {
        let wanted = u64::from(self.assembly.total - self.assembly.received).min(self.page_left());
        let step = wanted.min(self.unread().len() as u64);
        let bytes = self.buffer.get(self.read..self.read + step as usize).unwrap_or_default();
        self.assembly.append(bytes);
        self.consume(step);
        if step < wanted {
            return false;
        }
        if self.assembly.received == self.assembly.total { self.padding_available() } else { true }
    }

    fn padding(&self) -> u64 {
        self.position.0.next_multiple_of(ALIGNMENT) - self.position.0
    }

    fn padding_available(&self) -> bool {
        self.unread().len() as u64 >= self.padding()
    }

    fn skip_padding(&mut self) -> bool {
        let available = self.padding_available();
        if available {
            self.consume(self.padding());
        }
        available
    }

    /// Skips what this page holds of a record that began earlier; `false` asks for more bytes.
    fn skip_remainder(&mut self, remaining: u32) -> bool {
        let wanted = self.page_left().min(remaining.into());
        let step = wanted.min(self.unread().len() as u64);
        self.consume(step);
        let remaining = remaining - step as u32;
        self.state = State::SkippingRemainder(remaining);
        if step < wanted {
            return false;
        }
        if remaining == 0 {
            if !self.skip_padding() {
                return false;
            }
            self.state = State::Between;
        }
        true
    }

    fn finish_assembly(&mut self) -> Result<Located, WalError> {
        let start = self.assembly.start;
        let header = check(start, &self.assembly.bytes, self.assembly.running_checksum)?;
        self.skip_padding();
        let end = self.after_record(&header);
        Ok(Located { start, end, header, place: Place::Assembly })
    }

    /// Decides how to go on after a record, and returns its end.
    fn after_record(&mut self, header: &RecordHeader) -> Lsn {
        const SWITCH: u8 = 0x40;
        let end = self.position;
        let switches = header.resource_manager == ResourceManager::XLOG && header.info & 0xF0 == SWITCH;
        if switches && end.segment_offset(self.segment_size) != 0 {
            let target = end.segment_start(self.segment_size).advanced(self.segment_size.bytes());
            self.state = State::SkippingTo(target);
            return target;
        }
        self.state = State::Between;
        end
    }
}

enum Begun {
    Whole(Located),
    Partly,
    NeedsBytes,
}

impl Assembly {
    fn begin(&mut self, start: Lsn, total: u32) {
        self.start = start;
        self.total = total;
        self.received = 0;
        self.bytes.clear();
        // One huge record must not hold its memory for ever.
        self.bytes.shrink_to(1 << 20);
        self.running_checksum = None;
    }

    fn append(&mut self, bytes: &[u8]) {
        let room = RETAINED_BYTES - self.bytes.len();
        let (kept, beyond) = bytes.split_at(bytes.len().min(room));
        self.bytes.extend_from_slice(kept);
        if !beyond.is_empty() {
            let so_far = self
                .running_checksum
                .unwrap_or_else(|| crc32c::crc32c(self.bytes.get(HEADER_BYTES..).unwrap_or_default()));
            self.running_checksum = Some(crc32c::crc32c_append(so_far, beyond));
        }
        self.received += bytes.len() as u32;
    }
}

/// Reads the header and checks the checksum, which covers the data first and then the header.
fn check(lsn: Lsn, bytes: &[u8], data_checksum: Option<u32>) -> Result<RecordHeader, WalError> {
    let short = WalError::InvalidRecord { lsn, reason: "it is shorter than its header" };
    let (Some(header), Some(checked), Some(data)) =
        (RecordHeader::read(bytes), bytes.get(..CHECKED_HEADER_BYTES), bytes.get(HEADER_BYTES..))
    else {
        return Err(short);
    };
    let data_checksum = data_checksum.unwrap_or_else(|| crc32c::crc32c(data));
    let found = crc32c::crc32c_append(data_checksum, checked);
    if found != header.checksum {
        return Err(WalError::Checksum { lsn, expected: header.checksum, found });
    }
    Ok(header)
}
