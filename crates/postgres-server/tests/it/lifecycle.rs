//! Making, starting and stopping servers, and what their control file says meanwhile.

use std::{sync::Arc, time::Duration};

use ports::SystemClock;
use postgres_server::{
    Launch, Server, ServerError, Settings, StopMode,
    control_file::{ControlFile, State},
    testing::{self, PATIENCE, TestServer},
};

#[test]
fn every_major_version_starts_answers_and_stops() {
    for major in testing::majors_available() {
        let mut server = TestServer::start(major, |options| options.loopback = true);
        let version = server.sql("select current_setting('server_version_num')::int / 10000");
        assert_eq!(version, major.to_string());
        assert_eq!(testing::psql(&server.tcp_url(), "select 1"), Ok("1".to_owned()));
        assert_eq!(server.running().control().unwrap().state, State::InProduction);
        server.stop(StopMode::Fast);
        assert!(!server.running().is_running());
        assert_eq!(server.running().control().unwrap().state, State::ShutDown);
        server.restart(StopMode::Fast, |settings| settings.set("work_mem", "5MB"));
        assert_eq!(server.sql("show work_mem"), "5MB");
    }
}

#[test]
fn a_dropped_server_is_gone() {
    let mut server = TestServer::start(testing::majors_available()[0], |_| {});
    let pid = server.running().pid();
    drop(server);
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
}

#[test]
fn a_server_that_cannot_start_tells_why() {
    let major = testing::majors_available()[0];
    let mut server = TestServer::start(major, |_| {});
    server.stop(StopMode::Fast);
    let stopped = server.running().server().clone();
    let launch = Launch::private(Settings::new().with("shared_buffers", "1 elephant"));
    let error = stopped.start(&launch, Arc::new(SystemClock::new())).unwrap_err();
    let ServerError::Ended { log_tail, .. } = error else { panic!("{error}") };
    assert!(log_tail.contains("invalid value for parameter \"shared_buffers\""), "{log_tail}");
}

#[test]
fn a_data_directory_in_use_is_refused() {
    let mut server = TestServer::start(testing::majors_available()[0], |_| {});
    let pid = server.running().pid();
    let again = server.running().server().clone();
    let error = again.start(&Launch::private(Settings::new()), Arc::new(SystemClock::new())).unwrap_err();
    assert!(matches!(error, ServerError::InUse { pid: other, .. } if other == pid), "{error}");
    assert_eq!(server.sql("select 1"), "1");
}

#[test]
fn a_long_path_still_gets_a_socket() {
    let folder = testing::reachable_folder();
    let deep = folder.path().join("a-folder-with-a-long-name".repeat(5));
    let major = testing::majors_available()[0];
    let (data, control) = (deep.join("data"), deep.join("control"));
    let server = Server::new(testing::installation(major), testing::account(), &data, &control);
    server.initdb(&postgres_server::InitOptions { sync: false, ..Default::default() }).unwrap();
    let launch = Launch::private(Settings::new().with("fsync", "off")).ready_within(PATIENCE);
    let running = server.start(&launch, Arc::new(SystemClock::new())).unwrap();
    assert_eq!(testing::psql(&running.url("postgres", "postgres"), "select 1"), Ok("1".to_owned()));
    let socket_dir = running.socket_dir().to_owned();
    drop(running);
    assert!(!socket_dir.exists());
}

#[test]
fn a_server_left_behind_is_stopped() {
    let major = testing::majors_available()[0];
    let mut server = TestServer::start(major, |_| {});
    let data_dir = server.data_dir().to_owned();
    let clock = SystemClock::new();
    postgres_server::server::stop_leftover(&data_dir, &clock, Duration::from_secs(30)).unwrap();
    assert!(!server.running().is_running());
    postgres_server::server::stop_leftover(&data_dir, &clock, Duration::from_secs(30)).unwrap();
}

/// Compares what we read with what `pg_controldata` prints, where that program is installed.
#[test]
fn the_control_file_says_what_pg_controldata_says() {
    let mut compared = Vec::new();
    for installation in testing::installations().iter() {
        let Some(program) = installation.tool("pg_controldata") else { continue };
        if !testing::majors_available().contains(&installation.major)
            || compared.contains(&installation.major)
        {
            continue;
        }
        let mut server = TestServer::start(installation.major, |options| {
            options.settings.set("max_connections", &37);
            options.settings.set("max_prepared_transactions", &11);
            options.init.segment_mib = 4;
        });
        server.sql("create table t as select generate_series(1, 1000); checkpoint");
        server.stop(StopMode::Immediate);
        let output = std::process::Command::new(program)
            .arg(server.data_dir())
            .env("LC_ALL", "C")
            .env("TZ", "UTC")
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        compare(&text, &server.running().control().unwrap());
        compared.push(installation.major);
    }
    assert!(
        !compared.is_empty(),
        "no pg_controldata found; run tools/install_servers or apt-get install postgresql"
    );
    eprintln!("control files compared for {compared:?}");
}

fn compare(text: &str, control: &ControlFile) {
    let lsn = postgres_server::lsn::to_text;
    let yes = |value| if value { "yes" } else { "no" }.to_owned();
    let expected = [
        ("Database system identifier", control.system_identifier.to_string()),
        ("pg_control version number", control.version.to_string()),
        ("Catalog version number", control.catalog_version.to_string()),
        ("Database cluster state", "in production".to_owned()),
        ("Latest checkpoint location", lsn(control.checkpoint)),
        ("Latest checkpoint's REDO location", lsn(control.redo)),
        ("Latest checkpoint's TimeLineID", control.timeline.to_string()),
        ("Latest checkpoint's NextXID", {
            let xid = control.next_transaction;
            format!("{}:{}", xid >> 32, xid & 0xFFFF_FFFF)
        }),
        ("Minimum recovery ending location", lsn(control.min_recovery_point)),
        ("Min recovery ending loc's timeline", control.min_recovery_timeline.to_string()),
        ("Backup start location", lsn(control.backup_start)),
        ("Backup end location", lsn(control.backup_end)),
        ("End-of-backup record required", yes(control.backup_end_required)),
        ("wal_level setting", ["minimal", "replica", "logical"][control.wal_level as usize].to_owned()),
        ("max_connections setting", control.limits.max_connections.to_string()),
        ("max_worker_processes setting", control.limits.max_worker_processes.to_string()),
        ("max_wal_senders setting", control.limits.max_wal_senders.to_string()),
        ("max_prepared_xacts setting", control.limits.max_prepared_transactions.to_string()),
        ("max_locks_per_xact setting", control.limits.max_locks_per_transaction.to_string()),
        ("Database block size", control.block_bytes.to_string()),
        ("Blocks per segment of large relation", control.relation_segment_blocks.to_string()),
        ("WAL block size", control.wal_block_bytes.to_string()),
        ("Bytes per WAL segment", control.wal_segment_bytes.to_string()),
        ("Data page checksum version", control.checksum_version.to_string()),
    ];
    assert_eq!(control.limits.max_connections, 37);
    assert_eq!(control.limits.max_prepared_transactions, 11);
    for (label, value) in expected {
        let line = text.lines().find_map(|line| line.strip_prefix(label)?.strip_prefix(':'));
        assert_eq!(line.map(str::trim), Some(value.as_str()), "{label}");
    }
}
