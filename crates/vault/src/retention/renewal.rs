use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use model::{Moment, SourceName};
use ports::{Blob, BlobError, BlobStore};

use super::{LATE_DAYS, PackUses, RetentionLog, days_left, life};
use crate::{Vault, VaultError, names};

/// How to renew.
#[derive(Debug, Clone, Copy)]
pub struct RenewalOptions {
    /// How many requests are under way at once; an object store wants many.
    pub threads: usize,
    /// Whether locks are only looked at.
    pub look_only: bool,
}

impl Default for RenewalOptions {
    fn default() -> Self {
        Self { threads: 8, look_only: false }
    }
}

/// What a renewal did and found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RenewalReport {
    /// Objects looked at.
    pub objects: u64,
    /// Objects whose locks were extended.
    pub renewed: u64,
    /// Packs that were released: only their windows run.
    pub released: u64,
    /// Packs that no commit names: what is left of writers that stopped half way. They are not renewed.
    pub unreferenced: u64,
    /// Objects whose locks could not be seen or extended, and why.
    pub failures: Vec<RenewalFailure>,
    /// The lock floor of each source.
    pub floors: BTreeMap<SourceName, LockFloor>,
}

/// An object whose lock could not be seen or extended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenewalFailure {
    /// The object.
    pub object: String,
    /// What the store answered.
    pub reason: String,
}

/// The least lock over all that a source's moments need, keys included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockFloor {
    /// When the first of the objects would be unlocked; `None` where the store knows no lock for one of them.
    pub until: Option<Moment>,
    /// That object.
    pub object: String,
}

/// How a lock floor compares with the policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FloorStanding {
    /// Renewal works.
    Good,
    /// Renewal has stopped: the floor is still above the policy.
    Late,
    /// Something is locked for less than the policy promises.
    Broken,
}

impl LockFloor {
    /// Compares the floor with a policy of so many days.
    pub fn standing(&self, now: Moment, lock_days: u32) -> FloorStanding {
        match self.until.map(|until| days_left(until, now)) {
            Some(days) if days >= lock_days.saturating_add(LATE_DAYS) => FloorStanding::Good,
            Some(days) if days >= lock_days => FloorStanding::Late,
            _ => FloorStanding::Broken,
        }
    }
}

/// Extends the locks of all that live versions, and the windows of released ones, need. Nothing is ever shortened.
///
/// `latest` is the latest time that any clock tells, so that a slow one makes no lock too short. It needs no key.
pub fn renew(
    vault: &Vault,
    log: &RetentionLog,
    latest: Moment,
    options: RenewalOptions,
    advance: &(dyn Fn(u64, Option<u64>) + Sync),
) -> Result<RenewalReport, VaultError> {
    let uses = PackUses::read(vault, &mut |_| {})?;
    let objects = vault.store().list("")?;
    let total = objects.len() as u64;
    advance(0, Some(total));
    let mut report = RenewalReport { objects: total, ..RenewalReport::default() };
    let mut wanted = Vec::with_capacity(objects.len());
    for blob in objects {
        match names::parse_pack(&blob.name) {
            Some(pack) if !uses.is_named(&pack) => report.unreferenced += 1,
            Some(pack) => {
                let released = log.release_of(&pack, &uses).map(|released| released.at);
                report.released += u64::from(released.is_some());
                wanted.push((blob, released));
            }
            None => wanted.push((blob, None)),
        }
    }
    let work = Work {
        store: &**vault.store(),
        latest,
        lock_days: uses.lock_days(),
        look_only: options.look_only,
        next: AtomicUsize::new(0),
        outcomes: Mutex::new(Outcomes::default()),
    };
    std::thread::scope(|scope| {
        for _ in 0..options.threads.max(1) {
            scope.spawn(|| work.run(&wanted, &uses, advance));
        }
    });
    let outcomes = work.outcomes.into_inner().unwrap_or_else(PoisonError::into_inner);
    report.renewed = outcomes.renewed;
    report.failures = outcomes.failures;
    report.failures.sort_by(|a, b| a.object.cmp(&b.object));
    for source in uses.heads().keys() {
        let own = outcomes.floors.get(source);
        let floor = [own, outcomes.common.as_ref()].into_iter().flatten().min_by_key(|floor| floor.until);
        if let Some(floor) = floor {
            report.floors.insert(source.clone(), floor.clone());
        }
    }
    Ok(report)
}

struct Work<'a> {
    store: &'a dyn BlobStore,
    latest: Moment,
    lock_days: u32,
    look_only: bool,
    next: AtomicUsize,
    outcomes: Mutex<Outcomes>,
}

#[derive(Default)]
struct Outcomes {
    renewed: u64,
    failures: Vec<RenewalFailure>,
    floors: BTreeMap<SourceName, LockFloor>,
    /// Of what every source needs: the manifest, the keys, the heads.
    common: Option<LockFloor>,
}

impl Work<'_> {
    fn run(
        &self,
        wanted: &[(Blob, Option<Moment>)],
        uses: &PackUses,
        advance: &(dyn Fn(u64, Option<u64>) + Sync),
    ) {
        while let Some((blob, released)) = wanted.get(self.next.fetch_add(1, Ordering::SeqCst)) {
            let result = self.renew_one(blob, *released);
            advance(1, None);
            let mut outcomes = self.outcomes.lock().unwrap_or_else(PoisonError::into_inner);
            let lock = match result {
                Ok((lock, extended)) => {
                    outcomes.renewed += u64::from(extended);
                    lock
                }
                Err(error) => {
                    let object = blob.name.to_string();
                    outcomes.failures.push(RenewalFailure { object, reason: error.to_string() });
                    blob.locked_until
                }
            };
            // A released pack is needed by no moment from now on; its own window is the reaper's business.
            if released.is_none() {
                outcomes.lower(uses, blob, lock);
            }
        }
    }

    /// Returns the lock that the object has now, and whether it was extended.
    fn renew_one(&self, blob: &Blob, released: Option<Moment>) -> Result<(Option<Moment>, bool), BlobError> {
        let lock = match blob.locked_until {
            Some(lock) => Some(lock),
            None => self.store.head(&blob.name)?.locked_until,
        };
        let Some(wanted) = life::renewal(lock, released, self.latest, self.lock_days) else {
            return Ok((lock, false));
        };
        if self.look_only {
            return Ok((lock, false));
        }
        self.store.extend_lock(&blob.name, wanted)?;
        // What counts is what the store says afterwards, not that it answered well.
        let lock = self.store.head(&blob.name)?.locked_until;
        Ok((lock, lock.is_some_and(|lock| lock >= wanted)))
    }
}

impl Outcomes {
    fn lower(&mut self, uses: &PackUses, blob: &Blob, lock: Option<Moment>) {
        let floor = || LockFloor { until: lock, object: blob.name.to_string() };
        let lower = |known: &mut LockFloor| {
            if lock < known.until {
                *known = floor();
            }
        };
        let sources = uses.sources_of(&blob.name);
        if sources.is_empty() {
            match &mut self.common {
                Some(known) => lower(known),
                none => *none = Some(floor()),
            }
        }
        for source in sources {
            self.floors.entry(source).and_modify(lower).or_insert_with(floor);
        }
    }
}
