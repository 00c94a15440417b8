use std::sync::Arc;

use blobs::MemoryStore;
use model::{Item, Moment, SourceName, StreamName};
use ports::{BlobStore, ManualClock, Random, SeededRandom};
use vault::{
    Change, Commit, CommitWriter, Content, Cursor, InitOptions, Layout, NewVault, VaultReader, VaultWriter,
    WriterOptions, init,
};

pub(crate) const LOCK_DAYS: u32 = 30;

/// A vault in some store, with its keys.
pub(crate) struct World {
    pub(crate) store: Arc<dyn BlobStore>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) random: Arc<SeededRandom>,
    pub(crate) keys: NewVault,
}

impl World {
    pub(crate) fn in_memory(seed: u64) -> Self {
        Self::in_store(Arc::new(MemoryStore::new()), seed)
    }

    pub(crate) fn in_store(store: Arc<dyn BlobStore>, seed: u64) -> Self {
        Self::in_store_at(store, seed, moment("2026-04-25T14:00:09Z"))
    }

    /// A vault whose clock begins at a moment: a real server refuses locks that lie in its past.
    pub(crate) fn in_store_at(store: Arc<dyn BlobStore>, seed: u64, now: Moment) -> Self {
        let clock = Arc::new(ManualClock::new(now));
        let random = Arc::new(SeededRandom::new(seed));
        let keys = init(&*store, InitOptions { lock_days: LOCK_DAYS }, &*clock, &*random).unwrap();
        Self { store, clock, random, keys }
    }

    pub(crate) fn writer(&self) -> VaultWriter {
        self.writer_with(small_options())
    }

    pub(crate) fn writer_with(&self, options: WriterOptions) -> VaultWriter {
        self.writer_on(Arc::clone(&self.store), options).unwrap()
    }

    pub(crate) fn writer_on(
        &self,
        store: Arc<dyn BlobStore>,
        options: WriterOptions,
    ) -> Result<VaultWriter, vault::WriteError> {
        let (clock, random) = (self.clock.clone(), self.random.clone());
        VaultWriter::open(store, &self.keys.capture_key, clock, random, options)
    }

    pub(crate) fn reader(&self) -> VaultReader {
        VaultReader::open(Arc::clone(&self.store), &self.keys.restore_key).unwrap()
    }

    pub(crate) fn clock_lock(&self) -> Moment {
        vault::retention::lock_until(ports::Clock::now(&*self.clock), LOCK_DAYS)
    }

    pub(crate) fn bytes(&self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.random.fill(&mut bytes);
        bytes
    }
}

/// Small packs and frames, so that small tests cross their borders; no threads, so that runs are repeatable.
pub(crate) fn small_options() -> WriterOptions {
    WriterOptions {
        threads: 0,
        pack_bytes_target: 100_000,
        page_frame_bytes: 32 << 10,
        frame_bytes: 48 << 10,
        ..WriterOptions::default()
    }
}

pub(crate) fn moment(text: &str) -> Moment {
    text.parse().unwrap()
}

pub(crate) fn shop() -> SourceName {
    SourceName::new("shop").unwrap()
}

pub(crate) fn item(stream: &str, key: &str) -> Item {
    Item {
        stream: StreamName::new(stream).unwrap(),
        key: key.to_owned(),
        attributes: format!("{{\"path\":\"{key}\"}}"),
    }
}

pub(crate) fn cursor(text: &str) -> Cursor {
    Cursor(text.as_bytes().to_vec())
}

/// Stores one item.
pub(crate) fn put(commit: &mut CommitWriter, key: &str, layout: Layout, bytes: &[u8]) {
    let content = commit.store_bytes(layout, bytes).unwrap();
    commit.upsert(item("base", key), content).unwrap();
}

/// Returns the items of a commit with their contents.
pub(crate) fn upserts(reader: &VaultReader, commit: &Commit) -> Vec<(Item, Content)> {
    let body = reader.body(commit).unwrap();
    let upsert = |change| match change {
        Change::Upsert { item, content } => Some((item, content)),
        _ => None,
    };
    body.changes.into_iter().filter_map(upsert).collect()
}

/// Text-like bytes that compress about as well as a database does.
pub(crate) fn rows(count: usize, seed: u64) -> Vec<u8> {
    let random = SeededRandom::new(seed);
    let mut rows = Vec::new();
    for number in 0..count {
        let row = format!(
            "{number:08} customer-{:06} paid {:>8}\n",
            random.below(1_000_000),
            random.below(1 << 24)
        );
        rows.extend_from_slice(row.as_bytes());
    }
    rows
}
