//! A session with a PostgreSQL server.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    sync::Arc,
    time::Duration,
};

use ports::Clock;
use postgres_protocol::message::backend::{ErrorResponseBody, Message};

use crate::{
    channel::{Channel, Incoming, Wait},
    error::{Phase, ServerError, Session, WireError, classify},
    settings::ConnectionSettings,
};

mod authentication;
mod cancel;
pub(crate) mod startup;
#[cfg(test)]
mod tests;

pub use cancel::CancelHandle;

/// Notices kept until somebody takes them; older ones make room.
const NOTICES_MAX: usize = 256;

/// What a session is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    /// Ordinary SQL.
    Sql,
    /// Physical replication: replication commands only, no database.
    PhysicalReplication,
    /// Logical replication in a database: replication commands and SQL.
    LogicalReplication {
        /// The database.
        database: String,
    },
}

/// What a session may take in time and memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// From the first packet to a usable session.
    pub connect_timeout: Duration,
    /// Silence of the server while an answer is due; no limit if absent.
    ///
    /// A base backup with a spread checkpoint is silent for minutes.
    pub read_timeout: Option<Duration>,
    /// How long the server may refuse to take what we send; no limit if absent.
    pub write_timeout: Option<Duration>,
    /// The largest message that is accepted.
    pub message_bytes_max: usize,
    /// The largest result that is collected in memory.
    pub result_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(15),
            read_timeout: Some(Duration::from_mins(10)),
            write_timeout: Some(Duration::from_mins(1)),
            message_bytes_max: 256 * 1024 * 1024,
            result_bytes_max: 256 * 1024 * 1024,
        }
    }
}

/// An open session.
///
/// After a failure in the middle of an exchange, or when a stream is dropped before its end, the session cannot
/// be used again: each call then answers [`WireError::Unusable`].
pub struct Connection {
    pub(crate) channel: Channel,
    pub(crate) session: Session,
    pub(crate) limits: Limits,
    pub(crate) usable: bool,
    pub(crate) settings: ConnectionSettings,
    pub(crate) parameters: BTreeMap<String, String>,
    pub(crate) notices: VecDeque<ServerError>,
    pub(crate) backend_key: Option<(i32, i32)>,
    pub(crate) major: u32,
}

impl Connection {
    /// Opens a session.
    pub fn connect(
        settings: &ConnectionSettings,
        mode: Mode,
        limits: &Limits,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, WireError> {
        startup::connect(settings, mode, limits, clock)
    }

    /// Returns the server's major version, such as 17.
    pub const fn major(&self) -> u32 {
        self.major
    }

    /// Returns a setting that the server reports by itself, such as `TimeZone`.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str)
    }

    /// Reports whether the session is encrypted.
    pub const fn is_encrypted(&self) -> bool {
        self.session.encrypted
    }

    /// Reports whether another command can be sent.
    pub const fn is_usable(&self) -> bool {
        self.usable
    }

    /// Returns the process that serves this session, as in `pg_stat_activity.pid`.
    pub fn backend_process(&self) -> Option<i32> {
        self.backend_key.map(|(process, _)| process)
    }

    /// Takes the notices and warnings received so far (the latest 256).
    pub fn take_notices(&mut self) -> Vec<ServerError> {
        self.notices.drain(..).collect()
    }

    /// Changes how long the server may be silent while an answer is due.
    pub const fn set_read_timeout(&mut self, read_timeout: Option<Duration>) {
        self.limits.read_timeout = read_timeout;
    }

    /// Returns a handle that cancels the running command from another thread.
    pub fn cancel_handle(&self) -> Option<CancelHandle> {
        let (process, secret) = self.backend_key?;
        Some(CancelHandle::new(self.settings.clone(), process, secret, self.session.encrypted))
    }

    /// Marks an exchange as begun: it must end with [`Connection::end_exchange`] for the session to be of use.
    pub(crate) fn begin_exchange(&mut self) -> Result<(), WireError> {
        if !self.usable {
            return Err(WireError::Unusable);
        }
        self.usable = false;
        self.channel.outbox().clear();
        Ok(())
    }

    pub(crate) const fn end_exchange(&mut self) {
        self.usable = true;
    }

    /// Sends what is collected. A server that hung up has often said why before it did: that is the better error.
    pub(crate) fn flush(&mut self) -> Result<(), WireError> {
        let Err(failure) = self.channel.flush() else { return Ok(()) };
        while let Ok(Some(message)) = self.receive(Wait::Never) {
            if let Incoming::Other(Message::ErrorResponse(body)) = message {
                return Err(self.server_error(&body, Phase::Command));
            }
        }
        Err(failure)
    }

    /// Returns the next message that belongs to the exchange; what the server says in between is set aside.
    pub(crate) fn receive(&mut self, wait: Wait) -> Result<Option<Incoming>, WireError> {
        loop {
            match self.channel.receive(wait)? {
                Some(Incoming::Other(Message::NoticeResponse(body))) => {
                    let notice = ServerError::read(body.fields()).map_err(malformed)?;
                    if self.notices.len() == NOTICES_MAX {
                        self.notices.pop_front();
                    }
                    self.notices.push_back(notice);
                }
                Some(Incoming::Other(Message::ParameterStatus(body))) => {
                    let (name, value) = (body.name().map_err(malformed)?, body.value().map_err(malformed)?);
                    // A server reports a few dozen; a hostile one must not fill the memory.
                    if self.parameters.len() < 1000 || self.parameters.contains_key(name) {
                        self.parameters.insert(name.to_owned(), value.to_owned());
                    }
                }
                Some(Incoming::Other(Message::NotificationResponse(_))) => {}
                other => return Ok(other),
            }
            // A peer that only chatters must not outlast the deadline.
            if let Wait::Until(deadline) = wait
                && self.channel.clock().elapsed() >= deadline
            {
                return Ok(None);
            }
        }
    }

    /// As [`Connection::receive`] within the read timeout.
    pub(crate) fn expect(&mut self) -> Result<Incoming, WireError> {
        let timeout = self.limits.read_timeout;
        match self.receive(Wait::Silence(timeout))? {
            Some(message) => Ok(message),
            None => Err(WireError::TimedOut { waited: timeout.unwrap_or_default() }),
        }
    }

    pub(crate) fn server_error(&self, body: &ErrorResponseBody, phase: Phase) -> WireError {
        match ServerError::read(body.fields()) {
            Ok(server) => classify(server, &self.session, phase),
            Err(error) => malformed(error),
        }
    }

    /// Reads up to the end of the exchange and returns the error; a session that the server ends stays unusable.
    pub(crate) fn fail(&mut self, body: &ErrorResponseBody) -> WireError {
        let error = self.server_error(body, Phase::Command);
        let fatal = error.server().is_some_and(|server| server.severity != "ERROR");
        if !fatal {
            // The error is worth more to the caller than a failure while clearing up after it.
            drop(self.finish_exchange());
        }
        error
    }

    /// Reads up to the server's readiness for the next command.
    pub(crate) fn finish_exchange(&mut self) -> Result<(), WireError> {
        let mut failure = None;
        loop {
            match self.expect()? {
                Incoming::Other(Message::ReadyForQuery(_)) => break,
                Incoming::Other(Message::ErrorResponse(body)) => {
                    failure = Some(self.server_error(&body, Phase::Command));
                }
                _ => {}
            }
        }
        self.end_exchange();
        failure.map_or(Ok(()), Err)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if self.usable {
            self.channel.terminate();
        }
        self.channel.transport().socket().close();
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("settings", &self.settings)
            .field("mode", &self.session.mode)
            .field("major", &self.major)
            .field("usable", &self.usable)
            .finish_non_exhaustive()
    }
}

/// A message whose content cannot be read.
#[expect(clippy::needless_pass_by_value, reason = "it stands in `map_err`")]
pub(crate) fn malformed(error: std::io::Error) -> WireError {
    WireError::violation(format!("a message is malformed: {error}"))
}

/// A message that has no place here.
pub(crate) fn unexpected(place: &str) -> WireError {
    WireError::violation(format!("an unexpected message while {place}"))
}
