//! What transactions did, with counts, names, positions and actors.

use model::{Attribution, Event, Severity, Verb};
use postgres_server::testing::{TestServer, psql};

use crate::{
    sink::MemorySink,
    world::{Capture, catch_up, finish, production, settings},
};

const SHOP: &str = "create table customers (id int primary key, name text); \
    create table orders (id int primary key, customer int references customers on delete cascade); \
    create index on orders (customer); \
    insert into customers select n, 'c' || n from generate_series(1, 5000) n; \
    insert into orders select n, 1 + n % 5000 from generate_series(1, 20000) n; analyze";

struct Scene {
    server: TestServer,
    sink: MemorySink,
    capture: Capture,
}

/// Follows a server that holds [`SHOP`].
fn scene(max_prepared: u32) -> Scene {
    let server = production(15, |options| options.settings.set("max_prepared_transactions", &max_prepared));
    server.sql(SHOP);
    let sink = MemorySink::default();
    let mut settings = settings(&server);
    settings = settings.with_monitor(&server.url()).unwrap();
    settings.sampling_interval = std::time::Duration::from_millis(20);
    let capture = Capture::start(settings, &sink);
    sink.wait("the names", |inner| inner.stream("relations").len() >= 4 || inner.checkpoints > 1);
    Scene { server, sink, capture }
}

impl Scene {
    /// Waits until the reader knows a relation by its name: of what is dropped before that, nobody can know it.
    fn wait_for_name(&self, name: &str) {
        let name = format!("\"{name}\"");
        self.sink.wait("the name", |inner| {
            inner.stream("relations").iter().any(|stored| stored.item.attributes.contains(&name))
        });
    }

    /// Ends the scene, and returns its events that are not daily work.
    fn events(self) -> Vec<Event> {
        catch_up(&self.server, &self.sink, &self.capture, 1);
        finish(self.capture);
        let events = self.sink.lock().events.clone();
        events.into_iter().filter(|event| event.severity != Severity::Routine).collect()
    }
}

fn effect(event: &Event, verb: Verb, target: &str) -> Option<u64> {
    event.effects.iter().find(|e| e.verb == verb && e.target == target).map(|e| e.count)
}

fn find<'e>(events: &'e [Event], verb: Verb, target: &str) -> &'e Event {
    events.iter().find(|event| effect(event, verb, target).is_some()).unwrap_or_else(|| {
        panic!("nobody did {verb} {target}: {events:#?}");
    })
}

#[test]
fn deletes_and_updates_have_their_counts_and_their_transaction() {
    let scene = scene(0);
    let transaction =
        scene.server.sql("begin; delete from customers where id > 1000; select txid_current(); commit");
    scene.server.sql("update customers set name = upper(name)");
    scene.server.sql("delete from orders where id <= 3");
    let events = scene.events();
    let cascade = find(&events, Verb::Delete, "postgres.public.customers");
    assert_eq!(effect(cascade, Verb::Delete, "postgres.public.customers"), Some(4000));
    assert_eq!(effect(cascade, Verb::Delete, "postgres.public.orders"), Some(16_000));
    assert_eq!((cascade.severity, cascade.scope.as_str()), (Severity::Destructive, "postgres"));
    assert_eq!(cascade.transaction, transaction.trim());
    let update = find(&events, Verb::Update, "postgres.public.customers");
    assert_eq!(effect(update, Verb::Update, "postgres.public.customers"), Some(1000));
    assert_eq!(update.severity, Severity::Destructive);
    let small = events.iter().find(|e| e.severity == Severity::Notable && e.effects[0].count == 3).unwrap();
    assert_eq!(small.effects[0].target, "postgres.public.orders");
    assert!(events.is_sorted_by_key(|event| event.position.clone()));
}

#[test]
fn truncate_drop_and_rewrite_have_their_names() {
    let scene = scene(0);
    scene.server.sql("truncate orders");
    scene.server.sql("vacuum full customers");
    scene.server.sql("alter table customers alter column id type bigint");
    scene.server.sql("create schema old; create table old.a (n int); create table old.b (n int)");
    scene.wait_for_name("b");
    scene.server.sql("drop schema old cascade");
    scene.server.sql("drop table orders");
    let events = scene.events();
    let truncate = find(&events, Verb::Truncate, "postgres.public.orders");
    assert_eq!((truncate.severity, truncate.effects.len()), (Severity::Destructive, 1));
    let schema = find(&events, Verb::Drop, "postgres.old.a");
    assert_eq!(effect(schema, Verb::Drop, "postgres.old.b"), Some(1));
    assert_eq!(find(&events, Verb::Drop, "postgres.public.orders").severity, Severity::Destructive);
    let rewrites = events.iter().filter(|e| effect(e, Verb::Rewrite, "postgres.public.customers") == Some(1));
    assert_eq!(rewrites.count(), 2, "{events:#?}");
    assert!(!events.iter().any(|e| effect(e, Verb::Truncate, "postgres.public.customers").is_some()));
}

#[test]
fn a_dropped_database_is_named() {
    let scene = scene(0);
    scene.server.sql("create database rental");
    scene.server.sql("create table names_are_read_again (n int)");
    scene.wait_for_name("names_are_read_again");
    scene.server.sql("drop database rental");
    let events = scene.events();
    let drop = find(&events, Verb::DropDatabase, "rental");
    assert_eq!((drop.severity, drop.scope.as_str()), (Severity::Destructive, "rental"));
}

#[test]
fn savepoints_and_two_phases_and_partitions_are_counted_whole() {
    let scene = scene(5);
    scene.server.sql("create table p (n int) partition by range (n)");
    scene.server.sql("create table p1 partition of p for values from (0) to (3000)");
    scene.server.sql("create table p2 partition of p for values from (3000) to (9000)");
    scene.server.sql("insert into p select generate_series(0, 5999)");
    scene.server.sql(
        "begin; delete from orders where id <= 100; savepoint a; delete from orders where id <= 200; \
         rollback to a; savepoint b; delete from orders where id between 301 and 400; commit",
    );
    scene.server.sql("begin; delete from customers where id > 4000; prepare transaction 'two'");
    scene.server.sql("commit prepared 'two'");
    scene.server.sql("delete from p where n % 2 = 0");
    scene.server.sql("begin; delete from p; rollback");
    let events = scene.events();
    let orders: Vec<u64> =
        events.iter().filter_map(|e| effect(e, Verb::Delete, "postgres.public.orders")).collect();
    assert!(orders.contains(&200), "{orders:?}");
    assert_eq!(
        effect(
            find(&events, Verb::Delete, "postgres.public.customers"),
            Verb::Delete,
            "postgres.public.customers"
        ),
        Some(1000)
    );
    let halves = find(&events, Verb::Delete, "postgres.public.p1");
    assert_eq!(effect(halves, Verb::Delete, "postgres.public.p1"), Some(1500));
    assert_eq!(effect(halves, Verb::Delete, "postgres.public.p2"), Some(1500));
    assert_eq!(halves.severity, Severity::Destructive);
}

#[test]
fn sampling_sees_who_ran_a_long_statement() {
    let scene = scene(0);
    scene.server.sql("create role agent login superuser");
    let url = scene.server.url().replacen("postgres@", "agent@", 1) + "&application_name=cursor-agent";
    psql(&url, "begin; delete from orders where id > 10; select pg_sleep(1); commit").unwrap();
    let events = scene.events();
    let delete = find(&events, Verb::Delete, "postgres.public.orders");
    assert_eq!(delete.attribution, Attribution::Sampled);
    let actor = delete.actor.as_ref().unwrap();
    assert_eq!((actor.identity.as_str(), actor.application.as_deref()), ("agent", Some("cursor-agent")));
    assert!(delete.statement.as_deref().unwrap().contains("delete from orders"));
}
