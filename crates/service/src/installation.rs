//! One home folder: its configuration, keys, vault and catalogs.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use blobs::{LocalStore, Protection, ProtectionReport};
use capture::{CaptureError, CaptureReport, Session, SessionOptions};
use catalog::{Applied, Catalog, CatalogError};
use connect::{Progress, ReadEnd, SourceReader, Stop};
use model::SourceName;
use ports::{
    BlobStore, Clock, Random,
    files::{self, FileError},
};
use vault::{
    CaptureKey, InitOptions, RestoreKey, Vault, VaultError, VaultReader, VaultWriter, WriteError,
    WriterOptions, init::InitError, keys::KeyError,
};

use crate::{
    Config, ConfigError, SecretError, Secrets, StoredSource,
    config::{RestoreConfig, VaultConfig},
    secret::Environment,
};

/// Why a verb was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A secret cannot be had.
    #[error("a secret cannot be had")]
    Secret(#[from] SecretError),
    /// A key file cannot be used.
    #[error("a key cannot be used")]
    Key(#[from] KeyError),
    /// No restore key is configured and none was given.
    #[error("reading the vault needs its restore key")]
    NoRestoreKey,
    /// The vault cannot be made.
    #[error("the vault cannot be made")]
    Init(#[from] InitError),
    /// The vault cannot be read.
    #[error("the vault cannot be read")]
    Vault(#[from] VaultError),
    /// The vault cannot be written.
    #[error("the vault cannot be written")]
    Write(#[from] WriteError),
    /// The catalog failed.
    #[error("the catalog failed")]
    Catalog(#[from] CatalogError),
    /// Another process captures this source already.
    #[error("source {name} is being captured by another process")]
    Busy {
        /// The source.
        name: SourceName,
    },
    /// Capturing ended before its time.
    #[error("capturing {name} ended")]
    Capture {
        /// The source.
        name: SourceName,
        /// Why.
        #[source]
        source: CaptureError,
    },
    /// A file cannot be read or written.
    #[error("the home folder cannot be used")]
    File(#[from] FileError),
}

impl ServiceError {
    /// Returns what a person can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Config(error) => error.hint(),
            Self::Secret(error) => error.hint(),
            Self::Key(error) => error.hint(),
            Self::NoRestoreKey => Some("give --key file:PATH, or set restore.key in unwipe.toml".to_owned()),
            Self::Init(InitError::Exists) => Some("unwipe --home ANOTHER-FOLDER init".to_owned()),
            Self::Vault(error) => error.hint(),
            Self::Write(error) => error.hint(),
            Self::Capture { source, .. } => source.hint(),
            Self::Busy { .. } => Some("stop the other process, or let it go on: one is enough".to_owned()),
            Self::Init(_) | Self::Catalog(_) | Self::File(_) => None,
        }
    }
}

/// The ports that an installation uses.
#[derive(Clone)]
pub struct Ports {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub random: Arc<dyn Random>,
}

/// What `init` is asked for.
#[derive(Debug, Clone)]
pub struct InitRequest {
    /// The vault's folder; relative paths start at the home folder.
    pub vault: PathBuf,
    /// For how long everything stays.
    pub lock_days: u32,
    /// Whether objects get the immutable flag.
    pub immutable_flags: bool,
}

/// What `init` made.
#[derive(Debug)]
pub struct Initialised {
    /// The installation.
    pub config: Config,
    /// The recovery kit; it is stored nowhere.
    pub kit: vault::RecoveryKit,
    /// What the vault's place really enforces.
    pub protection: ProtectionReport,
}

/// An installation: a home folder with its configuration.
pub struct Installation {
    home: PathBuf,
    config: Config,
    ports: Ports,
}

impl Installation {
    /// Makes a home folder with a vault and its keys.
    pub fn init(home: &Path, request: &InitRequest, ports: &Ports) -> Result<Initialised, ServiceError> {
        files::create_folder(&home.join("keys"))?;
        let folder = home.join(&request.vault);
        files::create_folder(&folder)?;
        let store = LocalStore::open(&folder, protection(request.immutable_flags))?;
        let options = InitOptions { lock_days: request.lock_days };
        let new = vault::init(&store, options, &*ports.clock, &*ports.random)?;
        new.capture_key.save(&home.join("keys/capture.key"))?;
        new.restore_key.save(&home.join("keys/restore.key"))?;
        let config = Config {
            vault: VaultConfig {
                path: request.vault.clone(),
                capture_key: "file:keys/capture.key".to_owned(),
                immutable_flags: request.immutable_flags,
            },
            restore: RestoreConfig {
                key: Some("file:keys/restore.key".to_owned()),
                ..RestoreConfig::default()
            },
            approvers: std::collections::BTreeMap::new(),
            sources: std::collections::BTreeMap::new(),
        };
        config.write(home)?;
        Ok(Initialised { config, kit: new.recovery_kit, protection: store.measure()? })
    }

    /// Opens a home folder.
    pub fn open(home: &Path, ports: Ports) -> Result<Self, ServiceError> {
        Ok(Self { home: home.to_owned(), config: Config::read(home)?, ports })
    }

    /// Returns the home folder.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Returns the configuration.
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Changes the configuration and writes it.
    pub fn reconfigure(
        &mut self,
        change: impl FnOnce(&mut Config) -> Result<(), ConfigError>,
    ) -> Result<(), ServiceError> {
        let mut config = self.config.clone();
        change(&mut config)?;
        config.write(&self.home)?;
        self.config = config;
        Ok(())
    }

    /// Returns the ports.
    pub const fn ports(&self) -> &Ports {
        &self.ports
    }

    /// Returns the folder where a source's journal, catalog and shadow live.
    pub fn state_folder(&self, source: &SourceName) -> PathBuf {
        self.home.join("state").join(source.as_str())
    }

    /// Returns where scratch servers and shadows may be made.
    pub fn scratch_folder(&self) -> PathBuf {
        self.home.join(self.config.restore.scratch.as_deref().unwrap_or_else(|| Path::new("scratch")))
    }

    /// Opens the vault's store.
    pub fn store(&self) -> Result<Arc<LocalStore>, ServiceError> {
        let folder = self.home.join(&self.config.vault.path);
        Ok(Arc::new(LocalStore::open(&folder, protection(self.config.vault.immutable_flags))?))
    }

    /// Opens the vault as it can be seen without a key.
    pub fn vault(&self) -> Result<Vault, ServiceError> {
        Ok(Vault::open(self.store()?)?)
    }

    /// Opens the vault for adding, with the key that goes with it.
    pub fn writer(
        &self,
        environment: Environment<'_>,
    ) -> Result<(Arc<VaultWriter>, CaptureKey), ServiceError> {
        let secrets = Secrets::new(&self.home, environment);
        let key = CaptureKey::parse(secrets.resolve(&self.config.vault.capture_key)?.expose())?;
        let store: Arc<dyn BlobStore> = self.store()?;
        let Ports { clock, random } = self.ports.clone();
        let writer = VaultWriter::open(store, &key, clock, random, WriterOptions::default())?;
        Ok((Arc::new(writer), key))
    }

    /// Opens the vault for reading, with the given key or the configured one.
    pub fn reader(
        &self,
        reference: Option<&str>,
        environment: Environment<'_>,
    ) -> Result<VaultReader, ServiceError> {
        let reference = reference.or(self.config.restore.key.as_deref()).ok_or(ServiceError::NoRestoreKey)?;
        let secrets = Secrets::new(&self.home, environment);
        let key = RestoreKey::parse(secrets.resolve(reference)?.expose())?;
        let store: Arc<dyn BlobStore> = self.store()?;
        Ok(VaultReader::open(store, &key)?)
    }

    /// Opens a source's catalog as it is.
    pub fn catalog(&self, source: &SourceName) -> Result<Catalog, ServiceError> {
        let folder = self.state_folder(source);
        files::create_folder(&folder)?;
        Ok(Catalog::open(&folder.join("catalog.sqlite"))?)
    }

    /// Opens what is stored of a source; commits that the catalog does not know yet are applied first.
    pub fn stored(
        &self,
        source: &SourceName,
        reader: VaultReader,
        progress: &dyn Progress,
    ) -> Result<StoredSource, ServiceError> {
        let mut catalog = self.catalog(source)?;
        catch_up(&mut catalog, source, &reader, progress)?;
        Ok(StoredSource::new(catalog, reader))
    }

    /// Runs a reader into the vault until it ends or is asked to.
    pub fn capture(
        &self,
        source: &SourceName,
        reader: &mut dyn SourceReader,
        environment: Environment<'_>,
        stop: &Stop,
    ) -> Result<(ReadEnd, CaptureReport), ServiceError> {
        let (writer, key) = self.writer(environment)?;
        let folder = self.state_folder(source);
        files::create_folder(&folder)?;
        let _alone = claim(source, &folder)?;
        let catalog = Arc::new(Mutex::new(self.catalog(source)?));
        let options = SessionOptions { journal_folder: folder.join("journal") };
        let failed = |error| ServiceError::Capture { name: source.clone(), source: error };
        let random = Arc::clone(&self.ports.random);
        let session =
            Session::open(writer, &key, source.clone(), catalog, random, &options).map_err(failed)?;
        session.run(reader, stop).map_err(failed)
    }
}

/// Makes sure that one process captures a source: two would be safe for the vault, and fight for the slot.
fn claim(source: &SourceName, folder: &Path) -> Result<std::fs::File, ServiceError> {
    let path = folder.join("capture.claim");
    let file = std::fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|error| FileError::new("open", &path, error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(ServiceError::Busy { name: source.clone() }),
        Err(std::fs::TryLockError::Error(error)) => Err(FileError::new("claim", &path, error).into()),
    }
}

/// Applies the commits that a catalog does not know yet.
pub fn catch_up(
    catalog: &mut Catalog,
    source: &SourceName,
    reader: &VaultReader,
    progress: &dyn Progress,
) -> Result<(), ServiceError> {
    let vault = reader.vault();
    let (known, newest) = (catalog.last_sequence()?, vault.last_sequence(source)?);
    if newest > known {
        progress.phase("reading commits", None);
    }
    for sequence in known + 1..=newest {
        let (commit, body) = reader.commit(source, sequence)?;
        catalog.apply(&Applied::from(&commit), body.changes)?;
        progress.advance(1);
    }
    Ok(())
}

const fn protection(immutable_flags: bool) -> Protection {
    if immutable_flags { Protection::Immutable } else { Protection::Plain }
}
