use std::sync::{MutexGuard, PoisonError};

use blobs::MemoryStore;
use catalog::{Applied, EventFilter, Version};
use model::{Attribution, Moment, Severity};
use ports::{BlobStore, ManualClock, SeededRandom};
use vault::{InitOptions, NewVault, Vault, VaultReader, WriterOptions};

use super::*;

/// A vault, a state folder and a catalog, as one source has them.
pub(crate) struct World {
    store: Arc<dyn BlobStore>,
    keys: NewVault,
    random: Arc<SeededRandom>,
    catalog: Arc<Mutex<Catalog>>,
    pub(crate) journal_options: JournalOptions,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) source: SourceName,
}

/// Runs of a log by their starts.
pub(crate) type Log = Vec<(u64, Vec<u8>)>;

/// A reader that does what a test says.
pub(crate) struct Script<F>(F);

/// Makes a reader out of a function.
pub(crate) fn script<F>(work: F) -> Script<F>
where
    F: FnMut(Option<&connect::Cursor>, &mut dyn ChangeSink) -> Result<ReadEnd, ReadError>,
{
    Script(work)
}

impl<F> SourceReader for Script<F>
where
    F: FnMut(Option<&connect::Cursor>, &mut dyn ChangeSink) -> Result<ReadEnd, ReadError>,
{
    fn changes(
        &mut self,
        cursor: Option<&connect::Cursor>,
        sink: &mut dyn ChangeSink,
        _stop: &Stop,
    ) -> Result<ReadEnd, ReadError> {
        (self.0)(cursor, sink)
    }
}

/// Ends a session well.
pub(crate) fn end(session: Session) -> CaptureReport {
    session.run(&mut script(|_, _| Ok(ReadEnd::Stopped)), &Stop::default()).unwrap().1
}

impl World {
    pub(crate) fn new() -> Self {
        Self::in_store(Arc::new(MemoryStore::new()))
    }

    pub(crate) fn in_store(store: Arc<dyn BlobStore>) -> Self {
        let random = Arc::new(SeededRandom::new(1));
        let keys = vault::init(&*store, InitOptions { lock_days: 1 }, &clock(), &*random).unwrap();
        Self {
            store,
            keys,
            random,
            catalog: Arc::new(Mutex::new(Catalog::in_memory().unwrap())),
            journal_options: JournalOptions { spare_files: 0, ..JournalOptions::default() },
            folder: tempfile::tempdir().unwrap(),
            source: SourceName::new("shop").unwrap(),
        }
    }

    pub(crate) fn writer(&self) -> VaultWriter {
        let random = Arc::clone(&self.random) as Arc<dyn ports::Random>;
        let store = Arc::clone(&self.store);
        let options = WriterOptions { compression_level: 1, ..WriterOptions::default() };
        VaultWriter::open(store, &self.keys.capture_key, Arc::new(clock()), random, options).unwrap()
    }

    pub(crate) fn session(&self) -> Session {
        let random = Arc::clone(&self.random) as Arc<dyn ports::Random>;
        let catalog = Arc::clone(&self.catalog);
        let options =
            SessionOptions { state_folder: self.folder.path().to_owned(), journal: self.journal_options };
        let (key, source) = (&self.keys.capture_key, self.source.clone());
        Session::open(Arc::new(self.writer()), key, source, catalog, random, &options).unwrap()
    }

    pub(crate) fn vault(&self) -> Vault {
        Vault::open(Arc::clone(&self.store)).unwrap()
    }

    pub(crate) fn catalog(&self) -> MutexGuard<'_, Catalog> {
        self.catalog.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reader(&self) -> VaultReader {
        VaultReader::open(Arc::clone(&self.store), &self.keys.restore_key).unwrap()
    }

    pub(crate) fn read(&self, version: &Version) -> Vec<u8> {
        self.reader().read_all(version.content.as_ref().unwrap()).unwrap()
    }

    pub(crate) fn events(&self) -> Vec<Event> {
        let filter = EventFilter { from: None, until: None, severity: Severity::Routine, limit: 100 };
        self.catalog().events(filter).unwrap()
    }

    /// Returns the log as the catalog that was fed live finds it.
    pub(crate) fn log(&self) -> Log {
        self.log_of(&self.catalog())
    }

    /// Returns the log as a catalog made from the vault alone finds it.
    pub(crate) fn rebuilt_log(&self) -> Log {
        let reader = self.reader();
        let mut catalog = Catalog::in_memory().unwrap();
        for sequence in 1..=reader.vault().last_sequence(&self.source).unwrap() {
            let (commit, body) = reader.commit(&self.source, sequence).unwrap();
            catalog.apply(&Applied::from(&commit), body.changes).unwrap();
        }
        self.log_of(&catalog)
    }

    fn log_of(&self, catalog: &Catalog) -> Log {
        let versions = catalog.live_runs(&wal(), 0, u64::MAX).unwrap();
        let run = |version: &Version| crate::LogRun::of_attributes(&version.item.attributes).unwrap();
        versions.iter().map(|version| (run(version).start, self.read(version))).collect()
    }

    /// Returns what a next session would replay.
    pub(crate) fn journal(&self) -> Log {
        let mut found = Vec::new();
        let folder = self.folder.path().join("journal");
        let each = |_: &StreamName, offset, bytes: &[u8]| found.push((offset, bytes.to_vec()));
        vault::journal::recover(&folder, &self.reader(), each).unwrap();
        found
    }

    pub(crate) fn journal_bytes(&self) -> usize {
        self.journal().iter().map(|(_, bytes)| bytes.len()).sum()
    }
}

fn clock() -> ManualClock {
    ManualClock::new(Moment::from_micros(1_750_000_000_000_000))
}

pub(crate) fn wal() -> StreamName {
    StreamName::new("wal/1").unwrap()
}

pub(crate) fn item(stream: &str, key: &str) -> Item {
    Item { stream: StreamName::new(stream).unwrap(), key: key.to_owned(), attributes: "{}".to_owned() }
}

pub(crate) fn cursor(text: &str) -> connect::Cursor {
    connect::Cursor(text.to_owned())
}

/// Bytes of which each one tells where it belongs.
pub(crate) fn pattern(start: u64, length: usize) -> Vec<u8> {
    let byte = |position: u64| (position.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as u8;
    (start..start + length as u64).map(byte).collect()
}

pub(crate) fn event(position: &str) -> Event {
    Event {
        at: Moment::from_micros(5),
        position: position.to_owned(),
        transaction: "7".to_owned(),
        scope: "shop".to_owned(),
        effects: Vec::new(),
        severity: Severity::Routine,
        actor: None,
        attribution: Attribution::Unknown,
        statement: None,
    }
}
