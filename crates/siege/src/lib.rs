//! Attacks on a vault of the user's own, with every credential at hand, and harmless by design.
//!
//! What is attacked in the vault itself belongs to a decoy source that the siege made; everything else is tried on a
//! copy of the vault's structure. After every attempt the vault must be as it was and the decoy must come back byte for
//! byte, or the siege ends there. Its only traces are the decoy's commits, which are locked like everything else.

#![expect(clippy::unnecessary_wraps, reason = "an attack is a row of a table, and all rows have one type")]

mod decoy;
mod ground;
mod layers;
mod miniature;
mod report;

use connect::Progress;
use model::Moment;
use ports::files::FileError;
use serde::Serialize;
use service::{Installation, Place, ServiceError, secret::Environment};

pub use decoy::DECOY_SOURCE;
pub use ground::Ground;
pub use report::{LayerSummary, SiegeReport};

/// One thing that an attacker may try.
pub struct Attack {
    /// Its number in the catalogue of attacks (`docs/guide/siege.md`).
    pub number: u16,
    /// What is tried, in a few words.
    pub what: &'static str,
    /// With which credential.
    pub credential: &'static str,
    /// On what.
    pub on: Scene,
    /// What holds it, or should.
    pub promise: Promise,
    /// Tries it.
    pub run: fn(&Ground<'_>) -> Result<Outcome, SiegeError>,
}

/// Where an attack takes place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scene {
    /// The decoy's objects in the vault itself.
    Decoy,
    /// A copy of the vault's structure.
    Copy,
    /// The host, which is only looked at.
    Host,
}

/// From when on an attack must be held or detected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Promise {
    /// Always.
    Always,
    /// When the vault's place has this tier.
    FromTier(u8),
    /// When there is a mirror that remembers.
    WithMirror,
    /// Nothing here is promised against it; it is tried to be honest.
    Never,
}

/// The part of the defence that an attack is aimed at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layer {
    /// Files, folders, flags.
    Folder,
    /// What the place refuses by itself: a bucket, another host.
    Place,
    /// The store's own interface.
    Store,
    /// Commits, their order, their signatures.
    Log,
    /// Terms, releases, reaping.
    Retention,
    /// Keys and manifest.
    Keys,
    /// Bringing things back.
    Restore,
    /// Caches: catalog and journal.
    Cache,
    /// Clocks.
    Time,
    /// Mirrors.
    Mirror,
    /// What lies around on the host.
    Host,
}

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Outcome {
    /// Nothing came of it.
    Held {
        /// What held it.
        by: String,
    },
    /// It took effect, and whoever looks sees it; what is stored is not lost by it.
    Detected {
        /// What sees it.
        by: String,
    },
    /// It took effect here.
    NotHeld {
        /// Why nothing held it.
        why: String,
        /// What was seen.
        evidence: String,
    },
    /// It could not be tried here.
    NotPossibleHere {
        /// Why.
        why: String,
    },
}

/// One attempt.
#[derive(Debug, Clone, Serialize)]
pub struct Attempt {
    /// The attack's number in the catalogue.
    pub number: u16,
    /// The layer.
    pub layer: Layer,
    /// What was tried.
    pub what: String,
    /// With which credential.
    pub credential: String,
    /// On what.
    pub on: Scene,
    /// Whether what is set up here promises to hold or to detect it.
    pub promised: bool,
    /// What came of it.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// Why a siege did not take place, or ended early.
#[derive(Debug, thiserror::Error)]
pub enum SiegeError {
    /// The installation cannot be used.
    #[error("the installation cannot be used")]
    Service(#[from] ServiceError),
    /// The vault cannot be read.
    #[error("the vault cannot be read")]
    Vault(#[from] vault::VaultError),
    /// The vault cannot be written.
    #[error("the decoy cannot be written")]
    Write(#[from] vault::WriteError),
    /// The store failed.
    #[error("the vault's store failed")]
    Store(#[from] ports::BlobError),
    /// A file cannot be used.
    #[error("a file cannot be used")]
    File(#[from] FileError),
    /// The file attacks could not be run or put back.
    #[error("an attack on files could not be run, or its damage not be made good")]
    Files(#[from] tenants::agent::attack::AttackError),
    /// A key cannot be used.
    #[error("a key cannot be used")]
    Key(#[from] vault::keys::KeyError),
    /// The vault was not sound before anything was tried.
    #[error("the vault is not sound: {object}: {problem}")]
    NotSound {
        /// The first object concerned.
        object: String,
        /// What is wrong.
        problem: String,
    },
    /// The reading key is not at hand.
    #[error("a siege reads its decoy back, and no restore key is at hand")]
    NoRestoreKey,
    /// After an attempt something else than the decoy had changed.
    #[error("after {attack:?} the vault is not as it was: {detail}")]
    Harm {
        /// The attempt.
        attack: String,
        /// What is different.
        detail: String,
    },
    /// A part of an attack could not be carried out.
    #[error("{0}")]
    Untried(String),
}

impl SiegeError {
    /// Returns what a person can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Service(error) => error.hint(),
            Self::NotSound { .. } => Some("unwipe verify".to_owned()),
            Self::NoRestoreKey => Some("give --key file:PATH".to_owned()),
            Self::Harm { .. } => {
                Some("unwipe siege --mend puts the decoy's objects back; then unwipe verify".into())
            }
            _ => None,
        }
    }
}

impl Outcome {
    fn held(by: impl Into<String>) -> Self {
        Self::Held { by: by.into() }
    }

    fn detected(by: impl Into<String>) -> Self {
        Self::Detected { by: by.into() }
    }

    fn not_held(why: impl Into<String>, evidence: impl Into<String>) -> Self {
        Self::NotHeld { why: why.into(), evidence: evidence.into() }
    }

    fn not_possible(why: impl Into<String>) -> Self {
        Self::NotPossibleHere { why: why.into() }
    }

    /// Returns whether the attempt succeeded.
    pub const fn is_not_held(&self) -> bool {
        matches!(self, Self::NotHeld { .. })
    }
}

/// What a siege is given.
pub struct SiegeRequest<'a> {
    /// The installation whose vault is attacked.
    pub installation: &'a Installation,
    /// The environment, for secrets by reference.
    pub environment: Environment<'a>,
    /// The reading key, by reference, when it is not the configured one.
    pub key: Option<&'a str>,
    /// Files with credentials that production or an agent could have.
    pub credentials: &'a [std::path::PathBuf],
}

/// Lays siege to the vault of an installation.
pub fn siege(
    request: &SiegeRequest<'_>,
    progress: &dyn Progress,
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<SiegeReport, SiegeError> {
    let begun: Moment = request.installation.ports().clock.now();
    if let Place::Server { .. } = request.installation.config().vault.place {
        // From a host that may only add, nothing can be read back: the place is measured, and that is all. The rest is
        // tried where the vault lies.
        let standing = request.installation.measure(request.environment)?;
        let attempts = layers::place::measured(&standing);
        return Ok(SiegeReport::new(&standing, begun, attempts, 0));
    }
    let ground = Ground::prepare(request)?;
    let result = layers::run_all(&ground, progress, stop);
    let cleaned = ground.leave();
    let attempts = result?;
    cleaned?;
    Ok(SiegeReport::new(&ground.standing, begun, attempts, ground.decoy.last))
}

/// Puts the decoy's objects back after a siege that was killed; returns how many.
pub fn mend(request: &SiegeRequest<'_>) -> Result<u64, SiegeError> {
    ground::mend(request)
}

#[cfg(test)]
mod tests;
