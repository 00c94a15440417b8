use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use blobs::{FaultStore, WormStore};
use model::{Moment, SourceName};
use ports::{BlobName, BlobStore, Clock, SeededRandom};
use vault::{InitOptions, NewVault, Vault, VaultReader, VaultWriter, WriterOptions, init};

use crate::{
    Trace,
    action::{Action, Commit, HOSTS, Trouble},
    bytes::content,
    clock::{ClockEvent, DAY, HostClock, Truth},
    invariants,
    keeper::Keeper,
    known::Known,
    mirror::Mirror,
    reference::{Reference, Version},
};

/// The world's vault promises this when it is made.
pub(crate) const LOCK_DAYS: u32 = 5;
/// After so many steps everything is compared, not only what is cheap.
const FULL_CHECK_STEPS: u64 = 10;
/// What nobody needs is released and reaped every so many days.
const RELEASE_DAYS: i64 = 4;
/// A slow call takes so long.
const SLOW_MICROS: i64 = 45_000_000;

/// Something that must never be the case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// What is violated.
    pub invariant: &'static str,
    /// How it shows.
    pub detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.detail)
    }
}

impl std::error::Error for Violation {}

impl Violation {
    pub(crate) fn new(invariant: &'static str, detail: impl fmt::Display) -> Self {
        Self { invariant, detail: detail.to_string() }
    }
}

/// A host that captures.
pub(crate) struct Host {
    pub(crate) clock: Arc<HostClock>,
    pub(crate) writer: Option<VaultWriter>,
    pub(crate) known: Known,
}

/// The whole world: a vault, hosts, a store, and what was done to them.
pub struct World {
    pub(crate) truth: Arc<Truth>,
    pub(crate) random: Arc<SeededRandom>,
    /// The store as its owner sees it.
    pub(crate) store: Arc<WormStore>,
    /// The same store behind a connection that fails.
    pub(crate) faults: Arc<FaultStore>,
    pub(crate) keys: Arc<NewVault>,
    pub(crate) hosts: Vec<Host>,
    pub(crate) keeper: Keeper,
    pub(crate) mirror: Mirror,
    pub(crate) reference: Reference,
    /// Names that a rogue took before the vault did.
    pub(crate) planted: BTreeSet<String>,
    /// Objects that a rogue removed after their locks had ended.
    pub(crate) destroyed: BTreeSet<String>,
    /// Sources whose next name is taken by foreign bytes: nothing more can be added to them.
    pub(crate) blocked: BTreeSet<SourceName>,
    /// Sources whose logs lost a commit that was locked for too short a time.
    pub(crate) lost_logs: BTreeSet<SourceName>,
    pub(crate) lock_days: u32,
    pub(crate) commits: u64,
    steps: u64,
    renewed_day: i64,
    /// Calls and injected faults of the last action that had a trouble.
    pub(crate) last_disturbance: (u64, u64),
    /// What happened.
    pub trace: Trace,
    /// How often each thing happened, for people.
    pub counts: BTreeMap<&'static str, u64>,
}

/// Returns what a slow call does: time passes.
pub(crate) fn slow(truth: &Arc<Truth>) -> impl Fn() + Send + Sync + use<> {
    let truth = Arc::clone(truth);
    move || truth.pass(SLOW_MICROS)
}

impl World {
    /// Makes a world with an empty vault.
    pub fn new(seed: u64) -> Result<Self, Violation> {
        let truth = Arc::new(Truth::new(Moment::from_micros(1_777_125_609_000_000)));
        let random = Arc::new(SeededRandom::new(seed));
        let clock = Arc::new(HostClock::new(Arc::clone(&truth)));
        let store = Arc::new(WormStore::new(clock.clone()));
        let keys = init(&*store, InitOptions { lock_days: LOCK_DAYS }, &*clock, &*random)
            .map_err(|e| Violation::new("a vault can be made", e))?;
        let mut world = Self::with_store(truth, random, store, Arc::new(keys));
        world.found()?;
        Ok(world)
    }

    /// Returns a world that begins as this one is now; its hosts start anew.
    #[must_use]
    pub fn fork(&self, seed: u64) -> Self {
        let truth = Arc::new(Truth::new(self.truth.now()));
        let store = Arc::new(self.store.fork(Arc::new(HostClock::new(Arc::clone(&truth)))));
        let random = Arc::new(SeededRandom::new(seed));
        let mut world = Self::with_store(truth, random, store, Arc::clone(&self.keys));
        for (host, other) in world.hosts.iter_mut().zip(&self.hosts) {
            host.known = other.known.fork();
        }
        world.keeper = self.keeper.fork(&world.truth);
        world.mirror = self.mirror.fork(&world.truth);
        world.reference.clone_from(&self.reference);
        world.planted.clone_from(&self.planted);
        world.destroyed.clone_from(&self.destroyed);
        world.blocked.clone_from(&self.blocked);
        world.lost_logs.clone_from(&self.lost_logs);
        world.commits = self.commits;
        world
    }

    fn with_store(
        truth: Arc<Truth>,
        random: Arc<SeededRandom>,
        store: Arc<WormStore>,
        keys: Arc<NewVault>,
    ) -> Self {
        let host = || Host {
            clock: Arc::new(HostClock::new(Arc::clone(&truth))),
            writer: None,
            known: Known::default(),
        };
        Self {
            hosts: (0..HOSTS).map(|_| host()).collect(),
            renewed_day: truth.now().as_micros() / DAY,
            keeper: Keeper::new(&truth),
            mirror: Mirror::new(&truth),
            faults: Arc::new(FaultStore::with_delay(store.clone(), slow(&truth))),
            truth,
            random,
            store,
            keys,
            reference: Reference::default(),
            planted: BTreeSet::new(),
            destroyed: BTreeSet::new(),
            blocked: BTreeSet::new(),
            lost_logs: BTreeSet::new(),
            lock_days: LOCK_DAYS,
            commits: 0,
            steps: 0,
            last_disturbance: (0, 0),
            trace: Trace::default(),
            counts: BTreeMap::new(),
        }
    }

    /// Lets one thing happen and compares the world with what was promised.
    pub fn step(&mut self, action: &Action) -> Result<(), Violation> {
        self.steps += 1;
        self.trace.note(format_args!("{:4} {} {action}", self.steps, self.truth.now()));
        self.act(action)?;
        self.faults.heal();
        invariants::check(self, self.steps.is_multiple_of(FULL_CHECK_STEPS))
    }

    fn act(&mut self, action: &Action) -> Result<(), Violation> {
        match action {
            Action::Commit(Commit { source, .. })
            | Action::Race(Commit { source, .. }, _)
            | Action::Reap { racing: Some(Commit { source, .. }), .. }
                if self.lost_logs.contains(source) =>
            {
                self.count("skipped");
                Ok(())
            }
            Action::Commit(commit) => self.commit(commit),
            Action::Race(first, second) => self.race(first, second),
            Action::Restore { pick, trouble } => self.restore(*pick, *trouble),
            Action::Verify { depth, trouble } => {
                self.set(*trouble);
                self.count("verify");
                let verdict = invariants::verify(self, *depth, trouble.is_some());
                self.heal();
                self.note_outcome("verified", &verdict);
                verdict
            }
            Action::Rogue(rogue) => self.rogue(rogue),
            Action::Clock { host, event } => {
                self.count("clock");
                if *host == HOSTS {
                    self.keeper.clock.suffer(*event);
                } else if let Some(host) = self.hosts.get_mut(*host) {
                    host.clock.suffer(*event);
                    // A machine that starts anew has no process from before.
                    if matches!(event, ClockEvent::Boot(_)) {
                        host.writer = None;
                    }
                }
                Ok(())
            }
            Action::Pass { micros, trouble } => self.pass(*micros, *trouble),
            Action::Restart { host, forget } => {
                self.count("restart");
                if let Some(host) = self.hosts.get_mut(*host) {
                    host.writer = None;
                    if *forget {
                        host.known.forget();
                    }
                }
                Ok(())
            }
            Action::Lengthen { days } => self.lengthen(*days),
            Action::Release { trouble } => self.release(*trouble),
            Action::Reap { trouble, racing } => self.reap_lapsed(*trouble, racing.as_ref()),
            Action::Agree => self.agree(),
            Action::Mirror { side, trouble } => self.mirror(*side, *trouble),
        }
    }

    /// Compares everything.
    pub fn check(&mut self) -> Result<(), Violation> {
        self.faults.heal();
        invariants::check(self, true)
    }

    pub(crate) fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    pub(crate) fn set(&self, trouble: Option<Trouble>) {
        Self::disturb(&self.faults, trouble);
    }

    pub(crate) fn disturb(store: &FaultStore, trouble: Option<Trouble>) {
        match trouble {
            None => store.heal(),
            Some(Trouble { call, fault, lasting: false }) => store.fail_at(call, None, fault),
            Some(Trouble { call, fault, lasting: true }) => store.fail_from(call, None, fault),
        }
    }

    /// Ends a trouble; returns whether anything went wrong because of it.
    pub(crate) fn heal(&mut self) -> bool {
        self.last_disturbance = (self.faults.calls(), self.faults.injected());
        self.faults.heal();
        self.last_disturbance.1 > 0
    }

    pub(crate) fn note_outcome<T, E: fmt::Display>(&mut self, what: &str, outcome: &Result<T, E>) {
        match outcome {
            Ok(_) => self.trace.note(format_args!("     {what}")),
            Err(error) => self.trace.note(format_args!("     not {what}: {error}")),
        }
    }

    /// Returns the vault as its owner sees it.
    pub(crate) fn vault(&self) -> Result<Vault, Violation> {
        Vault::open(self.store.clone()).map_err(|e| Violation::new("the vault opens", e))
    }

    /// Returns the owner's reader.
    pub(crate) fn reader(&self) -> Result<VaultReader, Violation> {
        VaultReader::open(self.store.clone(), &self.keys.restore_key)
            .map_err(|e| Violation::new("the restore key opens the vault", e))
    }

    /// Returns the versions that are promised now.
    pub(crate) fn promised(&self) -> Vec<Version> {
        let window = i64::from(self.lock_days) * DAY;
        self.reference.promised(self.truth.now().plus_micros(-window))
    }

    /// Opens a writer on a host; the store may fail under it.
    pub(crate) fn open_writer(
        &self,
        clock: Arc<dyn Clock>,
        store: Arc<dyn BlobStore>,
    ) -> Result<VaultWriter, vault::WriteError> {
        // No threads and small packs: the same calls in the same order, and packs that a commit crosses.
        let options = WriterOptions {
            threads: 0,
            compression_level: 1,
            small_compression_level: 1,
            pack_bytes_target: 24_000,
            page_frame_bytes: 16 << 10,
            frame_bytes: 12 << 10,
        };
        VaultWriter::open(store, &self.keys.capture_key, clock, self.random.clone(), options)
    }

    fn restore(&mut self, pick: u64, trouble: Option<Trouble>) -> Result<(), Violation> {
        self.count("restore");
        let mut versions = self.promised();
        if versions.is_empty() {
            return Ok(());
        }
        let version = versions.swap_remove((pick % versions.len() as u64) as usize);
        self.set(trouble);
        let store: Arc<dyn BlobStore> = self.faults.clone();
        let read = VaultReader::open(store, &self.keys.restore_key)
            .and_then(|reader| invariants::read_version(&reader, &version));
        let excused = self.heal();
        self.note_outcome("restored", &read);
        match read {
            Ok(Some(bytes)) if bytes == content(version.content) => Ok(()),
            Ok(Some(_)) => {
                Err(Violation::new("nothing but the stored bytes comes back", format_args!("{version:?}")))
            }
            Ok(None) => {
                Err(Violation::new("a promised version is in its commit", format_args!("{version:?}")))
            }
            Err(_) if excused => Ok(()),
            Err(error) => Err(Violation::new(
                "a promised version can be restored",
                format_args!("{version:?}: {error}"),
            )),
        }
    }

    fn pass(&mut self, micros: i64, trouble: Option<Trouble>) -> Result<(), Violation> {
        self.count("pass");
        let mut left = micros;
        let mut trouble = trouble;
        while left > 0 {
            let today = self.truth.now().as_micros() / DAY;
            let tomorrow = (today + 1) * DAY - self.truth.now().as_micros();
            let passed = left.min(tomorrow);
            self.truth.pass(passed);
            left -= passed;
            if self.truth.now().as_micros() / DAY > self.renewed_day {
                self.renewed_day = self.truth.now().as_micros() / DAY;
                self.renew(trouble.take())?;
                if self.renewed_day % RELEASE_DAYS == 0 {
                    self.release(None)?;
                    self.reap_lapsed(None, None)?;
                }
            }
        }
        Ok(())
    }

    fn lengthen(&mut self, days: u32) -> Result<(), Violation> {
        self.count("lengthen");
        let writer = self
            .open_writer(self.hosts[0].clock.clone(), self.store.clone())
            .and_then(|writer| writer.lengthen(days).map(|count| (writer, count)));
        match writer {
            Ok((writer, count)) => {
                self.trace.note(format_args!("     lengthened {count}"));
                // The next commits say so; until then the promise is the old one.
                self.hosts[0].writer = Some(writer);
                Ok(())
            }
            Err(error) => Err(Violation::new("the retention can be lengthened", error)),
        }
    }

    /// Returns the name of an object of the vault.
    pub(crate) fn object(text: &str) -> Result<BlobName, Violation> {
        BlobName::new(text).map_err(|e| Violation::new("names are names", e))
    }
}
