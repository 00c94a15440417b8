use super::{IndexEvent, IndexLimits, MessageContent, TransactionIndex, TransactionSummary};
use crate::lsn::Lsn;
use crate::major::Major;
use crate::names::ResourceManager;
use crate::object::TransactionId;
use crate::record::{Envelope, HEADER_BYTES, Record, RecordHeader, read_envelope};

/// An index and the position of the next record made up for it.
struct Log {
    index: TransactionIndex,
    next: Lsn,
}

impl Log {
    fn new(limits: IndexLimits) -> Self {
        Self { index: TransactionIndex::new(limits), next: Lsn(0x100_0028) }
    }

    fn apply(
        &mut self,
        transaction: u32,
        manager: ResourceManager,
        info: u8,
        body: &[u8],
    ) -> Option<IndexEvent> {
        let bytes = [vec![0; HEADER_BYTES], body.to_vec()].concat();
        let start = self.next;
        self.next = start.advanced(bytes.len() as u64);
        let header = RecordHeader {
            total_bytes: bytes.len() as u32,
            transaction: TransactionId(transaction),
            previous: Lsn(0),
            info,
            resource_manager: manager,
            checksum: 0,
        };
        let mut blocks = Vec::new();
        let envelope: Envelope = read_envelope(&bytes, bytes.len(), Major::V17, &mut blocks).unwrap();
        let end = self.next;
        let record =
            Record { major: Major::V17, start, end, header, envelope, bytes: &bytes, blocks: &blocks };
        self.index.apply(&record).unwrap()
    }

    fn insert(&mut self, transaction: u32, relation: u32) {
        let row = [1, 0, 0];
        self.apply(transaction, ResourceManager::HEAP, 0x00, &[block(relation), main(&row)].concat());
    }

    fn retract(&mut self, transaction: u32, relation: u32) {
        let row = [0, 0, 0, 0, 1, 0, 0, 1 << 3];
        self.apply(transaction, ResourceManager::HEAP, 0x10, &[block(relation), main(&row)].concat());
    }

    fn delete(&mut self, transaction: u32, relation: u32) {
        let row = [0, 0, 0, 0, 1, 0, 0, 0];
        self.apply(transaction, ResourceManager::HEAP, 0x10, &[block(relation), main(&row)].concat());
    }

    fn assign(&mut self, top_level: u32, subtransactions: &[u32]) {
        let numbers = [&[top_level, subtransactions.len() as u32], subtransactions].concat();
        let body: Vec<u8> = numbers.into_iter().flat_map(u32::to_le_bytes).collect();
        self.apply(top_level, ResourceManager::TRANSACTION, 0x50, &main(&body));
    }

    /// The open transactions that have lost enough.
    fn losing(&self) -> Vec<(u32, u64)> {
        self.index.losing().map(|(transaction, rows)| (transaction.0, rows)).collect()
    }

    fn message(&mut self, transaction: u32, text: &[u8]) {
        let lengths = [2_u64.to_le_bytes(), (text.len() as u64).to_le_bytes()].concat();
        let body = [&[5, 0, 0, 0, 1, 0, 0, 0], &lengths[..], b"p\0", text].concat();
        self.apply(transaction, ResourceManager::LOGICAL_MESSAGE, 0x00, &main(&body));
    }

    fn abort(&mut self, transaction: u32) {
        assert_eq!(self.apply(transaction, ResourceManager::TRANSACTION, 0x20, &main(&[0; 8])), None);
    }

    fn commit(&mut self, transaction: u32) -> TransactionSummary {
        match self.apply(transaction, ResourceManager::TRANSACTION, 0x00, &main(&[0; 8])) {
            Some(IndexEvent::Committed(summary)) => *summary,
            other => panic!("{other:?}"),
        }
    }

    fn running(&mut self, next: u32, oldest: u32) {
        let numbers = [0, 0, 0, next, oldest, oldest].map(u32::to_le_bytes).concat();
        self.apply(0, ResourceManager::STANDBY, 0x10, &main(&numbers));
    }
}

fn main(data: &[u8]) -> Vec<u8> {
    [&[255, data.len() as u8], data].concat()
}

/// A reference to block 3 of a relation, without data.
fn block(relation: u32) -> Vec<u8> {
    [&[0, 0, 0, 0], &[1663, 5, relation, 3].map(u32::to_le_bytes).concat()[..]].concat()
}

fn small() -> IndexLimits {
    IndexLimits {
        open_transactions: 3,
        items_per_transaction: 2,
        message_bytes: 4,
        message_bytes_per_transaction: 1200,
    }
}

#[test]
fn counts_stay_exact_when_the_list_of_relations_is_full() {
    let mut log = Log::new(small());
    for relation in [20_001, 20_002, 20_003, 20_003, 20_001] {
        log.insert(700, relation);
    }
    let summary = log.commit(700);
    assert_eq!(summary.rows.inserted, 5);
    assert_eq!(summary.relations.len(), 2);
    assert!(summary.overflow);
}

#[test]
fn a_retracted_insertion_is_not_counted() {
    let mut log = Log::new(IndexLimits::default());
    log.insert(700, 20_001);
    log.insert(700, 20_001);
    log.retract(700, 20_001);
    let summary = log.commit(700);
    assert_eq!((summary.rows.inserted, summary.rows.deleted), (1, 0));
}

#[test]
fn too_many_open_transactions_are_said_to_be_too_many() {
    let mut log = Log::new(small());
    for transaction in 700..704 {
        log.insert(transaction, 20_001);
    }
    assert_eq!(log.index.open_transactions(), 3);
    assert!(!log.commit(700).overflow);
    let unfollowed = log.commit(703);
    assert!(unfollowed.overflow && unfollowed.rows.inserted == 0);
    log.commit(701);
    log.commit(702);
    // With none left open nothing can be missing any more.
    assert!(!log.commit(705).overflow);
}

#[test]
fn messages_are_cut_at_characters_and_marked() {
    let mut log = Log::new(small());
    log.message(700, "abcö".as_bytes());
    log.message(700, b"\xFF\xFE");
    log.message(700, b"third");
    let summary = log.commit(700);
    let contents: Vec<_> = summary.messages.iter().map(|message| message.content.clone()).collect();
    assert_eq!(contents, [MessageContent::Text("abc".into()), MessageContent::Binary(vec![0xFF, 0xFE])]);
    assert_eq!(summary.messages[0].content_bytes, 5);
    assert!(summary.overflow, "the third message did not fit");
}

#[test]
fn transactions_that_a_crash_ended_are_forgotten() {
    let mut log = Log::new(IndexLimits::default());
    log.insert(700, 20_001);
    log.insert(705, 20_001);
    log.running(710, 705);
    assert_eq!(log.index.open_transactions(), 1);
    // Numbers wrap around: what looks larger may be older.
    log.insert(4_294_967_290, 20_001);
    log.running(711, 705);
    assert_eq!(log.index.open_transactions(), 1);
}

#[test]
fn what_began_before_the_log_is_partial() {
    let mut log = Log::new(IndexLimits::default());
    assert!(log.commit(700).partial, "nothing is known yet");
    log.running(710, 701);
    log.insert(709, 20_001);
    assert!(log.commit(709).partial);
    log.insert(710, 20_001);
    assert!(!log.commit(710).partial);
}

#[test]
fn reading_restarts_at_the_oldest_open_transaction() {
    let mut log = Log::new(IndexLimits::default());
    let first = log.next;
    log.insert(700, 20_001);
    let second = log.next;
    log.insert(701, 20_001);
    assert_eq!(log.index.restart_lsn(), first);
    log.abort(700);
    assert_eq!(log.index.restart_lsn(), second);
    log.commit(701);
    assert_eq!(log.index.restart_lsn(), log.next);
}

#[test]
fn an_open_transaction_is_told_of_from_some_rows_on_and_until_it_ends() {
    let mut log = Log::new(IndexLimits::default());
    log.index = TransactionIndex::new(IndexLimits::default()).watching(3);
    for relation in [20_001, 20_001, 1249, 20_002] {
        assert!(!log.index.is_losing());
        log.insert(700, relation);
        log.delete(700, relation);
    }
    log.delete(701, 20_001);
    assert_eq!(log.losing(), [(700, 3)], "rows of catalogs are not users' rows");
    let losing = log.index.losing_of(TransactionId(700)).unwrap();
    let deleted: Vec<_> =
        losing.relations.iter().map(|rows| (rows.relation.relation, rows.rows.deleted)).collect();
    assert_eq!(deleted, [(20_001, 2), (20_002, 1)]);
    log.abort(700);
    assert!(!log.index.is_losing());
    for _ in 0..3 {
        log.delete(701, 20_001);
    }
    assert_eq!(log.losing(), [(701, 4)]);
    assert_eq!(log.commit(701).rows.deleted, 4);
    assert_eq!(log.losing(), []);
}

#[test]
fn subtransactions_count_for_the_transaction_once_it_is_known() {
    let mut log = Log::new(IndexLimits::default());
    log.index = TransactionIndex::new(IndexLimits::default()).watching(3);
    for child in 701..705 {
        log.delete(child, 20_001);
    }
    assert!(!log.index.is_losing(), "each of them alone has lost little");
    log.assign(700, &[701, 702, 703, 704]);
    assert_eq!(log.losing(), [(700, 4)]);
    log.delete(704, 20_001);
    assert_eq!(log.losing(), [(700, 5)]);
    // What a savepoint takes back is not lost.
    log.abort(704);
    assert_eq!(log.losing(), [(700, 3)]);
    let losing = log.index.losing_of(TransactionId(700)).unwrap();
    assert_eq!(losing.relations.iter().map(|rows| rows.rows.deleted).sum::<u64>(), 3);
    log.abort(703);
    assert_eq!(log.losing(), []);
}

#[test]
fn what_a_crash_ended_is_no_longer_told_of() {
    let mut log = Log::new(IndexLimits::default());
    log.index = TransactionIndex::new(IndexLimits::default()).watching(1);
    log.delete(700, 20_001);
    assert!(log.index.is_losing());
    log.running(710, 705);
    assert!(!log.index.is_losing());
}
