//! What the tests share.

use std::{sync::Arc, time::Duration};

use ports::{Clock, SystemClock};
use postgres_server::testing::TestServer;
use postgres_wire::{Connection, ConnectionSettings, Limits, Mode, WireError};

pub(crate) fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock::new())
}

pub(crate) fn limits() -> Limits {
    let long = Duration::from_mins(1);
    Limits { connect_timeout: long, read_timeout: Some(long), ..Limits::default() }
}

pub(crate) fn connect(url: &str, mode: Mode) -> Result<Connection, WireError> {
    connect_with(&ConnectionSettings::from_url(url).unwrap(), mode)
}

pub(crate) fn connect_with(settings: &ConnectionSettings, mode: Mode) -> Result<Connection, WireError> {
    Connection::connect(settings, mode, &limits(), clock())
}

/// A session of the superuser through the unix socket.
pub(crate) fn superuser(server: &TestServer, mode: Mode) -> Connection {
    connect(&server.url(), mode).unwrap()
}

/// The address of another role and password at the server's TCP port, with more parameters.
pub(crate) fn tcp_url(server: &TestServer, credentials: &str, parameters: &str) -> String {
    let url = server.tcp_url();
    let (_, place) = url.split_once('@').unwrap();
    let separator = if place.contains('?') { '&' } else { '?' };
    format!("postgresql://{credentials}@{place}{separator}{parameters}")
}

/// The whole chain of an error, as a person would read it.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text = format!("{text}: {source}");
        next = source.source();
    }
    text
}
