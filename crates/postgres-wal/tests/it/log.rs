//! Reading whole logs in tests.

use std::io::Read;
use std::path::Path;

use postgres_wal::{
    IndexEvent, IndexLimits, Lsn, Major, PageHeader, Record, RecordStream, Statistics, TransactionId,
    TransactionIndex, TransactionRows, TransactionSummary, WalError,
};

/// A log in memory: consecutive segments.
pub(crate) struct Log {
    pub(crate) bytes: Vec<u8>,
}

impl Log {
    /// The committed log of a major version.
    pub(crate) fn fixture(major: Major) -> Self {
        let path = format!("{}/tests/fixtures/{major}.wal.zst", env!("CARGO_MANIFEST_DIR"));
        let file = std::fs::File::open(path).unwrap();
        let mut bytes = Vec::new();
        let mut decoder = zstd::Decoder::new(file).unwrap();
        decoder.window_log_max(24).unwrap();
        decoder.take(64 << 20).read_to_end(&mut bytes).unwrap();
        Self { bytes }
    }

    /// The segments of a folder, from one on.
    pub(crate) fn folder(folder: &Path, first: &str) -> Self {
        let mut names: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.len() == 24 && name.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .filter(|name| name.as_str() >= first)
            .collect();
        names.sort();
        let bytes = names.iter().flat_map(|name| std::fs::read(folder.join(name)).unwrap()).collect();
        Self { bytes }
    }

    pub(crate) fn header(&self) -> PageHeader {
        PageHeader::read(&self.bytes).unwrap()
    }

    pub(crate) fn stream(&self) -> RecordStream {
        let header = self.header();
        RecordStream::new(header.major, header.segment.unwrap().segment_size, header.address)
    }

    /// Reads to the end of the written log, which must be a clean one, and returns where that is.
    pub(crate) fn read(&self, mut visit: impl FnMut(&Record<'_>)) -> Lsn {
        let mut stream = self.stream();
        for portion in self.bytes.chunks(100_000) {
            stream.push(stream.expected(), portion).unwrap();
            loop {
                match stream.next_record() {
                    Ok(Some(record)) => visit(&record),
                    Ok(None) => break,
                    Err(error) if error.is_end_of_written_log() => return error.lsn(),
                    Err(error) => panic!("{error}"),
                }
            }
        }
        stream.expected()
    }

    pub(crate) fn statistics(&self) -> Statistics {
        let mut statistics = Statistics::new(self.header().major);
        self.read(|record| statistics.add(record));
        statistics
    }

    pub(crate) fn events(&self) -> Vec<IndexEvent> {
        let mut index = TransactionIndex::new(IndexLimits::default());
        let mut events = Vec::new();
        self.read(|record| events.extend(index.apply(record).unwrap()));
        assert_eq!(index.open_transactions(), 0, "nothing was left open");
        events
    }

    pub(crate) fn rows(&self, summary: &TransactionSummary) -> TransactionRows {
        let transactions: Vec<TransactionId> =
            std::iter::once(summary.transaction).chain(summary.subtransactions.iter().copied()).collect();
        let mut rows = TransactionRows::new(transactions, usize::MAX);
        self.read(|record| rows.apply(record).unwrap());
        rows
    }
}

/// Every record of a stream, described, and how it ended.
pub(crate) fn describe(stream: &mut RecordStream, portions: &[&[u8]]) -> (Vec<String>, Option<WalError>) {
    let mut described = Vec::new();
    for portion in portions {
        if let Err(error) = stream.push(stream.expected(), portion) {
            return (described, Some(error));
        }
        loop {
            match stream.next_record() {
                Ok(Some(record)) => described.push(format!(
                    "{}..{} {} {:?} {:?} {:?}",
                    record.start(),
                    record.end(),
                    record.name(),
                    record.header(),
                    record.blocks(),
                    record.main_data().iter().map(|byte| u32::from(*byte)).sum::<u32>(),
                )),
                Ok(None) => break,
                Err(error) => return (described, Some(error)),
            }
        }
    }
    (described, None)
}
