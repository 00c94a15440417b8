//! The vault in a bucket with Object Lock, on a real server and behind a simulator that lies.

use std::sync::Arc;

use blobs::{
    Fault, FaultStore,
    s3::{Addressing, Patience, S3Credential, S3Settings, S3Store},
};
use buckets::{Liar, Lie, LockServer, Planted};
use ports::{BlobName, BlobStore, Clock, SystemClock, SystemRandom};
use vault::{
    Layout, MemoryChunks,
    retention::DAY_MICROS,
    verify::{Depth, Problem, verify},
};

use crate::support::{LOCK_DAYS, World, cursor, put, rows, shop, small_options, upserts};

const PAGES: Layout = Layout::Pages { page_bytes: 8192 };

fn store(endpoint: &str, key: &str) -> Arc<S3Store> {
    let settings = S3Settings {
        endpoint: endpoint.to_owned(),
        region: LockServer::REGION.to_owned(),
        bucket: LockServer::BUCKET.to_owned(),
        prefix: "vaults/shop".to_owned(),
        addressing: Addressing::Path,
        certificate_authorities: None,
        patience: Patience { pause: std::time::Duration::from_millis(5), ..Patience::default() },
    };
    let secret_key = model::Redacted::new(format!("{key}-secret"));
    let credential = S3Credential { access_key: key.to_owned(), secret_key, session_token: None };
    Arc::new(
        S3Store::new(&settings, credential, Arc::new(SystemClock::new()), Arc::new(SystemRandom)).unwrap(),
    )
}

fn world(store: Arc<dyn BlobStore>, seed: u64) -> World {
    World::in_store_at(store, seed, SystemClock::new().now())
}

/// The bucket locks everything by a rule of its own for a day; the vault's locks are longer, and hold.
#[test]
fn what_is_stored_comes_back_and_is_locked_when_it_is_acknowledged() {
    let server = LockServer::start();
    server.set_default_retention(LockServer::BUCKET, 1);
    let world = world(store(&server.endpoint(), "writer"), 61);
    let writer = world.writer();
    let known = MemoryChunks::new(100_000);
    let table = rows(9000, 1);
    for number in 0..4 {
        let mut commit = writer.begin_with(&shop(), Box::new(known.clone()));
        put(&mut commit, "same", PAGES, &table);
        put(&mut commit, "new", Layout::Small, &world.bytes(100 + number));
        let receipt = commit.finish(&cursor("")).unwrap();
        let commit = writer.vault().head(&shop()).unwrap().unwrap();
        let needed = commit.envelope.packs.iter().map(|pack| pack.id).chain(commit.envelope.earlier_packs);
        let packs = needed.map(|id| format!("data/{}/{id}", &id.to_string()[..2]));
        let own = format!("log/shop/{:010}", receipt.sequence);
        for name in packs.chain([own, "keys/0".to_owned(), "vault.json".to_owned()]) {
            let lock = world.store.head(&BlobName::new(&name).unwrap()).unwrap().locked_until.unwrap();
            assert!(lock >= receipt.locked_until, "{name} is locked until {lock} only");
            let days = lock.micros_since(world.clock.now()) / DAY_MICROS;
            assert!((i64::from(LOCK_DAYS)..i64::from(LOCK_DAYS) + 10).contains(&days), "{name}: {days}");
        }
        world.clock.advance_micros(5 * DAY_MICROS);
    }
    assert!(writer.lengthen(90).unwrap() >= 6);
    // Another process, which knows no version of anything, reads what is there.
    let reader =
        vault::VaultReader::open(store(&server.endpoint(), "reader"), &world.keys.restore_key).unwrap();
    let commit = reader.vault().commit(&shop(), 4).unwrap();
    let stored = upserts(&reader, &commit);
    assert_eq!(reader.read_all(&stored[0].1).unwrap(), table);
    let report = verify(reader.vault(), Some(&reader), Depth::ReadData, &mut |_| {}).unwrap();
    assert!(report.is_sound(), "{:?}", report.findings);
}

#[test]
fn what_is_hidden_or_shadowed_is_read_all_the_same() {
    let server = LockServer::start();
    let world = world(store(&server.endpoint(), "writer"), 62);
    let mut commit = world.writer().begin(&shop());
    put(&mut commit, "a", PAGES, &rows(3000, 1));
    commit.finish(&cursor("")).unwrap();
    let blobs = world.store.list("").unwrap();
    for blob in &blobs {
        let key = format!("vaults/shop/{}", blob.name);
        server.plant(LockServer::BUCKET, &key, Planted::Version(b"{}"));
        server.plant(LockServer::BUCKET, &key, Planted::DeleteMarker);
    }
    let fresh = store(&server.endpoint(), "writer");
    let reader = vault::VaultReader::open(fresh.clone(), &world.keys.restore_key).unwrap();
    let report = verify(reader.vault(), Some(&reader), Depth::ReadData, &mut |_| {}).unwrap();
    // Nothing is missing and nothing is altered; what was planted is named.
    assert!(
        report.findings.iter().all(|finding| finding.problem == Problem::Foreign),
        "{:?}",
        report.findings
    );
    assert_eq!(report.later_versions + report.findings.len() as u64, 2 * blobs.len() as u64);
    assert_eq!(fresh.foreign("").unwrap().len(), 2 * blobs.len());
    // And writing goes on.
    let writer = world.writer_on(fresh, small_options()).unwrap();
    let mut commit = writer.begin(&shop());
    put(&mut commit, "b", Layout::Small, b"b");
    assert_eq!(commit.finish(&cursor("")).unwrap().sequence, 2);
}

#[test]
fn a_bucket_that_fails_at_any_call_loses_nothing() {
    for fault in [Fault::Fail, Fault::FailAfter] {
        for call in 1.. {
            let server = LockServer::start();
            let inner = store(&server.endpoint(), "writer");
            let world = world(inner.clone(), 63);
            let faulty = Arc::new(FaultStore::new(inner));
            let writer = world.writer_on(faulty.clone(), small_options()).unwrap();
            faulty.fail_from(call, None, fault);
            let mut commit = writer.begin(&shop());
            let stored = commit
                .store_bytes(PAGES, &rows(3000, 1))
                .and_then(|content| commit.upsert(crate::support::item("base", "a"), content));
            let first = stored.and_then(|()| commit.finish(&cursor("1")));
            let reached = faulty.calls() >= call;
            faulty.heal();
            let reader = world.reader();
            let report = verify(reader.vault(), Some(&reader), Depth::ReadData, &mut |_| {}).unwrap();
            assert!(report.is_sound(), "{fault:?} at {call}: {:?}", report.findings);
            let mut commit = writer.begin(&shop());
            put(&mut commit, "b", Layout::Small, b"b");
            commit.finish(&cursor("2")).unwrap();
            if !reached {
                assert!(first.is_ok() && call > 3);
                break;
            }
        }
    }
}

#[test]
fn nothing_is_acknowledged_in_a_bucket_that_lies() {
    let server = LockServer::start();
    let liar = Liar::before(&server);
    let world = world(store(&liar.endpoint(), "writer"), 64);
    let writer = world.writer();
    for lies in [vec![Lie::LockNeverSet], vec![Lie::NothingStored], vec![Lie::OtherBytesStored]] {
        liar.tell(&lies);
        let mut commit = writer.begin(&shop());
        let content = commit.store_bytes(Layout::Small, b"content");
        let finished = content
            .and_then(|content| commit.upsert(crate::support::item("base", "a"), content))
            .and_then(|()| commit.finish(&cursor("")));
        assert!(finished.is_err(), "{lies:?} was believed");
        liar.tell(&[]);
        assert!(world.reader().vault().head(&shop()).unwrap().is_none(), "{lies:?} left a commit");
    }
}

/// Two writers race in a bucket that lets both of them write one name: one order comes out, and nothing is lost.
#[test]
fn writers_race_where_conditions_are_ignored() {
    let server = LockServer::start();
    let liar = Liar::before(&server);
    liar.tell(&[Lie::ConditionIgnored, Lie::SmallPages]);
    let world = world(store(&liar.endpoint(), "writer"), 65);
    let commits = 6;
    std::thread::scope(|scope| {
        for number in 0..2 {
            let (world, liar) = (&world, &liar);
            scope.spawn(move || {
                let writer = world.writer_on(store(&liar.endpoint(), "writer"), small_options()).unwrap();
                for round in 0..commits {
                    let mut commit = writer.begin(&shop());
                    put(&mut commit, &format!("{number}-{round}"), Layout::Small, &[number; 50]);
                    commit.finish(&cursor("")).unwrap();
                }
            });
        }
    });
    liar.tell(&[]);
    let reader = world.reader();
    let report = verify(reader.vault(), Some(&reader), Depth::ReadData, &mut |_| {}).unwrap();
    assert!(report.is_sound(), "{:?}", report.findings);
    assert_eq!(report.commits, 2 * commits);
}
