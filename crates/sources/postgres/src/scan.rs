//! Reads the log as it passes, and says what each committed transaction did.
//!
//! The bytes are durable before they are read here, so nothing that is found, or not understood, can hold them up.

use std::collections::{BTreeMap, HashSet};

use postgres_wal::{
    FIRST_USER_OBJECT, IndexEvent, IndexLimits, Lsn, Major, Record, RecordStream, RelationLocator,
    ResourceManager, SegmentSize, TransactionIndex, TransactionSummary, WalError,
    payload::{HeapChange, heap_change},
};

use crate::glimpse;

/// Catalogs that hold statistics: `ANALYZE` writes to them all day and defines nothing.
const STATISTICS_CATALOGS: [u32; 6] = [2619, 2840, 2841, 3429, 3430, 3431];
/// `XLOG_FPI`: a page that was built outside of the log, as a rewrite of a table does.
const FULL_PAGE: u8 = 0xB0;
/// Marks kept for transactions that have not ended; more are the sign of ends that were never logged.
const MARKS_MAX: usize = 100_000;
/// How far back reading again may have to go; longer transactions are counted too low after a restart.
const INDEX_BYTES_MAX: u64 = 1 << 30;

/// A committed transaction, with what its summary does not tell.
#[derive(Debug)]
pub(crate) struct Commit {
    pub(crate) summary: TransactionSummary,
    /// Whether it wrote to a catalog that holds definitions.
    pub(crate) defines: bool,
    /// Of the files that it created, those whose pages were built outside of the log: a rewrite fills them so.
    pub(crate) rewritten: Vec<RelationLocator>,
    /// The databases that it removed, each with the record that did.
    pub(crate) databases_dropped: Vec<(u32, u64)>,
}

/// A reader of the log that goes on, at the next segment, after what it does not understand.
#[derive(Debug)]
pub(crate) struct Scan {
    major: Major,
    segment: SegmentSize,
    stream: Option<RecordStream>,
    /// Bytes before this are passed over.
    start: u64,
    /// Records before this belong to another timeline's count.
    apply_from: u64,
    index: TransactionIndex,
    /// Where the index began to be complete on this timeline.
    index_start: u64,
    definers: HashSet<u32>,
    imaged: HashSet<RelationLocator>,
    drops: BTreeMap<u32, Vec<(u32, u64)>>,
    commits: Vec<Commit>,
    failures: Vec<WalError>,
}

impl Scan {
    /// Begins at a record's or page's start.
    pub(crate) fn new(major: Major, segment: SegmentSize, start: u64) -> Self {
        Self {
            major,
            segment,
            stream: None,
            start,
            apply_from: start,
            index: index(),
            index_start: start,
            definers: HashSet::new(),
            imaged: HashSet::new(),
            drops: BTreeMap::new(),
            commits: Vec::new(),
            failures: Vec::new(),
        }
    }

    /// Goes on with another timeline: its first segment repeats what the old one wrote before the switch.
    pub(crate) fn switch_timeline(&mut self, segment_start: u64, switch_lsn: u64) {
        self.stream = None;
        self.start = segment_start;
        self.apply_from = switch_lsn;
        self.index_start = segment_start;
    }

    /// Returns where reading must begin after a restart, at most `lsn`; none where the segment's start will do.
    pub(crate) fn restart_lsn(&self, lsn: u64) -> Option<u64> {
        let restart = self.index.restart_lsn().0;
        let usable = restart >= self.index_start && restart <= lsn && lsn - restart <= INDEX_BYTES_MAX;
        (usable && self.stream.is_some()).then_some(restart)
    }

    /// Reads on; bytes must follow those before.
    pub(crate) fn push(&mut self, lsn: u64, bytes: &[u8]) {
        let skipped = self.start.saturating_sub(lsn).min(bytes.len() as u64);
        let (lsn, bytes) = (lsn + skipped, &bytes[skipped as usize..]);
        if bytes.is_empty() {
            return;
        }
        let (major, segment) = (self.major, self.segment);
        let stream = self.stream.get_or_insert_with(|| RecordStream::new(major, segment, Lsn(lsn)));
        let read = stream.push(Lsn(lsn), bytes).and_then(|()| self.read());
        if let Err(error) = read {
            self.resume_after(lsn + bytes.len() as u64, error);
        }
    }

    /// Returns what was committed since the last call.
    pub(crate) fn take_commits(&mut self) -> Vec<Commit> {
        std::mem::take(&mut self.commits)
    }

    /// Returns the transactions that have not ended.
    pub(crate) const fn open(&self) -> &TransactionIndex {
        &self.index
    }

    /// Returns what was not understood since the last call.
    pub(crate) fn take_failures(&mut self) -> Vec<WalError> {
        std::mem::take(&mut self.failures)
    }

    fn read(&mut self) -> Result<(), WalError> {
        let Some(mut stream) = self.stream.take() else { return Ok(()) };
        while let Some(record) = stream.next_record()? {
            if record.start().0 >= self.apply_from {
                self.mark(&record);
                match self.index.apply(&record) {
                    Ok(Some(event)) => self.take(event),
                    Ok(None) => {}
                    // One record that is not understood does not make the others unreadable.
                    Err(error) => self.failures.push(error),
                }
            }
        }
        self.stream = Some(stream);
        Ok(())
    }

    /// Notes what the index does not count.
    fn mark(&mut self, record: &Record<'_>) {
        let Some(transaction) = record.transaction() else { return };
        let Some(relation) = record.block(0).map(|block| block.relation) else { return };
        match record.resource_manager() {
            ResourceManager::HEAP | ResourceManager::HEAP2 if defines(record, relation) => {
                if self.definers.len() >= MARKS_MAX {
                    self.definers.clear();
                }
                self.definers.insert(transaction.0);
            }
            ResourceManager::XLOG if record.operation() == FULL_PAGE => {
                if self.imaged.len() >= MARKS_MAX {
                    self.imaged.clear();
                }
                self.imaged.insert(relation);
            }
            _ => {}
        }
    }

    fn take(&mut self, event: IndexEvent) {
        match event {
            IndexEvent::Committed(summary) => {
                let numbers = || std::iter::once(&summary.transaction).chain(&summary.subtransactions);
                // Not `any`: every mark of the transaction must go.
                let marks = numbers().filter(|number| self.definers.remove(&number.0)).count();
                let drops = numbers().filter_map(|number| self.drops.remove(&number.0)).flatten().collect();
                let created = summary.files_created.iter().copied();
                let rewritten = created.filter(|file| self.imaged.remove(file)).collect();
                self.commits.push(Commit {
                    summary: *summary,
                    defines: marks > 0,
                    rewritten,
                    databases_dropped: drops,
                });
            }
            IndexEvent::DatabaseDropped { lsn, transaction, files } => {
                let number = transaction.map_or(0, |transaction| transaction.0);
                self.drops.entry(number).or_default().push((files.database, lsn.0));
                if self.drops.len() > MARKS_MAX {
                    self.drops.pop_first();
                }
            }
            IndexEvent::Message(_) => {}
        }
    }

    fn resume_after(&mut self, end: u64, error: WalError) {
        self.stream = None;
        self.index = index();
        self.start = Lsn(end.max(error.lsn().0)).segment_start(self.segment).0 + self.segment.bytes();
        self.index_start = self.start;
        self.failures.push(error);
    }
}

fn index() -> TransactionIndex {
    TransactionIndex::new(IndexLimits::default()).watching(glimpse::ROWS_MIN)
}

fn defines(record: &Record<'_>, relation: RelationLocator) -> bool {
    relation.relation < FIRST_USER_OBJECT
        && !STATISTICS_CATALOGS.contains(&relation.relation)
        && matches!(
            heap_change(record),
            Ok(Some(
                HeapChange::Insert { .. }
                    | HeapChange::MultiInsert(_)
                    | HeapChange::Update { .. }
                    | HeapChange::Delete { .. }
            ))
        )
}
