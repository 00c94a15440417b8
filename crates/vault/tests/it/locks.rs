use std::sync::Arc;

use blobs::{LocalStore, Protection};
use ports::{BlobStore, Clock};
use vault::{
    Layout, MemoryChunks,
    retention::DAY_MICROS,
    verify::{Depth, Problem, verify},
};

use crate::support::{LOCK_DAYS, World, cursor, put, rows, shop};

#[test]
fn all_that_a_commit_needs_is_locked_when_it_is_acknowledged() {
    let world = World::in_memory(41);
    let writer = world.writer();
    let known = MemoryChunks::new(100_000);
    for _ in 0..20 {
        let mut commit = writer.begin_with(&shop(), Box::new(known.clone()));
        put(&mut commit, "same", Layout::Pages { page_bytes: 8192 }, &rows(2000, 1));
        put(&mut commit, "new", Layout::Small, &world.bytes(100));
        let receipt = commit.finish(&cursor("")).unwrap();
        assert_eq!(receipt.locked_until.micros_since(receipt.vault_time), i64::from(LOCK_DAYS) * DAY_MICROS);
        let commit = writer.vault().head(&shop()).unwrap().unwrap();
        let needed = commit.envelope.packs.iter().map(|pack| pack.id).chain(commit.envelope.earlier_packs);
        let packs = needed.map(|id| format!("data/{}/{id}", &id.to_string()[..2]));
        let own = format!("log/shop/{:010}", receipt.sequence);
        for name in packs.chain([own, "keys/0".to_owned(), "vault.json".to_owned()]) {
            let lock = world.store.head(&ports::BlobName::new(&name).unwrap()).unwrap().locked_until.unwrap();
            assert!(lock >= receipt.locked_until, "{name} is locked until {lock} only");
        }
        world.clock.advance_micros(5 * DAY_MICROS);
    }
}

#[test]
fn retention_is_lengthened_for_what_is_there_and_for_what_comes_and_never_shortened() {
    let world = World::in_memory(42);
    let writer = world.writer();
    let mut commit = writer.begin(&shop());
    put(&mut commit, "a", Layout::Small, b"a");
    commit.finish(&cursor("")).unwrap();
    assert!(writer.lengthen(90).unwrap() >= 4);
    assert_eq!(writer.lengthen(5).unwrap(), 0);
    let ninety = world.clock.now().plus_micros(90 * DAY_MICROS);
    for blob in world.store.list("").unwrap() {
        assert!(blob.locked_until.unwrap() >= ninety, "{}", blob.name);
    }
    let mut commit = writer.begin(&shop());
    put(&mut commit, "b", Layout::Small, b"b");
    commit.finish(&cursor("")).unwrap();
    // A writer that knows only the manifest learns the longer term from the log.
    let fresh = world.writer();
    let mut commit = fresh.begin(&shop());
    put(&mut commit, "c", Layout::Small, b"c");
    let receipt = commit.finish(&cursor("")).unwrap();
    assert_eq!(receipt.locked_until.micros_since(receipt.vault_time), 90 * DAY_MICROS);
}

#[test]
fn a_lock_that_is_too_short_is_found() {
    let world = World::in_memory(43);
    let mut commit = world.writer().begin(&shop());
    put(&mut commit, "a", Layout::Small, b"a");
    commit.finish(&cursor("")).unwrap();
    let weak = blobs::MemoryStore::new();
    for blob in world.store.list("").unwrap() {
        let lock = if blob.name.as_str().starts_with("data/") {
            world.clock.now()
        } else {
            blob.locked_until.unwrap()
        };
        weak.create(&blob.name, &world.store.read(&blob.name).unwrap(), lock).unwrap();
    }
    let vault = vault::Vault::open(Arc::new(weak)).unwrap();
    let report = verify(&vault, None, Depth::Structure, &mut |_| {}).unwrap();
    assert_eq!(report.findings.len(), 1);
    assert_eq!(report.findings[0].problem, Problem::LockTooShort);
}

/// Needs CAP_LINUX_IMMUTABLE and a file system with flags; elsewhere it shows that the tier is reported as 0.
#[test]
fn the_vault_runs_where_every_object_is_immutable() {
    let folder = tempfile::tempdir().unwrap();
    let plain = LocalStore::open(folder.path(), Protection::Plain).unwrap();
    if !plain.measure().unwrap().flags_hold {
        assert_eq!(plain.measure().unwrap().tier, 0);
        return;
    }
    let store = Arc::new(LocalStore::open(folder.path(), Protection::Immutable).unwrap());
    let world = World::in_store(store.clone(), 44);
    let writer = world.writer();
    for number in 0..3_u64 {
        let mut commit = writer.begin(&shop());
        put(&mut commit, "table", Layout::Pages { page_bytes: 8192 }, &rows(2000, number));
        commit.finish(&cursor("")).unwrap();
        world.clock.advance_micros(3 * DAY_MICROS);
    }
    let reader = world.reader();
    let report = verify(reader.vault(), Some(&reader), Depth::ReadData, &mut |_| {}).unwrap();
    let lifted = std::process::Command::new("chattr").args(["-R", "-i"]).arg(folder.path()).status().unwrap();
    assert!(lifted.success());
    assert!(report.is_sound(), "{:?}", report.findings);
    assert_eq!(report.commits, 3);
}
