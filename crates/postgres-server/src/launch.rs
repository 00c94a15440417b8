//! What a server is started with: its configuration, where it listens, how long it may take.

use std::{
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    time::Duration,
};

use ports::files::{self, FileError};

use crate::Settings;

/// Where a server listens besides its own private Unix socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// Nowhere else.
    Socket,
    /// On a free port of 127.0.0.1.
    Loopback,
    /// On given addresses and a given port, for a server that is to be used.
    Address {
        /// Addresses as in `listen_addresses`.
        addresses: String,
        /// The port.
        port: u16,
    },
}

/// Whose configuration files apply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Configuration {
    /// Files of our own in the control folder; those in the data directory are not read.
    ///
    /// Production's files may include others, name paths of its machine, or run its commands.
    Private {
        /// The lines of `pg_hba.conf`.
        access: Vec<String>,
    },
    /// The files in the data directory, as they were restored.
    Restored,
}

/// How to start a server.
#[derive(Debug, Clone)]
pub struct Launch {
    /// Whose configuration files apply.
    pub configuration: Configuration,
    /// Settings that override the files.
    pub settings: Settings,
    /// Where it listens.
    pub listen: Listen,
    /// How long it may take until it accepts connections.
    pub ready_timeout: Duration,
}

impl Launch {
    /// Starts with files of our own, for the server's own account on its private socket only.
    pub fn private(settings: Settings) -> Self {
        Self {
            configuration: Configuration::Private { access: vec!["local all all trust".to_owned()] },
            settings,
            listen: Listen::Socket,
            ready_timeout: Duration::from_mins(1),
        }
    }

    /// Starts with the restored configuration files.
    pub fn restored(settings: Settings) -> Self {
        Self { configuration: Configuration::Restored, ..Self::private(settings) }
    }

    /// Sets where the server listens.
    #[must_use]
    pub fn listening(mut self, listen: Listen) -> Self {
        self.listen = listen;
        self
    }

    /// Sets how long the server may take until it accepts connections.
    #[must_use]
    pub const fn ready_within(mut self, ready_timeout: Duration) -> Self {
        self.ready_timeout = ready_timeout;
        self
    }
}

/// The addresses chosen for one start.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    pub(crate) socket_dir: PathBuf,
    pub(crate) port: u16,
    pub(crate) addresses: String,
}

/// The port in the name of a private socket. Each server has its own socket folder, so they can share it.
const SOCKET_PORT: u16 = 5432;

impl Endpoint {
    pub(crate) fn choose(listen: &Listen, socket_dir: PathBuf) -> std::io::Result<Self> {
        let (addresses, port) = match listen {
            Listen::Socket => (String::new(), SOCKET_PORT),
            Listen::Loopback => {
                let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
                ("127.0.0.1".to_owned(), port)
            }
            Listen::Address { addresses, port } => (addresses.clone(), *port),
        };
        Ok(Self { socket_dir, port, addresses })
    }

    fn settings(&self) -> Settings {
        Settings::new()
            .with("listen_addresses", &self.addresses)
            .with("port", self.port)
            .with("unix_socket_directories", self.socket_dir.display())
    }
}

/// Writes the configuration files that apply and returns the server's arguments.
pub(crate) fn arguments(
    launch: &Launch,
    endpoint: &Endpoint,
    data_dir: &Path,
    control_dir: &Path,
) -> Result<Vec<String>, FileError> {
    let mut arguments = vec!["-D".to_owned(), data_dir.display().to_string()];
    let mut flag = |name: &str, value: &str| arguments.extend(["-c".to_owned(), format!("{name}={value}")]);
    match &launch.configuration {
        Configuration::Private { access } => {
            let path = |name: &str| control_dir.join(name);
            let mut settings = Settings::new()
                .with("hba_file", path("pg_hba.conf").display())
                .with("ident_file", path("pg_ident.conf").display())
                .with("lc_messages", "C");
            settings.extend(&launch.settings);
            settings.extend(&endpoint.settings());
            files::replace(&path("pg_hba.conf"), (access.join("\n") + "\n").as_bytes())?;
            files::replace(&path("pg_ident.conf"), b"")?;
            files::replace(&path("postgresql.conf"), settings.to_lines().as_bytes())?;
            flag("config_file", &path("postgresql.conf").display().to_string());
        }
        Configuration::Restored => {
            // The log is read, so it must be in English and come to us.
            let mut settings = Settings::new().with("lc_messages", "C").with("logging_collector", "off");
            settings.extend(&launch.settings);
            settings.extend(&endpoint.settings());
            settings.iter().for_each(|(name, value)| flag(name, value));
        }
    }
    Ok(arguments)
}
