//! What renewing the locks of very many packs costs: in a store in memory (the engine alone), or in a folder.
//!
//! `renewal PACKS [FOLDER]`

use std::{
    io::{Error, Result, Write},
    sync::Arc,
};

use blobs::{LocalStore, MemoryStore, Protection};
use model::{Item, SourceName, StreamName};
use ports::{BlobStore, Clock, ManualClock, SystemClock, SystemRandom};
use vault::{
    InitOptions, Layout, Vault, VaultWriter, WriterOptions,
    retention::{DAY_MICROS, RenewalOptions, RetentionLog, renew},
};

const LOCK_DAYS: u32 = 30;
/// Each commit names so many packs, as the capture of many large files does.
const PACKS_EACH: u64 = 1000;

fn fill(store: &Arc<dyn BlobStore>, clock: &Arc<ManualClock>, packs: u64) -> Result<()> {
    let random = Arc::new(SystemRandom);
    let options = InitOptions { lock_days: LOCK_DAYS };
    let keys = vault::init(&**store, options, &**clock, &*random).map_err(Error::other)?;
    // A pack is closed after each frame, so that there are many and they are small.
    let options =
        WriterOptions { pack_bytes_target: 1, frame_bytes: 1, threads: 0, ..WriterOptions::default() };
    let clock: Arc<dyn Clock> = clock.clone();
    let writer = VaultWriter::open(Arc::clone(store), &keys.capture_key, clock, random, options)
        .map_err(Error::other)?;
    let source = SourceName::new("many").map_err(Error::other)?;
    let stream = StreamName::new("items").map_err(Error::other)?;
    for first in (0..packs).step_by(PACKS_EACH as usize) {
        let mut commit = writer.begin(&source);
        for number in first..packs.min(first + PACKS_EACH) {
            let content = commit.store_bytes(Layout::Small, &number.to_le_bytes()).map_err(Error::other)?;
            let item = Item { stream: stream.clone(), key: number.to_string(), attributes: "{}".to_owned() };
            commit.upsert(item, content).map_err(Error::other)?;
        }
        commit.finish(&vault::Cursor(Vec::new())).map_err(Error::other)?;
    }
    Ok(())
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let usage = || Error::other("usage: renewal PACKS [FOLDER]");
    let packs: u64 = arguments.next().and_then(|text| text.parse().ok()).ok_or_else(usage)?;
    let store: Arc<dyn BlobStore> = match arguments.next() {
        Some(folder) => Arc::new(LocalStore::open(folder.as_ref(), Protection::Plain).map_err(Error::other)?),
        None => Arc::new(MemoryStore::new()),
    };
    let system = SystemClock::new();
    let clock = Arc::new(ManualClock::new(system.now()));
    fill(&store, &clock, packs)?;
    let vault = Vault::open(Arc::clone(&store)).map_err(Error::other)?;
    let mut out = std::io::stdout().lock();
    for (what, days) in [("nothing is due", 1), ("everything is due", 5)] {
        clock.advance_micros(days * DAY_MICROS);
        let log = RetentionLog::read(&vault).map_err(Error::other)?;
        let began = system.elapsed();
        let report =
            renew(&vault, &log, clock.now(), RenewalOptions::default(), &|_, _| {}).map_err(Error::other)?;
        let took = system.elapsed().saturating_sub(began);
        writeln!(
            out,
            r#"{{"what":"{what}","objects":{},"renewed":{},"wall_s":{:.3}}}"#,
            report.objects,
            report.renewed,
            took.as_secs_f64()
        )?;
    }
    Ok(())
}
