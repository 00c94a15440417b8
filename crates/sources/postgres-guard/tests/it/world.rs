//! A server with a table of bookings, an agent, an application, and the guard.

use std::sync::Arc;

use model::{Attribution, Moment, SourceName};
use ports::SystemClock;
use postgres_guard::{ClusterContainer, Policy, install};
use postgres_server::testing::TestServer;
use postgres_wire::{Connection, ConnectionSettings, Limits, Mode};
use watch::containment::Suspect;

/// The agent owns what it wipes, as the role of most applications does.
const SHOP: &str = "create role agent login; create role app login; create role anna login superuser; \
    create role backup login replication; create role agent_safe login; \
    grant all on schema public to agent, app; \
    set role agent; create table bookings (n int primary key, text text default 'x'); reset role; \
    insert into bookings select generate_series(1, 50000); grant all on bookings to app; analyze";

pub(crate) fn server(major: u32) -> TestServer {
    let server = TestServer::start(major, |options| options.settings.set("autovacuum", "off"));
    server.sql(SHOP);
    server
}

pub(crate) fn policy() -> Policy {
    let list = |names: &[&str]| names.iter().map(ToString::to_string).collect();
    Policy {
        contained: list(&["agent*", "backup", "guest_*"]),
        refused: list(&["agent"]),
        protected: list(&["agent_s*"]),
    }
}

pub(crate) fn guarded(major: u32) -> TestServer {
    let server = server(major);
    let failed = install::install(&mut connect(&server, "postgres"), &policy(), None).unwrap();
    assert_eq!(failed, []);
    server
}

pub(crate) fn settings(server: &TestServer, role: &str) -> ConnectionSettings {
    ConnectionSettings::from_url(&url(server, role)).unwrap()
}

pub(crate) fn url(server: &TestServer, role: &str) -> String {
    server.url().replacen("postgres@", &format!("{role}@"), 1)
}

pub(crate) fn connect(server: &TestServer, role: &str) -> Connection {
    let clock = Arc::new(SystemClock::new());
    Connection::connect(&settings(server, role), Mode::Sql, &Limits::default(), clock).unwrap()
}

pub(crate) fn container(server: &TestServer) -> ClusterContainer {
    ClusterContainer::new(settings(server, postgres_guard::ROLE), Arc::new(SystemClock::new()))
}

pub(crate) fn suspect(transaction: Option<&str>) -> Suspect {
    Suspect {
        source: SourceName::new("shop").unwrap(),
        scope: "postgres".to_owned(),
        transaction: transaction.map(str::to_owned),
        targets: vec!["postgres.public.bookings".to_owned()],
        actor: None,
        attribution: Attribution::Unknown,
        since: Moment::from_micros(0),
    }
}
