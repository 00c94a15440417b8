//! A mirror: whole at every moment, resumed at every call, and deaf to what the origin loses.

use std::sync::{Arc, atomic::AtomicU64, atomic::Ordering};

use blobs::{Fault, FaultStore, LocalStore, MemoryStore, Protection};
use model::{Moment, SourceName};
use ports::{BlobName, BlobStore, ManualClock};
use vault::{
    Layout, Vault, VaultReader,
    mirror::{MirrorError, MirrorOptions, MirrorProblem, MirrorWatch, Pair, PullReport, pull, repair},
    retention::DAY_MICROS,
    verify::{Depth, verify},
};

use crate::support::{LOCK_DAYS, World, cursor, moment, put, rows, shop, small_options};

fn fill(world: &World, commits: u64, from: u64) {
    let writer = world.writer();
    for seed in from..from + commits {
        let mut commit = writer.begin(&shop());
        put(&mut commit, &seed.to_string(), Layout::Pages { page_bytes: 8192 }, &rows(6000, seed));
        commit.finish(&cursor(&seed.to_string())).unwrap();
        world.clock.advance_micros(60_000_000);
    }
}

fn pair(origin: Arc<dyn BlobStore>, mirror: Arc<dyn BlobStore>) -> Pair {
    Pair { origin, mirror, clock: Arc::new(ManualClock::new(moment("2026-05-01T00:00:00Z"))) }
}

fn one_thread() -> MirrorOptions {
    MirrorOptions { threads: 1, ..MirrorOptions::default() }
}

fn run(pair: &Pair) -> PullReport {
    pull(pair, &MirrorOptions::default(), MirrorWatch::IDLE).unwrap()
}

fn assert_whole(world: &World, mirror: &Arc<dyn BlobStore>) {
    let reader = VaultReader::open(Arc::clone(mirror), &world.keys.restore_key).unwrap();
    let report = verify(reader.vault(), Some(&reader), Depth::ReadData, &mut |_| {}).unwrap();
    assert!(report.is_sound(), "{:?}", report.findings);
}

fn problems(report: &PullReport) -> Vec<(String, MirrorProblem)> {
    report.differences.iter().map(|d| (d.object.clone(), d.problem)).collect()
}

fn objects(store: &dyn BlobStore) -> Vec<(BlobName, Vec<u8>)> {
    let read = |name: BlobName| store.read(&name).map(|bytes| (name, bytes)).unwrap();
    store.list("").unwrap().into_iter().map(|blob| read(blob.name)).collect()
}

fn name(text: &str) -> BlobName {
    BlobName::new(text).unwrap()
}

fn first_pack(store: &dyn BlobStore) -> BlobName {
    store.list("data/").unwrap().remove(0).name
}

#[test]
fn a_mirror_holds_the_same_bytes_and_reads_as_a_vault() {
    let world = World::in_memory(51);
    fill(&world, 3, 0);
    let mirror: Arc<dyn BlobStore> = Arc::new(MemoryStore::new());
    let pair = pair(Arc::clone(&world.store), Arc::clone(&mirror));
    let first = run(&pair);
    assert!(first.complete && first.differences.is_empty(), "{first:?}");
    assert_eq!(objects(&*world.store), objects(&*mirror));
    assert_whole(&world, &mirror);

    let second = run(&pair);
    assert_eq!((second.copied_objects, second.complete), (0, true));
    fill(&world, 2, 3);
    let third = run(&pair);
    assert!(third.copied_objects > 0 && third.copied_objects < first.copied_objects);
    assert_eq!(third.sources[&shop()].mirror_sequence, 5);
    assert_eq!(objects(&*world.store), objects(&*mirror));
}

#[test]
fn the_mirror_locks_by_its_own_clock_and_at_least_as_long_as_promised() {
    let world = World::in_memory(52);
    fill(&world, 1, 0);
    let mirror: Arc<dyn BlobStore> = Arc::new(MemoryStore::new());
    // The mirror's clock is 5 days ahead of the origin's: its locks end later than the origin's do.
    let pair = pair(Arc::clone(&world.store), Arc::clone(&mirror));
    run(&pair);
    let now = pair.clock.now();
    for blob in mirror.list("").unwrap() {
        let lock = blob.locked_until.unwrap();
        assert!(lock.micros_since(now) >= i64::from(LOCK_DAYS) * DAY_MICROS, "{}: {lock}", blob.name);
    }
    // A clock that stands years behind cannot make a lock shorter than the commits promise.
    let late: Arc<dyn BlobStore> = Arc::new(MemoryStore::new());
    let behind = Pair {
        origin: Arc::clone(&world.store),
        mirror: Arc::clone(&late),
        clock: Arc::new(ManualClock::new(moment("2019-01-01T00:00:00Z"))),
    };
    run(&behind);
    let promised =
        Vault::open(Arc::clone(&late)).unwrap().head(&shop()).unwrap().unwrap().envelope.locked_until;
    let commits_and_packs = late.list("log/").unwrap().into_iter().chain(late.list("data/").unwrap());
    for blob in commits_and_packs {
        assert!(blob.locked_until.unwrap() >= promised, "{}", blob.name);
    }
}

#[test]
fn a_renewal_at_the_origin_reaches_the_mirror() {
    let world = World::in_memory(53);
    fill(&world, 1, 0);
    let mirror: Arc<dyn BlobStore> = Arc::new(MemoryStore::new());
    let pair = pair(Arc::clone(&world.store), Arc::clone(&mirror));
    run(&pair);
    let later = pair.clock.now().plus_micros(300 * DAY_MICROS);
    vault::retention::extend_all(&*world.store, later).unwrap();
    let report = run(&pair);
    assert!(report.renewed_locks > 0 && report.differences.is_empty(), "{report:?}");
    assert!(mirror.list("").unwrap().iter().all(|blob| blob.locked_until.unwrap() >= later));
    // A lock of a thousand years is not taken over: it would only burn money.
    vault::retention::extend_all(&*world.store, later.plus_micros(365_000 * DAY_MICROS)).unwrap();
    run(&pair);
    let longest: Moment = mirror.list("").unwrap().iter().filter_map(|blob| blob.locked_until).max().unwrap();
    assert!(longest.micros_since(pair.clock.now()) < 3700 * DAY_MICROS);
}

#[test]
fn no_loss_at_the_origin_reaches_the_mirror() {
    type Damage = fn(&MemoryStore) -> (&'static str, MirrorProblem);
    let damages: [Damage; 6] = [
        |origin| {
            origin.damage(&first_pack(origin), |_| None);
            ("data/", MirrorProblem::Missing)
        },
        |origin| {
            origin.damage(&first_pack(origin), |bytes| {
                bytes.truncate(40);
                Some(())
            });
            ("data/", MirrorProblem::Altered)
        },
        |origin| {
            origin.damage(&name("log/shop/0000000003"), |_| None);
            ("log/shop/", MirrorProblem::RolledBack)
        },
        |origin| {
            origin.damage(&name("log/shop/0000000001"), |_| None);
            ("log/shop/0000000001", MirrorProblem::Missing)
        },
        |origin| {
            origin.damage(&name("keys/0"), |bytes| {
                bytes.reverse();
                Some(())
            });
            ("keys/0", MirrorProblem::Altered)
        },
        |origin| {
            origin.damage(&name("vault.json"), |_| None);
            ("vault.json", MirrorProblem::Missing)
        },
    ];
    for damage in damages {
        let origin = Arc::new(MemoryStore::new());
        let world = World::in_store(origin.clone(), 54);
        fill(&world, 3, 0);
        let mirror: Arc<dyn BlobStore> = Arc::new(MemoryStore::new());
        let pair = pair(origin.clone(), Arc::clone(&mirror));
        run(&pair);
        let before = objects(&*mirror);
        let (object, problem) = damage(&origin);
        let report = run(&pair);
        assert!(report.shows_loss());
        let found = problems(&report);
        assert!(found.iter().any(|(o, p)| o.starts_with(object) && *p == problem), "{object}: {found:?}");
        assert_eq!(objects(&*mirror), before, "{object}");
        assert_whole(&world, &mirror);
    }
}

#[test]
fn a_flipped_bit_is_found_when_everything_is_read() {
    let origin = Arc::new(MemoryStore::new());
    let world = World::in_store(origin.clone(), 55);
    fill(&world, 2, 0);
    let mirror: Arc<dyn BlobStore> = Arc::new(MemoryStore::new());
    let pair = pair(origin.clone(), Arc::clone(&mirror));
    run(&pair);
    for object in [first_pack(&*origin), name("log/shop/0000000001")] {
        origin.damage(&object, |bytes| {
            bytes[200] ^= 1;
            Some(())
        });
        let thorough = MirrorOptions { thorough: true, ..MirrorOptions::default() };
        let report = pull(&pair, &thorough, MirrorWatch::IDLE).unwrap();
        assert!(problems(&report).contains(&(object.to_string(), MirrorProblem::Altered)), "{report:?}");
        assert_whole(&world, &mirror);
    }
}

#[test]
fn a_fork_is_found_and_not_followed() {
    let origin = Arc::new(MemoryStore::new());
    let world = World::in_store(origin.clone(), 56);
    fill(&world, 2, 0);
    let mirror: Arc<dyn BlobStore> = Arc::new(MemoryStore::new());
    let pair = pair(origin.clone(), Arc::clone(&mirror));
    run(&pair);
    let before = objects(&*mirror);
    // Whoever has the capture key and can delete writes another history over the newest commit.
    origin.damage(&name("log/shop/0000000002"), |_| None);
    fill(&world, 2, 70);
    let report = run(&pair);
    let found = problems(&report);
    assert!(found.contains(&("log/shop/0000000002".to_owned(), MirrorProblem::Forked)), "{found:?}");
    assert!(found.contains(&("log/shop/0000000003".to_owned(), MirrorProblem::Forked)), "{found:?}");
    let kept: Vec<_> =
        objects(&*mirror).into_iter().filter(|(n, _)| !n.as_str().starts_with("data/")).collect();
    let had: Vec<_> = before.into_iter().filter(|(n, _)| !n.as_str().starts_with("data/")).collect();
    assert_eq!(kept, had);
    assert!(!report.complete);
    assert_whole(&world, &mirror);
}

#[test]
fn a_commit_whose_pack_is_lost_waits_and_what_follows_is_saved() {
    let origin = Arc::new(MemoryStore::new());
    let world = World::in_store(origin.clone(), 57);
    fill(&world, 1, 0);
    let mirror: Arc<dyn BlobStore> = Arc::new(MemoryStore::new());
    let pair = pair(origin.clone(), Arc::clone(&mirror));
    run(&pair);
    fill(&world, 2, 1);
    let second = Vault::open(Arc::clone(&world.store)).unwrap().commit(&shop(), 2).unwrap();
    let lost = second.envelope.packs[0].id.to_string();
    let object = name(&format!("data/{}/{lost}", &lost[..2]));
    let good = origin.read(&object).unwrap();
    origin.damage(&object, |bytes| {
        bytes[300] ^= 1;
        Some(())
    });
    let report = run(&pair);
    assert!(problems(&report).contains(&("log/shop/".to_owned(), MirrorProblem::Waiting)), "{report:?}");
    assert_eq!(report.sources[&shop()].mirror_sequence, 1);
    assert_eq!(mirror.list("data/").unwrap().len() + 1, origin.list("data/").unwrap().len());
    assert_whole(&world, &mirror);
    origin.damage(&object, |bytes| {
        *bytes = good;
        Some(())
    });
    let report = run(&pair);
    assert!(report.complete && report.differences.is_empty(), "{report:?}");
    assert_eq!(objects(&*world.store), objects(&*mirror));
}

#[test]
fn planted_objects_are_not_copied() {
    let world = World::in_memory(58);
    fill(&world, 1, 0);
    let far = moment("2030-01-01T00:00:00Z");
    let planted = ["log/shop/0000000002", "data/00/rubbish", "readme", "log/other/0000000001"];
    for object in planted {
        world.store.create(&name(object), b"forged", far).unwrap();
    }
    let mirror: Arc<dyn BlobStore> = Arc::new(MemoryStore::new());
    let report = run(&pair(Arc::clone(&world.store), Arc::clone(&mirror)));
    let found = problems(&report);
    for object in planted {
        assert!(found.iter().any(|(o, _)| o == object), "{object}: {found:?}");
        assert!(mirror.head(&name(object)).is_err());
    }
    assert_whole(&world, &mirror);
}

#[test]
fn another_vault_is_never_mixed_in() {
    let (one, other) = (World::in_memory(59), World::in_memory(60));
    fill(&one, 1, 0);
    fill(&other, 1, 0);
    let mirror: Arc<dyn BlobStore> = Arc::new(MemoryStore::new());
    run(&pair(Arc::clone(&one.store), Arc::clone(&mirror)));
    let before = objects(&*mirror);
    let mixed = pair(Arc::clone(&other.store), Arc::clone(&mirror));
    let error = pull(&mixed, &MirrorOptions::default(), MirrorWatch::IDLE).unwrap_err();
    assert!(matches!(error, MirrorError::OtherVault { .. }) && error.is_tampering());
    assert_eq!(objects(&*mirror), before);
    let expected = Some(one.keys.manifest.fingerprint);
    let fresh = pair(Arc::clone(&other.store), Arc::new(MemoryStore::new()));
    let error = pull(&fresh, &MirrorOptions { expected, ..one_thread() }, MirrorWatch::IDLE).unwrap_err();
    assert!(matches!(error, MirrorError::Fingerprint { .. }));
}

#[test]
fn both_stores_fail_at_every_single_call() {
    let source = Arc::new(MemoryStore::new());
    let world = World::in_store(source.clone(), 61);
    fill(&world, 3, 0);
    for fault in [Fault::Fail, Fault::FailAfter, Fault::Full] {
        for at_mirror in [false, true] {
            let mut call = 0;
            loop {
                call += 1;
                let (origin, mirror) = (
                    Arc::new(FaultStore::new(source.clone())),
                    Arc::new(FaultStore::new(Arc::new(MemoryStore::new()))),
                );
                let faulty = if at_mirror { &mirror } else { &origin };
                faulty.fail_from(call, None, fault);
                let pair = pair(origin.clone(), mirror.clone());
                let first = pull(&pair, &one_thread(), MirrorWatch::IDLE);
                let reached = faulty.calls() >= call;
                faulty.heal();
                // Whatever was copied so far is a whole vault, or none yet.
                let store: Arc<dyn BlobStore> = mirror.clone();
                if store.head(&name("vault.json")).is_ok() {
                    assert_whole(&world, &store);
                }
                if let Err(error) = &first {
                    assert_eq!(error.is_full(), at_mirror && fault == Fault::Full, "{error:?}");
                }
                let second = pull(&pair, &one_thread(), MirrorWatch::IDLE).unwrap();
                assert!(second.complete && second.differences.is_empty(), "{fault:?} at {call}: {second:?}");
                assert_eq!(objects(&*source), objects(&*store));
                if !reached {
                    assert!(first.is_ok() && call > 5);
                    break;
                }
            }
        }
    }
}

#[test]
fn a_run_that_is_stopped_goes_on_later() {
    let world = World::in_memory(62);
    fill(&world, 4, 0);
    let mirror: Arc<dyn BlobStore> = Arc::new(MemoryStore::new());
    let pair = pair(Arc::clone(&world.store), Arc::clone(&mirror));
    for limit in 1..60 {
        let asked = AtomicU64::new(0);
        let stop = || asked.fetch_add(1, Ordering::SeqCst) >= limit;
        let watch = MirrorWatch { stop: &stop, ..MirrorWatch::IDLE };
        let report = pull(&pair, &one_thread(), watch).unwrap();
        assert_whole(&world, &mirror);
        if report.complete {
            assert!(limit > 2);
            assert_eq!(objects(&*world.store), objects(&*mirror));
            return;
        }
    }
    panic!("the mirror never became complete");
}

#[test]
fn two_runs_at_once_harm_nothing() {
    let world = World::in_memory(63);
    fill(&world, 4, 0);
    let mirror: Arc<dyn BlobStore> = Arc::new(MemoryStore::new());
    let pair = pair(Arc::clone(&world.store), Arc::clone(&mirror));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| assert!(run(&pair).complete));
        }
    });
    assert_eq!(objects(&*world.store), objects(&*mirror));
    assert_whole(&world, &mirror);
}

#[test]
fn the_mirror_gives_back_what_the_origin_lost() {
    let origin = Arc::new(MemoryStore::new());
    let world = World::in_store(origin.clone(), 64);
    fill(&world, 3, 0);
    let mirror: Arc<dyn BlobStore> = Arc::new(MemoryStore::new());
    let pair = pair(origin.clone(), Arc::clone(&mirror));
    run(&pair);
    let before = objects(&*origin);
    for object in [first_pack(&*origin), name("keys/0"), name("vault.json"), name("log/shop/0000000003")] {
        origin.damage(&object, |_| None);
    }
    let offered = repair(&pair, &one_thread(), false, MirrorWatch::IDLE).unwrap();
    assert_eq!((offered.offers.len(), offered.created_objects), (4, 0));
    let repaired = repair(&pair, &one_thread(), true, MirrorWatch::IDLE).unwrap();
    assert_eq!((repaired.created_objects, repaired.refused.len()), (4, 0));
    assert_eq!(objects(&*origin), before);
    let now = pair.clock.now();
    let pack = origin.head(&first_pack(&*origin)).unwrap();
    assert!(pack.locked_until.unwrap().micros_since(now) >= i64::from(LOCK_DAYS) * DAY_MICROS);
    assert!(run(&pair).differences.is_empty());
}

#[test]
fn a_bad_copy_is_not_given_back_and_a_fork_is_not_mixed() {
    let (origin, copy) = (Arc::new(MemoryStore::new()), Arc::new(MemoryStore::new()));
    let world = World::in_store(origin.clone(), 65);
    fill(&world, 2, 0);
    let pair = pair(origin.clone(), copy.clone());
    run(&pair);
    let pack = first_pack(&*origin);
    origin.damage(&pack, |_| None);
    copy.damage(&pack, |bytes| {
        bytes[50] ^= 1;
        Some(())
    });
    let report = repair(&pair, &one_thread(), true, MirrorWatch::IDLE).unwrap();
    assert_eq!((report.created_objects, report.refused.len()), (0, 1));
    origin.damage(&name("log/shop/0000000002"), |_| None);
    fill(&world, 1, 90);
    origin.damage(&name("log/shop/0000000001"), |_| None);
    let report = repair(&pair, &one_thread(), true, MirrorWatch::IDLE).unwrap();
    assert_eq!(report.created_objects, 0, "{report:?}");
    assert!(report.refused.iter().any(|refused| refused.problem == MirrorProblem::Forked));
}

#[test]
fn several_sources_and_shared_packs_in_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let store = LocalStore::open(&folder.path().join("mirror"), Protection::Plain).unwrap();
    let mirror: Arc<dyn BlobStore> = Arc::new(store);
    let world = World::in_memory(66);
    fill(&world, 2, 0);
    let other = SourceName::new("other").unwrap();
    let writer = world.writer_with(small_options());
    let mut commit = writer.begin(&other);
    put(&mut commit, "a", Layout::Pages { page_bytes: 8192 }, &rows(3000, 9));
    commit.finish(&cursor("1")).unwrap();
    let report = run(&pair(Arc::clone(&world.store), Arc::clone(&mirror)));
    assert!(report.complete, "{report:?}");
    assert_eq!(report.sources.len(), 2);
    assert_eq!(objects(&*world.store), objects(&*mirror));
    assert_whole(&world, &mirror);
}
