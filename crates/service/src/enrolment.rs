//! What a production host needs to capture into a vault on another host: one file, carried over once.

use std::{collections::BTreeMap, path::Path};

use model::{Redacted, SourceName};
use ports::files::{self, FileError};
use serde::{Deserialize, Serialize};
use vault::CaptureKey;

use crate::{
    Config, Installation, Place, Secrets, ServiceError,
    config::{FILE_NAME, RestoreConfig, VaultConfig},
    installation::Ports,
    place::{Standing, Surroundings},
    secret::Environment,
};

/// An enrolment: where the vault's server is, and all that a source needs to add to it. Nothing in it reads the vault.
#[derive(Clone)]
pub struct Enrolment {
    /// The source that may be captured with it.
    pub source: SourceName,
    /// Where the server is.
    pub url: String,
    /// The authority of both, as PEM.
    pub authority: String,
    /// The certificate of the capturing host, as PEM.
    pub certificate: String,
    /// Its key, as PEM.
    pub key: Redacted<String>,
    /// The text of a put-only capture key that counts for this source alone.
    pub capture_key: Redacted<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: String,
    version: u16,
    source: SourceName,
    url: String,
    authority: String,
    certificate: String,
    key: String,
    capture_key: String,
}

/// Why a file is no enrolment.
#[derive(Debug, thiserror::Error)]
pub enum EnrolmentError {
    /// The file cannot be read or written.
    #[error("the enrolment cannot be used")]
    File(#[from] FileError),
    /// Other users of this machine can read it.
    #[error("other users may read {path}: it holds keys")]
    Public {
        /// The file.
        path: String,
    },
    /// It is something else.
    #[error("the file is no enrolment of this version: {reason}")]
    Parse {
        /// What is wrong.
        reason: String,
    },
    /// There is an installation in this home folder already.
    #[error("there is a configuration in this home folder already")]
    Exists,
}

impl EnrolmentError {
    /// Returns what a person can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Public { path } => Some(format!("chmod 600 {path}")),
            Self::Parse { .. } => {
                Some("unwipe vault enrol SOURCE, on the vault's host, makes one".to_owned())
            }
            Self::Exists => Some("unwipe --home ANOTHER-FOLDER init --enrolment FILE".to_owned()),
            Self::File(_) => None,
        }
    }
}

const FORMAT: &str = "unwipe-enrolment";
const PRIVATE_MODE: u32 = 0o600;

impl Enrolment {
    /// Reads the file; one that other users may read is refused.
    pub fn load(path: &Path) -> Result<Self, EnrolmentError> {
        use std::os::unix::fs::PermissionsExt;

        let bytes = files::read(path)?;
        let metadata = path.metadata().map_err(|e| FileError::new("read", path, e))?;
        if metadata.permissions().mode() & 0o077 != 0 {
            return Err(EnrolmentError::Public { path: path.display().to_string() });
        }
        let refused = |reason: String| EnrolmentError::Parse { reason };
        let file: File = serde_json::from_slice(&bytes).map_err(|e| refused(e.to_string()))?;
        if file.format != FORMAT || file.version != 1 {
            return Err(refused(format!("it is {} {}", file.format, file.version)));
        }
        CaptureKey::parse(&file.capture_key).map_err(|e| refused(e.to_string()))?;
        Ok(Self {
            source: file.source,
            url: file.url,
            authority: file.authority,
            certificate: file.certificate,
            key: Redacted::new(file.key),
            capture_key: Redacted::new(file.capture_key),
        })
    }

    /// Writes a new file that only its owner may read.
    pub fn save(&self, path: &Path) -> Result<(), EnrolmentError> {
        let file = File {
            format: FORMAT.to_owned(),
            version: 1,
            source: self.source.clone(),
            url: self.url.clone(),
            authority: self.authority.clone(),
            certificate: self.certificate.clone(),
            key: self.key.expose().clone(),
            capture_key: self.capture_key.expose().clone(),
        };
        let mut text =
            serde_json::to_vec_pretty(&file).map_err(|e| EnrolmentError::Parse { reason: e.to_string() })?;
        text.push(b'\n');
        Ok(files::create_new(path, &text, PRIVATE_MODE)?)
    }
}

impl Installation {
    /// Asks the vault's server for this host's quota; `None` when the vault lies on this machine.
    pub fn server_status(
        &self,
        environment: Environment<'_>,
    ) -> Result<Option<blobs::remote::protocol::Status>, ServiceError> {
        let secrets = Secrets::new(self.home(), environment);
        let Ports { clock, random, .. } = self.ports().clone();
        let around = Surroundings { home: self.home(), secrets: &secrets, clock, random };
        Ok(self.config().vault.place.server_status(&around)?)
    }

    /// Makes a home folder on a host that only captures, out of an enrolment. There is no restore key in it.
    pub fn join(home: &Path, enrolment: &Enrolment, ports: &Ports) -> Result<Standing, ServiceError> {
        if home.join(FILE_NAME).exists() {
            return Err(EnrolmentError::Exists.into());
        }
        // Tried before anything is written, so that a server that is not there leaves nothing half made.
        let standing = enrolment.measure(home, ports)?;
        files::create_folder(&home.join("keys"))?;
        let kept = [
            ("keys/capture.key", enrolment.capture_key.expose()),
            ("keys/server.crt", &enrolment.certificate),
            ("keys/server.key", enrolment.key.expose()),
            ("keys/authority.crt", &enrolment.authority),
        ];
        for (name, text) in kept {
            files::create_new(&home.join(name), text.as_bytes(), PRIVATE_MODE)?;
        }
        let config = Config {
            vault: VaultConfig {
                capture_key: "file:keys/capture.key".to_owned(),
                place: enrolment.place(
                    "file:keys/server.crt",
                    "file:keys/server.key",
                    "file:keys/authority.crt",
                ),
            },
            restore: RestoreConfig::default(),
            approvers: BTreeMap::new(),
            approvals: approvals::Policy::default(),
            mirrors: BTreeMap::new(),
            witnesses: BTreeMap::new(),
            watch: crate::watching::WatchConfig::default(),
            server: crate::config::ServerConfig::default(),
            telemetry: crate::telemetry::TelemetryConfig::default(),
            drills: drill::DrillsConfig::default(),
            sources: BTreeMap::new(),
        };
        config.write(home)?;
        Ok(standing)
    }
}

impl Enrolment {
    fn place(&self, certificate: &str, key: &str, authority: &str) -> Place {
        Place::Server {
            url: self.url.clone(),
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            authority: authority.to_owned(),
        }
    }

    /// Finds out what the server enforces, with the credentials of the enrolment, which are in no file yet.
    fn measure(&self, home: &Path, ports: &Ports) -> Result<Standing, ServiceError> {
        let credential = |name: &str| match name {
            "certificate" => Some(self.certificate.clone()),
            "key" => Some(self.key.expose().clone()),
            "authority" => Some(self.authority.clone()),
            _ => None,
        };
        let secrets = Secrets::new(home, &credential);
        let Ports { clock, random, .. } = ports.clone();
        let around = Surroundings { home, secrets: &secrets, clock, random };
        Ok(self.place("env:certificate", "env:key", "env:authority").measure(&around)?)
    }
}

impl std::fmt::Debug for Enrolment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Enrolment({} at {}, [redacted])", self.source, self.url)
    }
}

#[cfg(test)]
mod tests;
