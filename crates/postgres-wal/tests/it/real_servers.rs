//! Logs of servers started here: every major version that is installed, every kind of log.
//!
//! The counts must equal those of `pg_waldump --stats=record` of the same major, or where that is not installed, of the
//! server's own `pg_walinspect` (15 and later).

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use postgres_server::StopMode;
use postgres_server::testing::{TestServer, installations, majors_available};
use postgres_wal::{Lsn, RecordTotals, Statistics};

use crate::cases;
use crate::log::Log;

const WORKLOAD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/workload.sql");

struct Kind {
    level: &'static str,
    segment_mebibytes: u32,
    checksums: bool,
    /// The first of these that the server knows.
    compression: &'static [&'static str],
}

#[test]
fn minimal_level_large_segments() {
    let compression = &["off"];
    check_majors(&Kind { level: "minimal", segment_mebibytes: 64, checksums: false, compression });
}

#[test]
fn replica_level_usual_segments() {
    let compression = &["zstd", "pglz", "on"];
    check_majors(&Kind { level: "replica", segment_mebibytes: 16, checksums: true, compression });
}

#[test]
fn logical_level_small_segments() {
    let compression = &["lz4", "pglz", "on"];
    check_majors(&Kind { level: "logical", segment_mebibytes: 1, checksums: true, compression });
}

fn check_majors(kind: &Kind) {
    for major in majors_available() {
        check_server(major, kind);
    }
}

fn check_server(major: u32, kind: &Kind) {
    let mut server = TestServer::start(major, |options| {
        options.init.segment_mib = kind.segment_mebibytes;
        options.init.checksums = kind.checksums;
        options.own_identity = true;
        let senders = if kind.level == "minimal" { "0" } else { "5" };
        for (name, value) in [
            ("wal_level", kind.level),
            ("max_wal_senders", senders),
            ("max_prepared_transactions", "5"),
            ("autovacuum", "off"),
            ("wal_keep_size", "1GB"),
            ("min_wal_size", "1GB"),
            ("checkpoint_timeout", "1h"),
        ] {
            options.settings.set(name, value);
        }
    });
    let known = server.sql("select enumvals from pg_settings where name = 'wal_compression'");
    let method = kind.compression.iter().find(|method| known.contains(**method)).unwrap_or(&"on");
    server.sql(&format!("alter system set wal_compression = {method}"));
    server.sql("select pg_reload_conf()");

    // A segment of its own makes the first record one that every reader begins with.
    server.sql("select pg_switch_wal()");
    server.sql("checkpoint");
    let start = Lsn(server.current_lsn());
    let first = server.sql("select pg_walfile_name(pg_current_wal_lsn())");
    run_workload(&server);
    // By default a database is copied through the log since 15.
    server.sql("create database spare");
    // Longer than a stream retains of one record; once is enough, for it takes its time.
    let large = u32::from(kind.level == "replica");
    if large > 0 {
        server.sql("select pg_logical_emit_message(true, 'large', repeat('x', 20000000))");
    }
    let end = Lsn(server.current_lsn());
    let inspected = inspect(&server, major, start, end);
    server.stop(StopMode::Fast);

    let log = Log::folder(&server.data_dir().join("pg_wal"), &first);
    assert_eq!(log.header().major.number(), major);
    let mut statistics = Statistics::new(log.header().major);
    let (mut seen_start, mut last_end, mut clipped) = (false, Lsn(0), 0);
    log.read(|record| {
        seen_start |= record.start() == start;
        clipped += u32::from(record.is_clipped());
        if record.start() >= start && record.start() < end {
            statistics.add(record);
            last_end = record.end();
        }
    });
    assert!(seen_start, "PostgreSQL {major}: a record begins at {start}");
    assert_eq!(clipped, large, "the large message and nothing else");
    // At a page's end the server counts the next page's header in.
    assert!((last_end.0..=last_end.0 + 40).contains(&end.0), "PostgreSQL {major}: {last_end} is not {end}");
    if let Some(inspected) = inspected {
        assert_eq!(by_name(&statistics), inspected, "PostgreSQL {major}, {}: pg_walinspect", kind.level);
    }
    if let Some(dumped) = dump(major, &server.data_dir().join("pg_wal"), start, end) {
        assert_eq!(by_name(&statistics), dumped, "PostgreSQL {major}, {}: pg_waldump", kind.level);
    }
    cases::check(&log, kind.level);
}

fn run_workload(server: &TestServer) {
    let psql = installations().newest_tool("psql", 13).unwrap();
    let output = Command::new(psql)
        .args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", &server.url(), "-f", WORKLOAD])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn by_name(statistics: &Statistics) -> BTreeMap<String, RecordTotals> {
    statistics.by_record().into_iter().map(|row| (row.name, row.totals)).collect()
}

/// The server's own statistics, where it has them.
fn inspect(server: &TestServer, major: u32, start: Lsn, end: Lsn) -> Option<BTreeMap<String, RecordTotals>> {
    if major < 15 || server.try_sql("create extension pg_walinspect").is_err() {
        return None;
    }
    let rows = server.sql(&format!(
        "select \"resource_manager/record_type\", count, record_size, fpi_size \
         from pg_get_wal_stats('{start}', '{end}', true) where count > 0"
    ));
    let parsed = rows.lines().map(|line| {
        let fields: Vec<_> = line.split('|').collect();
        let [name, numbers @ ..] = &fields[..] else { panic!("{line}") };
        (String::from(*name), totals(numbers))
    });
    Some(parsed.collect())
}

/// What `pg_waldump` of the same major counts, where it is installed.
fn dump(major: u32, folder: &Path, start: Lsn, end: Lsn) -> Option<BTreeMap<String, RecordTotals>> {
    let program = installations()
        .iter()
        .filter(|found| found.major == major)
        .find_map(|found| found.tool("pg_waldump"))?;
    let output = Command::new(program)
        .arg("--stats=record")
        .arg(format!("--path={}", folder.display()))
        .arg(format!("--start={start}"))
        .arg(format!("--end={end}"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    // Type, then count, record size, image size and combined size, each with its share in parentheses.
    let lines = text.lines().filter(|line| line.starts_with(char::is_alphabetic) && line.contains('/'));
    let parsed = lines.filter_map(|line| {
        let open = line.split(['(', ')']).step_by(2).flat_map(str::split_whitespace).collect::<Vec<_>>();
        let [name, numbers @ ..] = &open[..] else { return None };
        let counted = numbers.len() == 4 && numbers[0] != "0";
        counted.then(|| (String::from(*name), totals(&numbers[..3])))
    });
    Some(parsed.collect())
}

fn totals(numbers: &[&str]) -> RecordTotals {
    let [count, record_bytes, image_bytes] = numbers else { panic!("{numbers:?}") };
    RecordTotals {
        count: count.parse().unwrap(),
        record_bytes: record_bytes.parse().unwrap(),
        image_bytes: image_bytes.parse().unwrap(),
    }
}
