//! A store that fails: nothing is acknowledged in vain, and the next commit works. `sim/world` fails it at every single call.

use std::sync::{Arc, Barrier};

use blobs::{Fault, FaultCall, FaultStore, LocalStore, MemoryStore, Protection};
use vault::{
    CommitReceipt, Layout, VaultWriter, WriteError,
    verify::{Depth, verify},
};

use crate::support::{World, cursor, item, put, rows, shop, upserts};

fn commit_something(writer: &VaultWriter, seed: u64) -> Result<CommitReceipt, WriteError> {
    let mut commit = writer.begin(&shop());
    let content = commit.store_bytes(Layout::Pages { page_bytes: 8192 }, &rows(9000, seed))?;
    commit.upsert(item("base", &seed.to_string()), content)?;
    commit.finish(&cursor(&seed.to_string()))
}

#[test]
fn a_full_disk_is_said_and_nothing_is_acknowledged() {
    let memory = Arc::new(MemoryStore::new());
    let world = World::in_store(memory.clone(), 22);
    let faulty = Arc::new(FaultStore::new(memory));
    let writer = world.writer_on(faulty.clone(), vault::WriterOptions::default()).unwrap();
    faulty.fail_from(1, Some(FaultCall::Create), Fault::Full);
    let error = commit_something(&writer, 1).unwrap_err();
    assert!(error.is_full());
    assert!(error.hint().unwrap().contains("make room"));
    assert!(writer.vault().head(&shop()).unwrap().is_none());
    faulty.heal();
    assert_eq!(commit_something(&writer, 1).unwrap().sequence, 1);
}

#[test]
fn writers_at_the_same_time_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::in_store(Arc::new(LocalStore::open(folder.path(), Protection::Plain).unwrap()), 23);
    let (writers, rounds) = (4_u64, 10_u64);
    let start = Barrier::new(writers as usize);
    std::thread::scope(|scope| {
        for number in 0..writers {
            let (world, start) = (&world, &start);
            scope.spawn(move || {
                let writer = world.writer();
                start.wait();
                for round in 0..rounds {
                    let mut commit = writer.begin(&shop());
                    put(&mut commit, &format!("{number}-{round}"), Layout::Small, b"x");
                    commit.finish(&cursor("")).unwrap();
                }
            });
        }
    });
    let reader = world.reader();
    let report = verify(reader.vault(), Some(&reader), Depth::ReadData, &mut |_| {}).unwrap();
    assert!(report.is_sound(), "{:?}", report.findings);
    let mut keys: Vec<_> = reader
        .vault()
        .commits(&shop())
        .unwrap()
        .flat_map(|commit| upserts(&reader, &commit.unwrap()))
        .map(|(item, _)| item.key)
        .collect();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len() as u64, writers * rounds);
}

#[test]
fn a_clock_that_goes_back_does_not_turn_vault_time_back() {
    let world = World::in_memory(24);
    let writer = world.writer();
    let first = commit_something(&writer, 1).unwrap();
    world.clock.advance_micros(-3_600_000_000);
    let second = commit_something(&writer, 2).unwrap();
    assert_eq!(second.vault_time, first.vault_time.plus_micros(1));
    assert!(verify(writer.vault(), None, Depth::Structure, &mut |_| {}).unwrap().is_sound());
}

#[test]
fn a_duplicate_of_a_pack_that_is_gone_is_not_committed() {
    let store = Arc::new(MemoryStore::new());
    let world = World::in_store(store.clone(), 25);
    let writer = world.writer();
    let mut commit = writer.begin(&shop());
    let content = commit.store_bytes(Layout::Small, b"content").unwrap();
    commit.upsert(item("base", "a"), content.clone()).unwrap();
    let receipt = commit.finish(&cursor("")).unwrap();
    let id = receipt.packs[0].id.to_string();
    store.damage(&ports::BlobName::new(format!("data/{}/{id}", &id[..2])).unwrap(), |_| None);
    let mut commit = writer.begin(&shop());
    commit.upsert(item("base", "a"), content).unwrap();
    assert!(matches!(commit.finish(&cursor("")), Err(WriteError::MissingPack { .. })));
}

#[test]
fn an_error_that_was_overlooked_still_prevents_the_commit() {
    let world = World::in_memory(26);
    let writer = world.writer();
    let mut commit = writer.begin(&shop());
    put(&mut commit, "a", Layout::Small, b"a");
    let too_long = commit.remove(item("base", "x").stream, "k".repeat(100_000));
    assert!(matches!(too_long, Err(WriteError::TooLong(_))));
    assert!(matches!(commit.finish(&cursor("")), Err(WriteError::Broken)));
    assert!(writer.vault().head(&shop()).unwrap().is_none());
}
