//! The host that keeps time, renews locks, and releases and reaps what nobody needs any more.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use blobs::{FaultCall, FaultStore, WormStore};
use model::{Moment, SourceName};
use ports::{BlobError, Clock, LapsedBlobs, LapsedProof, TimeError, TimeSource};
use ring::signature::{Ed25519KeyPair, KeyPair};
use vault::{
    CommitReceipt, CommitWriter, RestoreKey, Vault, VaultReader, WriteError,
    quorum::{Answer, Consent, PURPOSE, Question, Quorum},
    reap::{Lapsed, ReapError, Reaper, ReaperMemory},
    retention::{NoSuccession, RenewalOptions, RetentionLog, Statement, confirm_question, lock_until, renew},
    time::{TimeReading, TimeRecord, TimeRecordError, TimeState, VaultClock},
};

use crate::{
    Violation, World,
    action::{Commit, Trouble},
    clock::{DAY, HostClock, Truth},
};

/// What the keeper remembers between its runs.
pub(crate) struct Keeper {
    pub(crate) clock: Arc<HostClock>,
    remembered: Remembered,
    pub(crate) memory: ReaperMemory,
}

/// Vault time as a file would hold it.
#[derive(Debug, Clone, Default)]
struct Remembered(Arc<Mutex<Option<TimeState>>>);

impl TimeRecord for Remembered {
    fn load(&self) -> Result<Option<TimeState>, TimeRecordError> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    fn save(&self, state: &TimeState) -> Result<(), TimeRecordError> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(state.clone());
        Ok(())
    }
}

/// The clock of the object store, which tells true time.
struct StoreTime(Arc<Truth>);

impl TimeSource for StoreTime {
    fn name(&self) -> String {
        "the object store".to_owned()
    }

    fn read(&self) -> Result<Moment, TimeError> {
        Ok(self.0.now())
    }
}

/// Something that happens while the reaper stands before its first removal.
type Before = Box<dyn FnOnce() + Send>;
/// What became of a commit that ran beside something else.
type Raced = Result<CommitReceipt, WriteError>;

/// The reaper's way into the store, which fails like every other.
struct Door {
    store: Arc<WormStore>,
    faults: Arc<FaultStore>,
    before: Mutex<Option<Before>>,
}

impl LapsedBlobs<Lapsed> for Door {
    fn reap(&self, proof: Lapsed) -> Result<(), BlobError> {
        let before = self.before.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(before) = before {
            before();
        }
        let name = proof.name().to_string();
        self.faults.disturb(FaultCall::Reap, &name, || self.store.reap(proof))
    }
}

impl Keeper {
    pub(crate) fn new(truth: &Arc<Truth>) -> Self {
        Self {
            clock: Arc::new(HostClock::new(Arc::clone(truth))),
            remembered: Remembered::default(),
            memory: ReaperMemory::in_memory(),
        }
    }

    /// Returns a keeper that remembers the same.
    pub(crate) fn fork(&self, truth: &Arc<Truth>) -> Self {
        let keeper = Self { memory: self.memory.branch(), ..Self::new(truth) };
        let state = self.remembered.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        *keeper.remembered.0.lock().unwrap_or_else(PoisonError::into_inner) = state;
        keeper
    }

    fn vault_clock(&self, truth: &Arc<Truth>) -> VaultClock {
        let clock: Arc<dyn Clock> = self.clock.clone();
        let store: Arc<dyn TimeSource> = Arc::new(StoreTime(Arc::clone(truth)));
        VaultClock::new(clock, vec![store], Box::new(self.remembered.clone()))
    }

    fn time(&self, truth: &Arc<Truth>, log: &RetentionLog) -> Result<TimeReading, Violation> {
        self.vault_clock(truth).read(log.last_at()).map_err(|e| Violation::new("vault time can be told", e))
    }
}

impl World {
    /// Names the people whose word counts, and looks at the clocks for the first time.
    pub(crate) fn found(&mut self) -> Result<(), Violation> {
        let (vault, mut log) = self.retention_log()?;
        let time = self.keeper.time(&self.truth, &log)?;
        let people = Statement::People { quorum: quorum(), answers: Vec::new() };
        self.append(&vault, &mut log, &time, people)
    }

    /// What runs once a day: locks follow what is live, by the latest time that any clock tells.
    pub(crate) fn renew(&mut self, trouble: Option<Trouble>) -> Result<(), Violation> {
        self.count("renew");
        let (_, log) = self.retention_log()?;
        let latest = self.keeper.time(&self.truth, &log)?.latest;
        self.set(trouble);
        let options = RenewalOptions { threads: 1, look_only: false };
        let renewed = Vault::open(self.faults.clone()).and_then(|vault| {
            let log = RetentionLog::read(&vault)?;
            renew(&vault, &log, latest, options, &|_, _| {})
        });
        let excused = self.heal();
        match renewed {
            Ok(report) => {
                self.trace.note(format_args!("     renewed {} of {}", report.renewed, report.objects));
                if !excused {
                    self.reference.renewed();
                }
                match report.failures.first() {
                    Some(failure) if !excused => {
                        Err(Violation::new("locks can be renewed", format_args!("{failure:?}")))
                    }
                    _ => Ok(()),
                }
            }
            Err(error) => self.excuse_keeper("locks can be renewed", &error, excused),
        }
    }

    /// Lets the windows of what nobody needs begin to run out.
    pub(crate) fn release(&mut self, trouble: Option<Trouble>) -> Result<(), Violation> {
        self.count("release");
        let (_, log) = self.retention_log()?;
        let time = self.keeper.time(&self.truth, &log)?;
        self.set(trouble);
        let released = self
            .keeper_reader()
            .and_then(|reader| Reaper::new(&reader, &time)?.release(&mut NoSuccession, &mut |_| {}));
        let excused = self.heal();
        match released {
            Ok(report) => {
                let (released, recalled) = (report.released.len(), report.recalled.len());
                self.trace.note(format_args!("     released {released}, recalled {recalled}"));
                *self.counts.entry("released packs").or_default() += released as u64;
                Ok(())
            }
            Err(error) => self.excuse_keeper("what nobody needs can be released", &error, excused),
        }
    }

    /// Removes what has lapsed; `racing` is a commit that ends just before the first removal.
    pub(crate) fn reap_lapsed(
        &mut self,
        trouble: Option<Trouble>,
        racing: Option<&Commit>,
    ) -> Result<(), Violation> {
        self.count("reap");
        let (_, log) = self.retention_log()?;
        let time = self.keeper.time(&self.truth, &log)?;
        let cursor = self.next_cursor();
        let open = racing.map(|commit| {
            let writer = self.open_writer(self.hosts[commit.host].clock.clone(), self.store.clone())?;
            self.fill(&writer, commit)
        });
        let raced: Arc<Mutex<Option<Raced>>> = Arc::default();
        let before = open.map(|open: Result<_, WriteError>| {
            let (raced, cursor) = (Arc::clone(&raced), cursor.clone());
            Box::new(move || {
                let outcome = open.and_then(|open: CommitWriter| open.finish(&cursor));
                *raced.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
            }) as Before
        });
        self.set(trouble);
        let reader = self.keeper_reader();
        let mut memory = std::mem::replace(&mut self.keeper.memory, ReaperMemory::in_memory());
        let door = Door {
            store: Arc::clone(&self.store),
            faults: Arc::clone(&self.faults),
            before: Mutex::new(before),
        };
        let reaped = reader.and_then(|reader| {
            Reaper::new(&reader, &time)?.reap_lapsed(&door, &mut memory, &mut NoSuccession, &mut |_| {})
        });
        let left = door.before.into_inner().unwrap_or_else(PoisonError::into_inner);
        self.keeper.memory = memory;
        let excused = self.heal();
        // With nothing to remove the commit ends all the same.
        if let Some(before) = left {
            before();
        }
        let raced = raced.lock().unwrap_or_else(PoisonError::into_inner).take();
        let reaped = match reaped {
            Ok(report) => {
                let (reaped, refused) = (report.reaped.len(), report.refused.len());
                self.trace.note(format_args!("     reaped {reaped}, refused {refused}"));
                *self.counts.entry("reaped packs").or_default() += reaped as u64;
                Ok(())
            }
            Err(error) => self.excuse_keeper("what has lapsed can be reaped", &error, excused),
        };
        if let (Some(commit), Some(outcome)) = (racing, raced) {
            let disturbance = self.last_disturbance;
            self.settle(commit, &cursor, outcome)?;
            self.last_disturbance = disturbance;
        }
        reaped
    }

    /// People look at what stands still, and let it go on.
    pub(crate) fn agree(&mut self) -> Result<(), Violation> {
        self.count("agree");
        let (vault, mut log) = self.retention_log()?;
        let id = vault.manifest().vault;
        let time = self.keeper.time(&self.truth, &log)?;
        // People look at a clock on the wall: they thaw once the machine's own is right again.
        if let Some(freeze) = time.frozen
            && self.keeper.clock.error_micros().abs() < DAY / 24
        {
            let question = freeze.question();
            let consent = consent(&vault, &question)?;
            self.keeper
                .vault_clock(&self.truth)
                .thaw(&consent)
                .map_err(|e| Violation::new("people can end a freeze", e))?;
            self.trace.note("     thawed");
        }
        let time = self.keeper.time(&self.truth, &log)?;
        let sources: Vec<SourceName> = self.reference.sources().cloned().collect();
        for source in sources {
            let sequence = self.reference.log(&source).len() as u64;
            if log.confirmed(&source) < sequence && !log.is_broken() {
                let answers = vec![answer(&id, &confirm_question(&source, sequence))];
                self.append(&vault, &mut log, &time, Statement::Confirm { source, sequence, answers })?;
            }
        }
        Ok(())
    }

    /// With the restore key: everything is released, and long ago.
    pub(crate) fn release_all_back_dated(&mut self, days: i64) -> Result<(), Violation> {
        let (vault, mut log) = self.retention_log()?;
        if log.is_broken() {
            return Ok(());
        }
        let packs = vault
            .store()
            .list("data/")
            .map_err(|e| Violation::new("the store lists", e))?
            .iter()
            .filter_map(|blob| blob.name.as_str().rsplit('/').next()?.parse().ok())
            .collect();
        let surveyed = self
            .reference
            .sources()
            .map(|source| vault::retention::Surveyed {
                source: source.clone(),
                sequence: self.reference.log(source).len() as u64,
                live_items: 1,
            })
            .collect();
        let mut time = self.keeper.time(&self.truth, &log)?;
        time.now = time.now.plus_micros(-days * DAY);
        self.append(&vault, &mut log, &time, Statement::Release { packs, surveyed })
    }

    fn append(
        &mut self,
        vault: &Vault,
        log: &mut RetentionLog,
        time: &TimeReading,
        statement: Statement,
    ) -> Result<(), Violation> {
        let failed = |e: &dyn fmt::Display| Violation::new("the owner can sign", e);
        let owner = self.reader()?.owner().map_err(|e| failed(&e))?.ok_or_else(|| failed(&"no owner"))?;
        let until = lock_until(time.latest, self.lock_days);
        log.append(vault, &owner, time.now, until, statement).map_err(|e| failed(&e))?;
        Ok(())
    }

    pub(crate) fn retention_log(&self) -> Result<(Vault, RetentionLog), Violation> {
        let vault = self.vault()?;
        let log =
            RetentionLog::read(&vault).map_err(|e| Violation::new("the log of retention is read", e))?;
        Ok((vault, log))
    }

    fn keeper_reader(&self) -> Result<VaultReader, ReapError> {
        let key: &RestoreKey = &self.keys.restore_key;
        Ok(VaultReader::open(self.faults.clone(), key)?)
    }

    /// The keeper may stand still, for a reason that the world knows: then everything stays.
    fn excuse_keeper(
        &mut self,
        invariant: &'static str,
        error: &dyn std::error::Error,
        excused: bool,
    ) -> Result<(), Violation> {
        let error = vault::error_text(error);
        self.trace.note(format_args!("     not done: {error}"));
        let frozen = error.contains("frozen");
        // Bytes of somebody else under the name of a commit or of an entry: nobody knows what they would need.
        let blocked = !self.blocked.is_empty() || self.planted.iter().any(|name| name.starts_with("log/"));
        if excused || frozen || blocked || !self.destroyed.is_empty() {
            return Ok(());
        }
        Err(Violation::new(invariant, error))
    }
}

fn quorum() -> Quorum {
    Quorum { threshold: 1, people: [("anna".to_owned(), public())].into() }
}

#[expect(clippy::expect_used, reason = "a seed of 32 bytes is a key")]
fn person() -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[1; 32]).expect("a key")
}

fn public() -> String {
    vault::hex(person().public_key().as_ref())
}

fn answer(vault: &vault::VaultId, question: &Question) -> Answer {
    let message = [PURPOSE.as_bytes(), &[0], &question.message(vault)].concat();
    Answer { public: public(), signature: vault::hex(person().sign(&message).as_ref()) }
}

fn consent(vault: &Vault, question: &Question) -> Result<Consent, Violation> {
    let id = vault.manifest().vault;
    quorum()
        .consent(&id, question, &[answer(&id, question)])
        .map_err(|e| Violation::new("people can agree", e))
}
