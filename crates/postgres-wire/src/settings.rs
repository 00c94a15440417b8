//! Where to connect, as whom, and how secured.

use std::{
    fmt,
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use model::Redacted;

mod url;

#[cfg(test)]
mod tests;

/// The port that PostgreSQL listens on by default.
pub const DEFAULT_PORT: u16 = 5432;

/// The place of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// A host name or IP address.
    Network(String),
    /// A directory that holds the server's unix socket.
    SocketDirectory(PathBuf),
}

impl Host {
    /// Reads a host as libpq does: an absolute path is a socket directory.
    pub fn new(text: &str) -> Self {
        if text.starts_with('/') {
            Self::SocketDirectory(PathBuf::from(text))
        } else {
            Self::Network(text.to_owned())
        }
    }

    /// Reports whether traffic to this host stays inside the machine.
    pub fn is_local(&self) -> bool {
        match self {
            Self::SocketDirectory(_) => true,
            Self::Network(name) => {
                name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
            }
        }
    }
}

/// How much TLS is wanted; the meanings are those of libpq's `sslmode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsMode {
    /// No TLS.
    Disable,
    /// TLS if the server offers it, otherwise none. Protects from nobody who can alter traffic.
    Prefer,
    /// TLS without asking who the server is, except when a file of trusted certificates is given: then as
    /// [`TlsMode::VerifyCa`].
    Require,
    /// TLS with a server whose certificate an authority signed.
    VerifyCa,
    /// As before, and the certificate is for this host.
    VerifyFull,
}

/// Which authorities are trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RootCertificates {
    /// Those that the operating system trusts.
    System,
    /// Those in this PEM file.
    File(PathBuf),
}

/// Whether the password exchange must be tied to the TLS connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChannelBinding {
    /// It is not tied.
    Disable,
    /// It is tied where both sides can.
    Prefer,
    /// It is tied, or the connection fails.
    Require,
}

/// Everything that says where to connect and as whom.
///
/// The password shows in no `Debug` or `Display` output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionSettings {
    /// The server's place.
    pub host: Host,
    /// The port; for a unix socket it is part of the socket's name.
    pub port: u16,
    /// The role.
    pub user: String,
    /// The password; none where the server asks for none.
    pub password: Option<Redacted<String>>,
    /// The database; the role's name if absent.
    pub database: Option<String>,
    /// How much TLS is wanted; unix sockets never use it.
    pub tls: TlsMode,
    /// Which authorities are trusted.
    pub root_certificates: RootCertificates,
    /// Whether the password exchange is tied to the TLS connection.
    pub channel_binding: ChannelBinding,
    /// Shown in `pg_stat_activity`, and a standby's name for synchronous replication.
    pub application_name: Option<String>,
    /// How long to wait for a session; overrides [`crate::Limits::connect_timeout`].
    pub connect_timeout: Option<Duration>,
    /// Command-line options for the server process, such as `-c statement_timeout=5s`.
    pub options: Option<String>,
}

/// Settings that cannot be used. The texts repeat no value, as any of them may be secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// The address is not a PostgreSQL URL.
    #[error("a PostgreSQL address starts with postgresql:// or postgres://")]
    Scheme,
    /// The role is missing.
    #[error("the address names no role")]
    UserMissing,
    /// The host is missing.
    #[error("the address names no host")]
    HostMissing,
    /// Several hosts were given.
    #[error("the address names several hosts; give the one to use")]
    SeveralHosts,
    /// A part is not readable.
    #[error("the {part} of the address is not valid")]
    Malformed {
        /// Which part.
        part: &'static str,
    },
    /// A parameter is not known.
    #[error("the parameter {name:?} is not supported")]
    UnknownParameter {
        /// Its name.
        name: String,
    },
    /// A parameter has a value that is not possible.
    #[error("the parameter {name} must be {expected}")]
    ParameterValue {
        /// Its name.
        name: &'static str,
        /// What is possible.
        expected: &'static str,
    },
}

impl SettingsError {
    /// Returns what a person can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownParameter { .. } => Some(format!("supported are: {}", url::PARAMETERS.join(", "))),
            _ => Some(
                "write postgresql://ROLE:PASSWORD@HOST:PORT/DATABASE?sslmode=verify-full, with %40 for @ and \
                 %2F for / inside of a part"
                    .into(),
            ),
        }
    }
}

impl ConnectionSettings {
    /// Makes settings with defaults.
    ///
    /// TLS is [`TlsMode::Prefer`] when the host is this machine, otherwise [`TlsMode::Require`]: libpq's own
    /// default, `prefer`, would send everything in the clear when somebody on the way says so.
    pub fn new(host: Host, user: impl Into<String>) -> Self {
        let tls = Self::default_tls(&host);
        Self {
            host,
            port: DEFAULT_PORT,
            user: user.into(),
            password: None,
            database: None,
            tls,
            root_certificates: RootCertificates::System,
            channel_binding: ChannelBinding::Prefer,
            application_name: None,
            connect_timeout: None,
            options: None,
        }
    }

    /// Reads `postgresql://role:password@host:port/database?parameter=value`.
    pub fn from_url(url: &str) -> Result<Self, SettingsError> {
        url::parse(url)
    }

    /// Returns the database's name.
    pub fn database_name(&self) -> &str {
        self.database.as_deref().unwrap_or(&self.user)
    }

    /// Returns the place in words: `host:port`, or the path of the socket.
    pub fn endpoint(&self) -> String {
        match &self.host {
            Host::Network(name) if name.contains(':') => format!("[{name}]:{}", self.port),
            Host::Network(name) => format!("{name}:{}", self.port),
            Host::SocketDirectory(directory) => self.socket_path(directory).display().to_string(),
        }
    }

    pub(crate) fn socket_path(&self, directory: &Path) -> PathBuf {
        directory.join(format!(".s.PGSQL.{}", self.port))
    }

    fn default_tls(host: &Host) -> TlsMode {
        if host.is_local() { TlsMode::Prefer } else { TlsMode::Require }
    }
}

impl fmt::Display for ConnectionSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "role {} at {}, database {}", self.user, self.endpoint(), self.database_name())
    }
}
