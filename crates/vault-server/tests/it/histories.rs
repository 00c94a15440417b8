//! Whatever is asked, in whatever order and by whom: nothing that is there changes, and no lock gets shorter.

use std::{collections::BTreeMap, sync::Arc};

use blobs::MemoryStore;
use model::Moment;
use ports::{Blob, BlobName, BlobStore, Clock, ManualClock, SeededRandom};
use proptest::prelude::*;
use vault::{Commit, InitOptions, ObjectName, Vault, init, retention::DAY_MICROS};
use vault_server::{Capability, Keeper, Policy};

use crate::support::{LOCK_DAYS, commit, name, writer};

const BYTES_PER_DAY: u64 = 400_000;
const OBJECTS_PER_DAY: u64 = 12;

/// One request.
#[derive(Debug, Clone)]
struct Asked {
    who: usize,
    what: prop::sample::Index,
    extend: bool,
    /// Changes one byte of the content.
    damage: Option<prop::sample::Index>,
    days: i64,
    /// How many hours pass before it.
    hours: i64,
}

fn asked() -> impl Strategy<Value = Asked> {
    let days = prop_oneof![3 => Just(0_i64), 1 => -100..40_000_i64];
    let hours = prop_oneof![9 => Just(0_i64), 1 => 1..8_i64];
    let damage = prop::option::weighted(0.2, any::<prop::sample::Index>());
    (0..4_usize, any::<prop::sample::Index>(), any::<bool>(), damage, days, hours)
        .prop_map(|(who, what, extend, damage, days, hours)| Asked { who, what, extend, damage, days, hours })
}

struct Scene {
    store: Arc<MemoryStore>,
    clock: Arc<ManualClock>,
    keeper: Keeper,
    /// What honest clients would send, and some that they would not.
    objects: Vec<(BlobName, Vec<u8>)>,
    callers: Vec<Capability>,
    _folder: tempfile::TempDir,
}

fn scene() -> Scene {
    let clock = Arc::new(ManualClock::new("2026-04-25T14:00:09Z".parse().unwrap()));
    let random = Arc::new(SeededRandom::new(5));
    let store = Arc::new(MemoryStore::new());
    let keys = init(&*store, InitOptions { lock_days: LOCK_DAYS }, &*clock, &*random).unwrap();
    let bench = Arc::new(MemoryStore::new());
    for blob in store.list("").unwrap() {
        let bytes = store.read(&blob.name).unwrap();
        bench.create(&blob.name, &bytes, blob.locked_until.unwrap()).unwrap();
    }
    let local = writer(Arc::clone(&bench) as _, &keys.capture_key, clock.clone(), random);
    for (source, byte) in [("shop", 1), ("other", 2), ("shop", 3), ("shop", 4)] {
        let mut bytes: Vec<u8> =
            (0..80_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        bytes[0] = byte;
        commit(&local, source, &bytes);
    }
    let mut objects: Vec<(BlobName, Vec<u8>)> = bench
        .list("")
        .unwrap()
        .into_iter()
        .map(|blob| (blob.name.clone(), bench.read(&blob.name).unwrap()))
        .collect();
    for text in
        ["heads/0", "heads/1", "heads/5", "proofs/1", "proofs/a", "keys/1", "other", "log/shop/0000000009"]
    {
        objects.push((name(text), b"small".to_vec()));
    }
    let folder = tempfile::tempdir().unwrap();
    let policy = Policy {
        bytes_per_day_max: BYTES_PER_DAY,
        objects_per_day_max: OBJECTS_PER_DAY,
        ..Policy::default()
    };
    let shared: Arc<dyn BlobStore> = Arc::clone(&store) as _;
    let accounts = folder.path().join("accounts.json");
    let keeper = Keeper::open(shared, &accounts, policy, clock.clone(), Box::new(|| None)).unwrap();
    let callers =
        ["capture/shop", "capture/other", "restore", "mirror"].map(|text| text.parse().unwrap()).to_vec();
    Scene { store, clock, keeper, objects, callers, _folder: folder }
}

impl Scene {
    fn carry_out(&self, asked: &Asked) {
        self.clock.advance_micros(asked.hours * 3_600 * 1_000_000);
        let caller = &self.callers[asked.who];
        let (name, content) = &self.objects[asked.what.index(self.objects.len())];
        let until = self.clock.now().plus_micros(asked.days * DAY_MICROS);
        // Whether it is granted is not the question here; what is left afterwards is.
        if asked.extend {
            drop(self.keeper.extend(caller, name, until));
            return;
        }
        let mut content = content.clone();
        if let Some(at) = asked.damage {
            let at = at.index(content.len());
            content[at] ^= 1;
        }
        if let Ok(admission) = self.keeper.admit(caller, name, content.len() as u64, Some(until)) {
            drop(self.keeper.create(admission, &content));
        }
    }

    fn state(&self) -> BTreeMap<BlobName, (Vec<u8>, Moment)> {
        let entry = |blob: Blob| {
            let bytes = self.store.read(&blob.name).unwrap();
            (blob.name, (bytes, blob.locked_until.unwrap()))
        };
        self.store.list("").unwrap().into_iter().map(entry).collect()
    }

    fn check_logs(&self) {
        let vault = Vault::open(Arc::clone(&self.store) as _).unwrap();
        for source in vault.sources().unwrap() {
            let commits: Vec<Commit> = vault.commits(&source).unwrap().collect::<Result<_, _>>().unwrap();
            for commit in commits {
                let own = vault::object::commit_name(&source, commit.envelope.sequence).unwrap();
                let lock = self.store.head(&own).unwrap().locked_until;
                let packs = commit.envelope.packs.iter().map(|p| p.id).chain(commit.envelope.earlier_packs);
                for id in packs {
                    let pack = self.store.head(&vault::object::pack_name(&id).unwrap()).unwrap();
                    assert!(pack.locked_until >= lock, "{} lapses before its commit", pack.name);
                }
            }
        }
    }
}

/// The scene is one in which something can happen: who asks in the right order is granted it.
#[test]
fn an_honest_history_is_granted() {
    let scene = scene();
    for (name, content) in &scene.objects {
        let who = usize::from(name.as_str().starts_with("log/other"));
        if !name.as_str().starts_with("data/") && !name.as_str().starts_with("log/") {
            continue;
        }
        let caller = &scene.callers[who];
        let admission = scene.keeper.admit(caller, name, content.len() as u64, None).unwrap();
        let created = scene.keeper.create(admission, content);
        assert_eq!(created.is_ok(), name.as_str() != "log/shop/0000000009", "{name}: {created:?}");
    }
    let commits = scene.store.list("log/").unwrap();
    assert_eq!(commits.len(), 4, "{commits:?}");
    scene.check_logs();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn nothing_changes_and_no_lock_gets_shorter(history in prop::collection::vec(asked(), 1..60)) {
        let scene = scene();
        let mut before = scene.state();
        for asked in &history {
            scene.carry_out(asked);
            let now = scene.state();
            let limit = vault::retention::retained_until(scene.clock.now(), Policy::default().lock_days_max);
            for (name, (bytes, lock)) in &before {
                let (kept, longer) = &now[name];
                prop_assert!(kept == bytes && longer >= lock, "{} changed", name);
            }
            for (name, (bytes, lock)) in now.iter().filter(|(name, _)| !before.contains_key(*name)) {
                // Nothing is stored but what an honest client would have sent, locked for as long as the vault says.
                prop_assert!(scene.objects.iter().any(|(n, b)| n == name && b == bytes)
                    || matches!(ObjectName::parse(name), Some(ObjectName::Head(_) | ObjectName::Proof)));
                prop_assert!(*lock >= vault::retention::lock_until(scene.clock.now(), LOCK_DAYS));
                prop_assert!(*lock <= limit);
            }
            before = now;
        }
        scene.check_logs();
        for account in scene.keeper.status(&Capability::Mirror).sources {
            prop_assert!(account.bytes_today <= BYTES_PER_DAY && account.objects_today <= OBJECTS_PER_DAY);
        }
    }
}
