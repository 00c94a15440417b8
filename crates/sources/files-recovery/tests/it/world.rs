use std::{
    collections::BTreeMap,
    io::Read,
    os::unix::{
        ffi::OsStrExt,
        fs::{MetadataExt, symlink},
    },
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use blobs::MemoryStore;
use capture::{CaptureError, CaptureReport, Session, SessionOptions};
use catalog::Catalog;
use connect::{ChangeSink, LogTail, ReadEnd, ReadError, Silent, SinkError, SourceReader, Stop};
use files_recovery::{RestoreError, RestoreOptions, Restored, restore_tree};
use model::{Event, Item, Layout, Moment, SourceName, StreamName, UnreadableReason};
use ports::{BlobStore, ManualClock, SeededRandom};
use service::StoredSource;
use source_files::{FilesReader, FilesSettings, Pattern};
use vault::{InitOptions, NewVault, VaultReader, VaultWriter, WriterOptions, journal::JournalOptions};

/// A tree, and a vault that protects it.
pub(crate) struct World {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) excludes: Vec<Pattern>,
    pub(crate) checkpoint_changes: u64,
    keys: NewVault,
    random: Arc<SeededRandom>,
    restores: std::cell::Cell<u32>,
}

/// What one sees of an entry: kind and mode, time, and content or target.
pub(crate) type Seen = (u32, i64, Vec<u8>);

/// A time at which every file of these tests is old.
const LATER: Moment = Moment::from_micros(4_000_000_000_000_000);

impl World {
    pub(crate) fn new() -> Self {
        let store = Arc::new(MemoryStore::new());
        let random = Arc::new(SeededRandom::new(5));
        let clock = ManualClock::new(LATER);
        let keys = vault::init(&*store, InitOptions { lock_days: 1 }, &clock, &*random).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("tree")).unwrap();
        Self {
            folder,
            store,
            excludes: Vec::new(),
            checkpoint_changes: 1000,
            keys,
            random,
            restores: std::cell::Cell::new(0),
        }
    }

    pub(crate) fn tree(&self) -> PathBuf {
        self.folder.path().join("tree")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    pub(crate) fn put(&self, path: &str, content: &[u8]) {
        let path = self.tree().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        drop(std::fs::remove_file(&path));
        ports::files::create_new(&path, content, 0o640).unwrap();
    }

    pub(crate) fn link(&self, path: &str, target: &str) {
        symlink(target, self.tree().join(path)).unwrap();
    }

    pub(crate) fn reader_of(&self, root: PathBuf) -> FilesReader {
        let catalog = self.catalog();
        let known = move |after: Option<&str>, limit: u32| {
            let page = catalog.listed_at(&stream(), u64::MAX, after, limit).unwrap();
            Ok(page.into_iter().map(|(item, _)| item.key).collect())
        };
        let settings = FilesSettings {
            root,
            excludes: self.excludes.clone(),
            own_folders: vec![self.state()],
            state_folder: self.state().join("listings"),
            checkpoint_changes: self.checkpoint_changes,
            clock: Arc::new(ManualClock::new(LATER)),
            random: Arc::clone(&self.random) as _,
        };
        FilesReader::new(settings).with_known_keys(Box::new(known))
    }

    pub(crate) fn run(
        &self,
        reader: &mut dyn SourceReader,
    ) -> Result<(ReadEnd, CaptureReport), CaptureError> {
        let (clock, random) = (Arc::new(ManualClock::new(LATER)), Arc::clone(&self.random));
        let options = WriterOptions { pack_bytes_target: 1 << 20, ..WriterOptions::default() };
        let store = Arc::clone(&self.store) as Arc<dyn BlobStore>;
        let writer = VaultWriter::open(store, &self.keys.capture_key, clock, random, options).unwrap();
        let options = SessionOptions { state_folder: self.state(), journal: JournalOptions::default() };
        let catalog = Arc::new(Mutex::new(self.catalog()));
        let random = Arc::clone(&self.random) as _;
        Session::open(Arc::new(writer), &self.keys.capture_key, docs(), catalog, random, &options)?
            .run(reader, &Stop::default())
    }

    pub(crate) fn capture(&self) -> CaptureReport {
        let (end, report) = self.run(&mut self.reader_of(self.tree())).unwrap();
        assert_eq!(end, ReadEnd::UpToDate);
        assert_eq!(report.catalog_stale, None);
        report
    }

    pub(crate) fn catalog(&self) -> Catalog {
        ports::files::create_folder(&self.state()).unwrap();
        Catalog::open(&self.state().join("catalog.sqlite")).unwrap()
    }

    pub(crate) fn stored(&self) -> StoredSource {
        let reader = VaultReader::open(Arc::clone(&self.store) as _, &self.keys.restore_key).unwrap();
        StoredSource::new(self.catalog(), reader)
    }

    pub(crate) fn restore_at(&self, at: u64) -> Result<(Restored, PathBuf), RestoreError> {
        let number = self.restores.get();
        self.restores.set(number + 1);
        let to = self.folder.path().join(format!("restored-{number}"));
        let restored = restore_tree(&self.stored(), &stream(), at, &to, RestoreOptions::default(), &Silent)?;
        Ok((restored, to))
    }

    pub(crate) fn latest(&self) -> u64 {
        self.catalog().last_sequence().unwrap()
    }

    /// Brings everything back and compares it with the tree as it is.
    pub(crate) fn check(&self) {
        let (restored, to) = self.restore_at(self.latest()).unwrap();
        assert_eq!(restored.refused, Vec::<String>::new());
        assert_eq!(seen(&to), seen(&self.tree()));
    }
}

pub(crate) fn docs() -> SourceName {
    SourceName::new("docs").unwrap()
}

pub(crate) fn stream() -> StreamName {
    source_files::stream().unwrap()
}

/// Looks at everything below a folder.
pub(crate) fn seen(root: &Path) -> BTreeMap<Vec<u8>, Seen> {
    let mut all = BTreeMap::new();
    let mut pending = vec![root.to_owned()];
    while let Some(path) = pending.pop() {
        let metadata = path.symlink_metadata().unwrap();
        let content = if metadata.is_dir() {
            pending.extend(path.read_dir().unwrap().map(|entry| entry.unwrap().path()));
            Vec::new()
        } else if metadata.is_symlink() {
            path.read_link().unwrap().as_os_str().as_bytes().to_vec()
        } else {
            ports::files::read(&path).unwrap()
        };
        let relative = path.strip_prefix(root).unwrap().as_os_str().as_bytes().to_vec();
        let time = metadata.mtime() * 1_000_000_000 + metadata.mtime_nsec();
        all.insert(relative, (metadata.mode(), time, content));
    }
    all
}

/// Counts what a report's commits hold: stored, unchanged, unreadable.
pub(crate) fn counts(report: &CaptureReport) -> (u64, u64, u64) {
    report.commits.iter().fold((0, 0, 0), |(stored, unchanged, unreadable), commit| {
        let ledger = commit.ledger;
        assert!(ledger.balances());
        (stored + ledger.stored, unchanged + ledger.unchanged, unreadable + ledger.unreadable)
    })
}

/// A reader whose sink fails after so many items, as if the process had been killed.
pub(crate) struct Killed {
    pub(crate) reader: FilesReader,
    pub(crate) after: u64,
}

struct FailingSink<'a> {
    sink: &'a mut dyn ChangeSink,
    left: u64,
}

impl SourceReader for Killed {
    fn changes(
        &mut self,
        cursor: Option<&connect::Cursor>,
        sink: &mut dyn ChangeSink,
        stop: &Stop,
    ) -> Result<ReadEnd, ReadError> {
        self.reader.changes(cursor, &mut FailingSink { sink, left: self.after }, stop)
    }
}

impl ChangeSink for FailingSink<'_> {
    fn tail(&mut self, stream: &StreamName) -> Result<Option<LogTail>, SinkError> {
        self.sink.tail(stream)
    }

    fn upsert(&mut self, item: Item, layout: Layout, body: &mut dyn Read) -> Result<(), SinkError> {
        if self.left == 0 {
            return Err(SinkError::Vault("killed".into()));
        }
        self.left -= 1;
        self.sink.upsert(item, layout, body)
    }

    fn unchanged(&mut self, count: u64) -> Result<(), SinkError> {
        self.sink.unchanged(count)
    }

    fn enumerated(&mut self, count: u64) -> Result<(), SinkError> {
        self.sink.enumerated(count)
    }

    fn removed(&mut self, stream: StreamName, key: String) -> Result<(), SinkError> {
        self.sink.removed(stream, key)
    }

    fn unreadable(
        &mut self,
        stream: StreamName,
        key: String,
        reason: UnreadableReason,
    ) -> Result<(), SinkError> {
        self.sink.unreadable(stream, key, reason)
    }

    fn event(&mut self, event: Event) -> Result<(), SinkError> {
        self.sink.event(event)
    }

    fn append(&mut self, stream: &StreamName, offset: u64, bytes: &[u8]) -> Result<(), SinkError> {
        self.sink.append(stream, offset, bytes)
    }

    fn sync(&mut self) -> Result<(), SinkError> {
        self.sink.sync()
    }

    fn checkpoint(&mut self, cursor: &connect::Cursor) -> Result<(), SinkError> {
        self.sink.checkpoint(cursor)
    }
}
