use std::sync::{Arc, Mutex};

use blobs::{MemoryReaper, MemoryStore};
use model::Moment;
use ports::{BlobStore, Clock};
use ring::signature::{Ed25519KeyPair, KeyPair};
use vault::{
    Change, Layout, Vault,
    quorum::{Answer, PURPOSE, Quorum},
    reap::{ReapError, ReapReport, Reaper, ReaperMemory, ReleaseReport},
    retention::{
        DAY_MICROS, NoSuccession, RenewalOptions, RenewalReport, RetentionLog, Statement, lock_until, renew,
    },
    time::{TimeReading, TimeRecord, TimeRecordError, TimeState, VaultClock},
    verify::{Depth, Finding, verify},
};

use crate::support::{LOCK_DAYS, World, cursor, item, put, shop};

pub(crate) const WINDOW_DAYS: u32 = LOCK_DAYS;

/// Vault time as a process would remember it, without a disk.
#[derive(Clone, Default)]
struct Remembered(Arc<Mutex<Option<TimeState>>>);

impl TimeRecord for Remembered {
    fn load(&self) -> Result<Option<TimeState>, TimeRecordError> {
        Ok(self.0.lock().unwrap().clone())
    }

    fn save(&self, state: &TimeState) -> Result<(), TimeRecordError> {
        *self.0.lock().unwrap() = Some(state.clone());
        Ok(())
    }
}

/// A vault in memory whose store enforces its locks, with everything that retention needs.
pub(crate) struct Scene {
    pub(crate) world: World,
    pub(crate) memory: Arc<MemoryStore>,
    remembered: Remembered,
}

impl Scene {
    pub(crate) fn new(seed: u64) -> Self {
        let memory = Arc::new(MemoryStore::new());
        let world = World::in_store(Arc::clone(&memory) as Arc<dyn BlobStore>, seed);
        let scene = Self { world, memory, remembered: Remembered::default() };
        scene.time();
        scene
    }

    pub(crate) fn vault(&self) -> Vault {
        Vault::open(self.world.store.clone()).unwrap()
    }

    pub(crate) fn now(&self) -> Moment {
        self.world.clock.now()
    }

    pub(crate) fn pass_days(&self, days: i64) {
        self.world.clock.advance_micros(days * DAY_MICROS);
    }

    fn owner(&self) -> Ed25519KeyPair {
        self.world.reader().owner().unwrap().unwrap()
    }

    pub(crate) fn time(&self) -> TimeReading {
        self.vault_clock().read(self.log().last_at()).unwrap()
    }

    fn vault_clock(&self) -> VaultClock {
        let clock: Arc<dyn Clock> = self.world.clock.clone();
        VaultClock::new(clock, Vec::new(), Box::new(self.remembered.clone()))
    }

    /// One person, whose word is enough here, ends a freeze.
    pub(crate) fn thaw(&self) {
        let Some(freeze) = self.time().frozen else { return };
        let person = Ed25519KeyPair::from_seed_unchecked(&[1; 32]).unwrap();
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let public = hex(person.public_key().as_ref());
        let (vault, question) = (self.vault().manifest().vault, freeze.question());
        let message = [PURPOSE.as_bytes(), &[0], &question.message(&vault)].concat();
        let answer = Answer { public: public.clone(), signature: hex(person.sign(&message).as_ref()) };
        let quorum = Quorum { threshold: 1, people: [("anna".to_owned(), public)].into() };
        let consent = quorum.consent(&vault, &question, &[answer]).unwrap();
        assert!(self.vault_clock().thaw(&consent).unwrap().is_some());
    }

    pub(crate) fn log(&self) -> RetentionLog {
        RetentionLog::read(&self.vault()).unwrap()
    }

    pub(crate) fn append(&self, statement: Statement) -> u64 {
        self.log().append(&self.vault(), &self.owner(), self.now(), self.lock(), statement).unwrap()
    }

    pub(crate) fn append_at(&self, at: Moment, statement: Statement) {
        self.log().append(&self.vault(), &self.owner(), at, self.lock(), statement).unwrap();
    }

    pub(crate) fn append_as(&self, signer: &Ed25519KeyPair, statement: Statement) {
        self.log().append(&self.vault(), signer, self.now(), self.lock(), statement).unwrap();
    }

    fn lock(&self) -> Moment {
        lock_until(self.now(), WINDOW_DAYS)
    }

    /// Commits versions of items, each a pack of its own: a number, or nothing for an item that is gone.
    pub(crate) fn commit(&self, versions: &[(&str, Option<u8>)]) {
        let writer = self.world.writer();
        let mut commit = writer.begin(&shop());
        for (key, version) in versions {
            match version {
                Some(byte) => put(&mut commit, key, Layout::Small, &[*byte; 2000]),
                None => commit.remove(item("base", key).stream, *key).unwrap(),
            }
        }
        commit.finish(&cursor("")).unwrap();
    }

    /// Reads the live version of an item back, byte for byte.
    pub(crate) fn restore(&self, key: &str) -> Option<u8> {
        let reader = self.world.reader();
        let mut live = None;
        for commit in reader.vault().commits(&shop()).unwrap() {
            for change in reader.body(&commit.unwrap()).unwrap().changes {
                match change {
                    Change::Upsert { item, content } if item.key == key => live = Some(content),
                    Change::Removed { key: gone, .. } if gone == key => live = None,
                    _ => {}
                }
            }
        }
        let bytes = reader.read_all(&live?).unwrap();
        assert!(bytes.len() == 2000 && bytes.iter().all(|byte| *byte == bytes[0]));
        Some(bytes[0])
    }

    pub(crate) fn renew(&self) -> RenewalReport {
        self.renew_with(RenewalOptions { threads: 1, look_only: false })
    }

    pub(crate) fn look(&self) -> RenewalReport {
        self.renew_with(RenewalOptions { threads: 1, look_only: true })
    }

    fn renew_with(&self, options: RenewalOptions) -> RenewalReport {
        renew(&self.vault(), &self.log(), self.time().latest, options, &|_, _| {}).unwrap()
    }

    pub(crate) fn release(&self) -> Result<ReleaseReport, ReapError> {
        let (reader, time) = (self.world.reader(), self.time());
        let reaper = Reaper::new(&reader, &time)?;
        reaper.release(&mut NoSuccession, &mut |_| {})
    }

    pub(crate) fn reap(&self, memory: &mut ReaperMemory) -> Result<ReapReport, ReapError> {
        let (reader, time) = (self.world.reader(), self.time());
        let clock: Arc<dyn Clock> = self.world.clock.clone();
        let blobs = MemoryReaper::new(Arc::clone(&self.memory), clock);
        let reaper = Reaper::new(&reader, &time)?;
        reaper.reap_lapsed(&blobs, memory, &mut NoSuccession, &mut |_| {})
    }

    /// Returns what is wrong with the vault; that reaped packs are gone is not.
    pub(crate) fn findings(&self) -> Vec<Finding> {
        let reader = self.world.reader();
        let report = verify(reader.vault(), Some(&reader), Depth::ReadData, &mut |_| {}).unwrap();
        report.findings
    }
}
