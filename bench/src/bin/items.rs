//! The memory of a capture of very many items. Their reader is synthetic: it lists, compares and reads nothing, and makes
//! small items from their numbers. Everything behind it is the real thing: session, chunk cache, packs, commits, catalog.
//!
//! `items COUNT`

use std::{
    io::{Error, Result, Write},
    sync::{Arc, Mutex},
};

use blobs::{LocalStore, Protection};
use capture::{Session, SessionOptions};
use catalog::Catalog;
use connect::{ChangeSink, Cursor, ReadEnd, ReadError, SourceReader, Stop};
use model::{Item, Layout, SourceName, StreamName};
use ports::{BlobStore, Clock, SystemClock, SystemRandom};
use vault::{InitOptions, VaultWriter, WriterOptions, journal::JournalOptions};

struct Numbers {
    count: u64,
    stream: StreamName,
}

const CHECKPOINT_ITEMS: u64 = 20_000;
const CONTENT_BYTES: usize = 200;

impl SourceReader for Numbers {
    fn changes(
        &mut self,
        _: Option<&Cursor>,
        sink: &mut dyn ChangeSink,
        _: &Stop,
    ) -> std::result::Result<ReadEnd, ReadError> {
        let mut content = [0; CONTENT_BYTES];
        for number in 0..self.count {
            let mut mixed = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            for chunk in content.chunks_mut(25) {
                mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
                chunk.copy_from_slice(format!("{mixed:024x} ").as_bytes());
            }
            let item = Item {
                stream: self.stream.clone(),
                key: format!("{:05}/{number:010}.json", number / 1000),
                attributes: format!(
                    r#"{{"kind":"file","mode":420,"modified_ns":{},"owner":1000,"group":1000}}"#,
                    1_700_000_000_000_000_000 + number
                ),
            };
            sink.upsert_bytes(item, Layout::Small, &content)?;
            if (number + 1).is_multiple_of(CHECKPOINT_ITEMS) {
                sink.enumerated(CHECKPOINT_ITEMS)?;
                sink.checkpoint(&Cursor(number.to_string()))?;
            }
        }
        sink.enumerated(self.count % CHECKPOINT_ITEMS)?;
        sink.checkpoint(&Cursor(self.count.to_string()))?;
        Ok(ReadEnd::UpToDate)
    }
}

fn main() -> Result<()> {
    let count = std::env::args().nth(1).and_then(|count| count.parse().ok());
    let count: u64 = count.ok_or_else(|| Error::other("items COUNT"))?;
    let folder = std::env::temp_dir().join(format!("unwipe-bench-items-{}", std::process::id()));
    ports::files::create_scratch(&folder).map_err(Error::other)?;
    let measured = measure(&folder, count);
    ports::files::remove_scratch(&folder).map_err(Error::other)?;
    let peak = peak_kib()?;
    writeln!(
        std::io::stdout(),
        r#"{{"items":{count},"reader":"synthetic","peak_mib":{:.1},"wall_s":{:.1}}}"#,
        peak as f64 / 1024.0,
        measured?
    )
}

fn measure(folder: &std::path::Path, count: u64) -> Result<f64> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let random = Arc::new(SystemRandom);
    let store: Arc<dyn BlobStore> =
        Arc::new(LocalStore::open(&folder.join("vault"), Protection::Plain).map_err(Error::other)?);
    let keys = vault::init(&*store, InitOptions { lock_days: 1 }, &*clock, &*random).map_err(Error::other)?;
    let writer = VaultWriter::open(
        store,
        &keys.capture_key,
        Arc::clone(&clock),
        Arc::clone(&random) as _,
        WriterOptions::default(),
    )
    .map_err(Error::other)?;
    let state_folder = folder.join("state");
    ports::files::create_folder(&state_folder).map_err(Error::other)?;
    let catalog = Catalog::open(&state_folder.join("catalog.sqlite")).map_err(Error::other)?;
    let options = SessionOptions { state_folder, journal: JournalOptions::default() };
    let source = SourceName::new("numbers").map_err(Error::other)?;
    let stream = StreamName::new("numbers").map_err(Error::other)?;
    let began = clock.elapsed();
    let session = Session::open(
        Arc::new(writer),
        &keys.capture_key,
        source,
        Arc::new(Mutex::new(catalog)),
        random,
        &options,
    )
    .map_err(Error::other)?;
    session.run(&mut Numbers { count, stream }, &Stop::default()).map_err(Error::other)?;
    Ok(clock.elapsed().saturating_sub(began).as_secs_f64())
}

fn peak_kib() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().next()).and_then(|number| number.parse().ok());
    number.ok_or_else(|| Error::other("the system does not tell"))
}
