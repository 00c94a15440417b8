use std::io::Read as _;

use ports::{ManualClock, SystemClock};

use super::*;

fn copy_text(rental: Rental, table: RentalTable) -> String {
    let mut text = String::new();
    rental.copy(table).read_to_string(&mut text).unwrap();
    text
}

#[test]
fn the_seed_decides_every_row() {
    for table in RentalTable::ALL {
        let text = copy_text(Rental::new(3_000, 1), table);
        assert_eq!(text, copy_text(Rental::new(3_000, 1), table));
        assert_eq!(text.lines().count() as u64, Rental::new(3_000, 1).count(table), "{table:?}");
        if table != RentalTable::Locations {
            assert_ne!(text, copy_text(Rental::new(3_000, 2), table), "{table:?}");
        }
    }
}

#[test]
fn dates_are_those_of_the_calendar() {
    assert_eq!(rows::date(0), "1970-01-01");
    assert_eq!(rows::date(11_016), "2000-02-29");
    assert_eq!(rows::date(rows::today()), "2026-04-24");
    assert_eq!(rows::date(-1), "1969-12-31");
}

#[test]
fn the_writer_is_decided_by_its_seed() {
    let operations = |seed| {
        let mut writer = RentalWriter::new(Rental::new(100, 1), seed);
        let step = |_| {
            let operation = writer.next_operation();
            writer.settle(&operation);
            operation
        };
        (0..200).map(step).collect::<Vec<_>>()
    };
    assert_eq!(operations(5), operations(5));
    assert_ne!(operations(5), operations(6));
    for kind in [OperationKind::Book, OperationKind::Progress, OperationKind::Register, OperationKind::Cancel]
    {
        assert!(operations(5).iter().any(|operation| operation.kind == kind), "no {kind:?}");
    }
}

/// A database in memory that takes what the writer says it wrote.
struct Recorded {
    rental: Rental,
    log: WitnessLog,
    rows: std::collections::BTreeMap<(String, u64), String>,
    last: Operation,
}

fn recorded(steps: usize) -> Recorded {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("witness.jsonl");
    let rental = Rental::new(50, 3);
    let mut rows = std::collections::BTreeMap::new();
    for table in [RentalTable::Customers, RentalTable::Bookings, RentalTable::Payments] {
        for key in 1..=rental.count(table) {
            rows.insert((table.name().to_owned(), key), rental.text(table, key).unwrap());
        }
    }
    let clock = ManualClock::new("2026-04-24T14:00:00Z".parse().unwrap());
    let (mut writer, mut witness) = (RentalWriter::new(rental, 9), Witness::open(&path).unwrap());
    let mut last = None;
    for _ in 0..steps {
        clock.advance_micros(1_000);
        let operation = writer.step(&clock, &mut witness, |_| Ok::<_, std::io::Error>(())).unwrap();
        for row in &operation.rows {
            rows.insert((row.table.clone(), row.key), row.text.clone());
        }
        last = Some(operation);
    }
    Recorded { rental, log: WitnessLog::read(&path).unwrap(), rows, last: last.unwrap() }
}

impl Recorded {
    fn compare(&self) -> WitnessReport {
        let wiped_at = "2026-04-24T14:00:01Z".parse().unwrap();
        let rows = self.rows.iter().map(|((table, key), text)| (table.clone(), *key, text.clone()));
        self.log.compare(&self.rental, Some(wiped_at), rows)
    }
}

#[test]
fn the_witness_agrees_with_an_untouched_database() {
    let report = recorded(300).compare();
    assert!(report.is_identical(), "{report:?}");
    assert_eq!((report.acknowledged, report.present), (300, report.expected_rows));
}

#[test]
fn the_witness_finds_missing_changed_and_foreign_rows() {
    let mut recorded = recorded(300);
    let lost = recorded.last.rows[0].clone();
    recorded.rows.remove(&(lost.table.clone(), lost.key));
    recorded.rows.remove(&("customers".to_owned(), 4));
    recorded.rows.insert(("customers".to_owned(), 5), "Somebody Else".to_owned());
    recorded.rows.insert(("bookings".to_owned(), 77_777), "a fake".to_owned());
    let report = recorded.compare();
    assert_eq!((report.missing_rows, report.different_rows, report.unexpected_rows), (2, 1, 1));
    let missing = report.missing.iter().find(|loss| loss.key == lost.key).unwrap();
    assert_eq!(missing.operation_id, Some(300));
    assert_eq!(missing.before_wipe_micros, Some(700_000));
    assert_eq!(missing.expected.as_ref(), Some(&lost.text));
    assert_eq!(report.different[0].found.as_deref(), Some("Somebody Else"));
    assert!(report.lost_transactions >= 1);
}

#[test]
fn an_older_state_of_a_row_counts_the_later_writes_as_lost() {
    let mut recorded = recorded(400);
    let (key, states) = recorded
        .log
        .rows
        .iter()
        .find_map(|((table, key), history)| {
            let twice = *table == RentalTable::Bookings && history.states.len() > 1;
            twice.then(|| (*key, history.states.clone()))
        })
        .unwrap();
    recorded.rows.insert(("bookings".to_owned(), key), states[0].2.clone());
    let report = recorded.compare();
    assert_eq!((report.different_rows, report.lost_transactions), (1, states.len() as u64 - 1));
    assert_eq!(report.different[0].found_operation_id, Some(states[0].0));
}

#[test]
fn an_unanswered_write_may_be_there_or_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("witness.jsonl");
    let rental = Rental::new(10, 3);
    let (mut writer, mut witness) = (RentalWriter::new(rental, 9), Witness::open(&path).unwrap());
    let mut sent = None;
    while sent.is_none() {
        let refuse = |_: &str| Err(std::io::Error::other("gone"));
        writer.step(&SystemClock::new(), &mut witness, refuse).unwrap_err();
        let text = ports::files::read_text(&path).unwrap();
        let record: Acknowledged = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        sent = (record.kind == OperationKind::Book).then_some(record.rows);
    }
    let log = WitnessLog::read(&path).unwrap();
    let rows = sent.unwrap().into_iter().map(|row| (row.table, row.key, row.text));
    let report = log.compare(&rental, None, rows);
    assert_eq!((report.in_flight, report.unexpected_rows, report.acknowledged), (2, 0, 0));
}

#[test]
fn a_cut_off_last_line_is_no_record_and_a_bad_one_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("witness.jsonl");
    ports::files::replace(&path, b"{\"operation_id\":1,\"ki").unwrap();
    assert_eq!(WitnessLog::read(&path).unwrap().acknowledged(), 0);
    ports::files::replace(&path, b"nonsense\n{}\n").unwrap();
    assert!(matches!(WitnessLog::read(&path), Err(WitnessError::Line { line: 1, .. })));
}

#[test]
fn rows_are_made_fast_enough_to_load_a_million() {
    let (clock, rental) = (SystemClock::new(), Rental::new(20_000, 1));
    let start = ports::Clock::elapsed(&clock);
    let bytes: usize = RentalTable::ALL.into_iter().map(|table| copy_text(rental, table).len()).sum();
    let took = ports::Clock::elapsed(&clock).saturating_sub(start);
    println!("{bytes} bytes for 20,000 bookings took {took:?}");
    // Unoptimised and on a busy machine; a quadratic generator would miss even this.
    assert!(took.as_secs() < 20, "{took:?}");
}
