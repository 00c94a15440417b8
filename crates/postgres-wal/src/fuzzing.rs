//! Entry for fuzzing: any bytes, read in every way the crate can read them.

use crate::lsn::{Lsn, SegmentSize};
use crate::major::Major;
use crate::record::{HEADER_BYTES, Record, RecordHeader, read_envelope};
use crate::{
    IndexLimits, PageHeader, RecordStream, Statistics, TransactionId, TransactionIndex, TransactionRows,
};

/// Reads `data` as a log, and as a record whose checksum is taken as right; must never panic.
///
/// The first byte chooses the major version. Checksums would keep a fuzzer from ever reaching the decoders, hence the
/// second reading.
pub fn fuzz_one(data: &[u8]) {
    let Some((choice, data)) = data.split_first() else { return };
    let major = Major::ALL.into_iter().cycle().nth(usize::from(*choice % 6)).unwrap_or(Major::V18);
    read_as_log(major, data);
    read_as_record(major, data);
}

fn read_as_log(major: Major, data: &[u8]) {
    let (size, start) = match PageHeader::read(data) {
        Ok(PageHeader { segment: Some(segment), address, .. }) => (segment.segment_size, address),
        Ok(PageHeader { address, .. }) => (SegmentSize::DEFAULT, address),
        Err(_) => (SegmentSize::DEFAULT, Lsn(0x10_0028)),
    };
    let mut stream = RecordStream::new(major, size, start);
    let mut readers = Readers::new(major);
    for portion in data.chunks(1000) {
        if stream.push(stream.expected(), portion).is_err() {
            return;
        }
        loop {
            match stream.next_record() {
                Ok(Some(record)) => readers.read(&record),
                Ok(None) => break,
                Err(_) => return,
            }
        }
    }
}

fn read_as_record(major: Major, data: &[u8]) {
    let Some(header) = RecordHeader::read(data) else { return };
    let mut blocks = Vec::new();
    let mut readers = Readers::new(major);
    // As long as it says it is, which may be clipped, and as long as the data are.
    for total in [header.total_bytes as usize, data.len()] {
        if total < HEADER_BYTES {
            continue;
        }
        let bytes = data.get(..total).unwrap_or(data);
        if let Ok(envelope) = read_envelope(bytes, total, major, &mut blocks) {
            let (start, end) = (Lsn(64), Lsn(64).advanced(total as u64));
            readers.read(&Record { major, start, end, header, envelope, bytes, blocks: &blocks });
        }
    }
}

struct Readers {
    index: TransactionIndex,
    rows: TransactionRows,
    statistics: Statistics,
}

impl Readers {
    fn new(major: Major) -> Self {
        let limits = IndexLimits {
            open_transactions: 4,
            items_per_transaction: 2,
            message_bytes: 16,
            message_bytes_per_transaction: 1024,
        };
        Self {
            index: TransactionIndex::new(limits),
            rows: TransactionRows::new((0..64).map(TransactionId), 1000),
            statistics: Statistics::new(major),
        }
    }

    /// What a record cannot be is an error and no matter; that it is one is all that counts here.
    fn read(&mut self, record: &Record<'_>) {
        self.statistics.add(record);
        let indexed = self.index.apply(record).is_ok();
        let collected = self.rows.apply(record).is_ok() && self.rows.net_changes().is_ok();
        let blocks = record.blocks().iter().map(|block| record.block_data(block).len()).sum::<usize>();
        let images = record.blocks().iter().filter_map(|block| block.image);
        let images = images.map(|image| record.image_data(&image).len()).sum::<usize>();
        std::hint::black_box((indexed, collected, blocks, images, record.name()));
    }
}
