//! The process that is cut off: the real code on real files, and what it was promised.

use std::{
    io::{self, Write},
    path::Path,
    sync::Arc,
};

use blobs::{LocalStore, Protection};
use catalog::{Applied, Catalog};
use model::{Item, Moment, SourceName, StreamName};
use ports::{Boot, Clock, ManualClock, SeededRandom};
use vault::{
    CaptureKey, Cursor, InitOptions, Layout, RestoreKey, VaultReader, VaultWriter, WriterOptions,
    journal::{Journal, JournalOptions},
    reap::ReaperMemory,
    retention::{PackUses, RetentionLog},
    time::{TimeFile, TimeRecord, TimeState},
};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Bytes that are appended to the journal in each round.
pub(crate) const APPEND_BYTES: u64 = 9000;

/// Where everything lies in the driver's folder.
pub(crate) struct Places<'a>(pub(crate) &'a Path);

impl Places<'_> {
    pub(crate) fn store(&self) -> Result<Arc<LocalStore>, Failure> {
        Ok(Arc::new(LocalStore::open(&self.0.join("store"), Protection::Plain)?))
    }

    pub(crate) fn capture_key(&self) -> Result<CaptureKey, Failure> {
        Ok(CaptureKey::load(&self.0.join("capture.key"))?)
    }

    pub(crate) fn restore_key(&self) -> Result<RestoreKey, Failure> {
        Ok(RestoreKey::load(&self.0.join("restore.key"))?)
    }

    pub(crate) fn reader(&self) -> Result<VaultReader, Failure> {
        Ok(VaultReader::open(self.store()?, &self.restore_key()?)?)
    }

    pub(crate) fn writer(&self, seed: u64, clock: Arc<dyn Clock>) -> Result<VaultWriter, Failure> {
        let options = WriterOptions {
            threads: 0,
            compression_level: 1,
            pack_bytes_target: 16_000,
            page_frame_bytes: 16 << 10,
            frame_bytes: 8 << 10,
        };
        let random = Arc::new(SeededRandom::new(seed));
        Ok(VaultWriter::open(self.store()?, &self.capture_key()?, clock, random, options)?)
    }

    pub(crate) fn journal(&self, seed: u64) -> Result<Journal, Failure> {
        let options = JournalOptions { file_bytes: 32 << 10, spare_files: 1 };
        let random = Arc::new(SeededRandom::new(seed));
        Ok(Journal::open(&self.0.join("state/journal"), &self.capture_key()?, random, options)?)
    }

    pub(crate) fn catalog(&self) -> std::path::PathBuf {
        self.0.join("catalog.sqlite")
    }

    pub(crate) fn time(&self) -> TimeFile {
        TimeFile::new(&self.0.join("state/time.json"))
    }

    pub(crate) fn memory(&self) -> std::path::PathBuf {
        self.0.join("state/reaper.json")
    }
}

/// Works for some rounds in a folder, and says after each thing that returned what it means.
pub fn drive(root: &Path, seed: u64, rounds: u64) -> Result<(), Failure> {
    let places = Places(root);
    let clock = Arc::new(ManualClock::new(start()));
    let keys =
        vault::init(&*places.store()?, InitOptions { lock_days: 5 }, &*clock, &SeededRandom::new(seed))?;
    keys.capture_key.save(&root.join("capture.key"))?;
    keys.restore_key.save(&root.join("restore.key"))?;
    promise("vault")?;
    let mut journal = places.journal(seed)?;
    let writer = places.writer(seed + 1, clock.clone())?;
    let mut catalog = Catalog::open(&places.catalog())?;
    let mut memory = ReaperMemory::open(&places.memory())?;
    let mut appended = 0;
    for round in 1..=rounds {
        for _ in 0..2 {
            journal.append(&log_stream()?, appended, &log_bytes(appended, APPEND_BYTES))?;
            appended += APPEND_BYTES;
            journal.sync()?;
            promise(&format!("journal {appended}"))?;
        }
        commit(&writer, round, appended)?;
        journal.retire(&log_stream()?, appended)?;
        follow(&places, &mut catalog, &mut memory, round, clock.now())?;
        clock.advance_micros(vault::retention::DAY_MICROS);
    }
    // What was appended after the last commit stays in the journal.
    journal.append(&log_stream()?, appended, &log_bytes(appended, 100))?;
    journal.sync()?;
    promise(&format!("journal {}", appended + 100))
}

/// Commits what the journal holds, and an item of its own.
fn commit(writer: &VaultWriter, round: u64, appended: u64) -> Result<(), Failure> {
    let start = (round - 1) * 2 * APPEND_BYTES;
    let mut open = writer.begin(&source()?);
    let log = open.store_bytes(Layout::Stream, &log_bytes(start, appended - start))?;
    open.upsert(item("wal/1", &format!("{start}"))?, log)?;
    let table = open.store_bytes(Layout::Pages { page_bytes: 8192 }, &log_bytes(round, 20_000))?;
    open.upsert(item("base", "table")?, table)?;
    let receipt = open.finish(&Cursor(format!("{appended}").into_bytes()))?;
    promise(&format!("commit {} {}", receipt.sequence, receipt.hash))
}

/// What runs beside capture: the catalog, locks, vault time, the reaper's memory.
fn follow(
    places: &Places<'_>,
    catalog: &mut Catalog,
    memory: &mut ReaperMemory,
    round: u64,
    now: Moment,
) -> Result<(), Failure> {
    let reader = places.reader()?;
    let (commit, body) = reader.commit(&source()?, round)?;
    catalog.apply(&Applied::from(&commit), body.changes)?;
    let first = vault_object(&reader, 1)?;
    let until = now.plus_micros(40 * vault::retention::DAY_MICROS);
    reader.vault().store().extend_lock(&first, until)?;
    promise(&format!("lock {first} {}", until.as_micros()))?;
    let boot = Boot { id: "boot".to_owned(), running: std::time::Duration::from_secs(round) };
    places.time().save(&TimeState {
        now,
        anchor: now,
        credited_micros: 0,
        boot: boot.id,
        boot_running_micros: round as i64,
        frozen: None,
    })?;
    promise(&format!("time {}", now.as_micros()))?;
    let log = RetentionLog::read(reader.vault())?;
    memory.note(&log, &PackUses::read(reader.vault(), &mut |_| {})?, now)?;
    promise(&format!("seen {round}"))
}

pub(crate) fn vault_object(reader: &VaultReader, sequence: u64) -> Result<ports::BlobName, Failure> {
    let commit = reader.vault().commit(&source()?, sequence)?;
    let pack = commit.envelope.packs.first().ok_or("the first commit has a pack")?;
    let id = pack.id.to_string();
    Ok(ports::BlobName::new(format!("data/{}/{id}", &id[..2]))?)
}

pub(crate) fn start() -> Moment {
    Moment::from_micros(1_777_125_609_000_000)
}

pub(crate) fn source() -> Result<SourceName, Failure> {
    Ok(SourceName::new("shop")?)
}

pub(crate) fn log_stream() -> Result<StreamName, Failure> {
    Ok(StreamName::new("wal/1")?)
}

pub(crate) fn item(stream: &str, key: &str) -> Result<Item, Failure> {
    Ok(Item { stream: StreamName::new(stream)?, key: key.to_owned(), attributes: "{}".to_owned() })
}

/// Bytes of which each one tells where it belongs.
pub(crate) fn log_bytes(start: u64, length: u64) -> Vec<u8> {
    let byte = |position: u64| (position.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as u8;
    (start..start + length).map(byte).collect()
}

fn promise(line: &str) -> Result<(), Failure> {
    let mut output = io::stdout().lock();
    writeln!(output, "{line}")?;
    Ok(output.flush()?)
}
