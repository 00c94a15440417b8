//! The configuration: one TOML file, unknown keys refused, secrets by reference.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use drill::DrillsConfig;
use model::SourceName;
use ports::files::{self, FileError};
use serde::{Deserialize, Serialize};

use crate::{Place, mirrors::MirrorConfig, telemetry::TelemetryConfig, watching::WatchConfig};

/// The file's name in the home folder.
pub const FILE_NAME: &str = "unwipe.toml";

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// There is none: nothing was set up here yet.
    #[error("there is no configuration at {}", path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The file cannot be read or written.
    #[error("the configuration cannot be used")]
    File(#[from] FileError),
    /// The file is not valid.
    #[error("{} is not valid", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong, with line and column.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// The configuration cannot be written as TOML.
    #[error("the configuration cannot be written as TOML")]
    Unwritable(#[source] toml::ser::Error),
    /// The source is configured already.
    #[error("source {name} is configured already")]
    Taken {
        /// Its name.
        name: SourceName,
    },
    /// The mirror is configured already.
    #[error("mirror {name} is configured already")]
    MirrorTaken {
        /// Its name.
        name: String,
    },
    /// The mirror's name cannot be used.
    #[error("{name:?} cannot be a mirror's name: lower-case letters, digits and hyphens")]
    MirrorName {
        /// The refused name.
        name: String,
    },
    /// No such mirror is configured.
    #[error("there is no mirror {name}; configured: {}", if known.is_empty() { "none" } else { known })]
    UnknownMirror {
        /// The name asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// No such source is configured.
    #[error("there is no source {name}; configured: {known}")]
    UnknownSource {
        /// The name asked for.
        name: String,
        /// What there is.
        known: String,
    },
}

impl ConfigError {
    /// Returns what a person can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Missing { .. } => Some("unwipe init".to_owned()),
            Self::UnknownSource { .. } => Some("unwipe sources".to_owned()),
            Self::UnknownMirror { .. } => Some("unwipe mirror status".to_owned()),
            _ => None,
        }
    }
}

/// Everything that a person decides about an installation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The vault and the key that adds to it.
    pub vault: VaultConfig,
    /// What is needed to restore; absent on a host that only captures.
    #[serde(default)]
    pub restore: RestoreConfig,
    /// Whose signatures count on plans, by name: 64 hexadecimal digits of an Ed25519 public key each.
    #[serde(default)]
    pub approvers: BTreeMap<String, String>,
    /// How many people must approve, and how long things wait.
    #[serde(default, skip_serializing_if = "is_default_policy")]
    pub approvals: approvals::Policy,
    /// The vault's mirrors.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub mirrors: BTreeMap<String, MirrorConfig>,
    /// Other machines that cosign tree heads, by name.
    #[serde(default)]
    pub witnesses: BTreeMap<String, WitnessConfig>,
    /// What is watched for, who may be stopped, who is told.
    #[serde(default, skip_serializing_if = "is_default")]
    pub watch: WatchConfig,
    /// Where the pages and the API answer.
    #[serde(default, skip_serializing_if = "is_default_server")]
    pub server: ServerConfig,
    /// Which collector is told what is done.
    #[serde(default, skip_serializing_if = "is_default_telemetry")]
    pub telemetry: TelemetryConfig,
    /// When restores are tested, and how long that counts.
    #[serde(default, skip_serializing_if = "has_no_drills")]
    pub drills: DrillsConfig,
    /// The protected systems.
    #[serde(default)]
    pub sources: BTreeMap<SourceName, SourceConfig>,
}

fn is_default(watch: &WatchConfig) -> bool {
    *watch == WatchConfig::default()
}

fn is_default_server(server: &ServerConfig) -> bool {
    *server == ServerConfig::default()
}

fn is_default_telemetry(telemetry: &TelemetryConfig) -> bool {
    *telemetry == TelemetryConfig::default()
}

fn is_default_policy(policy: &approvals::Policy) -> bool {
    *policy == approvals::Policy::default()
}

fn has_no_drills(drills: &DrillsConfig) -> bool {
    *drills == DrillsConfig::default()
}

/// Where the vault is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VaultConfig {
    /// The key that adds to the vault, by reference.
    pub capture_key: String,
    /// Where it lies.
    pub place: Place,
}

/// What is needed to restore.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RestoreConfig {
    /// The key that reads the vault, by reference.
    pub key: Option<String>,
    /// Where private database servers are looked for, before the usual places.
    #[serde(default)]
    pub server_folders: Vec<PathBuf>,
    /// Where shadows and scratch copies live; relative to the configuration.
    pub scratch: Option<PathBuf>,
    /// How production is reached for planning and applying, by source; never with the capturing identity.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub destinations: BTreeMap<SourceName, DestinationConfig>,
}

/// How one production system is reached for planning and applying.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DestinationConfig {
    /// PostgreSQL: where it is, without a password.
    pub url: Option<String>,
    /// PostgreSQL: the role's password, by reference; `exec:` can fetch one that lives for minutes.
    pub password: Option<String>,
    /// Google: the key of a service account that may write, by reference.
    pub credential: Option<String>,
}

/// Where the pages and the API answer, and under which name people know them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServerConfig {
    /// The address to listen on. Any but a loopback one needs `tls`.
    pub listen: String,
    /// What people type: `https://unwipe.example.org`. Passkeys belong to it.
    pub origin: String,
    /// A certificate; without one, answers are in the clear and on loopback only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsConfig>,
    /// Whether agents with a token are answered at `/mcp`.
    pub agents: bool,
}

/// A certificate for the pages and the API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// The chain, in PEM; relative to the configuration.
    pub certificate: PathBuf,
    /// Its key, in PEM; relative to the configuration.
    pub key: PathBuf,
    /// Only clients with a certificate of these authorities are answered, in PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clients: Option<PathBuf>,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8787".to_owned(),
            origin: "http://localhost:8787".to_owned(),
            tls: None,
            agents: true,
        }
    }
}

/// A machine that cosigns tree heads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WitnessConfig {
    /// Where it answers: `http://HOST:PORT`, or `https` behind a proxy.
    pub url: String,
    /// Its public key, as `unwipe witness key` prints it.
    pub key: String,
}

/// One protected system; what lies under `settings` only its connector understands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceConfig {
    /// The kind of connector: `postgres`.
    pub kind: String,
    /// The connector's settings.
    #[serde(default)]
    pub settings: toml::Table,
}

impl Config {
    /// Reads the configuration of a home folder.
    pub fn read(home: &Path) -> Result<Self, ConfigError> {
        let path = home.join(FILE_NAME);
        if !path.exists() {
            return Err(ConfigError::Missing { path });
        }
        let text = files::read_text(&path)?;
        toml::from_str(&text).map_err(|source| ConfigError::Invalid { path, source: Box::new(source) })
    }

    /// Writes the configuration of a home folder.
    pub fn write(&self, home: &Path) -> Result<(), ConfigError> {
        let text = toml::to_string_pretty(self).map_err(ConfigError::Unwritable)?;
        Ok(files::replace(&home.join(FILE_NAME), text.as_bytes())?)
    }

    /// Adds a source.
    pub fn add_source(&mut self, name: SourceName, source: SourceConfig) -> Result<(), ConfigError> {
        if self.sources.contains_key(&name) {
            return Err(ConfigError::Taken { name });
        }
        self.sources.insert(name, source);
        Ok(())
    }

    /// Adds a mirror.
    pub fn add_mirror(&mut self, name: &str, mirror: MirrorConfig) -> Result<(), ConfigError> {
        // The name is a file name and an argument: the rules of source names fit.
        SourceName::new(name).map_err(|_| ConfigError::MirrorName { name: name.to_owned() })?;
        if self.mirrors.contains_key(name) {
            return Err(ConfigError::MirrorTaken { name: name.to_owned() });
        }
        self.mirrors.insert(name.to_owned(), mirror);
        Ok(())
    }

    /// Finds a source by what a person typed.
    pub fn source(&self, name: &str) -> Result<(SourceName, &SourceConfig), ConfigError> {
        let unknown = || ConfigError::UnknownSource {
            name: name.to_owned(),
            known: match self.sources.keys().map(SourceName::as_str).collect::<Vec<_>>().join(", ") {
                known if known.is_empty() => "none".to_owned(),
                known => known,
            },
        };
        let name = SourceName::new(name).map_err(|_| unknown())?;
        let source = self.sources.get(&name).ok_or_else(unknown)?;
        Ok((name, source))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        Config {
            vault: VaultConfig {
                capture_key: "file:keys/capture.key".to_owned(),
                place: Place::Folder { path: "vault".into(), immutable_flags: false },
            },
            restore: RestoreConfig::default(),
            approvers: BTreeMap::new(),
            approvals: approvals::Policy::default(),
            mirrors: BTreeMap::new(),
            witnesses: BTreeMap::new(),
            watch: WatchConfig::default(),
            server: ServerConfig::default(),
            telemetry: TelemetryConfig::default(),
            drills: DrillsConfig::default(),
            sources: BTreeMap::new(),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let home = tempfile::tempdir().unwrap();
        let mut config = config();
        let mut settings = toml::Table::new();
        settings.insert("url".to_owned(), "postgresql://unwipe@db/postgres".into());
        let shop = SourceConfig { kind: "postgres".to_owned(), settings };
        config.add_source(SourceName::new("shop").unwrap(), shop).unwrap();
        config.write(home.path()).unwrap();
        assert_eq!(Config::read(home.path()).unwrap(), config);
    }

    #[test]
    fn an_unknown_key_is_refused_and_named() {
        let home = tempfile::tempdir().unwrap();
        let text = "[vault]\ncapture_key = 'file:k'\nplace = { kind = 'folder', path = 'v' }\npaht = 1\n";
        files::create_new(&home.path().join(FILE_NAME), text.as_bytes(), 0o600).unwrap();
        let error = Config::read(home.path()).unwrap_err();
        assert!(std::error::Error::source(&error).unwrap().to_string().contains("paht"));
    }

    #[test]
    fn people_are_asked_for_approval_as_the_configuration_says() {
        let home = tempfile::tempdir().unwrap();
        let mut config = config();
        assert_eq!(config.approvals, approvals::Policy::default());
        config.approvals.needed = 2;
        config.write(home.path()).unwrap();
        assert_eq!(Config::read(home.path()).unwrap().approvals.needed, 2);
        let path = home.path().join(FILE_NAME);
        let text = files::read_text(&path).unwrap().replace("needed = 2", "needed = 2\nneded = 1");
        files::replace(&path, text.as_bytes()).unwrap();
        let error = Config::read(home.path()).unwrap_err();
        assert!(std::error::Error::source(&error).unwrap().to_string().contains("neded"));
    }

    #[test]
    fn a_missing_configuration_says_how_to_begin() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(Config::read(home.path()).unwrap_err().hint().as_deref(), Some("unwipe init"));
    }
}
