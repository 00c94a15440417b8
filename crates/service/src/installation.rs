//! One home folder: its configuration, keys, vault and catalogs.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use capture::{CaptureError, CaptureReport, Session, SessionOptions};
use catalog::{Applied, Catalog, CatalogError};
use connect::{Observer, Progress, ReadEnd, SourceReader, Stop};
use model::{Moment, SourceName};
use ports::{
    BlobStore, Clock, LapsedBlobs, Random, TimeSource, Tracing,
    files::{self, FileError},
};
use vault::{
    CaptureKey, InitOptions, Vault, VaultError, VaultReader, VaultWriter, WriteError, WriterOptions,
    init::InitError, journal::JournalOptions, keys::KeyError, reap::Lapsed,
};
use witness::{Client, WitnessClock};

use crate::{
    Config, ConfigError, SecretError, Secrets, StoredSource,
    config::{RestoreConfig, VaultConfig},
    keys::KeyDrill,
    place::{Place, PlaceError, Standing, Surroundings},
    quota::Reporter,
    retention::{Retention, RetentionError},
    secret::Environment,
};

/// Why a verb was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The vault's place cannot be used.
    #[error("the vault's place cannot be used")]
    Place(#[from] PlaceError),
    /// An enrolment cannot be used.
    #[error(transparent)]
    Enrolment(#[from] crate::EnrolmentError),
    /// A secret cannot be had.
    #[error("a secret cannot be had")]
    Secret(#[from] SecretError),
    /// A key file cannot be used.
    #[error("a key cannot be used")]
    Key(#[from] KeyError),
    /// A page of a split key cannot be used.
    #[error("the share in {} cannot be used", path.display())]
    ShareFile {
        /// Its file.
        path: PathBuf,
        /// Why.
        #[source]
        source: KeyError,
    },
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
    /// A mirror was not copied or not repaired from.
    #[error("the mirror's run ended")]
    Mirror(#[from] vault::mirror::MirrorError),
    /// The disk of an offline copy is not there.
    #[error("the disk of mirror {name} is not plugged in at {}", path.display())]
    NotPluggedIn {
        /// The mirror.
        name: String,
        /// Where it should be.
        path: PathBuf,
        /// When it was there last.
        last_seen: Option<model::Moment>,
    },
    /// Only a folder can be an offline copy.
    #[error("an offline copy must be a folder of a removable disk")]
    OfflineNeedsFolder,
    /// The key of a configured witness is none.
    #[error("the key of witness {name} cannot be used")]
    WitnessKey {
        /// The witness.
        name: String,
        /// What is wrong.
        #[source]
        source: vault::tree::VerifierKeyError,
    },
    /// What a witness answered cannot be kept.
    #[error("the witness's answer cannot be kept")]
    Cosignature(#[from] vault::tree::CosignatureError),
    /// A file cannot be read or written.
    #[error("the home folder cannot be used")]
    File(#[from] FileError),
}

impl ServiceError {
    /// Returns what a person can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Config(error) => error.hint(),
            Self::Place(error) => error.hint(),
            Self::Enrolment(error) => error.hint(),
            Self::Secret(error) => error.hint(),
            Self::Key(error) => error.hint(),
            Self::NoRestoreKey => Some("give --key file:PATH, or set restore.key in unwipe.toml".to_owned()),
            Self::Init(InitError::Exists) => Some("unwipe --home ANOTHER-FOLDER init".to_owned()),
            Self::Vault(error) => error.hint(),
            Self::Write(error) => error.hint(),
            Self::Capture { source, .. } => source.hint(),
            Self::Busy { .. } => Some("stop the other process, or let it go on: one is enough".to_owned()),
            Self::Catalog(error) => error.hint(),
            Self::Mirror(error) => error.hint(),
            Self::NotPluggedIn { name, .. } => {
                Some(format!("plug it in and mount it there, then: unwipe mirror run {name}"))
            }
            Self::OfflineNeedsFolder => Some("unwipe mirror add NAME --folder PATH --offline".to_owned()),
            Self::WitnessKey { .. } => Some("unwipe witness key, on the witness, prints it".to_owned()),
            Self::ShareFile { source, .. } => source.hint(),
            Self::Init(_) | Self::Cosignature(_) | Self::File(_) => None,
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
    /// Who is told what was done, and how long it took.
    pub tracing: Tracing,
}

/// What `init` is asked for.
#[derive(Debug, Clone)]
pub struct InitRequest {
    /// Where the vault is to lie.
    pub place: Place,
    /// For how long everything stays.
    pub lock_days: u32,
}

/// What `init` made.
#[derive(Debug)]
pub struct Initialised {
    /// The installation.
    pub config: Config,
    /// The recovery kit; it is stored nowhere.
    pub kit: vault::RecoveryKit,
    /// What the vault's place really enforces.
    pub protection: Standing,
}

/// An installation: a home folder with its configuration.
pub struct Installation {
    home: PathBuf,
    config: Config,
    ports: Ports,
    /// The mirror that is read in place of the vault.
    read_from: Option<String>,
    /// Is told what captures see.
    observer: Option<Arc<dyn Observer>>,
}

impl Installation {
    /// Makes a home folder with a vault and its keys.
    pub fn init(
        home: &Path,
        request: &InitRequest,
        ports: &Ports,
        environment: Environment<'_>,
    ) -> Result<Initialised, ServiceError> {
        files::create_folder(&home.join("keys"))?;
        let secrets = Secrets::new(home, environment);
        let (clock, random) = (Arc::clone(&ports.clock), Arc::clone(&ports.random));
        let around = Surroundings { home, secrets: &secrets, clock, random };
        // A bucket that would lose what it is given gets nothing; a folder can be measured once there is something in it.
        let attested = match &request.place {
            Place::S3(_) => {
                let attested = request.place.measure(&around)?;
                attested.admit()?;
                Some(attested)
            }
            _ => None,
        };
        let store = request.place.open(&around)?;
        let options = InitOptions { lock_days: request.lock_days };
        let new = vault::init(&*store, options, &*ports.clock, &*ports.random)?;
        new.capture_key.save(&home.join("keys/capture.key"))?;
        new.restore_key.save(&home.join("keys/restore.key"))?;
        let config = Config {
            vault: VaultConfig {
                capture_key: "file:keys/capture.key".to_owned(),
                place: request.place.clone(),
            },
            restore: RestoreConfig {
                key: Some("file:keys/restore.key".to_owned()),
                ..RestoreConfig::default()
            },
            approvers: std::collections::BTreeMap::new(),
            approvals: approvals::Policy::default(),
            mirrors: std::collections::BTreeMap::new(),
            witnesses: std::collections::BTreeMap::new(),
            watch: crate::watching::WatchConfig::default(),
            server: crate::config::ServerConfig::default(),
            telemetry: crate::telemetry::TelemetryConfig::default(),
            drills: drill::DrillsConfig::default(),
            sources: std::collections::BTreeMap::new(),
        };
        config.write(home)?;
        let protection = match attested {
            Some(attested) => attested,
            None => request.place.measure(&around)?,
        };
        Ok(Initialised { config, kit: new.recovery_kit, protection })
    }

    /// Opens a home folder.
    pub fn open(home: &Path, ports: Ports) -> Result<Self, ServiceError> {
        Ok(Self {
            home: home.to_owned(),
            config: Config::read(home)?,
            ports,
            read_from: None,
            observer: None,
        })
    }

    /// Opens the same home folder once more, for another thread.
    pub fn again(&self) -> Result<Self, ServiceError> {
        Self::open(&self.home, self.ports.clone())
    }

    /// Reads from a mirror in place of the vault, whose own place is then not even opened. What is written still goes
    /// to the vault.
    pub fn reading_from(mut self, mirror: &str) -> Result<Self, ServiceError> {
        self.mirror(mirror)?;
        self.read_from = Some(mirror.to_owned());
        Ok(self)
    }

    /// Returns the mirror that is read in place of the vault.
    pub fn reads_from(&self) -> Option<&str> {
        self.read_from.as_deref()
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

    /// Returns the same installation, which tells other channels.
    pub(crate) fn telling(&self, notify: Vec<crate::watching::ChannelConfig>) -> Self {
        let mut config = self.config.clone();
        config.watch.notify = notify;
        Self { home: self.home.clone(), config, ports: self.ports.clone(), read_from: None, observer: None }
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

    /// Opens the store that is read: the vault's, or the chosen mirror's.
    pub fn store(&self, environment: Environment<'_>) -> Result<Arc<dyn BlobStore>, ServiceError> {
        match &self.read_from {
            Some(mirror) => self.mirror_store(mirror, environment),
            None => self.origin_store(environment),
        }
    }

    /// Opens the store in which the vault is written.
    pub fn origin_store(&self, environment: Environment<'_>) -> Result<Arc<dyn BlobStore>, ServiceError> {
        let secrets = Secrets::new(&self.home, environment);
        Ok(self.config.vault.place.open(&self.surroundings(&secrets))?)
    }

    /// Finds out what the vault's place really enforces against this process.
    pub fn measure(&self, environment: Environment<'_>) -> Result<Standing, ServiceError> {
        let secrets = Secrets::new(&self.home, environment);
        Ok(self.config.vault.place.measure(&self.surroundings(&secrets))?)
    }

    /// Returns the clocks that others keep and this installation may ask.
    pub fn time_sources(
        &self,
        environment: Environment<'_>,
    ) -> Result<Vec<Arc<dyn TimeSource>>, ServiceError> {
        let secrets = Secrets::new(&self.home, environment);
        let own = self.config.vault.place.time_source(&self.surroundings(&secrets))?;
        let mut sources: Vec<Arc<dyn TimeSource>> = own.into_iter().collect();
        for (name, config) in &self.config.witnesses {
            let client = Client::new(&config.url, config.verifier_key(name)?);
            sources.push(Arc::new(WitnessClock::new(client, self.vault(environment)?)));
        }
        Ok(sources)
    }

    /// Opens what removes lapsed objects from the vault's place; it takes rights that capturing has not.
    pub fn reaper(&self, environment: Environment<'_>) -> Result<Box<dyn LapsedBlobs<Lapsed>>, ServiceError> {
        let secrets = Secrets::new(&self.home, environment);
        Ok(self.config.vault.place.reaper(&self.surroundings(&secrets))?)
    }

    pub(crate) fn surroundings<'a>(&'a self, secrets: &'a Secrets<'a>) -> Surroundings<'a> {
        let Ports { clock, random, .. } = self.ports.clone();
        Surroundings { home: &self.home, secrets, clock, random }
    }

    /// Opens the vault as it can be seen without a key.
    pub fn vault(&self, environment: Environment<'_>) -> Result<Vault, ServiceError> {
        Ok(Vault::open(self.store(environment)?)?)
    }

    /// Opens the vault for adding, with the key that goes with it.
    pub fn writer(
        &self,
        environment: Environment<'_>,
    ) -> Result<(Arc<VaultWriter>, CaptureKey), ServiceError> {
        let secrets = Secrets::new(&self.home, environment);
        let key = CaptureKey::parse(secrets.resolve(&self.config.vault.capture_key)?.expose())?;
        let store = self.origin_store(environment)?;
        let Ports { clock, random, .. } = self.ports.clone();
        let writer = VaultWriter::open(store, &key, clock, random, WriterOptions::default())?;
        writer.note_time(self.latest_time(writer.vault(), environment)?);
        let key = key.following(writer.vault());
        Ok((Arc::new(writer), key))
    }

    /// Returns the latest time that any known clock tells; without any, this machine's.
    fn latest_time(&self, vault: &Vault, environment: Environment<'_>) -> Result<Moment, ServiceError> {
        let time =
            Retention::of_vault(self, vault.clone(), environment).and_then(|retention| retention.time());
        match time {
            Ok(reading) => Ok(reading.latest),
            Err(RetentionError::Service(error)) => Err(error),
            // Retention itself says what is wrong with its memory; writing goes on by this machine's clock.
            Err(_) => Ok(self.ports.clock.now()),
        }
    }

    /// Opens the vault for reading, with the given key or the configured one.
    pub fn reader(
        &self,
        reference: Option<&str>,
        environment: Environment<'_>,
    ) -> Result<VaultReader, ServiceError> {
        let reference = reference.or(self.config.restore.key.as_deref()).ok_or(ServiceError::NoRestoreKey)?;
        let secrets = Secrets::new(&self.home, environment);
        let (key, _) = crate::keys::resolve(reference, &secrets)?;
        let store = self.store(environment)?;
        Ok(VaultReader::open(store, &key)?)
    }

    /// A mirror has a catalog of its own: it may be behind the vault, and what it lacks must not be offered from it.
    pub(crate) fn catalog_path(&self, source: &SourceName) -> PathBuf {
        let file = match &self.read_from {
            Some(mirror) => format!("catalog-{mirror}.sqlite"),
            None => "catalog.sqlite".to_owned(),
        };
        self.state_folder(source).join(file)
    }

    /// Returns the key drills in the operation log, oldest first; reading them needs the configured restore key.
    pub fn key_drills(&self, environment: Environment<'_>) -> Result<Vec<KeyDrill>, ServiceError> {
        let reader = self.reader(None, environment)?;
        let Ok(source) = SourceName::new(crate::operations::SOURCE) else { return Ok(Vec::new()) };
        let mut drills = Vec::new();
        for commit in reader.vault().commits(&source)? {
            for change in reader.body(&commit?)?.changes {
                let vault::Change::Upsert { item, content } = change else { continue };
                if item.stream.as_str() == crate::operations::Kind::KeyDrill.stream() {
                    // One written by a later version may look different; the others still count.
                    drills.extend(serde_json::from_slice::<KeyDrill>(&reader.read_all(&content)?).ok());
                }
            }
        }
        Ok(drills)
    }

    /// Opens a source's catalog as it is; one that is of no more use is moved aside and begun anew.
    pub fn catalog(&self, source: &SourceName) -> Result<Catalog, ServiceError> {
        files::create_folder(&self.state_folder(source))?;
        let path = self.catalog_path(source);
        match Catalog::open(&path) {
            Err(error) if error.needs_rebuild() => {
                move_aside(&path)?;
                Ok(Catalog::open(&path)?)
            }
            other => Ok(other?),
        }
    }

    /// Opens a source's catalog; where a restore key is configured, commits that it does not know are applied first.
    pub fn catalog_up_to_date(
        &self,
        source: &SourceName,
        environment: Environment<'_>,
        progress: &dyn Progress,
    ) -> Result<Catalog, ServiceError> {
        if self.config.restore.key.is_none() {
            return self.catalog(source);
        }
        let reader = self.reader(None, environment)?;
        self.caught_up(source, &reader, progress)
    }

    /// Opens a source's catalog and brings it to the vault's newest commit; if it does not belong to this vault's
    /// history, it is made anew.
    pub(crate) fn caught_up(
        &self,
        source: &SourceName,
        reader: &VaultReader,
        progress: &dyn Progress,
    ) -> Result<Catalog, ServiceError> {
        let mut catalog = self.catalog(source)?;
        if !is_of_vault(&catalog, source, reader)? {
            drop(catalog);
            move_aside(&self.catalog_path(source))?;
            catalog = self.catalog(source)?;
        }
        catch_up(&mut catalog, source, reader, progress)?;
        Ok(catalog)
    }

    /// Opens what is stored of a source; commits that the catalog does not know yet are applied first.
    pub fn stored(
        &self,
        source: &SourceName,
        reader: VaultReader,
        progress: &dyn Progress,
    ) -> Result<StoredSource, ServiceError> {
        let catalog = self.caught_up(source, &reader, progress)?;
        Ok(StoredSource::new(catalog, reader))
    }

    /// Tells somebody of what captures see, while they see it.
    #[must_use]
    pub fn observed_by(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = Some(observer);
        self
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
        // Never brought up to date here: a capture has no business with the restore key.
        let catalog = Arc::new(Mutex::new(self.catalog(source)?));
        let options = SessionOptions { state_folder: folder, journal: JournalOptions::default() };
        let failed = |error| ServiceError::Capture { name: source.clone(), source: error };
        let random = Arc::clone(&self.ports.random);
        let mut session =
            Session::open(writer, &key, source.clone(), catalog, random, &options).map_err(failed)?;
        session = session.traced_by(self.ports.tracing.clone());
        if let Some(observer) = &self.observer {
            session = session.observed_by(Arc::clone(observer));
        }
        let _reporter = self.quota_reporter(source, reader)?;
        session.run(reader, stop).map_err(failed)
    }

    /// Begins to write down what a reader takes of its source's quota.
    fn quota_reporter(
        &self,
        source: &SourceName,
        reader: &dyn SourceReader,
    ) -> Result<Reporter, ServiceError> {
        let path = crate::quota::file(self, source);
        let started = Reporter::start(path.clone(), reader.meter(), Arc::clone(&self.ports.clock));
        Ok(started.map_err(|error| FileError::new("report", &path, error))?)
    }
}

/// Makes sure that one process captures a source: two would be safe for the vault, and fight for the slot.
fn claim(source: &SourceName, folder: &Path) -> Result<std::fs::File, ServiceError> {
    let claimed = files::claim(&folder.join("capture.claim"))?;
    claimed.ok_or_else(|| ServiceError::Busy { name: source.clone() })
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

/// Returns whether what a catalog knows is a part of this vault's history, as far as the two can be compared.
///
/// A commit that cannot be read says nothing against the catalog: what it knows may be all that is left.
fn is_of_vault(catalog: &Catalog, source: &SourceName, reader: &VaultReader) -> Result<bool, ServiceError> {
    let known = catalog.last_sequence()?;
    let common = known.min(reader.vault().last_sequence(source)?);
    if common == 0 {
        return Ok(known == 0);
    }
    let hash = catalog.commit_hash(common)?;
    Ok(reader.vault().commit(source, common).map_or(true, |commit| Some(commit.hash) == hash))
}

/// Moves a database and its companions aside, over what was moved aside before.
#[expect(clippy::disallowed_methods, reason = "nothing depends on the move after a power cut: it is a cache")]
pub(crate) fn move_aside(path: &Path) -> Result<(), FileError> {
    for suffix in ["", "-wal", "-shm"] {
        let mut from = path.as_os_str().to_owned();
        from.push(suffix);
        let from = PathBuf::from(from);
        let to = from.with_extension(format!("sqlite{suffix}.stale"));
        match std::fs::rename(&from, to) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(FileError::new("move aside", &from, error));
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
