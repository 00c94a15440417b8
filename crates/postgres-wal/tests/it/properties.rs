//! What holds for any portioning and any damage of a log.

use std::sync::LazyLock;

use postgres_wal::fuzzing::fuzz_one;
use postgres_wal::{Lsn, Major, RecordStream, WalError};
use proptest::prelude::*;

use crate::log::{Log, describe};

static LOGS: LazyLock<Vec<Log>> = LazyLock::new(|| Major::ALL.into_iter().map(Log::fixture).collect());
static WHOLE: LazyLock<Vec<(Vec<String>, Option<WalError>)>> =
    LazyLock::new(|| LOGS.iter().map(|log| describe(&mut log.stream(), &[&log.bytes])).collect());

/// Where each record lies that is whole on its page.
static RECORDS: LazyLock<Vec<Vec<(usize, usize)>>> = LazyLock::new(|| {
    let places = |log: &Log| {
        let mut places = Vec::new();
        let start = log.header().address.0;
        log.read(|record| {
            let (from, length) = ((record.start().0 - start) as usize, record.header().total_bytes as usize);
            if from % 8192 + length <= 8192 {
                places.push((from, length));
            }
        });
        places
    };
    LOGS.iter().map(places).collect()
});

fn portions<'a>(bytes: &'a [u8], sizes: &[usize]) -> Vec<&'a [u8]> {
    let mut rest = bytes;
    let mut portions = Vec::new();
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (head, tail) = rest.split_at((*size).min(rest.len()));
        portions.push(head);
        rest = tail;
    }
    portions
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_portions_give_the_same_records(
        log in 0_usize..6,
        sizes in prop::collection::vec(prop_oneof![1_usize..64, 8_100_usize..8_300, 1_usize..200_000], 1..20),
    ) {
        let bytes = &LOGS[log].bytes;
        let whole = &WHOLE[log];
        let found = describe(&mut LOGS[log].stream(), &portions(bytes, &sizes));
        prop_assert_eq!(found.0.len(), whole.0.len());
        prop_assert_eq!(&found, whole);
    }

    #[test]
    fn a_start_at_any_page_joins_the_same_records(log in 0_usize..6, page in 1_usize..150) {
        let log_start = LOGS[log].header().address;
        let header = LOGS[log].header();
        let skipped = page * 8192;
        let start = log_start.advanced(skipped as u64);
        let mut stream = RecordStream::new(header.major, header.segment.unwrap().segment_size, start);
        let found = describe(&mut stream, &[&LOGS[log].bytes[skipped..]]);
        let whole = &WHOLE[log].0;
        prop_assert!(whole.ends_with(&found.0), "{} of {} records", found.0.len(), whole.len());
        prop_assert_eq!(&found.1, &WHOLE[log].1);
    }

    #[test]
    fn a_flipped_bit_is_found_where_it_is(log in 0_usize..6, at in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let whole = &WHOLE[log];
        let mut bytes = LOGS[log].bytes.clone();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let (records, error) = describe(&mut LOGS[log].stream(), &[&bytes]);
        // Bytes between records, in page headers' padding and after a switch carry nothing: there no record changes.
        if (&records, &error) != (&whole.0, &whole.1) {
            let damaged = LOGS[log].header().address.advanced(at as u64);
            let error = error.expect("damage stops the stream");
            prop_assert!(whole.0.starts_with(&records), "no record before the damage changes");
            prop_assert!(error.lsn() <= damaged.advanced(8192), "{error} for damage at {damaged}");
            prop_assert!(whole.0.len() > records.len());
        }
    }

    #[test]
    fn any_bytes_are_survived(mut data in prop::collection::vec(any::<u8>(), 0..4096), choice in any::<u8>()) {
        data.insert(0, choice);
        fuzz_one(&data);
    }

    #[test]
    fn damaged_records_with_right_checksums_are_survived(
        log in 0_usize..6,
        at in any::<prop::sample::Index>(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
    ) {
        let (from, length) = *at.get(&RECORDS[log]);
        let mut record = LOGS[log].bytes[from..from + length].to_vec();
        for (place, value) in edits {
            let place = place.index(record.len());
            record[place] = value;
        }
        record.insert(0, log as u8);
        fuzz_one(&record);
    }
}

#[test]
fn a_gap_is_refused_with_both_positions() {
    let mut stream = LOGS[0].stream();
    let start = stream.expected();
    stream.push(start, &LOGS[0].bytes[..1000]).unwrap();
    let expected = start.advanced(1000);
    for found in [start, Lsn(0), expected.advanced(1), expected.advanced(7192)] {
        assert_eq!(stream.push(found, b"x"), Err(WalError::Gap { expected, found }));
    }
    assert_eq!(stream.expected(), expected, "a refused portion changes nothing");
}

#[test]
fn an_error_is_repeated() {
    let log = &LOGS[2];
    let mut bytes = log.bytes[..100_000].to_vec();
    bytes[50_000] ^= 0xFF;
    let mut stream = log.stream();
    let (_, first) = describe(&mut stream, &[&bytes]);
    let again = stream.next_record().unwrap_err();
    assert_eq!(first, Some(again));
}

#[test]
fn another_major_or_segment_size_is_refused() {
    let log = &LOGS[5];
    let header = log.header();
    let size = header.segment.unwrap().segment_size;
    let mut stream = RecordStream::new(Major::V17, size, header.address);
    let (_, error) = describe(&mut stream, &[&log.bytes[..8192]]);
    assert_eq!(error, Some(WalError::PageMagic { lsn: header.address, expected: 0xD116, found: 0xD118 }));
    assert_eq!(error.unwrap().hint().unwrap(), "this log was written by PostgreSQL 18");

    let mut stream = RecordStream::new(Major::V18, postgres_wal::SegmentSize::DEFAULT, header.address);
    let (_, error) = describe(&mut stream, &[&log.bytes[..8192]]);
    assert!(matches!(error, Some(WalError::PageHeader { lsn, .. }) if lsn == header.address), "{error:?}");
}
