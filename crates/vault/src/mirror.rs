//! Copying a vault into another store, and never its losses (guide: mirrors and offline copies).
//!
//! A mirror is a vault of its own: the same objects under the same names, locked by the mirror's own clock and policy.
//! At every moment it is sound, because a commit is created only when everything that it names is there. What is
//! missing, shorter or different at the origin is a finding; the mirror's good copy stays as it is.

mod check;
mod logs;
mod pull;
mod renewal;
mod repair;
mod transfer;

use std::{collections::BTreeMap, fmt, sync::Arc};

use model::{Moment, SourceName};
use ports::{BlobError, BlobName, BlobStore, Clock};

pub use pull::pull;
pub use repair::{Offer, RepairReport, repair};

use crate::{
    VaultId,
    manifest::{Fingerprint, ManifestError},
    names,
    pack::PACK_BYTES_MAX,
    retention::{self, DAY_MICROS, LockFloor, MARGIN_DAYS},
};

/// The two stores, and the clock by which the mirror locks.
pub struct Pair {
    /// Where the vault is written.
    pub origin: Arc<dyn BlobStore>,
    /// Where its mirror lies.
    pub mirror: Arc<dyn BlobStore>,
    /// The mirror's clock.
    pub clock: Arc<dyn Clock>,
}

/// How a mirror is kept.
#[derive(Debug, Clone)]
pub struct MirrorOptions {
    /// How many packs are copied at the same time.
    pub threads: usize,
    /// Read and compare everything at the origin again, rather than names, sizes and the newest commits.
    pub thorough: bool,
    /// For how many days at least the mirror locks what it takes; the manifest may say more.
    pub lock_days: u32,
    /// The fingerprint that the vault must have; without it, an empty mirror believes the first manifest that it sees.
    pub expected: Option<Fingerprint>,
}

impl Default for MirrorOptions {
    fn default() -> Self {
        Self { threads: 4, thorough: false, lock_days: 0, expected: None }
    }
}

/// Something at the origin, or in the mirror, that is not as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The object or the log concerned.
    pub object: String,
    /// What is wrong.
    pub problem: MirrorProblem,
    /// More about it.
    pub detail: String,
}

/// Kinds of differences.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MirrorProblem {
    /// It is gone at the origin; the mirror may have it.
    Missing,
    /// It is at the origin with other bytes than it was written with.
    Altered,
    /// The origin's log ends before the mirror's does.
    RolledBack,
    /// The origin's log goes on from another commit than the mirror's.
    Forked,
    /// It does not belong to a vault.
    Foreign,
    /// The origin did not give it; trying again may help.
    Unreadable,
    /// It waits in the origin for something before it that could not be copied.
    Waiting,
    /// A commit asks for a lock beyond what the mirror grants.
    LockTooLong,
    /// The mirror's own lock of an object could not be renewed.
    NotRenewed,
    /// The mirror's own copy is not as it was written.
    MirrorDamaged,
}

/// What a pull did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PullReport {
    /// Objects created in the mirror.
    pub copied_objects: u64,
    /// Their bytes, every one of which was checked.
    pub copied_bytes: u64,
    /// Objects that were there already.
    pub present_objects: u64,
    /// Bytes read and checked at the origin, copied or not.
    pub verified_bytes: u64,
    /// Locks that were moved to a later date.
    pub renewed_locks: u64,
    /// The least lock in the mirror over all that a source's moments need.
    pub floors: BTreeMap<SourceName, LockFloor>,
    /// Objects that the origin no longer has because their term is over.
    pub lapsed_objects: u64,
    /// Every source: how far the origin and the mirror are.
    pub sources: BTreeMap<SourceName, SourceStanding>,
    /// Whether everything that the origin had at the start is in the mirror now.
    pub complete: bool,
    /// All that is not as it should be.
    pub differences: Vec<Difference>,
}

/// How far a source is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourceStanding {
    /// The largest sequence number at the origin.
    pub origin_sequence: u64,
    /// The largest sequence number in the mirror.
    pub mirror_sequence: u64,
    /// The vault time of the mirror's newest commit.
    pub mirror_time: Option<Moment>,
}

/// Told to whoever waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MirrorProgress {
    /// Objects done.
    pub done_objects: u64,
    /// Objects in all.
    pub total_objects: u64,
    /// Bytes copied or checked.
    pub done_bytes: u64,
}

/// What a long copy asks and tells.
#[derive(Clone, Copy)]
pub struct MirrorWatch<'a> {
    /// Hears how far it is.
    pub progress: &'a (dyn Fn(MirrorProgress) + Sync),
    /// Says whether to end early; what is copied stays and is not copied again.
    pub stop: &'a (dyn Fn() -> bool + Sync),
}

impl MirrorWatch<'_> {
    /// Watches nothing and never stops.
    pub const IDLE: MirrorWatch<'static> = MirrorWatch { progress: &|_| {}, stop: &|| false };
}

/// Why nothing, or not everything, was copied.
#[derive(Debug, thiserror::Error)]
pub enum MirrorError {
    /// There is no vault at the origin, and none in the mirror that would say what is missing.
    #[error("there is no vault at the origin")]
    NoVault,
    /// The mirror belongs to another vault.
    #[error("the mirror holds vault {mirror}, and the origin is vault {origin}")]
    OtherVault {
        /// The vault in the mirror.
        mirror: VaultId,
        /// The vault at the origin.
        origin: VaultId,
    },
    /// The origin is not the vault that was expected.
    #[error("the origin's manifest has the fingerprint {found}, and {expected} was expected")]
    Fingerprint {
        /// What it has.
        found: Fingerprint,
        /// What it should have.
        expected: Fingerprint,
    },
    /// The mirror's place holds objects and no manifest.
    #[error("the mirror's place holds {object} and no manifest: it is no mirror")]
    NotAMirror {
        /// One of the objects.
        object: String,
    },
    /// Without its keys a vault is none, so no mirror is begun.
    #[error("the origin gives no keys, so no mirror is begun")]
    NoKeys,
    /// The manifest cannot be used.
    #[error("the vault's manifest cannot be used")]
    Manifest(#[from] ManifestError),
    /// The origin does not answer.
    #[error("the origin does not answer")]
    Origin(#[source] BlobError),
    /// The mirror's store failed.
    #[error("the mirror cannot be written or read")]
    Mirror(#[source] BlobError),
    /// A name that cannot be.
    #[error("an object has an impossible name")]
    Name(#[from] BlobError),
}

impl MirrorError {
    /// Returns whether the mirror's disk or quota is full.
    pub const fn is_full(&self) -> bool {
        matches!(self, Self::Mirror(BlobError::Full { .. }))
    }

    /// Returns whether the origin or the mirror is not the vault that it should be.
    pub const fn is_tampering(&self) -> bool {
        matches!(self, Self::OtherVault { .. } | Self::Fingerprint { .. })
    }

    /// Returns what a person can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Mirror(BlobError::Full { .. }) => Some(
                "make room in the mirror's place and run it again: what is copied is not copied twice".into(),
            ),
            Self::Mirror(BlobError::Unavailable { .. }) => {
                Some("plug the mirror's disk in again and run it again: it goes on where it was".into())
            }
            Self::NotAMirror { .. } | Self::OtherVault { .. } => {
                Some("give the mirror a new, empty place".to_owned())
            }
            Self::NoVault => Some("unwipe init makes one".to_owned()),
            Self::NoKeys => {
                Some("run it again; unwipe verify shows whether the vault has lost them".to_owned())
            }
            _ => None,
        }
    }
}

impl MirrorProblem {
    /// Returns whether it shows that something was destroyed or changed.
    pub const fn is_loss(self) -> bool {
        !matches!(self, Self::Unreadable | Self::Waiting | Self::NotRenewed)
    }
}

impl fmt::Display for MirrorProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "missing at the origin",
            Self::Altered => "altered at the origin",
            Self::RolledBack => "rolled back at the origin",
            Self::Forked => "forked at the origin",
            Self::Foreign => "foreign at the origin",
            Self::Unreadable => "unreadable at the origin",
            Self::Waiting => "waiting",
            Self::LockTooLong => "lock too long",
            Self::NotRenewed => "not renewed in the mirror",
            Self::MirrorDamaged => "damaged in the mirror",
        })
    }
}

impl PullReport {
    /// Returns whether anything was destroyed or changed.
    pub fn shows_loss(&self) -> bool {
        self.differences.iter().any(|difference| difference.problem.is_loss())
    }

    fn find(&mut self, object: impl Into<String>, problem: MirrorProblem, detail: impl Into<String>) {
        let difference = Difference { object: object.into(), problem, detail: detail.into() };
        if !self.differences.contains(&difference) {
            self.differences.push(difference);
        }
    }
}

/// The most days for which a commit can have itself locked here: a stolen capture key must not buy a century.
pub const PROMISE_DAYS_MAX: u32 = 3660;
/// Objects that are no packs are small; a larger one was not written by a vault.
const COMMIT_BYTES_MAX: u64 = 256 << 20;
const SMALL_BYTES_MAX: u64 = 16 << 20;
/// A lock that is this much shorter than the origin's is renewed; less is not worth a request for each object.
const RENEWAL_MICROS: i64 = DAY_MICROS / 2;
const HEADS: &str = "heads/";
const PROOFS: &str = "proofs/";

/// Until when the mirror locks things, by its own clock.
#[derive(Debug, Clone, Copy)]
struct LockPolicy {
    now: Moment,
    days: u32,
}

impl LockPolicy {
    fn own(self) -> Moment {
        retention::lock_until(self.now, self.days)
    }

    fn latest(self) -> Moment {
        let days = self.days.max(PROMISE_DAYS_MAX).saturating_add(MARGIN_DAYS);
        retention::retained_until(self.now, days)
    }

    /// Returns the lock of an object of which the origin promises, or has, this one.
    fn at_least(self, promised: Moment) -> Moment {
        self.own().max(promised.min(self.latest()))
    }

    fn is_too_long(self, promised: Moment) -> bool {
        promised > self.latest()
    }
}

/// Returns how many bytes an object of this name may have, or nothing when no vault writes such a name.
fn bytes_max(name: &BlobName) -> Option<u64> {
    let text = name.as_str();
    if names::parse_pack(name).is_some() {
        Some(PACK_BYTES_MAX)
    } else if names::parse_commit(name).is_some() {
        Some(COMMIT_BYTES_MAX)
    } else {
        let small = text == names::MANIFEST
            || text.starts_with(names::KEYS)
            || names::parse_retention(name).is_some()
            || text.starts_with(HEADS)
            || text.starts_with(PROOFS);
        small.then_some(SMALL_BYTES_MAX)
    }
}
