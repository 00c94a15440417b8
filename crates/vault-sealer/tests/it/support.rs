use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use blobs::{LocalStore, Protection};
use model::{Item, Moment, SourceName, StreamName};
use ports::{BlobStore, Boot, Clock, SeededRandom, SystemClock};
use vault::{InitOptions, Layout, NewVault, VaultWriter, WriterOptions, init};
use vault_sealer::{NoReaping, ReapGate, Sealer, SealerOptions, SealerSocket};

/// Returns whether this can be run, and says so where it cannot.
#[expect(clippy::print_stdout, reason = "a test that is not run says why")]
pub(crate) fn is_root() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        println!("not run: setting immutable flags takes root");
    }
    is_root
}

/// A clock whose wall time jumps without its elapsed time: somebody else's hand is on it.
pub(crate) struct TwoClocks {
    wall: AtomicI64,
    elapsed: AtomicI64,
}

impl TwoClocks {
    pub(crate) fn new() -> Self {
        Self { wall: AtomicI64::new(SystemClock::new().now().as_micros()), elapsed: AtomicI64::new(0) }
    }

    pub(crate) fn jump(&self, micros: i64) {
        self.wall.fetch_add(micros, Ordering::SeqCst);
    }

    pub(crate) fn pass(&self, micros: i64) {
        self.jump(micros);
        self.elapsed.fetch_add(micros, Ordering::SeqCst);
    }
}

impl Clock for TwoClocks {
    fn now(&self) -> Moment {
        Moment::from_micros(self.wall.load(Ordering::SeqCst))
    }

    fn elapsed(&self) -> Duration {
        Duration::from_micros(self.elapsed.load(Ordering::SeqCst).unsigned_abs())
    }

    fn sleep(&self, duration: Duration) {
        SystemClock::new().sleep(duration);
    }

    fn boot(&self) -> Boot {
        Boot { id: "one".to_owned(), running: self.elapsed() }
    }
}

/// A vault that a sealer guards.
pub(crate) struct World {
    folder: tempfile::TempDir,
    pub(crate) clock: Arc<TwoClocks>,
    pub(crate) sealer: Arc<Sealer>,
    stop: Arc<AtomicBool>,
    serving: Option<JoinHandle<()>>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(Box::new(NoReaping), vec![0])
    }

    pub(crate) fn with(gate: Box<dyn ReapGate>, allowed: Vec<u32>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(TwoClocks::new());
        let sealer = Arc::new(Sealer::open(&options(folder.path()), clock.clone(), gate).unwrap());
        let socket = SealerSocket::bind(&folder.path().join("socket"), allowed).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let serving = std::thread::spawn({
            let (sealer, clock, stop) = (Arc::clone(&sealer), Arc::clone(&clock), Arc::clone(&stop));
            move || socket.serve(&sealer, &*clock, &stop).unwrap()
        });
        Self { folder, clock, sealer, stop, serving: Some(serving) }
    }

    /// Opens the same folder again, as after a restart.
    pub(crate) fn reopen(&self, gate: Box<dyn ReapGate>) -> Sealer {
        Sealer::open(&options(self.folder.path()), self.clock.clone(), gate).unwrap()
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().join("vault")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    pub(crate) fn store(&self) -> Arc<LocalStore> {
        Arc::new(LocalStore::open(&self.root(), Protection::Sealer(self.socket())).unwrap())
    }

    pub(crate) fn init(&self) -> (NewVault, VaultWriter) {
        let random = Arc::new(SeededRandom::new(3));
        let store: Arc<dyn BlobStore> = self.store();
        let keys = init(&*store, InitOptions { lock_days: 30 }, &*self.clock, &*random).unwrap();
        let options = WriterOptions { threads: 0, ..WriterOptions::default() };
        let writer = VaultWriter::open(store, &keys.capture_key, self.clock.clone(), random, options);
        (keys, writer.unwrap())
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(serving) = self.serving.take() {
            serving.join().unwrap();
        }
        // The test's own hands are not tied: it still has the capability.
        for flags in ["-i", "-a"] {
            let status = Command::new("chattr").arg("-R").arg(flags).arg(self.folder.path()).status();
            assert!(status.unwrap().success());
        }
    }
}

fn options(folder: &Path) -> SealerOptions {
    SealerOptions { vault: folder.join("vault"), state: folder.join("state"), lock_days_max: 3_653 }
}

pub(crate) fn commit(writer: &VaultWriter, bytes: &[u8]) -> vault::CommitReceipt {
    let mut commit = writer.begin(&SourceName::new("shop").unwrap());
    let content = commit.store_bytes(Layout::Small, bytes).unwrap();
    let stream = StreamName::new("base").unwrap();
    let item = Item { stream, key: "a".to_owned(), attributes: "{}".to_owned() };
    commit.upsert(item, content).unwrap();
    commit.finish(&vault::Cursor(b"c".to_vec())).unwrap()
}
