//! What is told before it is settled: open transactions, and destructive ones just committed.

use std::sync::Arc;

use model::{Attribution, Event, Severity, Stage, Verb};
use ports::SystemClock;
use postgres_server::testing::TestServer;
use postgres_wire::{Connection, ConnectionSettings, Limits, Mode};
use source_postgres::transactions;

use crate::{
    sink::MemorySink,
    world::{Capture, catch_up, finish, production, settings, url_of},
};

const BOOKINGS: &str = "create table bookings (n int primary key); insert into bookings select generate_series(1, 20000); \
    analyze; create role agent login; grant all on bookings to agent";
const TABLE: &str = "postgres.public.bookings";

fn scene(major: u32) -> (TestServer, MemorySink, Capture) {
    let server = production(major, |_| ());
    server.sql(BOOKINGS);
    let sink = MemorySink::default();
    let mut settings = settings(&server).with_monitor(&server.url()).unwrap();
    settings.sampling_interval = std::time::Duration::from_millis(10);
    let capture = Capture::start(settings, &sink);
    sink.wait("the names", |inner| !inner.stream("relations").is_empty() || inner.checkpoints > 1);
    (server, sink, capture)
}

fn agent(server: &TestServer) -> Connection {
    let settings = ConnectionSettings::from_url(&url_of(server, "agent")).unwrap();
    Connection::connect(&settings, Mode::Sql, &Limits::default(), Arc::new(SystemClock::new())).unwrap()
}

/// Makes the server flush its log, as it does by itself within 200 ms when it is not asleep.
fn flush(server: &TestServer) {
    server.sql("select pg_logical_emit_message(true, 'test', 'flush')");
}

fn count(event: &Event, verb: Verb) -> u64 {
    event.effects.iter().filter(|e| e.verb == verb && e.target == TABLE).map(|e| e.count).sum()
}

fn underway(glimpses: &[(Stage, Event)]) -> impl Iterator<Item = &Event> {
    glimpses.iter().filter(|(stage, _)| *stage == Stage::Underway).map(|(_, event)| event)
}

#[test]
fn a_large_delete_is_seen_before_it_commits() {
    for major in [13, 15, 18] {
        let (server, sink, capture) = scene(major);
        let mut agent = agent(&server);
        agent.simple_query("begin; delete from bookings where n > 5000").unwrap();
        flush(&server);
        sink.wait("the open transaction", |inner| {
            underway(&inner.glimpses).any(|event| count(event, Verb::Delete) == 15_000)
        });
        assert_eq!(server.sql("select count(*) from bookings"), "20000", "nothing is committed");
        let seen: Vec<Event> = underway(&sink.lock().glimpses).cloned().collect();
        let transaction = agent.query_one("select txid_current()").unwrap()[0].clone().unwrap();
        assert!(seen.iter().all(|event| event.transaction == transaction && event.scope == "postgres"));
        assert!(seen.is_sorted_by_key(|event| count(event, Verb::Delete)), "counts grow");
        let last = seen.last().unwrap();
        assert_eq!(last.severity, Severity::Destructive);

        agent.simple_query("rollback").unwrap();
        catch_up(&server, &sink, &capture, 1);
        finish(capture);
        let inner = sink.lock();
        assert_eq!(underway(&inner.glimpses).count(), seen.len(), "what was rolled back is told of no more");
        assert!(inner.glimpses.iter().all(|(stage, _)| *stage == Stage::Underway), "nothing took effect");
        assert!(inner.events.iter().all(|event| count(event, Verb::Delete) == 0));
    }
}

#[test]
fn an_update_and_subtransactions_are_seen_before_they_commit() {
    let (server, sink, capture) = scene(15);
    let mut agent = agent(&server);
    agent.simple_query("begin; update bookings set n = -n where n <= 1000").unwrap();
    flush(&server);
    sink.wait("the update", |inner| {
        underway(&inner.glimpses).any(|event| count(event, Verb::Update) == 1000)
    });
    agent.simple_query("rollback").unwrap();
    sink.lock().glimpses.clear();

    // Each exception block is a subtransaction; the log says whose they are with every 64th.
    let block = "begin; do $$ begin for i in 1..640 loop \
        begin delete from bookings where n = i; exception when others then null; end; end loop; end $$";
    agent.simple_query(block).unwrap();
    flush(&server);
    let transaction = agent.query_one("select txid_current()").unwrap()[0].clone().unwrap();
    sink.wait("the subtransactions", |inner| {
        let mut seen = underway(&inner.glimpses);
        seen.any(|event| event.transaction == transaction && count(event, Verb::Delete) >= 200)
    });
    assert!(underway(&sink.lock().glimpses).all(|event| event.transaction == transaction));
    drop(agent);
    finish(capture);
}

#[test]
fn who_deletes_row_by_row_is_told_of_at_once_with_every_transaction() {
    let (server, sink, capture) = scene(15);
    let mut agent = agent(&server);
    let first: u32 = agent.query_one("select txid_current()").unwrap()[0].clone().unwrap().parse().unwrap();
    let looped =
        "do $$ begin for i in 1..3000 loop delete from bookings where n = i; commit; end loop; end $$";
    agent.simple_query(looped).unwrap();
    let last: u32 = agent.query_one("select txid_current()").unwrap()[0].clone().unwrap().parse().unwrap();
    server.sql("delete from bookings where n = 9999");
    catch_up(&server, &sink, &capture, 1);
    finish(capture);

    let inner = sink.lock();
    let done: u64 = inner
        .glimpses
        .iter()
        .map(|(stage, event)| {
            assert_eq!(*stage, Stage::Done);
            count(event, Verb::Delete)
        })
        .sum();
    assert_eq!(done, 3001);
    let theirs = first + 1..=last - 1;
    let mut named = 0;
    for (_, event) in &inner.glimpses {
        for range in transactions::read(&event.transaction).unwrap() {
            named += range.clone().filter(|number| theirs.contains(number)).count();
        }
    }
    assert_eq!(named, 3000);

    // What is settled says the same, and the sum of one actor holds none of another's transactions.
    let told: Vec<&Event> = inner.events.iter().filter(|event| count(event, Verb::Delete) > 0).collect();
    assert_eq!(told.iter().map(|event| count(event, Verb::Delete)).sum::<u64>(), 3001);
    let mut named = 0;
    for event in told {
        let numbers: Vec<u32> =
            transactions::read(&event.transaction).unwrap().into_iter().flatten().collect();
        assert_eq!(numbers.len() as u64, count(event, Verb::Delete));
        let theirs = numbers.iter().filter(|number| theirs.contains(number)).count();
        if event.attribution == Attribution::Sampled {
            let identity = &event.actor.as_ref().unwrap().identity;
            assert!(theirs == if identity == "agent" { numbers.len() } else { 0 }, "{event:?}");
        }
        named += theirs;
    }
    assert_eq!(named, 3000);
}

#[test]
fn what_drops_or_empties_is_told_of_at_once() {
    let (server, sink, capture) = scene(15);
    server.sql("create table scratch (n int); insert into scratch select generate_series(1, 10)");
    server.sql("vacuum full scratch");
    server.sql("truncate bookings");
    let seen = |verb: Verb| {
        sink.wait(&format!("{verb}"), |inner| {
            inner.glimpses.iter().any(|(stage, event)| {
                *stage == Stage::Done
                    && event.severity == Severity::Destructive
                    && event.effects.iter().any(|effect| effect.verb == verb)
            })
        });
    };
    seen(Verb::Truncate);
    server.sql("drop table bookings");
    seen(Verb::Drop);
    server.sql("create database other");
    server.sql("drop database other");
    seen(Verb::DropDatabase);
    let inner = sink.lock();
    let targets: Vec<&str> =
        inner.glimpses.iter().flat_map(|(_, e)| e.effects.iter().map(|e| e.target.as_str())).collect();
    assert!(
        targets.contains(&TABLE) && !targets.iter().any(|target| target.contains("scratch")),
        "{targets:?}"
    );
    drop(inner);
    finish(capture);
}
