//! From nothing to a session that waits for its first command.

use std::{io, io::Read, io::Write, sync::Arc, time::Duration};

use bytes::BytesMut;
use ports::Clock;
use postgres_protocol::message::{backend::Message, frontend};

use super::{Connection, Limits, Mode, authentication, malformed, unexpected};
use crate::{
    channel::{Channel, Incoming, Transport, Wait},
    error::{Phase, Session, TlsError, WireError},
    settings::{ConnectionSettings, TlsMode},
    socket::Socket,
    tls::{HandshakeError, TlsSocket},
};

/// Before it has proven anything a peer gets little memory: libpq's own limit for errors in this phase is smaller.
const STARTUP_MESSAGE_BYTES_MAX: usize = 64 * 1024;

/// The oldest server that is tested.
const MAJOR_MIN: u32 = 13;

pub(super) fn connect(
    settings: &ConnectionSettings,
    mode: Mode,
    limits: &Limits,
    clock: Arc<dyn Clock>,
) -> Result<Connection, WireError> {
    let attempt = Attempt {
        settings,
        mode,
        limits,
        deadline: clock.elapsed() + settings.connect_timeout.unwrap_or(limits.connect_timeout),
        clock,
    };
    if settings.tls != TlsMode::Prefer {
        return attempt.run(settings.tls != TlsMode::Disable);
    }
    let failure = match attempt.run(true) {
        Ok(connection) => return Ok(connection),
        Err(failure) => failure,
    };
    // As libpq does: what fails with TLS may work without, when TLS was only preferred.
    if !matches!(failure, WireError::Tls { .. } | WireError::NotAdmitted { .. }) {
        return Err(failure);
    }
    attempt.run(false).map_err(|second| match second {
        // Both ways are closed: the better one is worth opening.
        WireError::NotAdmitted { .. } => failure,
        second => second,
    })
}

/// Goes through the start-up with a peer that is connected already.
pub(crate) fn admit(connection: &mut Connection, clock: Arc<dyn Clock>) -> Result<(), WireError> {
    let (settings, limits) = (connection.settings.clone(), connection.limits.clone());
    let deadline = clock.elapsed() + limits.connect_timeout;
    let (settings, limits) = (&settings, &limits);
    Attempt { settings, mode: Mode::Sql, limits, deadline, clock }.admit(connection)
}

struct Attempt<'a> {
    settings: &'a ConnectionSettings,
    mode: Mode,
    limits: &'a Limits,
    deadline: Duration,
    clock: Arc<dyn Clock>,
}

impl Attempt<'_> {
    fn run(&self, with_tls: bool) -> Result<Connection, WireError> {
        let transport = open(self.settings, with_tls, self.deadline, &self.clock)?;
        let session = Session {
            user: self.settings.user.clone(),
            mode: self.mode.clone(),
            database: self.database().to_owned(),
            encrypted: matches!(transport, Transport::Tls(_)),
            local: transport.socket().is_local(),
        };
        let mut connection = Connection {
            channel: Channel::new(transport, Arc::clone(&self.clock), STARTUP_MESSAGE_BYTES_MAX),
            session,
            limits: self.limits.clone(),
            usable: false,
            settings: self.settings.clone(),
            parameters: std::collections::BTreeMap::new(),
            notices: std::collections::VecDeque::new(),
            backend_key: None,
            major: 0,
        };
        self.admit(&mut connection)?;
        connection.channel.set_message_bytes_max(self.limits.message_bytes_max);
        connection
            .channel
            .transport()
            .socket()
            .set_write_timeout(self.limits.write_timeout)
            .map_err(|error| WireError::Closed { source: Some(error) })?;
        connection.end_exchange();
        Ok(connection)
    }

    fn admit(&self, connection: &mut Connection) -> Result<(), WireError> {
        self.introduce(connection)?;
        authentication::authenticate(connection, self.settings, |connection| self.receive(connection))?;
        self.await_readiness(connection)?;
        connection.major = read_major(connection)?;
        Ok(())
    }

    fn database(&self) -> &str {
        match &self.mode {
            Mode::LogicalReplication { database } => database,
            Mode::Sql | Mode::PhysicalReplication => self.settings.database_name(),
        }
    }

    fn introduce(&self, connection: &mut Connection) -> Result<(), WireError> {
        let mut parameters = vec![("user", self.settings.user.as_str()), ("client_encoding", "UTF8")];
        match self.mode {
            Mode::Sql => parameters.push(("database", self.database())),
            Mode::PhysicalReplication => parameters.push(("replication", "true")),
            Mode::LogicalReplication { .. } => {
                parameters.push(("database", self.database()));
                parameters.push(("replication", "database"));
            }
        }
        if let Some(name) = &self.settings.application_name {
            parameters.push(("application_name", name));
        }
        if let Some(options) = &self.settings.options {
            parameters.push(("options", options));
        }
        frontend::startup_message(parameters, connection.channel.outbox())
            .map_err(|error| WireError::Argument { reason: error.to_string() })?;
        connection.channel.flush()
    }

    /// Returns the next message of the start-up, with the server's refusals as errors.
    fn receive(&self, connection: &mut Connection) -> Result<Message, WireError> {
        match connection.receive(Wait::Until(self.deadline))? {
            Some(Incoming::Other(Message::ErrorResponse(body))) => {
                Err(connection.server_error(&body, Phase::Startup))
            }
            Some(Incoming::Other(message)) => Ok(message),
            Some(_) => Err(unexpected("starting the session")),
            None => Err(WireError::TimedOut { waited: self.timeout() }),
        }
    }

    fn timeout(&self) -> Duration {
        self.settings.connect_timeout.unwrap_or(self.limits.connect_timeout)
    }

    fn await_readiness(&self, connection: &mut Connection) -> Result<(), WireError> {
        loop {
            match self.receive(connection)? {
                Message::ReadyForQuery(_) => return Ok(()),
                Message::BackendKeyData(body) => {
                    connection.backend_key = Some((body.process_id(), body.secret_key()));
                }
                _ => return Err(unexpected("starting the session")),
            }
        }
    }
}

fn read_major(connection: &Connection) -> Result<u32, WireError> {
    let version = connection.parameter("server_version").unwrap_or_default();
    let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
    match digits.parse::<u32>() {
        Ok(major) if major >= MAJOR_MIN => Ok(major),
        Ok(major) => Err(WireError::Unsupported { feature: "support here: 13 is the oldest", major }),
        Err(_) => {
            Err(malformed(io::Error::new(io::ErrorKind::InvalidData, "server_version is not a number")))
        }
    }
}

/// Opens the socket and, if asked, TLS in it.
pub(super) fn open(
    settings: &ConnectionSettings,
    with_tls: bool,
    deadline: Duration,
    clock: &Arc<dyn Clock>,
) -> Result<Transport, WireError> {
    let unreachable = |source| WireError::Unreachable { endpoint: settings.endpoint(), source };
    let mut socket = Socket::connect(settings, &**clock, deadline).map_err(unreachable)?;
    let timeout = deadline.saturating_sub(clock.elapsed()).max(Duration::from_millis(1));
    socket.set_read_timeout(Some(timeout)).map_err(unreachable)?;
    socket.set_write_timeout(Some(timeout)).map_err(unreachable)?;
    if !with_tls || socket.is_local() {
        return Ok(Transport::Plain(socket));
    }
    let tls_failure = |source| WireError::Tls { endpoint: settings.endpoint(), source };
    if !server_speaks_tls(&mut socket).map_err(|error| WireError::from_socket(error, timeout))? {
        return match settings.tls {
            TlsMode::Prefer => Ok(Transport::Plain(socket)),
            _ => Err(tls_failure(TlsError::NotOffered)),
        };
    }
    match TlsSocket::connect(socket, settings, Arc::clone(clock)) {
        Ok(tls) => Ok(Transport::Tls(Box::new(tls))),
        Err(HandshakeError::Tls(error)) => Err(tls_failure(error)),
        Err(HandshakeError::Socket(error)) => Err(WireError::from_socket(error, timeout)),
    }
}

/// Asks for TLS. Exactly one byte is read, so that nothing an attacker put behind it in the clear is ever taken
/// for the server's encrypted words.
fn server_speaks_tls(socket: &mut Socket) -> io::Result<bool> {
    let mut request = BytesMut::new();
    frontend::ssl_request(&mut request);
    socket.write_all(&request)?;
    let mut answer = [0];
    socket.read_exact(&mut answer)?;
    match answer[0] {
        b'S' => Ok(true),
        // `E` comes from something that does not know the request.
        b'N' | b'E' => Ok(false),
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the answer to a TLS request is no PostgreSQL answer",
        )),
    }
}
