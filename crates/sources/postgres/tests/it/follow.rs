//! Base and log, from beginning to end.

use source_postgres::layout::{Base, Position};

use crate::{
    sink::MemorySink,
    world::{Capture, catch_up, finish, production, settings},
};

#[test]
fn a_cluster_is_copied_and_followed() {
    let server = production(15, |_| {});
    server.sql("create table bookings (id int primary key, guest text)");
    server.sql("insert into bookings select n, 'guest ' || n from generate_series(1, 5000) n");
    let sink = MemorySink::default();
    let capture = Capture::start(settings(&server), &sink);
    sink.wait("the base", |inner| inner.checkpoints > 0);
    server.sql("insert into bookings values (9000, 'late')");
    catch_up(&server, &sink, 1);
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
}
