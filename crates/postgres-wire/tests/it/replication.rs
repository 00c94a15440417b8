use std::time::Duration;

use postgres_server::{
    StopMode, lsn,
    testing::{TestServer, account, majors_available},
};
use postgres_wire::{
    BaseBackupEvent, BaseBackupOptions, Checkpoint, Connection, Mode, WalMessage, WalStream, WireError,
};

use crate::{
    authentication::Certificates,
    support::{chain, clock, connect, superuser, tcp_url},
};

const SEGMENT_BYTES: u64 = 1024 * 1024;

fn small_segments(major: u32) -> TestServer {
    TestServer::start(major, |options| {
        options.init.segment_mib = 1;
        options.settings.set("wal_keep_size", &0);
        options.settings.set("max_wal_size", &"32MB");
        options.settings.set("min_wal_size", &"2MB");
    })
}

/// Takes data up to `end`, checking that it is gapless, and acknowledges it.
fn receive_until(stream: &mut WalStream<'_>, start: u64, end: u64) -> Vec<u8> {
    let mut received = Vec::new();
    let limit = clock();
    while start + (received.len() as u64) < end {
        assert!(limit.elapsed() < Duration::from_mins(1), "no WAL came");
        let position = start + received.len() as u64;
        match stream.next(Duration::from_secs(1)).unwrap() {
            Some(WalMessage::Data { start_lsn, data, .. }) => {
                assert_eq!(start_lsn, position);
                received.extend_from_slice(data);
            }
            Some(WalMessage::Keepalive { .. }) | None => {}
            Some(end @ WalMessage::EndOfTimeline { .. }) => panic!("{end:?}"),
        }
        let position = start + received.len() as u64;
        if !stream.is_ready().unwrap() {
            stream.send_status(position, position, 0, false).unwrap();
        }
    }
    received
}

#[test]
fn wal_arrives_as_the_server_wrote_it_on_every_major() {
    for major in majors_available() {
        let server = small_segments(major);
        let mut replication = superuser(&server, Mode::PhysicalReplication);
        let identity = replication.identify_system().unwrap();
        assert_eq!(identity.timeline, 1);
        assert_eq!(
            identity.system_identifier.to_string(),
            server.sql("select system_identifier from pg_control_system()")
        );
        assert_eq!(replication.show("wal_segment_size").unwrap(), "1MB");
        replication.create_physical_slot("keeper", false, true).unwrap();
        let start = server.current_lsn() / SEGMENT_BYTES * SEGMENT_BYTES;
        server.sql("create table t as select i, repeat('x', 200) from generate_series(1, 20000) i");
        server.sql("select pg_switch_wal()");
        let end = server.current_lsn() / SEGMENT_BYTES * SEGMENT_BYTES;
        assert!(end >= start + 3 * SEGMENT_BYTES);

        let mut stream = replication.start_physical(Some("keeper"), start, 1).unwrap();
        let received = receive_until(&mut stream, start, end);
        for at in (start..end).step_by(SEGMENT_BYTES as usize) {
            let name = lsn::segment_name(1, at, SEGMENT_BYTES as u32);
            let stored = std::fs::read(server.data_dir().join("pg_wal").join(&name)).unwrap();
            let from = (at - start) as usize;
            assert!(received[from..from + SEGMENT_BYTES as usize] == stored, "{name} differs");
        }
        stream.send_status(end, end, 0, true).unwrap();
        // The server answers a request, so its view is now ours.
        loop {
            if let Some(WalMessage::Keepalive { .. }) = stream.next(Duration::from_secs(20)).unwrap() {
                break;
            }
        }
        let held = server.sql("select restart_lsn from pg_replication_slots where slot_name = 'keeper'");
        assert!(lsn::parse(&held).unwrap() >= end, "{held}");
        stream.stop().unwrap();
        assert_eq!(replication.identify_system().unwrap().timeline, 1);
    }
}

#[test]
fn slots_are_made_read_and_dropped_on_every_major() {
    for major in majors_available() {
        let server = small_segments(major);
        let mut replication = superuser(&server, Mode::PhysicalReplication);
        replication.create_physical_slot("a", false, true).unwrap();
        let error = replication.create_physical_slot("a", false, true).unwrap_err();
        assert!(matches!(error, WireError::SlotExists { .. }), "{}", chain(&error));
        if major >= 15 {
            let slot = replication.read_slot("a").unwrap().unwrap();
            assert_eq!((slot.kind.as_str(), slot.restart_timeline), ("physical", Some(1)));
            assert!(slot.restart_lsn.is_some());
            assert_eq!(replication.read_slot("b").unwrap(), None);
        } else {
            assert!(matches!(replication.read_slot("a"), Err(WireError::Unsupported { .. })));
        }
        let start = server.current_lsn();
        let mut other = superuser(&server, Mode::PhysicalReplication);
        let stream = other.start_physical(Some("a"), start, 1).unwrap();
        let error = superuser(&server, Mode::PhysicalReplication).drop_slot("a", false).unwrap_err();
        assert!(matches!(error, WireError::SlotInUse { .. }), "{}", chain(&error));
        stream.stop().unwrap();
        replication.drop_slot("a", true).unwrap();
        let error = replication.drop_slot("a", false).unwrap_err();
        assert!(matches!(error, WireError::SlotMissing { .. }), "{}", chain(&error));
        let error = replication.start_physical(Some("a"), start, 1).unwrap_err();
        assert!(matches!(error, WireError::SlotMissing { .. }), "{}", chain(&error));
        replication.create_physical_slot("gone_with_me", true, false).unwrap();
        drop(replication);
        let slots = "select count(*) from pg_replication_slots";
        while server.sql(slots) != "0" {
            clock().sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn a_promotion_ends_the_timeline_on_every_major() {
    for major in majors_available() {
        let mut server = small_segments(major);
        server.sql("create table t as select generate_series(1, 1000)");
        let signal = server.data_dir().join("standby.signal");
        server.restart(StopMode::Fast, |_| {
            std::fs::write(&signal, "").unwrap();
            account().own(&signal).unwrap();
        });
        let mut replication = superuser(&server, Mode::PhysicalReplication);
        let identity = replication.identify_system().unwrap();
        let start = identity.flushed_lsn / SEGMENT_BYTES * SEGMENT_BYTES;
        let mut stream = replication.start_physical(None, start, 1).unwrap();
        server.sql("select pg_promote()");
        let mut position = start;
        let (next_timeline, switch_lsn) = loop {
            match stream.next(Duration::from_mins(1)).unwrap().expect("the timeline ends") {
                WalMessage::Data { start_lsn, data, .. } => {
                    assert_eq!(start_lsn, position);
                    position += data.len() as u64;
                }
                WalMessage::Keepalive { .. } => {}
                WalMessage::EndOfTimeline { next_timeline, switch_lsn } => break (next_timeline, switch_lsn),
            }
        };
        assert_eq!((next_timeline, position), (2, switch_lsn));
        assert!(matches!(stream.next(Duration::ZERO), Err(WireError::Unusable)));
        stream.stop().unwrap();

        let (name, content) = replication.timeline_history(2).unwrap();
        assert_eq!(name, "00000002.history");
        assert!(String::from_utf8(content).unwrap().contains(&lsn::to_text(switch_lsn)));
        // Exactly at its end the old timeline has nothing, and the stream says where to go on.
        let mut stream = replication.start_physical(None, switch_lsn, 1).unwrap();
        assert!(stream.is_ready().unwrap());
        let end = stream.next(Duration::ZERO).unwrap();
        assert_eq!(end, Some(WalMessage::EndOfTimeline { next_timeline: 2, switch_lsn }));
        stream.stop().unwrap();
        server.sql("create table u (a int)");
        let mut stream = replication.start_physical(None, switch_lsn, 2).unwrap();
        let flushed = lsn::parse(&server.sql("select pg_current_wal_flush_lsn()")).unwrap();
        assert!(!receive_until(&mut stream, switch_lsn, flushed).is_empty());
    }
}

fn stream_error(replication: &mut Connection, slot: Option<&str>, start: u64) -> WireError {
    let mut stream = match replication.start_physical(slot, start, 1) {
        Ok(stream) => stream,
        Err(error) => return error,
    };
    loop {
        match stream.next(Duration::from_mins(1)) {
            Err(error) => return error,
            Ok(message) => assert!(message.is_some(), "neither WAL nor an error came"),
        }
    }
}

#[test]
fn removed_wal_is_a_hole_on_every_major() {
    for major in majors_available() {
        let mut server = small_segments(major);
        let mut replication = superuser(&server, Mode::PhysicalReplication);
        replication.create_physical_slot("lost", false, true).unwrap();
        let start = server.current_lsn() / SEGMENT_BYTES * SEGMENT_BYTES;
        server.restart(StopMode::Fast, |settings| settings.set("max_slot_wal_keep_size", &"1MB"));
        for _ in 0..4 {
            server.sql("create table t as select repeat('x', 200) from generate_series(1, 8000)");
            server.sql("drop table t; select pg_switch_wal(); checkpoint");
        }
        let mut replication = superuser(&server, Mode::PhysicalReplication);
        let error = stream_error(&mut replication, None, start);
        assert!(matches!(error, WireError::WalRemoved { .. }), "{major}: {}", chain(&error));
        assert!(replication.is_usable(), "the session survives");
        let error = stream_error(&mut replication, Some("lost"), start);
        assert!(
            matches!(error, WireError::WalRemoved { .. } | WireError::SlotInvalidated { .. }),
            "{major}: {}",
            chain(&error)
        );
    }
}

#[test]
fn a_server_that_dies_or_stops_ends_the_stream() {
    let start_stream = |server: &TestServer| {
        let mut replication = connect(&server.url(), Mode::PhysicalReplication).unwrap();
        let start = replication.identify_system().unwrap().flushed_lsn;
        (replication, start)
    };
    // The process that serves us is killed.
    let server = small_segments(15);
    let (mut replication, start) = start_stream(&server);
    let pid = replication.backend_process().unwrap();
    let mut stream = replication.start_physical(None, start, 1).unwrap();
    let killed = std::process::Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap();
    assert!(killed.success());
    let error = next_error(&mut stream);
    assert!(matches!(error, WireError::Closed { .. }), "{}", chain(&error));
    assert!(
        stream.send_status(start, start, start, false).is_err() || next_error(&mut stream).is_transient()
    );

    // The server is stopped at once, then in an orderly way. It is another one: the first ends every
    // session that it accepts until it has noticed the kill and recovered.
    let mut server = small_segments(15);
    for mode in [StopMode::Immediate, StopMode::Fast] {
        let (mut replication, start) = start_stream(&server);
        let mut stream = replication.start_physical(None, start, 1).unwrap();
        let error = std::thread::scope(|scope| {
            let stopping = scope.spawn(|| server.stop(mode));
            let error = next_error(&mut stream);
            stopping.join().unwrap();
            error
        });
        assert!(
            matches!(error, WireError::Closed { .. } | WireError::Unavailable { .. }),
            "{mode:?}: {}",
            chain(&error)
        );
        assert!(error.is_transient());
        server.restart(StopMode::Fast, |_| ());
    }
}

fn next_error(stream: &mut WalStream<'_>) -> WireError {
    let limit = clock();
    loop {
        assert!(limit.elapsed() < Duration::from_mins(1), "no error came");
        match stream.next(Duration::from_secs(5)) {
            Err(error) => return error,
            // An orderly stop waits until the receiver has confirmed everything.
            Ok(Some(WalMessage::Keepalive { server_end_lsn: end, .. })) => {
                stream.send_status(end, end, end, false).ok();
            }
            Ok(Some(WalMessage::Data { start_lsn, data, .. })) => {
                let end = start_lsn + data.len() as u64;
                stream.send_status(end, end, end, false).ok();
            }
            Ok(_) => {}
        }
    }
}

#[test]
fn an_idle_stream_reports_nothing_in_time() {
    let server = small_segments(15);
    let mut replication = superuser(&server, Mode::PhysicalReplication);
    let end = replication.identify_system().unwrap().flushed_lsn;
    let mut stream = replication.start_physical(None, end, 1).unwrap();
    let start = clock();
    // Keepalives and background WAL may come first.
    while stream.next(Duration::from_millis(100)).unwrap().is_some() {
        assert!(start.elapsed() < Duration::from_mins(1));
    }
    assert!(!stream.is_ready().unwrap());
    assert_eq!(stream.next(Duration::ZERO).unwrap(), None);
}

#[test]
fn logical_changes_follow_the_exported_snapshot_on_every_major() {
    for major in majors_available() {
        let server = TestServer::start(major, |options| options.settings.set("wal_level", &"logical"));
        server.sql(
            "create table t (a int primary key); insert into t values (1); create publication p for table t",
        );
        let mode = Mode::LogicalReplication { database: "postgres".into() };
        let mut replication = superuser(&server, mode);
        assert_eq!(replication.identify_system().unwrap().database.as_deref(), Some("postgres"));
        let slot = replication.create_logical_slot("changes", "pgoutput", false, true).unwrap();
        server.sql("insert into t values (2)");
        let mut sql = superuser(&server, Mode::Sql);
        let snapshot = postgres_wire::quote_literal(&slot.snapshot.unwrap());
        sql.execute(&format!("begin isolation level repeatable read; set transaction snapshot {snapshot}"))
            .unwrap();
        assert_eq!(sql.query_one("select string_agg(a::text, ',') from t").unwrap()[0].as_deref(), Some("1"));
        sql.execute("commit").unwrap();

        let options = [("proto_version", "1"), ("publication_names", "p")];
        let mut stream = replication.start_logical("changes", slot.consistent_lsn, &options).unwrap();
        let mut kinds = Vec::new();
        while !kinds.contains(&b'C') {
            if let Some(WalMessage::Data { data, .. }) = stream.next(Duration::from_secs(30)).unwrap() {
                kinds.push(data[0]);
            }
        }
        assert_eq!(kinds, b"BRIC", "begin, relation, insert, commit");
        stream.stop().unwrap();
        replication.drop_slot("changes", true).unwrap();
        // A logical session takes SQL as well.
        assert_eq!(replication.query_one("select count(*) from t").unwrap()[0].as_deref(), Some("2"));
    }
}

#[test]
fn a_logical_slot_at_a_low_wal_level_is_refused_with_the_servers_words() {
    let server = TestServer::start(15, |options| options.settings.set("wal_level", &"replica"));
    let mut replication = superuser(&server, Mode::LogicalReplication { database: "postgres".into() });
    let error = replication.create_logical_slot("x", "pgoutput", true, false).unwrap_err();
    assert!(matches!(error, WireError::Server { .. }), "{}", chain(&error));
    assert!(chain(&error).contains("wal_level"));
}

#[test]
fn wal_and_backups_pass_through_tls_on_every_major() {
    let certificates = Certificates::make("IP:127.0.0.1");
    for major in majors_available() {
        let server = TestServer::start(major, |options| {
            options.loopback = true;
            options.init.segment_mib = 1;
            options.access.truncate(1);
            options.access.push("hostssl replication vault 127.0.0.1/32 scram-sha-256".into());
            certificates.apply(options);
        });
        server.sql(
            "set password_encryption = 'scram-sha-256'; create role vault login replication password 'x'",
        );
        let root = certificates.path("ca.pem");
        let parameters =
            format!("sslmode=verify-full&channel_binding=require&sslrootcert={}", root.display());
        let mut replication =
            connect(&tcp_url(&server, "vault:x", &parameters), Mode::PhysicalReplication).unwrap();
        let start = server.current_lsn() / SEGMENT_BYTES * SEGMENT_BYTES;
        server.sql("create table t as select i, repeat('x', 200) from generate_series(1, 20000) i");
        server.sql("select pg_switch_wal()");
        let end = server.current_lsn() / SEGMENT_BYTES * SEGMENT_BYTES;
        let mut stream = replication.start_physical(None, start, 1).unwrap();
        let received = receive_until(&mut stream, start, end);
        let name = lsn::segment_name(1, start, SEGMENT_BYTES as u32);
        let stored = std::fs::read(server.data_dir().join("pg_wal").join(&name)).unwrap();
        assert!(received[..SEGMENT_BYTES as usize] == stored, "{name} differs");
        stream.stop().unwrap();

        let options = BaseBackupOptions { checkpoint: Checkpoint::Fast, ..BaseBackupOptions::default() };
        let mut backup = replication.base_backup(&options).unwrap();
        let (mut bytes, mut ended) = (0, false);
        while let Some(event) = backup.next_event().unwrap() {
            match event {
                BaseBackupEvent::ArchiveData(data) => bytes += data.len(),
                BaseBackupEvent::End { .. } => ended = true,
                _ => {}
            }
        }
        assert!(ended && bytes > 20_000_000, "{bytes}");
    }
}
