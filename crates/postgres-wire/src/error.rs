//! What can go wrong between us and a PostgreSQL server, sorted by what the caller does about it.

use std::{error::Error, fmt, io, time::Duration};

use fallible_iterator::FallibleIterator;
use postgres_protocol::message::backend::ErrorFields;

mod classify;
#[cfg(test)]
mod tests;

pub(crate) use classify::{Phase, Session, classify};

/// An error or notice as the server reported it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerError {
    /// Severity, not translated: `ERROR`, `FATAL`, `PANIC`, `WARNING`, `NOTICE` and so on.
    pub severity: String,
    /// Five-character SQLSTATE.
    pub sqlstate: String,
    /// Primary message, in the server's language.
    pub message: String,
    /// Secondary message.
    pub detail: Option<String>,
    /// The server's own advice.
    pub hint: Option<String>,
    /// Where it happened: the call stack of server-side code (field `W`).
    pub context: Option<String>,
}

impl ServerError {
    pub(crate) fn read(mut fields: ErrorFields<'_>) -> io::Result<Self> {
        let mut error = Self::default();
        while let Some(field) = fields.next()? {
            let value = String::from_utf8_lossy(field.value_bytes()).into_owned();
            match field.type_() {
                // `V` is the severity without translation and comes after the translated `S`.
                b'S' if error.severity.is_empty() => error.severity = value,
                b'V' => error.severity = value,
                b'C' => error.sqlstate = value,
                b'M' => error.message = value,
                b'D' => error.detail = Some(value),
                b'H' => error.hint = Some(value),
                b'W' => error.context = Some(value),
                _ => {}
            }
        }
        Ok(error)
    }
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.severity, self.sqlstate, self.message)?;
        if let Some(detail) = &self.detail {
            write!(f, " ({detail})")?;
        }
        if let Some(context) = &self.context {
            write!(f, " [{}]", context.replace('\n', "; "))?;
        }
        Ok(())
    }
}

impl Error for ServerError {}

/// Why TLS could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The server speaks no TLS.
    #[error("the server does not offer TLS")]
    NotOffered,
    /// The file of trusted certificates cannot be used.
    #[error("the certificates in {path} cannot be used: {reason}")]
    RootCertificates {
        /// The file, or `system`.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The host is no name that a certificate can carry.
    #[error("{host} is not a host name or address that a certificate can carry")]
    ServerName {
        /// The host.
        host: String,
    },
    /// Channel binding was required and is impossible.
    #[error("channel binding is required but {reason}")]
    ChannelBinding {
        /// Why it is impossible.
        reason: &'static str,
    },
    /// The handshake failed; a certificate that does not verify is the usual reason.
    #[error("the handshake failed")]
    Handshake(#[source] rustls::Error),
}

/// A failure of a connection or of a command.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// No connection could be made.
    #[error("cannot reach the PostgreSQL server at {endpoint}")]
    Unreachable {
        /// Host and port, or the socket.
        endpoint: String,
        /// The failure of the last address tried.
        #[source]
        source: io::Error,
    },
    /// TLS could not be set up.
    #[error("cannot secure the connection to {endpoint} with TLS")]
    Tls {
        /// Host and port.
        endpoint: String,
        /// Why.
        #[source]
        source: TlsError,
    },
    /// The server asks for a password and none was given.
    #[error("the server asks for a password of role {user} and none was given")]
    PasswordMissing {
        /// The role.
        user: String,
    },
    /// The password, or the role, was refused.
    #[error("the server refused the credentials of role {user}")]
    AuthenticationRefused {
        /// The role.
        user: String,
        /// What the server said.
        #[source]
        server: Box<ServerError>,
    },
    /// The server asks for a method that is not supported, or not safe here.
    #[error("authentication is not possible: {reason}")]
    AuthenticationUnsupported {
        /// What the server asks for and why it is not done.
        reason: String,
    },
    /// The server could not prove that it knows the password: it may be an impostor.
    #[error("the server did not prove that it knows the password of role {user}: {reason}")]
    ServerUnproven {
        /// The role.
        user: String,
        /// What was wrong with its proof.
        reason: String,
    },
    /// No line of `pg_hba.conf` lets this connection in.
    #[error("no line of pg_hba.conf admits this connection")]
    NotAdmitted {
        /// A line that would.
        line: String,
        /// What the server said.
        #[source]
        server: Box<ServerError>,
    },
    /// The role may not do this.
    #[error("role {user} lacks a privilege")]
    MissingPrivilege {
        /// The role.
        user: String,
        /// SQL that gives the privilege, where it is known.
        remedy: Option<String>,
        /// What the server said.
        #[source]
        server: Box<ServerError>,
    },
    /// The server has no free connection, WAL sender or slot.
    #[error("the server has no free {resource}")]
    Exhausted {
        /// The setting that limits it.
        setting: &'static str,
        /// What is used up.
        resource: &'static str,
        /// What the server said.
        #[source]
        server: Box<ServerError>,
    },
    /// The server is starting, stopping or crashing: try again later.
    #[error("the server is not available now")]
    Unavailable {
        /// What the server said.
        #[source]
        server: Box<ServerError>,
    },
    /// Somebody else uses the slot.
    #[error("the replication slot is in use")]
    SlotInUse {
        /// What the server said.
        #[source]
        server: Box<ServerError>,
    },
    /// There is no such slot.
    #[error("the replication slot does not exist")]
    SlotMissing {
        /// What the server said.
        #[source]
        server: Box<ServerError>,
    },
    /// There is such a slot already.
    #[error("a replication slot of this name exists already")]
    SlotExists {
        /// What the server said.
        #[source]
        server: Box<ServerError>,
    },
    /// The server has given the slot up; the changes since then cannot be had from it.
    #[error("the replication slot was invalidated")]
    SlotInvalidated {
        /// What the server said.
        #[source]
        server: Box<ServerError>,
    },
    /// The server no longer has the requested WAL: there is a hole, and a new base backup is needed.
    #[error("the server has already removed the requested WAL")]
    WalRemoved {
        /// What the server said.
        #[source]
        server: Box<ServerError>,
    },
    /// The server sent nothing for too long; the connection is unusable.
    #[error("the server sent nothing for {} ms", waited.as_millis())]
    TimedOut {
        /// How long we waited.
        waited: Duration,
    },
    /// The connection ended.
    #[error("the connection to the server was lost")]
    Closed {
        /// The failure of the socket; none when the peer closed it in an orderly way.
        #[source]
        source: Option<io::Error>,
    },
    /// The peer does not follow the protocol.
    #[error("the peer broke the PostgreSQL protocol: {reason}")]
    Violation {
        /// How.
        reason: String,
    },
    /// The result is larger than the limit.
    #[error("the result is larger than {bytes_max} bytes")]
    ResultTooLarge {
        /// The limit.
        bytes_max: usize,
    },
    /// The result has another number of rows or columns than the caller said.
    #[error("the result has {found}, expected {expected}")]
    ResultShape {
        /// What the caller wants.
        expected: &'static str,
        /// What came.
        found: String,
    },
    /// The server is too old, or too new, for this.
    #[error("PostgreSQL {major} has no {feature}")]
    Unsupported {
        /// What is missing.
        feature: &'static str,
        /// The server's major version.
        major: u32,
    },
    /// An argument cannot be sent.
    #[error("the argument cannot be sent: {reason}")]
    Argument {
        /// Why.
        reason: String,
    },
    /// An earlier failure, or an unfinished stream, left the connection unusable.
    #[error("the connection is unusable after an unfinished exchange")]
    Unusable,
    /// The caller's own consumer of a stream failed; the connection is unusable.
    #[error("the received data could not be taken in")]
    Consumer {
        /// The consumer's failure.
        #[source]
        source: io::Error,
    },
    /// Any other error of the server.
    #[error("the server reported an error")]
    Server {
        /// What the server said.
        #[source]
        server: Box<ServerError>,
    },
}

impl WireError {
    /// Returns what the server said, where the failure is the server's answer.
    pub fn server(&self) -> Option<&ServerError> {
        match self {
            Self::AuthenticationRefused { server, .. }
            | Self::NotAdmitted { server, .. }
            | Self::MissingPrivilege { server, .. }
            | Self::Exhausted { server, .. }
            | Self::Unavailable { server }
            | Self::SlotInUse { server }
            | Self::SlotMissing { server }
            | Self::SlotExists { server }
            | Self::SlotInvalidated { server }
            | Self::WalRemoved { server }
            | Self::Server { server } => Some(server),
            _ => None,
        }
    }

    /// Returns what a person can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unreachable { .. } => Some(
                "check host, port and firewall; the server's listen_addresses must include this network".into(),
            ),
            Self::Tls { source: TlsError::NotOffered, .. } => Some(
                "turn TLS on in the server (ssl = on), or say sslmode=disable if the network itself is trusted"
                    .into(),
            ),
            Self::Tls { source: TlsError::Handshake(rustls::Error::InvalidCertificate(_)), .. } => {
                Some("give the authority that signed the server's certificate: sslrootcert=/path/to/ca.pem".into())
            }
            Self::PasswordMissing { .. } => Some("give the password by reference: --password file:PATH, or password = \"file:PATH\" in the configuration".into()),
            Self::AuthenticationRefused { user, .. } => Some(format!(
                "check the password, or set a new one: ALTER ROLE {} PASSWORD '...';",
                crate::quote_identifier(user)
            )),
            Self::NotAdmitted { line, .. } => {
                Some(format!("add this line to pg_hba.conf: {line}\nthen run: SELECT pg_reload_conf();"))
            }
            Self::MissingPrivilege { remedy: Some(remedy), .. } => Some(format!("as a superuser run: {remedy}")),
            Self::Exhausted { setting, .. } => Some(format!(
                "raise {setting} (it needs a restart of the server), or free one that nobody uses: \
                 ALTER SYSTEM SET {setting} = ...;"
            )),
            Self::SlotInUse { .. } => {
                Some("another process streams from it: SELECT * FROM pg_replication_slots;".into())
            }
            Self::WalRemoved { .. } | Self::SlotInvalidated { .. } => Some(
                "take a new base backup; a slot with a larger max_slot_wal_keep_size holds WAL for longer".into(),
            ),
            other => other.server().and_then(|server| server.hint.clone()),
        }
    }

    /// Reports whether the same attempt may succeed later without anybody acting.
    pub const fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::Unavailable { .. }
                | Self::Exhausted { .. }
                | Self::SlotInUse { .. }
                | Self::TimedOut { .. }
                | Self::Closed { .. }
        )
    }

    pub(crate) fn violation(reason: impl Into<String>) -> Self {
        Self::Violation { reason: reason.into() }
    }

    /// Sorts a failure of the socket; `waited` is the timeout that was in force.
    pub(crate) fn from_socket(error: io::Error, waited: Duration) -> Self {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Self::TimedOut { waited },
            _ => Self::Closed { source: Some(error) },
        }
    }
}
