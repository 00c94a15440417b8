//! One run of a mirror: keys and manifest, then packs before the commits that name them, then what covers commits.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use ports::{Blob, BlobError, BlobName, BlobStore};

use super::{
    HEADS, LockPolicy, MirrorError, MirrorOptions, MirrorProblem, MirrorProgress, MirrorWatch, PROOFS, Pair,
    PullReport, bytes_max,
};
use crate::{Manifest, PackId, error_text, keys::KeyState, manifest::Fingerprint, names};

/// How often the origin may fail to give an object before a run ends: beyond it is not a bad sector, it is away.
const UNREADABLE_MAX: usize = 16;

/// Copies what the origin has and the mirror has not. Nothing in the mirror is ever replaced or removed.
pub fn pull(pair: &Pair, options: &MirrorOptions, watch: MirrorWatch<'_>) -> Result<PullReport, MirrorError> {
    let here = listing(&*pair.mirror).map_err(MirrorError::Mirror)?;
    // Heads and proofs are listed before the logs: they then cover nothing that the logs' listing does not have.
    let mut covering = BTreeMap::new();
    for prefix in [HEADS, PROOFS] {
        covering.extend(by_name(pair.origin.list(prefix).map_err(MirrorError::Origin)?));
    }
    let mut there = listing(&*pair.origin).map_err(MirrorError::Origin)?;
    // What is reaped, and who may sign, was announced before: entries that are listed later explain what the listing
    // has and lacks.
    let keys = by_name(pair.origin.list(names::KEYS).map_err(MirrorError::Origin)?);
    let retention = by_name(pair.origin.list(names::RETENTION).map_err(MirrorError::Origin)?);
    there.extend(keys.clone());
    there.extend(retention.clone());
    let mut report = PullReport::default();
    let manifest = manifest(pair, options, &here, &mut report)?;
    let days = options.lock_days.max(manifest.lock_days);
    let total = there.len() as u64;
    let mut pull = Pull {
        pair,
        options,
        watch,
        manifest,
        lock: LockPolicy { now: pair.clock.now(), days },
        here,
        there,
        report,
        total,
        unreadable: 0,
        reaped: HashSet::new(),
        keys: None,
    };
    pull.run(&covering, &keys, &retention)?;
    Ok(pull.report)
}

/// A run.
pub(super) struct Pull<'a> {
    pub(super) pair: &'a Pair,
    pub(super) options: &'a MirrorOptions,
    pub(super) watch: MirrorWatch<'a>,
    pub(super) manifest: Manifest,
    pub(super) lock: LockPolicy,
    /// What the mirror has.
    pub(super) here: BTreeMap<BlobName, Blob>,
    /// What the origin had at the start.
    pub(super) there: BTreeMap<BlobName, Blob>,
    pub(super) report: PullReport,
    pub(super) total: u64,
    unreadable: usize,
    /// The packs that the owner's signed entries say were removed after their window.
    pub(super) reaped: HashSet<PackId>,
    /// Whose signatures count, by the mirror's own keys; nothing before these are there.
    pub(super) keys: Option<KeyState>,
}

impl Pull<'_> {
    fn run(
        &mut self,
        covering: &BTreeMap<BlobName, Blob>,
        keys: &BTreeMap<BlobName, Blob>,
        retention: &BTreeMap<BlobName, Blob>,
    ) -> Result<(), MirrorError> {
        // Keys come before the manifest, as when a vault is made: a vault without its keys is none.
        self.plain(keys, names::KEYS)?;
        self.own_manifest()?;
        self.keys = Some(self.own_vault()?.keys());
        self.retention(retention)?;
        self.logs()?;
        if !self.is_stopped() && self.report.differences.iter().all(|d| d.problem != MirrorProblem::Waiting) {
            for prefix in [HEADS, PROOFS] {
                self.plain(covering, prefix)?;
            }
        }
        self.check_origin()?;
        if !self.is_stopped() {
            self.renew()?;
        }
        let copied = self.there.keys().filter(|name| bytes_max(name).is_some());
        self.report.complete = !self.is_stopped()
            && copied
                .filter(|name| names::parse_pack(name).is_none())
                .all(|name| self.here.contains_key(name) || !covers(covering, name));
        Ok(())
    }

    pub(super) fn is_stopped(&self) -> bool {
        (self.watch.stop)()
    }

    pub(super) fn tell(&self) {
        (self.watch.progress)(MirrorProgress {
            done_objects: (self.report.copied_objects + self.report.present_objects).min(self.total),
            total_objects: self.total,
            done_bytes: self.report.verified_bytes,
        });
    }

    /// Copies the manifest into a mirror that has none: from then on it is a vault, so its keys must be there.
    fn own_manifest(&mut self) -> Result<(), MirrorError> {
        let name = names::manifest()?;
        if self.here.contains_key(&name) {
            self.report.present_objects += 1;
            return Ok(());
        }
        let is_key = |object: &str| object.starts_with(names::KEYS);
        let unread =
            self.report.differences.iter().any(|difference| {
                is_key(&difference.object) && difference.problem == MirrorProblem::Unreadable
            });
        if unread || !self.here.keys().any(|name| is_key(name.as_str())) {
            return Err(MirrorError::NoKeys);
        }
        let bytes = self.pair.origin.read(&name).map_err(MirrorError::Origin)?;
        if Manifest::parse(&bytes)? != self.manifest {
            self.report.find(name.as_str(), MirrorProblem::Altered, "it changed while it was read");
            return Ok(());
        }
        self.create(&name, &bytes, self.lock.own())
    }

    /// Copies the objects of a prefix that have no inner order: keys, heads, proofs.
    fn plain(&mut self, listed: &BTreeMap<BlobName, Blob>, prefix: &str) -> Result<(), MirrorError> {
        for (name, blob) in listed.iter().filter(|(name, _)| name.as_str().starts_with(prefix)) {
            if let Some(mine) = self.here.get(name) {
                self.report.present_objects += 1;
                // They are small: bytes are compared each time, not sizes.
                if mine.size_bytes == blob.size_bytes && !self.options.thorough && prefix != names::KEYS {
                    continue;
                }
                self.compare(name)?;
                continue;
            }
            if let Some(bytes) = self.fetch(name, blob.size_bytes)? {
                let lock = blob.locked_until.map_or(self.lock.own(), |lock| self.lock.at_least(lock));
                self.create(name, &bytes, lock)?;
            }
        }
        Ok(())
    }

    /// Compares an object that both have, byte for byte.
    pub(super) fn compare(&mut self, name: &BlobName) -> Result<bool, MirrorError> {
        let mine = self.pair.mirror.read(name).map_err(MirrorError::Mirror)?;
        let size = self.there.get(name).map_or(mine.len() as u64, |blob| blob.size_bytes);
        let Some(theirs) = self.fetch(name, size)? else { return Ok(false) };
        if mine != theirs {
            let detail = format!("{} bytes, and {} in the mirror", theirs.len(), mine.len());
            self.report.find(name.as_str(), MirrorProblem::Altered, detail);
        }
        Ok(mine == theirs)
    }

    /// Reads an object of the origin; what cannot be read is among the differences then.
    pub(super) fn fetch(&mut self, name: &BlobName, size_bytes: u64) -> Result<Option<Vec<u8>>, MirrorError> {
        if bytes_max(name).is_none_or(|max| size_bytes > max) {
            let detail = format!("no vault writes {size_bytes} bytes under this name");
            self.report.find(name.as_str(), MirrorProblem::Foreign, detail);
            return Ok(None);
        }
        match self.pair.origin.read(name) {
            Ok(bytes) => {
                self.report.verified_bytes += bytes.len() as u64;
                Ok(Some(bytes))
            }
            Err(error) => self.not_read(name, error).map(|()| None),
        }
    }

    /// Notes that the origin did not give an object; ends the run when it gives none any more.
    pub(super) fn not_read(&mut self, name: &BlobName, error: BlobError) -> Result<(), MirrorError> {
        if let BlobError::Missing { .. } = error {
            self.report.find(name.as_str(), MirrorProblem::Missing, "it was listed and is not there");
            return Ok(());
        }
        self.unreadable += 1;
        if self.unreadable > UNREADABLE_MAX {
            return Err(MirrorError::Origin(error));
        }
        self.report.find(name.as_str(), MirrorProblem::Unreadable, error_text(&error));
        Ok(())
    }

    /// Creates an object in the mirror. One that somebody else created meanwhile must have the same size.
    pub(super) fn create(
        &mut self,
        name: &BlobName,
        bytes: &[u8],
        lock: model::Moment,
    ) -> Result<(), MirrorError> {
        match self.pair.mirror.create(name, bytes, lock) {
            Ok(()) => {
                self.report.copied_objects += 1;
                self.report.copied_bytes += bytes.len() as u64;
            }
            Err(BlobError::Exists { .. }) => self.report.present_objects += 1,
            Err(error) => return Err(MirrorError::Mirror(error)),
        }
        let blob = Blob { name: name.clone(), size_bytes: bytes.len() as u64, locked_until: Some(lock) };
        self.here.insert(name.clone(), blob);
        self.tell();
        Ok(())
    }

    pub(super) fn extend(&mut self, name: &BlobName, lock: model::Moment) -> Result<(), MirrorError> {
        match self.pair.mirror.extend_lock(name, lock) {
            Ok(()) => {
                self.report.renewed_locks += 1;
                if let Some(blob) = self.here.get_mut(name) {
                    blob.locked_until = blob.locked_until.max(Some(lock));
                }
                Ok(())
            }
            Err(BlobError::Missing { .. }) => {
                self.report.find(name.as_str(), MirrorProblem::MirrorDamaged, "it vanished from the mirror");
                Ok(())
            }
            Err(error) => Err(MirrorError::Mirror(error)),
        }
    }

    pub(super) fn log_names(&self) -> BTreeSet<model::SourceName> {
        let sources = |names: &BTreeMap<BlobName, Blob>| -> Vec<_> {
            names.keys().filter_map(names::parse_commit).map(|(source, _)| source).collect()
        };
        sources(&self.here).into_iter().chain(sources(&self.there)).collect()
    }
}

/// Decides which manifest counts: the mirror's own once it has one, whatever the origin says later.
fn manifest(
    pair: &Pair,
    options: &MirrorOptions,
    here: &BTreeMap<BlobName, Blob>,
    report: &mut PullReport,
) -> Result<Manifest, MirrorError> {
    let name = names::manifest()?;
    let theirs = match pair.origin.read(&name) {
        Ok(bytes) => Some(bytes),
        Err(BlobError::Missing { .. }) => None,
        Err(error) => return Err(MirrorError::Origin(error)),
    };
    if !here.contains_key(&name) {
        let content =
            |n: &&BlobName| n.as_str().starts_with(names::LOG) || n.as_str().starts_with(names::DATA);
        if let Some(object) = here.keys().find(content) {
            return Err(MirrorError::NotAMirror { object: object.to_string() });
        }
        let manifest = Manifest::parse(&theirs.ok_or(MirrorError::NoVault)?)?;
        check_fingerprint(&manifest, options.expected)?;
        return Ok(manifest);
    }
    let bytes = pair.mirror.read(&name).map_err(MirrorError::Mirror)?;
    let mine = Manifest::parse(&bytes)?;
    check_fingerprint(&mine, options.expected)?;
    match theirs {
        None => report.find(name.as_str(), MirrorProblem::Missing, "the mirror has it"),
        Some(theirs) if theirs != bytes => {
            if let Ok(other) = Manifest::parse(&theirs)
                && other.vault != mine.vault
            {
                return Err(MirrorError::OtherVault { mirror: mine.vault, origin: other.vault });
            }
            report.find(name.as_str(), MirrorProblem::Altered, "the mirror has the one that it began with");
        }
        Some(_) => {}
    }
    Ok(mine)
}

fn check_fingerprint(manifest: &Manifest, expected: Option<Fingerprint>) -> Result<(), MirrorError> {
    match expected {
        Some(expected) if expected != manifest.fingerprint => {
            Err(MirrorError::Fingerprint { found: manifest.fingerprint, expected })
        }
        _ => Ok(()),
    }
}

fn covers(covering: &BTreeMap<BlobName, Blob>, name: &BlobName) -> bool {
    let text = name.as_str();
    // A head that came up during the run is the next run's.
    !(text.starts_with(HEADS) || text.starts_with(PROOFS)) || covering.contains_key(name)
}

pub(super) fn listing(store: &dyn BlobStore) -> Result<BTreeMap<BlobName, Blob>, BlobError> {
    Ok(by_name(store.list("")?))
}

fn by_name(blobs: Vec<Blob>) -> BTreeMap<BlobName, Blob> {
    blobs.into_iter().map(|blob| (blob.name.clone(), blob)).collect()
}
