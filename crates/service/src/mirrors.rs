//! Mirrors of the vault: where they lie, how far they are, what they are worth.

mod domains;
mod offline;
mod record;

use std::{path::Path, sync::Arc};

use ports::{BlobStore, files};
use serde::{Deserialize, Serialize};
use vault::{
    CaptureKey, Vault,
    mirror::{MirrorError, MirrorOptions, MirrorWatch, Pair, PullReport, RepairReport, pull, repair},
};

pub use domains::{Domains, PlaceStanding};
pub use offline::Mount;
pub use record::{MirrorRecord, SourceRecord};

use crate::{ConfigError, Installation, Place, Secrets, ServiceError, place::Standing, secret::Environment};

/// A mirror as it is configured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MirrorConfig {
    /// Where it lies.
    pub place: Place,
    /// Whether it is a copy that is kept unplugged.
    #[serde(default)]
    pub offline: bool,
    /// For how many days at least the mirror locks what it takes; the vault's own number when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock_days: Option<u32>,
}

/// How a run is to go.
#[derive(Debug, Clone, Copy)]
pub struct MirrorRun {
    /// How many packs at the same time.
    pub threads: usize,
    /// Read and compare everything at the origin again.
    pub thorough: bool,
}

/// A mirror as it stands.
#[derive(Debug, Clone, Serialize)]
pub struct MirrorStanding {
    /// Its name.
    pub name: String,
    /// Its place, for people.
    pub place: String,
    /// Whether it can be reached now.
    pub reachable: bool,
    /// Whether it is kept unplugged.
    pub offline: bool,
    /// What it really enforces.
    pub tier: u8,
    /// The same in words.
    pub statement: String,
    /// What the last run did.
    pub last_run: Option<MirrorRecord>,
    /// Commits that the vault has and the mirror has not, as far as both can be seen.
    pub commits_behind: Option<u64>,
    /// What a person should look at.
    pub warnings: Vec<String>,
}

/// All mirrors, and how many independent locks there are.
#[derive(Debug, Clone, Serialize)]
pub struct MirrorsStanding {
    /// The mirrors.
    pub mirrors: Vec<MirrorStanding>,
    /// The independent lock domains, the vault's own place included.
    pub domains: Domains,
}

impl Installation {
    /// Finds a mirror by what a person typed.
    pub fn mirror(&self, name: &str) -> Result<&MirrorConfig, ServiceError> {
        let known = || self.config().mirrors.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        self.config()
            .mirrors
            .get(name)
            .ok_or_else(|| ConfigError::UnknownMirror { name: name.to_owned(), known: known() }.into())
    }

    /// Adds a mirror to the configuration; returns what a person should know about its place.
    pub fn add_mirror(&mut self, name: &str, mirror: MirrorConfig) -> Result<Vec<String>, ServiceError> {
        let mut warnings = Vec::new();
        if mirror.offline {
            let path = mirror.place.folder(self.home()).ok_or(ServiceError::OfflineNeedsFolder)?;
            if !path.is_dir() {
                return Err(ServiceError::NotPluggedIn { name: name.to_owned(), path, last_seen: None });
            }
            warnings.extend(Mount::of(&path, self.home())?.warnings());
        }
        self.reconfigure(|config| config.add_mirror(name, mirror))?;
        Ok(warnings)
    }

    /// Opens a mirror's store. The mount point of a copy that is not plugged in is never written to.
    pub fn mirror_store(
        &self,
        name: &str,
        environment: Environment<'_>,
    ) -> Result<Arc<dyn BlobStore>, ServiceError> {
        let mirror = self.mirror(name)?;
        self.plugged_in(name, mirror)?;
        let secrets = Secrets::new(self.home(), environment);
        Ok(mirror.place.open(&self.surroundings(&secrets))?)
    }

    fn plugged_in(&self, name: &str, mirror: &MirrorConfig) -> Result<(), ServiceError> {
        let Some(path) = mirror.place.folder(self.home()).filter(|_| mirror.offline) else { return Ok(()) };
        let record = MirrorRecord::read(self.home(), name)?;
        // After the first run the manifest tells the disk from the empty folder that it is mounted on.
        let there = path.is_dir() && (record.is_none() || path.join("vault.json").is_file());
        if there {
            return Ok(());
        }
        let last_seen = record.map(|record| record.seen_at);
        Err(ServiceError::NotPluggedIn { name: name.to_owned(), path, last_seen })
    }

    /// Opens the vault and one of its mirrors.
    fn pair(&self, name: &str, environment: Environment<'_>) -> Result<Pair, ServiceError> {
        Ok(Pair {
            mirror: self.mirror_store(name, environment)?,
            origin: self.origin_store(environment)?,
            clock: Arc::clone(&self.ports().clock),
        })
    }

    /// Copies into a mirror what the vault has and the mirror has not.
    pub fn run_mirror(
        &self,
        name: &str,
        run: MirrorRun,
        environment: Environment<'_>,
        watch: MirrorWatch<'_>,
    ) -> Result<PullReport, ServiceError> {
        let mirror = self.mirror(name)?;
        let pair = self.pair(name, environment)?;
        let secrets = Secrets::new(self.home(), environment);
        let key = secrets.resolve(&self.config().vault.capture_key).ok();
        let key = key.and_then(|text| CaptureKey::parse(text.expose()).ok());
        let options = MirrorOptions {
            threads: run.threads,
            thorough: run.thorough,
            lock_days: mirror.lock_days.unwrap_or(0),
            // A host that only mirrors has no key: its mirror's own first manifest counts there.
            expected: key.map(|key| key.fingerprint()),
        };
        let report = pull(&pair, &options, watch)?;
        let standing = mirror.place.measure(&self.surroundings(&secrets))?;
        let record = MirrorRecord::of(&report, &standing, run.thorough, self.ports().clock.now());
        record.write(self.home(), name)?;
        Ok(report)
    }

    /// Finds what the vault lost and a mirror has; with `create`, creates it in the vault again.
    pub fn repair_from_mirror(
        &self,
        name: &str,
        create: bool,
        environment: Environment<'_>,
        watch: MirrorWatch<'_>,
    ) -> Result<RepairReport, ServiceError> {
        let pair = self.pair(name, environment)?;
        Ok(repair(&pair, &MirrorOptions::default(), create, watch)?)
    }

    /// Tells how the mirrors stand, and how many independent locks guard what is stored.
    pub fn mirrors_standing(&self, environment: Environment<'_>) -> Result<MirrorsStanding, ServiceError> {
        let secrets = Secrets::new(self.home(), environment);
        let around = self.surroundings(&secrets);
        let place = &self.config().vault.place;
        let mut places = vec![domains::measured("the vault", place, &around)];
        let mut mirrors = Vec::new();
        for (name, mirror) in &self.config().mirrors {
            let standing = self.mirror_standing(name, mirror, environment)?;
            if mirror.offline {
                places.push(domains::offline(name, &standing));
            } else if standing.reachable {
                places.push(domains::measured(name, &mirror.place, &around));
            } else {
                places.push(domains::unreachable(name, &standing));
            }
            mirrors.push(standing);
        }
        Ok(MirrorsStanding { mirrors, domains: Domains::of(places) })
    }

    fn mirror_standing(
        &self,
        name: &str,
        mirror: &MirrorConfig,
        environment: Environment<'_>,
    ) -> Result<MirrorStanding, ServiceError> {
        let record = MirrorRecord::read(self.home(), name)?;
        let mut standing = MirrorStanding {
            name: name.to_owned(),
            place: mirror.place.describe(self.home()),
            reachable: false,
            offline: mirror.offline,
            tier: 0,
            statement: String::new(),
            commits_behind: None,
            warnings: Vec::new(),
            last_run: record,
        };
        let opened = self.mirror_store(name, environment);
        let store = match opened {
            Ok(store) => store,
            Err(ServiceError::NotPluggedIn { last_seen: Some(seen), .. }) => {
                standing.tier = 4;
                standing.statement = format!("unplugged: nobody reaches it from here; last seen {seen}");
                return Ok(standing);
            }
            Err(error) => {
                standing.statement = format!("it cannot be reached: {error}");
                standing.warnings.push(standing.statement.clone());
                return Ok(standing);
            }
        };
        standing.reachable = true;
        self.describe_reachable(&mut standing, mirror, environment)?;
        standing.commits_behind = self.commits_behind(store, environment);
        if standing.last_run.as_ref().is_some_and(|run| run.differences > 0) {
            standing
                .warnings
                .push("the last run found differences: see what it printed, or run it again".into());
        }
        Ok(standing)
    }

    fn describe_reachable(
        &self,
        standing: &mut MirrorStanding,
        mirror: &MirrorConfig,
        environment: Environment<'_>,
    ) -> Result<(), ServiceError> {
        let secrets = Secrets::new(self.home(), environment);
        let measured: Standing = mirror.place.measure(&self.surroundings(&secrets))?;
        standing.tier = measured.tier;
        standing.statement = measured.statement;
        if let Some(path) = mirror.place.folder(self.home()).filter(|_| mirror.offline) {
            let words = "tier 4 when it is unplugged; it is plugged in now";
            standing.statement = format!("{words}: {}", standing.statement);
            standing.warnings.extend(Mount::of(&path, self.home())?.warnings());
        }
        Ok(())
    }

    fn commits_behind(&self, mirror: Arc<dyn BlobStore>, environment: Environment<'_>) -> Option<u64> {
        let origin = Vault::open(self.origin_store(environment).ok()?).ok()?;
        let Ok(mirror) = Vault::open(mirror) else {
            let all = origin.sources().ok()?;
            return all.iter().map(|source| origin.last_sequence(source).ok()).sum();
        };
        let behind = |source| {
            let (theirs, mine) = (origin.last_sequence(source).ok()?, mirror.last_sequence(source).ok()?);
            Some(theirs.saturating_sub(mine))
        };
        origin.sources().ok()?.iter().map(behind).sum()
    }
}

/// Copies a vault from one place into another, without an installation: for a host that has only the mirror.
pub fn pull_places(
    pair: &Pair,
    options: &MirrorOptions,
    watch: MirrorWatch<'_>,
) -> Result<PullReport, MirrorError> {
    pull(pair, options, watch)
}

/// A place alone in a document.
#[derive(Deserialize)]
struct Holder {
    place: Place,
}

/// Reads a place as a person writes it: a folder, or an inline table of the configuration.
pub fn parse_place(text: &str) -> Result<Place, ConfigError> {
    if !text.trim_start().starts_with('{') {
        return Ok(Place::Folder { path: text.into(), immutable_flags: false });
    }
    let holder: Result<Holder, _> = toml::from_str(&format!("place = {text}"));
    holder.map(|holder| holder.place).map_err(|source| ConfigError::Invalid {
        path: Path::new("the given place").to_owned(),
        source: Box::new(source),
    })
}

fn records_folder(home: &Path) -> Result<std::path::PathBuf, files::FileError> {
    let folder = home.join("mirrors");
    files::create_folder(&folder)?;
    Ok(folder)
}

#[cfg(test)]
mod tests;
