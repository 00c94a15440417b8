//! Who did what by the server's own log, with neither a witness nor a monitor.

use std::{os::unix::fs::PermissionsExt, sync::Arc};

use model::{Attribution, Event, Verb};
use ports::SystemClock;
use postgres_server::testing::{TestServer, majors_available, psql, reachable_folder};
use postgres_wire::{Connection, ConnectionSettings, Limits, Mode};

use crate::{
    sink::MemorySink,
    world::{Capture, catch_up, finish, production, settings},
};

const BOOKINGS: &str = "create table bookings (n int primary key); insert into bookings select generate_series(1, 20000); \
    create table rooms (n int); insert into rooms select generate_series(1, 20000); create table guests (n int); \
    analyze; create role agent login; alter table bookings owner to agent; alter table rooms owner to agent; \
    alter table guests owner to agent";

struct Scene {
    server: TestServer,
    sink: MemorySink,
    capture: Capture,
    _logs: tempfile::TempDir,
}

/// Follows a server that writes its log in a format, with more settings.
fn scene(major: u32, format: &str, more: &[(&str, &str)]) -> Scene {
    let logs = reachable_folder();
    std::fs::set_permissions(logs.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    let server = production(major, |options| {
        options.loopback = true;
        options.settings.set("logging_collector", "on");
        options.settings.set("log_destination", format);
        options.settings.set("log_directory", &logs.path().display());
        options.settings.set("log_timezone", "Europe/Berlin");
        for (name, value) in more {
            options.settings.set(name, value);
        }
    });
    server.sql(BOOKINGS);
    let sink = MemorySink::default();
    let mut settings = settings(&server);
    settings.log_folder = Some(logs.path().to_owned());
    let capture = Capture::start(settings, &sink);
    sink.wait("the names", |inner| inner.stream("relations").len() >= 4 || inner.checkpoints > 1);
    Scene { server, sink, capture, _logs: logs }
}

impl Scene {
    /// Returns the address of the agent, who says what it is.
    fn agent(&self) -> String {
        let url = self.server.tcp_url().replacen("postgres@", "agent@", 1);
        let sign = if url.contains('?') { '&' } else { '?' };
        format!("{url}{sign}application_name=cursor-agent")
    }

    fn connect(&self) -> Connection {
        let settings = ConnectionSettings::from_url(&self.agent()).unwrap();
        Connection::connect(&settings, Mode::Sql, &Limits::default(), Arc::new(SystemClock::new())).unwrap()
    }

    /// Ends the scene, and returns its events.
    fn events(self) -> Vec<Event> {
        catch_up(&self.server, &self.sink, &self.capture, 1);
        finish(self.capture);
        self.sink.lock().events.clone()
    }
}

fn find<'e>(events: &'e [Event], verb: Verb, table: &str) -> &'e Event {
    let target = format!("postgres.public.{table}");
    let did = |event: &&Event| event.effects.iter().any(|e| e.verb == verb && e.target == target);
    events.iter().find(did).unwrap_or_else(|| panic!("nobody did {verb} {target}: {events:#?}"))
}

fn assert_agent(event: &Event, attribution: Attribution, statement: &str) {
    assert_eq!(event.attribution, attribution, "{event:?}");
    let actor = event.actor.as_ref().unwrap();
    let known = (actor.identity.as_str(), actor.application.as_deref(), actor.address.as_deref());
    assert_eq!(known, ("agent", Some("cursor-agent"), Some("127.0.0.1")));
    assert_eq!(event.statement.as_deref(), Some(statement));
}

#[test]
fn a_line_that_bears_the_transaction_s_number_is_a_record_of_who_it_was() {
    let delete = "delete from bookings\nwhere n > 10 -- \"half\", all";
    for major in majors_available() {
        let explain = [("shared_preload_libraries", "auto_explain"), ("auto_explain.log_min_duration", "0")];
        let scene = scene(major, "csvlog", &explain);
        psql(&scene.agent(), delete).unwrap();
        scene.server.sql("delete from rooms where n = 1");
        let events = scene.events();
        assert_agent(find(&events, Verb::Delete, "bookings"), Attribution::Recorded, delete);
        let other = find(&events, Verb::Delete, "rooms");
        let identity = &other.actor.as_ref().unwrap().identity;
        assert_eq!((other.attribution, identity.as_str()), (Attribution::Recorded, "postgres"));
    }
}

#[test]
fn a_jsonlog_names_whoever_opened_a_transaction_and_guesses_who_did_not() {
    for major in majors_available().into_iter().filter(|&major| major >= 15) {
        let scene = scene(major, "jsonlog", &[("log_statement", "all")]);
        let mut agent = scene.connect();
        for statement in ["begin", "delete from bookings", "commit", "truncate rooms"] {
            agent.simple_query(statement).unwrap();
        }
        let events = scene.events();
        let delete = find(&events, Verb::Delete, "bookings");
        assert_agent(delete, Attribution::Recorded, "delete from bookings");
        assert_agent(find(&events, Verb::Truncate, "rooms"), Attribution::Inferred, "truncate rooms");
    }
}

#[test]
fn durations_alone_name_whoever_opened_a_transaction_and_nobody_where_two_fit() {
    let scene = scene(15, "csvlog", &[("log_min_duration_statement", "0")]);
    let mut agent = scene.connect();
    for statement in ["begin", "delete from bookings", "commit", "delete from rooms where n < 100"] {
        agent.simple_query(statement).unwrap();
    }
    agent.simple_query("begin; lock table guests; insert into guests values (1)").unwrap();
    let waits = std::thread::spawn({
        let url = scene.server.url();
        move || psql(&url, "drop table guests").unwrap()
    });
    while scene.server.sql("select count(*) from pg_locks where not granted") == "0" {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    agent.simple_query("commit; drop table if exists guests; select 1").unwrap();
    waits.join().unwrap();
    let events = scene.events();
    let delete = find(&events, Verb::Delete, "bookings");
    assert_agent(delete, Attribution::Recorded, "delete from bookings");
    let guess = find(&events, Verb::Delete, "rooms");
    assert_agent(guess, Attribution::Inferred, "delete from rooms where n < 100");
    let either = find(&events, Verb::Drop, "guests");
    assert_eq!((either.attribution, &either.actor), (Attribution::Unknown, &None));
}

#[test]
fn a_log_that_cannot_be_read_is_told_of_once_and_stops_nothing() {
    let server = production(15, |_| ());
    server.sql(BOOKINGS);
    let sink = MemorySink::default();
    let mut settings = settings(&server);
    settings.log_folder = Some(server.folder().join("none"));
    let capture = Capture::start(settings, &sink);
    sink.wait("the names", |inner| inner.stream("relations").len() >= 4 || inner.checkpoints > 1);
    server.sql("delete from bookings");
    catch_up(&server, &sink, &capture, 1);
    finish(capture);
    let inner = sink.lock();
    assert_eq!(find(&inner.events, Verb::Delete, "bookings").attribution, Attribution::Unknown);
    let told = |event: &&Event| event.statement.as_deref().unwrap_or_default().contains("log folder");
    assert_eq!(inner.events.iter().filter(told).count(), 1, "{:#?}", inner.events);
}
