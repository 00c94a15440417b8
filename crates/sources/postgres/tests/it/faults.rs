//! What a server can refuse, lose or become.

use connect::{ReadEnd, ReadError, Standing};
use ports::SystemClock;
use postgres_server::StopMode;
use source_postgres::{
    ClusterReader, ClusterSettings,
    layout::{Hole, Position},
    slot,
};

use std::sync::Arc;

use crate::{
    sink::MemorySink,
    world::{
        Capture, ROLE, SEGMENT_BYTES, SLOT, catch_up, finish, newest_base, production, settings, settings_as,
        standby, url_of,
    },
};

const LOAD: &str = "create table if not exists load (filler text); \
    insert into load select repeat(md5(n::text), 60) from generate_series(1, 4000) n";

/// Returns how a read that cannot begin ends: its message and its hint.
fn refusal(settings: ClusterSettings) -> (String, String) {
    let sink = MemorySink::default();
    let end = Capture::start(settings, &sink).join();
    assert!(sink.lock().items.is_empty());
    match end {
        Err(ReadError::Source { message, hint, transient: false, .. }) => (message, hint.unwrap_or_default()),
        other => panic!("{other:?}"),
    }
}

/// Returns the fixes of the findings that stand in the way.
fn bad_fixes(settings: ClusterSettings) -> Vec<String> {
    let findings = ClusterReader::new(settings, Arc::new(SystemClock::new())).check();
    findings
        .into_iter()
        .filter(|finding| finding.standing == Standing::Bad)
        .map(|finding| finding.fix.expect("what stands in the way has a fix"))
        .collect()
}

#[test]
fn a_wrong_password_is_told_plainly() {
    let server = production(15, |options| {
        options.access = vec![
            "local all postgres trust".into(),
            "local all all scram-sha-256".into(),
            "local replication all scram-sha-256".into(),
        ];
    });
    server.sql(&format!("alter role {ROLE} password 'right'"));
    let url = |password: &str| url_of(&server, &format!("{ROLE}:{password}"));
    let (message, hint) = refusal(settings_as(&url("wrong")));
    assert!(message.contains("refused the credentials of role unwipe"), "{message}");
    assert!(hint.contains("ALTER ROLE"), "{hint}");
    assert!(bad_fixes(settings_as(&url("right"))).is_empty());
}

#[test]
fn a_role_without_replication_is_told_which_privilege_it_lacks() {
    let server = production(15, |_| {});
    server.sql(&format!("alter role {ROLE} noreplication"));
    let (_, hint) = refusal(settings(&server));
    assert!(hint.contains("ALTER ROLE \"unwipe\" REPLICATION;"), "{hint}");
    let fixes = bad_fixes(settings(&server));
    assert!(fixes[0].contains("ALTER ROLE \"unwipe\" REPLICATION;"), "{fixes:?}");
}

#[test]
fn a_missing_line_of_access_is_printed() {
    let server = production(15, |options| {
        options.access = vec!["local all all trust".into()];
    });
    let (_, hint) = refusal(settings(&server));
    assert!(hint.contains("local replication unwipe"), "{hint}");
    assert!(bad_fixes(settings(&server))[0].contains("local replication unwipe"));
}

#[test]
fn names_that_cannot_be_read_are_advice_with_the_line_that_helps() {
    let server = production(15, |options| {
        options.access = vec!["local all postgres trust".into(), "local replication all trust".into()];
    });
    let findings = ClusterReader::new(settings(&server), Arc::new(SystemClock::new())).check();
    let names = findings.iter().find(|finding| finding.subject.starts_with("names of tables")).unwrap();
    assert_eq!(names.standing, Standing::Advice);
    assert!(names.fix.as_deref().unwrap().contains("local postgres unwipe"), "{names:?}");
    let sink = MemorySink::default();
    let capture = Capture::start(settings(&server), &sink);
    sink.wait("the base", |inner| inner.checkpoints > 0);
    server.sql("create table t (n int); insert into t select generate_series(1, 2000); delete from t");
    catch_up(&server, &sink, &capture, 1);
    finish(capture);
    let file = server.sql("select pg_relation_filenode('t')");
    let inner = sink.lock();
    let target =
        format!("db/{} rel/{file}", server.sql("select oid from pg_database where datname = 'postgres'"));
    assert!(inner.events.iter().flat_map(|e| &e.effects).any(|e| e.target == target && e.count == 2000));
}

#[test]
fn an_unbounded_slot_is_refused_with_the_statement_that_bounds_it() {
    let server = production(15, |options| {
        options.settings.set("max_slot_wal_keep_size", "-1");
    });
    let (message, hint) = refusal(settings(&server));
    assert!(message.contains("cannot fill the server's disk"), "{message}");
    assert_eq!(server.sql("select count(*) from pg_replication_slots"), "0");
    for statement in hint.split_inclusive(';') {
        server.sql(statement);
    }
    wait_for(&server.url(), "select setting <> '-1' from pg_settings where name = 'max_slot_wal_keep_size'");
    assert!(bad_fixes(settings(&server)).is_empty());
    let sink = MemorySink::default();
    let capture = Capture::start(settings(&server), &sink);
    sink.wait("the base", |inner| inner.checkpoints > 0);
    finish(capture);
}

#[test]
fn a_standby_is_refused_unless_it_is_allowed() {
    let server = production(15, |_| {});
    let standby = standby(&server);
    let mut settings = settings_as(&standby.url(ROLE, "postgres"));
    let (message, hint) = refusal(settings.clone());
    assert!(message.contains("the server is a primary"), "{message}");
    assert!(hint.contains("primary"), "{hint}");
    settings.standby_allowed = true;
    let sink = MemorySink::default();
    let capture = Capture::start(settings, &sink);
    sink.wait("the base", |inner| inner.checkpoints > 0);
    finish(capture);
}

#[test]
fn a_lost_slot_becomes_a_hole_and_a_new_base() {
    let server = production(15, |options| {
        options.settings.set("max_slot_wal_keep_size", "64MB");
        options.settings.set("max_wal_size", "64MB");
    });
    let sink = MemorySink::default();
    let capture = Capture::start(settings(&server), &sink);
    sink.wait("the base", |inner| inner.checkpoints > 0);
    catch_up(&server, &sink, &capture, 1);
    finish(capture);
    let stood = sink.lock().durable("wal/1");
    for _ in 0..16 {
        server.sql(LOAD);
        server.sql("select pg_switch_wal()");
    }
    server.sql("checkpoint");
    assert_eq!(server.sql("select wal_status from pg_replication_slots"), "lost");
    let state = slot::inspect(&settings(&server), Arc::new(SystemClock::new())).unwrap().unwrap();
    assert!(state.is_endangering());

    let capture = Capture::start(settings(&server), &sink);
    sink.wait("a second base", |inner| inner.stream("base").len() == 2);
    server.sql("insert into load values ('after')");
    catch_up(&server, &sink, &capture, 1);
    finish(capture);
    assert_eq!(server.sql("select wal_status from pg_replication_slots"), "reserved");
    let base = newest_base(&sink);
    let inner = sink.lock();
    let holes = inner.stream("holes");
    assert_eq!(holes.len(), 1);
    let hole: Hole = serde_json::from_str(&holes[0].item.attributes).unwrap();
    assert_eq!((hole.from_lsn, hole.timeline), (stood, 1));
    assert_eq!(hole.to_lsn, base.start_lsn - base.start_lsn % SEGMENT_BYTES);
    assert!(inner.log("wal/1", hole.to_lsn, base.end_lsn).is_some());
}

#[test]
fn a_slot_that_a_superuser_dropped_is_made_again_without_a_hole() {
    let server = production(15, |options| options.settings.set("wal_keep_size", "1GB"));
    let sink = MemorySink::default();
    let capture = Capture::start(settings(&server), &sink);
    sink.wait("the base", |inner| inner.checkpoints > 0);
    catch_up(&server, &sink, &capture, 1);
    server.sql(&format!(
        "select pg_terminate_backend(active_pid) from pg_replication_slots where slot_name = '{SLOT}'"
    ));
    // Whoever is faster: the reader that comes back, or the one who drops.
    for _ in 0..100 {
        server.sql("select pg_terminate_backend(pid) from pg_stat_replication");
        if server.try_sql(&format!("select pg_drop_replication_slot('{SLOT}')")).is_ok() {
            break;
        }
    }
    server.sql(LOAD);
    catch_up(&server, &sink, &capture, 1);
    finish(capture);
    assert_eq!(server.sql("select count(*) from pg_replication_slots"), "1");
    let inner = sink.lock();
    assert!(inner.stream("holes").is_empty());
    assert_eq!(inner.logs["wal/1"].len(), 1, "the log has a gap");
}

#[test]
fn a_slot_whose_room_runs_out_is_given_back() {
    let server = production(15, |options| {
        options.settings.set("max_slot_wal_keep_size", "160MB");
        options.settings.set("max_wal_size", "64MB");
    });
    let sink = MemorySink::default();
    let capture = Capture::start(settings(&server), &sink);
    sink.wait("the base", |inner| inner.checkpoints > 0);
    finish(capture);
    let clock = || Arc::new(SystemClock::new());
    assert!(!slot::release_if_endangering(&settings(&server), clock()).unwrap());
    for _ in 0..9 {
        server.sql(LOAD);
        server.sql("select pg_switch_wal()");
    }
    let state = slot::inspect(&settings(&server), clock()).unwrap().unwrap();
    assert!(slot::release_if_endangering(&settings(&server), clock()).unwrap(), "{state:?}");
    assert_eq!(server.sql("select count(*) from pg_replication_slots"), "0");
}

#[test]
fn another_cluster_behind_the_address_is_refused() {
    let server = production(15, |_| {});
    let sink = MemorySink::default();
    let capture = Capture::start(settings(&server), &sink);
    sink.wait("the base", |inner| inner.checkpoints > 0);
    finish(capture);
    let other = production(15, |options| options.own_identity = true);
    let end = Capture::start(settings(&other), &sink).join();
    let Err(ReadError::Source { message, transient: false, .. }) = end else { panic!("{end:?}") };
    assert!(message.contains("another cluster answers"), "{message}");
}

#[test]
fn a_promotion_is_followed_and_both_branches_are_kept() {
    let mut server = production(15, |_| {});
    let standby = standby(&server);
    let sink = MemorySink::default();
    let capture = Capture::start(settings(&server), &sink);
    sink.wait("the base", |inner| inner.checkpoints > 0);
    server.sql(LOAD);
    catch_up(&server, &sink, &capture, 1);
    finish(capture);
    wait_for_replay(&server, &standby);
    server.stop(StopMode::Immediate);
    let url = standby.url("postgres", "postgres");
    let sql = |text: &str| postgres_server::testing::psql(&url, text).unwrap();
    sql("select pg_promote()");
    sql("insert into load values ('after the promotion')");
    let capture = Capture::start(settings_as(&standby.url(ROLE, "postgres")), &sink);
    sql(LOAD);
    let lsn: postgres_wal::Lsn = sql("select pg_current_wal_flush_lsn()").parse().unwrap();
    sink.wait("the new timeline", |inner| inner.durable("wal/2") >= lsn.0);
    finish(capture);
    let inner = sink.lock();
    let histories = inner.stream("history");
    assert_eq!(histories[0].item.key, "00000002.history");
    let text = String::from_utf8(histories[0].body.clone()).unwrap();
    let fork: postgres_wal::Lsn = text.split_whitespace().nth(1).unwrap().parse().unwrap();
    assert_eq!(inner.durable("wal/1"), fork.0, "the old branch ends at the fork");
    assert_eq!(inner.logs["wal/2"][0].0, fork.0 - fork.0 % SEGMENT_BYTES);
    let position: Position = serde_json::from_str(&inner.cursor.as_ref().unwrap().0).unwrap();
    assert_eq!(position.timeline, 2);
    assert!(inner.stream("holes").is_empty());
}

#[test]
fn what_a_failover_lost_stays_stored() {
    let mut server = production(15, |_| {});
    let standby = standby(&server);
    let url = standby.url("postgres", "postgres");
    let sql = |text: &str| postgres_server::testing::psql(&url, text).unwrap();
    let sink = MemorySink::default();
    let capture = Capture::start(settings(&server), &sink);
    sink.wait("the base", |inner| inner.checkpoints > 0);
    server.sql(LOAD);
    wait_for_replay(&server, &standby);
    // From here on the standby receives nothing: what follows is acknowledged, and lost in the failover.
    sql("alter system set primary_conninfo = ''");
    sql("select pg_reload_conf()");
    wait_for(&url, "select count(*) = 0 from pg_stat_wal_receiver");
    server.sql("insert into load values ('only here')");
    catch_up(&server, &sink, &capture, 1);
    finish(capture);
    server.stop(StopMode::Immediate);
    let ahead = sink.lock().durable("wal/1");
    sql("select pg_promote()");
    let capture = Capture::start(settings_as(&standby.url(ROLE, "postgres")), &sink);
    sql(LOAD);
    let lsn: postgres_wal::Lsn = sql("select pg_current_wal_flush_lsn()").parse().unwrap();
    sink.wait("the new timeline", |inner| inner.durable("wal/2") >= lsn.0);
    finish(capture);
    let inner = sink.lock();
    let text = String::from_utf8(inner.stream("history")[0].body.clone()).unwrap();
    let fork: postgres_wal::Lsn = text.split_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(ahead > fork.0, "the reader was not ahead of the fork");
    assert_eq!(inner.durable("wal/1"), ahead);
    assert!(inner.events.iter().any(|e| e.statement.as_deref().is_some_and(|s| s.contains("stays stored"))));
}

fn wait_for_replay(server: &postgres_server::testing::TestServer, standby: &postgres_server::RunningServer) {
    let lsn = server.sql("select pg_current_wal_flush_lsn()");
    wait_for(&standby.url("postgres", "postgres"), &format!("select pg_last_wal_replay_lsn() >= '{lsn}'"));
}

/// Waits until a server answers a question with yes.
fn wait_for(url: &str, question: &str) {
    for _ in 0..1200 {
        if postgres_server::testing::psql(url, question).is_ok_and(|answer| answer == "t") {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    panic!("never so: {question}");
}

#[test]
fn synchronous_commits_wait_for_the_reader() {
    let server = production(15, |options| {
        options.settings.set("synchronous_standby_names", &format!("FIRST 1 ({SLOT})"));
        options.settings.set("synchronous_commit", "local");
    });
    let mut settings = settings(&server);
    settings.synchronous = true;
    let sink = MemorySink::default();
    let capture = Capture::start(settings, &sink);
    sink.wait("the base", |inner| inner.checkpoints > 0);
    server.sql("create table t (n int)");
    catch_up(&server, &sink, &capture, 1);
    for n in 0..50 {
        let before: postgres_wal::Lsn = server.sql("select pg_current_wal_insert_lsn()").parse().unwrap();
        server.sql(&format!("set synchronous_commit = on; insert into t values ({n})"));
        // A commit that returned is durable here, and nobody waited in between.
        let durable = sink.lock().durable("wal/1");
        assert!(durable > before.0, "{durable:X} is durable, the commit came after {before}");
    }
    assert_eq!(server.sql("select sync_state from pg_stat_replication"), "sync");
    finish(capture);
}

#[test]
fn a_reader_that_waits_for_a_server_ends_when_it_is_asked_to() {
    let mut server = production(15, |_| {});
    let sink = MemorySink::default();
    let patience = std::time::Duration::from_hours(1);
    let capture = Capture::start(ClusterSettings { patience, ..settings(&server) }, &sink);
    catch_up(&server, &sink, &capture, 1);
    server.stop(StopMode::Immediate);
    // An hour of patience would outlast any test: only being asked can end it.
    assert_eq!(capture.stop().unwrap(), ReadEnd::Stopped);
}
