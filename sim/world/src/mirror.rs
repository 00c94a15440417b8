//! A second store that copies the vault, in another domain: nobody in the world holds its credentials.

use std::{collections::BTreeMap, fmt, sync::Arc};

use blobs::{FaultStore, WormStore};
use model::Moment;
use ports::{BlobName, BlobStore};
use vault::{
    Vault, VaultReader,
    mirror::{Difference, MirrorOptions, MirrorProblem, MirrorWatch, Pair, PullReport, pull},
    verify::{Depth, Finding, Problem, verify},
};

use crate::{
    Violation, World,
    action::{MirrorSide, Trouble},
    bytes::content,
    clock::{HostClock, Truth},
    invariants::read_version,
    world::slow,
};

/// The mirror's store, and the same one behind a connection that fails.
pub(crate) struct Mirror {
    store: Arc<WormStore>,
    pub(crate) faults: Arc<FaultStore>,
    clock: Arc<HostClock>,
    /// Whether a commit by a clock that was years ahead asked for a lock that the mirror did not grant.
    denied_a_lock: bool,
}

/// What a store holds: the hash and the lock of every object.
type Inventory = BTreeMap<BlobName, (blake3::Hash, Option<Moment>)>;

impl Mirror {
    pub(crate) fn new(truth: &Arc<Truth>) -> Self {
        let clock = Arc::new(HostClock::new(Arc::clone(truth)));
        let store = Arc::new(WormStore::new(Arc::<HostClock>::clone(&clock)));
        Self::around(store, clock, truth, false)
    }

    /// Returns a mirror that holds the same.
    pub(crate) fn fork(&self, truth: &Arc<Truth>) -> Self {
        let clock = Arc::new(HostClock::new(Arc::clone(truth)));
        let store = Arc::new(self.store.fork(Arc::<HostClock>::clone(&clock)));
        Self::around(store, clock, truth, self.denied_a_lock)
    }

    fn around(store: Arc<WormStore>, clock: Arc<HostClock>, truth: &Arc<Truth>, denied_a_lock: bool) -> Self {
        let faults = Arc::new(FaultStore::with_delay(Arc::<WormStore>::clone(&store), slow(truth)));
        Self { store, faults, clock, denied_a_lock }
    }

    fn inventory(&self) -> Result<Inventory, Violation> {
        let failed = |e: ports::BlobError| Violation::new("the mirror's store answers", e);
        let blobs = self.store.list("").map_err(failed)?;
        blobs
            .into_iter()
            .map(|blob| {
                let hash = blake3::hash(&self.store.read(&blob.name).map_err(failed)?);
                Ok((blob.name, (hash, blob.locked_until)))
            })
            .collect()
    }
}

impl World {
    /// The mirror copies what it lacks. Whatever became of the vault, it loses nothing.
    pub(crate) fn mirror(&mut self, side: MirrorSide, trouble: Option<Trouble>) -> Result<(), Violation> {
        self.count("mirror");
        let before = self.mirror.inventory()?;
        let disturbed = match side {
            MirrorSide::Origin => Arc::clone(&self.faults),
            MirrorSide::Mirror => Arc::clone(&self.mirror.faults),
        };
        Self::disturb(&disturbed, trouble);
        let pair = Pair {
            origin: self.faults.clone(),
            mirror: self.mirror.faults.clone(),
            clock: self.mirror.clock.clone(),
        };
        let options = MirrorOptions { threads: 1, ..MirrorOptions::default() };
        let pulled = pull(&pair, &options, MirrorWatch::IDLE);
        self.last_disturbance = (disturbed.calls(), disturbed.injected());
        disturbed.heal();
        let excused = self.last_disturbance.1 > 0 || self.is_harmed();
        self.settle_pull(pulled, excused)?;
        self.check_mirror(&before, !excused)
    }

    /// Returns whether somebody did something to the vault that a mirror has to remark upon.
    fn is_harmed(&self) -> bool {
        !(self.planted.is_empty() && self.destroyed.is_empty() && self.lost_logs.is_empty())
    }

    fn settle_pull(
        &mut self,
        pulled: Result<PullReport, impl fmt::Display>,
        excused: bool,
    ) -> Result<(), Violation> {
        match pulled {
            Ok(report) => {
                let (copied, differences) = (report.copied_objects, report.differences.len());
                self.trace.note(format_args!("     mirrored {copied} objects, {differences} differences"));
                *self.counts.entry("mirrored objects").or_default() += copied;
                let denies = |difference: &Difference| difference.problem == MirrorProblem::LockTooLong;
                self.mirror.denied_a_lock |= report.differences.iter().any(denies);
                let sound = report.complete && report.differences.iter().all(denies);
                if sound || excused {
                    return Ok(());
                }
                Err(Violation::new("an unharmed vault is mirrored whole", format_args!("{report:?}")))
            }
            Err(error) => {
                self.trace.note(format_args!("     not mirrored: {error}"));
                if excused { Ok(()) } else { Err(Violation::new("an unharmed vault can be mirrored", error)) }
            }
        }
    }

    /// The mirror has what it had, is sound at every moment, and holds what was acknowledged and nothing else.
    fn check_mirror(&mut self, before: &Inventory, whole: bool) -> Result<(), Violation> {
        let after = self.mirror.inventory()?;
        for (name, (hash, lock)) in before {
            let kept = after.get(name).is_some_and(|(now, later)| now == hash && later >= lock);
            if !kept {
                return Err(Violation::new("a mirror loses nothing", name));
            }
        }
        // A first copy that was cut off before the manifest is no vault yet.
        if !after.keys().any(|name| name.as_str() == "vault.json") {
            return Ok(());
        }
        let failed = |e: vault::VaultError| Violation::new("a mirror is a sound vault", e);
        let store: Arc<dyn BlobStore> = self.mirror.store.clone();
        let vault = Vault::open(Arc::clone(&store)).map_err(failed)?;
        let reader = VaultReader::open(store, &self.keys.restore_key).map_err(failed)?;
        let report = verify(&vault, Some(&reader), Depth::Structure, &mut |_| {}).map_err(failed)?;
        // Keys that somebody planted are copied, and no better than where they come from: nobody follows them.
        let excused = |finding: &Finding| {
            let short = self.mirror.denied_a_lock && finding.problem == Problem::LockTooShort;
            short || self.planted.contains(&finding.object)
        };
        if let Some(finding) = report.findings.iter().find(|finding| !excused(finding)) {
            return Err(Violation::new("a mirror is a sound vault", format_args!("{finding:?}")));
        }
        let mut newest = BTreeMap::new();
        for source in self.reference.sources() {
            let log = self.reference.log(source);
            let last = vault.last_sequence(source).map_err(failed)?;
            for (sequence, committed) in (1..=last).zip(log) {
                if vault.commit(source, sequence).map_err(failed)?.hash != committed.hash {
                    let name = format_args!("log/{source}/{sequence:010}");
                    return Err(Violation::new("a mirror holds what was acknowledged", name));
                }
            }
            if last > log.len() as u64 || whole && last < log.len() as u64 {
                let detail = format_args!("{source}: {last} of {}", log.len());
                return Err(Violation::new("a mirror has every commit, and no other", detail));
            }
            newest.insert(source.clone(), last);
        }
        self.check_mirrored_versions(&reader, &newest)
    }

    fn check_mirrored_versions(
        &mut self,
        reader: &VaultReader,
        newest: &BTreeMap<model::SourceName, u64>,
    ) -> Result<(), Violation> {
        for version in self.promised() {
            if newest.get(&version.source).is_none_or(|last| *last < version.sequence) {
                continue;
            }
            let read = read_version(reader, &version);
            if !matches!(&read, Ok(Some(bytes)) if *bytes == content(version.content)) {
                let read = read.map(|bytes| bytes.map(|bytes| bytes.len()));
                let detail = format_args!("{version:?}: {read:?}");
                return Err(Violation::new("what a mirror has of the promised can be restored", detail));
            }
            self.count("versions read from the mirror");
        }
        Ok(())
    }
}
