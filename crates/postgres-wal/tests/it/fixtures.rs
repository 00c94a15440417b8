//! The committed logs: statistics and transactions, snapshot by snapshot.

use std::fmt::Write;

use postgres_wal::{IndexEvent, Major, Statistics};

use crate::cases;
use crate::log::Log;

#[test]
fn transactions_are_those_of_the_workload() {
    for major in Major::ALL {
        let log = Log::fixture(major);
        assert_eq!(log.header().major, major);
        cases::check(&log, "logical");
    }
}

#[test]
fn statistics_are_unchanged() {
    for major in Major::ALL {
        insta::assert_snapshot!(format!("statistics {major}"), table(&Log::fixture(major).statistics()));
    }
}

#[test]
fn destructive_summaries_are_unchanged() {
    for major in Major::ALL {
        let events = Log::fixture(major).events();
        let destructive = events.iter().filter(|event| match event {
            IndexEvent::Committed(summary) => !summary.files_dropped.is_empty() || summary.rows.deleted > 0,
            IndexEvent::DatabaseDropped { .. } => true,
            IndexEvent::Message(_) => false,
        });
        let mut lines = String::new();
        for event in destructive {
            let mut event = event.clone();
            if let IndexEvent::Committed(summary) = &mut event {
                // Long lists of places would drown what the snapshot is for.
                summary.messages.retain(|message| message.prefix == "case");
            }
            writeln!(lines, "{}", serde_json::to_string_pretty(&event).unwrap()).unwrap();
            let json = serde_json::to_string(&event).unwrap();
            assert_eq!(serde_json::from_str::<IndexEvent>(&json).unwrap(), event);
        }
        insta::assert_snapshot!(format!("destruction {major}"), lines);
    }
}

#[test]
fn totals_by_resource_manager_add_up() {
    let statistics = Log::fixture(Major::V18).statistics();
    let sum: u64 = statistics.by_resource_manager().iter().map(|row| row.totals.count).sum();
    assert_eq!(sum, statistics.total().count);
    assert_eq!(statistics.by_record().iter().map(|row| row.totals.count).sum::<u64>(), sum);
}

fn table(statistics: &Statistics) -> String {
    let mut table = String::new();
    for row in statistics.by_record() {
        let totals = row.totals;
        writeln!(
            table,
            "{:32} {:6} {:8} {:8}",
            row.name, totals.count, totals.record_bytes, totals.image_bytes
        )
        .unwrap();
    }
    table
}
