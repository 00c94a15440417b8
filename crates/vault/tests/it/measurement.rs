//! Prints how fast storing and restoring are: `cargo test --release -p vault -- --ignored --nocapture throughput`.

use std::sync::Arc;

use blobs::{LocalStore, Protection};
use ports::{Clock, SystemClock};
use vault::{
    Layout, RestoreJob, WriterOptions,
    reader::{FileSink, RestoreOptions},
};

use crate::support::{World, cursor, item, rows, shop, upserts};

#[test]
#[ignore = "a measurement"]
fn throughput() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::in_store(Arc::new(LocalStore::open(folder.path(), Protection::Plain).unwrap()), 1);
    let table = rows(6_000_000, 1);
    let clock = SystemClock::new();
    let writer = world.writer_with(WriterOptions::default());
    let mut commit = writer.begin(&shop());
    let start = clock.elapsed();
    for part in 0..4 {
        let content = commit.store_bytes(Layout::Pages { page_bytes: 8192 }, &table).unwrap();
        commit.upsert(item("base", &part.to_string()), content).unwrap();
    }
    let receipt = commit.finish(&cursor("")).unwrap();
    let seconds = clock.elapsed().saturating_sub(start).as_secs_f64();
    let megabytes = 4.0 * table.len() as f64 / 1e6;
    println!(
        "stored {megabytes:.0} MB in {seconds:.2} s: {:.0} MB/s, {} bytes",
        megabytes / seconds,
        receipt.new_bytes
    );

    let reader = world.reader();
    let target = tempfile::tempdir().unwrap();
    let jobs: Vec<_> = upserts(&reader, &reader.vault().commit(&shop(), 1).unwrap())
        .into_iter()
        .map(|(item, content)| RestoreJob {
            content,
            sink: Box::new(FileSink::new(&target.path().join(item.key), 0o600)),
        })
        .collect();
    let start = clock.elapsed();
    let results = reader.restore(&jobs, RestoreOptions::default(), &|_| {});
    let seconds = clock.elapsed().saturating_sub(start).as_secs_f64();
    assert!(results.iter().all(Result::is_ok));
    println!("restored in {seconds:.2} s: {:.0} MB/s", megabytes / seconds);
}
