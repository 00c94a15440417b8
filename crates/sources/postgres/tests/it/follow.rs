//! Base and log, from beginning to end, through kills, restarts and a full disk.

use connect::{ReadEnd, ReadError, SinkError};
use ports::SeededRandom;
use postgres_server::StopMode;
use source_postgres::layout::{Base, Position};

use crate::{
    sink::{Death, MemorySink},
    world::{
        Capture, SEGMENT_BYTES, SLOT, catch_up, compare_with_archive, finish, newest_base, production,
        settings, start_archive, switch_segment,
    },
};

/// Writes some megabytes of WAL in several transactions.
const LOAD: &str = "create table if not exists load (n int, filler text); \
    insert into load select n, repeat(md5(n::text), 30) from generate_series(1, 3000) n; \
    update load set n = n + 1 where n % 3 = 0; delete from load where n % 5 = 0";

#[test]
fn a_cluster_is_copied_and_followed() {
    let server = production(15, |_| {});
    server.sql("create table bookings (id int primary key, guest text)");
    server.sql("insert into bookings select n, 'guest ' || n from generate_series(1, 5000) n");
    let sink = MemorySink::default();
    let capture = Capture::start(settings(&server), &sink);
    sink.wait("the base", |inner| inner.checkpoints > 0);
    server.sql("insert into bookings values (9000, 'late')");
    catch_up(&server, &sink, &capture, 1);
    finish(capture);

    let inner = sink.lock();
    let base: Base = serde_json::from_str(&inner.stream("base")[0].item.attributes).unwrap();
    assert_eq!((base.major, base.timeline), (15, 1));
    let files = inner.stream(&format!("base/{:016X}", base.start_lsn));
    let names: Vec<&str> = files.iter().map(|file| file.item.key.as_str()).collect();
    for needed in ["global/pg_control", "backup_label", "PG_VERSION", "pg_wal", "base"] {
        assert!(names.contains(&needed), "{needed} is missing");
    }
    assert!(!names.iter().any(|name| name.starts_with("pg_wal/0000")));
    let position: Position = serde_json::from_str(&inner.cursor.as_ref().unwrap().0).unwrap();
    assert!(position.lsn > base.end_lsn);
    assert!(inner.log("wal/1", base.start_lsn, position.lsn).is_some());
    let relations: Vec<_> = inner.stream("relations").iter().map(|r| r.item.attributes.clone()).collect();
    assert!(relations.iter().any(|text| text.contains("\"bookings\"")), "{relations:?}");
}

#[test]
fn segments_are_the_servers_own_after_any_number_of_kills() {
    let mut server = production(15, |_| {});
    start_archive(&mut server);
    let sink = MemorySink::default();
    let random = SeededRandom::new(7);
    let deaths = [Death::BeforeAppend, Death::BeforeSync, Death::AfterSync];
    let capture = Capture::start(settings(&server), &sink);
    sink.wait("the base", |inner| inner.checkpoints > 0);
    finish(capture);
    for round in 0..24 {
        let death = deaths[random.below(3) as usize];
        let at = sink.lock().appends + 1 + random.below(6);
        sink.lock().dies_at = Some((at, death));
        let capture = Capture::start(settings(&server), &sink);
        server.sql(LOAD);
        server.sql(LOAD);
        let end = capture.join();
        assert!(matches!(end, Err(ReadError::Sink(SinkError::Vault(_)))), "round {round}: {end:?}");
        sink.crash();
        sink.lock().dies_at = None;
    }
    let capture = Capture::start(settings(&server), &sink);
    switch_segment(&server);
    catch_up(&server, &sink, &capture, 1);
    finish(capture);
    let start = newest_base(&sink).start_lsn;
    let compared = compare_with_archive(&server, &sink, 1, start - start % SEGMENT_BYTES);
    assert!(compared >= 3, "only {compared} segments were finished");
    // Every row that was deleted is told exactly once, however often the reader died.
    let inner = sink.lock();
    let deleted: u64 = inner
        .events
        .iter()
        .flat_map(|event| &event.effects)
        .filter(|effect| effect.verb == model::Verb::Delete && effect.target == "postgres.public.load")
        .map(|effect| effect.count)
        .sum();
    let statistics = server.sql(
        "select pg_stat_force_next_flush(); select n_tup_del from pg_stat_user_tables where relname = 'load'",
    );
    assert_eq!(deleted.to_string(), statistics.trim());
}

#[test]
fn a_broken_connection_is_taken_up_where_it_broke() {
    let mut server = production(15, |_| {});
    start_archive(&mut server);
    let sink = MemorySink::default();
    let capture = Capture::start(settings(&server), &sink);
    sink.wait("the base", |inner| inner.checkpoints > 0);
    for _ in 0..8 {
        server.sql(LOAD);
        server.sql("select pg_terminate_backend(pid) from pg_stat_replication");
    }
    server.restart(StopMode::Fast, |_| {});
    server.sql(LOAD);
    server.restart(StopMode::Immediate, |_| {});
    server.sql(LOAD);
    switch_segment(&server);
    catch_up(&server, &sink, &capture, 1);
    finish(capture);
    let start = newest_base(&sink).start_lsn;
    assert!(compare_with_archive(&server, &sink, 1, start - start % SEGMENT_BYTES) >= 1);
}

#[test]
fn a_server_that_is_gone_ends_the_read_after_its_checkpoint() {
    let mut server = production(15, |_| {});
    let sink = MemorySink::default();
    let capture = Capture::start(settings(&server), &sink);
    sink.wait("the base", |inner| inner.checkpoints > 0);
    server.sql(LOAD);
    catch_up(&server, &sink, &capture, 1);
    server.stop(StopMode::Immediate);
    let end = capture.join();
    let Err(ReadError::Source { transient: true, .. }) = end else { panic!("{end:?}") };
    let inner = sink.lock();
    let position: Position = serde_json::from_str(&inner.cursor.as_ref().unwrap().0).unwrap();
    assert_eq!(position.lsn, inner.durable("wal/1"));
}

#[test]
fn a_full_disk_is_never_acknowledged_and_does_not_hurt_production() {
    let mut server = production(15, |_| {});
    start_archive(&mut server);
    let sink = MemorySink::default();
    let capture = Capture::start(settings(&server), &sink);
    sink.wait("the base", |inner| inner.checkpoints > 0);
    catch_up(&server, &sink, &capture, 1);
    let full_from = sink.lock().appends + 2;
    sink.lock().full_from = Some(full_from);
    for _ in 0..3 {
        server.sql(LOAD);
    }
    let end = capture.join();
    assert!(matches!(end, Err(ReadError::Sink(SinkError::Full(_)))), "{end:?}");
    let durable = sink.lock().durable("wal/1");
    let kept =
        server.sql(&format!("select restart_lsn from pg_replication_slots where slot_name = '{SLOT}'"));
    let kept: postgres_wal::Lsn = kept.parse().unwrap();
    assert!(kept.0 <= durable, "{kept} was acknowledged, {durable:X} is durable");
    server.sql(LOAD);
    sink.lock().full_from = None;
    let capture = Capture::start(settings(&server), &sink);
    switch_segment(&server);
    catch_up(&server, &sink, &capture, 1);
    finish(capture);
    let start = newest_base(&sink).start_lsn;
    assert!(compare_with_archive(&server, &sink, 1, start - start % SEGMENT_BYTES) >= 1);
}

#[test]
fn a_rewritten_past_is_noticed() {
    let server = production(15, |_| {});
    let sink = MemorySink::default();
    let capture = Capture::start(settings(&server), &sink);
    sink.wait("the base", |inner| inner.checkpoints > 0);
    finish(capture);
    let at = sink.lock().appends + 2;
    sink.lock().dies_at = Some((at, Death::AfterSync));
    let capture = Capture::start(settings(&server), &sink);
    server.sql(LOAD);
    assert!(capture.join().is_err());
    sink.crash();
    sink.lock().dies_at = None;
    *sink.lock().logs.get_mut("wal/1").unwrap().last_mut().unwrap().1.last_mut().unwrap() ^= 1;
    let end = Capture::start(settings(&server), &sink).join();
    let Err(ReadError::Source { message, transient: false, .. }) = end else { panic!("{end:?}") };
    assert!(message.contains("differs from what it sent before"), "{message}");
}

#[test]
fn a_base_that_breaks_off_leaves_nothing_visible() {
    let server = production(15, |_| {});
    server.sql(LOAD);
    let sink = MemorySink::default();
    let mut slow = settings(&server);
    slow.base_rate_kib_max = Some(8192);
    let capture = Capture::start(slow, &sink);
    sink.wait("some files", |inner| inner.draft.len() > 20);
    server.sql("select pg_terminate_backend(pid) from pg_stat_replication where state = 'backup'");
    assert!(capture.join().is_err());
    assert!(sink.lock().items.is_empty() && sink.cursor().is_none());
    sink.crash();
    let capture = Capture::start(settings(&server), &sink);
    sink.wait("the base", |inner| inner.checkpoints > 0);
    finish(capture);
    assert_eq!(sink.lock().stream("base").len(), 1);
}

#[test]
fn a_request_to_end_ends_a_base() {
    let server = production(15, |_| {});
    let sink = MemorySink::default();
    let mut slow = settings(&server);
    slow.base_rate_kib_max = Some(1024);
    let capture = Capture::start(slow, &sink);
    sink.wait("some files", |inner| inner.draft.len() > 20);
    assert_eq!(capture.stop().unwrap(), ReadEnd::Stopped);
    assert!(sink.lock().items.is_empty());
}
