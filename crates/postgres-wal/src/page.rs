//! Log pages: 8 kB each, with a short header, and a long one at the start of a segment.

use crate::bytes::Bytes;
use crate::error::WalError;
use crate::lsn::{Lsn, SegmentSize, Timeline};
use crate::major::Major;

/// The size of a log page.
pub const PAGE_BYTES: u64 = 8192;

pub(crate) const SHORT_HEADER_BYTES: u64 = 24;
pub(crate) const LONG_HEADER_BYTES: u64 = 40;

const FIRST_IS_CONTINUATION: u16 = 0x0001;
const LONG_HEADER: u16 = 0x0002;
const BACKUP_REMOVABLE: u16 = 0x0004;
const FIRST_REPLACES_CONTINUATION: u16 = 0x0008;
const ALL_FLAGS: u16 = FIRST_IS_CONTINUATION | LONG_HEADER | BACKUP_REMOVABLE | FIRST_REPLACES_CONTINUATION;

/// A log page's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageHeader {
    /// The major version that wrote the page.
    pub major: Major,
    /// The timeline of the first record on the page.
    pub timeline: Timeline,
    /// The page's position.
    pub address: Lsn,
    /// Bytes of a record begun on an earlier page that are still to come; 0 if none.
    pub remaining: u32,
    /// Whether the page takes the place of a record's remainder that a crash kept from being written.
    pub replaces_continuation: bool,
    /// What only the first page of a segment tells.
    pub segment: Option<SegmentHeader>,
}

/// What the first page of a segment tells about the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentHeader {
    /// The number that tells one cluster from every other.
    pub system_identifier: u64,
    /// The size of the cluster's segments.
    pub segment_size: SegmentSize,
}

impl PageHeader {
    /// Reads the header of a page taken by itself, such as a segment file's first.
    ///
    /// The magic number decides the version, and the header itself the position; use this to learn how to
    /// open a [`RecordStream`](crate::RecordStream) on files.
    pub fn read(page: &[u8]) -> Result<Self, WalError> {
        let mut bytes = Bytes::new(page);
        let malformed = |reason| WalError::PageHeader { lsn: Lsn(0), reason };
        let magic = bytes.u16().ok_or(malformed("it is cut short"))?;
        let major = Major::from_page_magic(magic).ok_or(WalError::PageMagic {
            lsn: Lsn(0),
            expected: Major::V18.page_magic(),
            found: magic,
        })?;
        Self::fields(major, &mut bytes).ok_or(malformed("it is cut short"))?.map_err(malformed)
    }

    /// Reads the header that must lie at `lsn`.
    pub(crate) fn expect(page: &[u8], major: Major, size: SegmentSize, lsn: Lsn) -> Result<Self, WalError> {
        let malformed = |reason| WalError::PageHeader { lsn, reason };
        let mut bytes = Bytes::new(page);
        let magic = bytes.u16().ok_or(malformed("it is cut short"))?;
        if magic == 0 && page.iter().all(|byte| *byte == 0) {
            return Err(WalError::EndOfWal { lsn });
        }
        if magic != major.page_magic() {
            return Err(WalError::PageMagic { lsn, expected: major.page_magic(), found: magic });
        }
        let header =
            Self::fields(major, &mut bytes).ok_or(malformed("it is cut short"))?.map_err(malformed)?;
        if header.address != lsn {
            return Err(WalError::PageAddress { lsn, found: header.address });
        }
        let begins_segment = lsn.segment_offset(size) == 0;
        if header.segment.is_some() != begins_segment {
            return Err(malformed("a long header stands at the start of a segment and nowhere else"));
        }
        if header.segment.is_some_and(|segment| segment.segment_size != size) {
            return Err(malformed("the segment size is another"));
        }
        Ok(header)
    }

    fn fields(major: Major, bytes: &mut Bytes<'_>) -> Option<Result<Self, &'static str>> {
        let flags = bytes.u16()?;
        let timeline = Timeline(bytes.u32()?);
        let address = Lsn(bytes.u64()?);
        let remaining = bytes.u32()?;
        bytes.skip(4)?;
        if flags & !ALL_FLAGS != 0 {
            return Some(Err("unknown flags"));
        }
        if !address.0.is_multiple_of(PAGE_BYTES) {
            return Some(Err("its address is not that of a page"));
        }
        if (remaining != 0) != (flags & FIRST_IS_CONTINUATION != 0) {
            return Some(Err("the continuation flag and length disagree"));
        }
        let segment = if flags & LONG_HEADER == 0 {
            None
        } else {
            let system_identifier = bytes.u64()?;
            let Ok(segment_size) = SegmentSize::new(bytes.u32()?.into()) else {
                return Some(Err("no such segment size"));
            };
            if u64::from(bytes.u32()?) != PAGE_BYTES {
                return Some(Err("the page size is not 8192"));
            }
            Some(SegmentHeader { system_identifier, segment_size })
        };
        let replaces_continuation = flags & FIRST_REPLACES_CONTINUATION != 0;
        Some(Ok(Self { major, timeline, address, remaining, replaces_continuation, segment }))
    }
}
