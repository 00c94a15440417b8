use std::sync::Arc;

use ports::{BlobError, BlobStore, Clock, Random};
use vault::retention::DAY_MICROS;
use vault_server::{Keeper, Policy};

use crate::support::{World, commit};

fn is_full(error: &vault::WriteError) -> bool {
    matches!(error, vault::WriteError::Store(BlobError::Full { .. }))
}

fn flood(world: &World, writer: &vault::VaultWriter) -> vault::WriteError {
    for _ in 0..100 {
        let mut bytes = vec![0; 90_000];
        world.random.fill(&mut bytes);
        let mut commit = writer.begin(&model::SourceName::new("shop").unwrap());
        let stored = commit.store_bytes(vault::Layout::Small, &bytes).and_then(|content| {
            let item = model::Item {
                stream: model::StreamName::new("base").unwrap(),
                key: "a".to_owned(),
                attributes: "{}".to_owned(),
            };
            commit.upsert(item, content)
        });
        match stored.and_then(|()| commit.finish(&vault::Cursor::default())) {
            Ok(_) => {}
            Err(error) => return error,
        }
    }
    panic!("nothing stopped the flood");
}

#[test]
fn a_flood_from_one_source_leaves_the_others_their_room() {
    let policy = Policy { bytes_per_day_max: 1_000_000, ..Policy::default() };
    let world = World::with(policy, None);
    let shop = world.client("capture/shop");
    let error = flood(&world, &world.writer(Arc::clone(&shop) as _));
    assert!(is_full(&error), "{error:?}");
    let usage = shop.status().unwrap().sources.remove(0);
    assert!(usage.bytes_today <= 1_000_000 && usage.bytes_today > 800_000, "{usage:?}");
    assert_eq!(usage.objects_today, usage.objects_last_hour);

    let other = world.writer(world.client("capture/other"));
    assert_eq!(commit(&other, "other", &vec![3; 50_000]).sequence, 1);
    let all = world.client("mirror").status().unwrap().sources;
    assert_eq!(all.len(), 2);

    // The next day the source goes on.
    world.clock.advance_micros(DAY_MICROS);
    assert!(commit(&world.writer(shop), "shop", b"tomorrow").sequence > 1);
}

#[test]
fn a_flood_of_small_objects_ends_too() {
    let world = World::with(Policy { objects_per_day_max: 10, ..Policy::default() }, None);
    let error = flood(&world, &world.writer(world.client("capture/shop")));
    assert!(is_full(&error), "{error:?}");
    let usage = world.client("capture/shop").status().unwrap().sources.remove(0);
    assert_eq!(usage.objects_today, 10);
}

#[test]
fn the_reserve_is_nobodys() {
    let policy = Policy { reserve_bytes: 1_000_000, ..Policy::default() };
    let world = World::with(policy, Some(1_020_000));
    let error = flood(&world, &world.writer(world.client("capture/shop")));
    assert!(is_full(&error), "{error:?}");
    assert_eq!(world.client("capture/shop").status().unwrap().free_bytes, Some(20_000));
}

#[test]
fn what_is_refused_is_not_charged() {
    let world = World::new();
    let client = world.client("capture/shop");
    let id = "ab".repeat(32);
    let name = ports::BlobName::new(format!("data/ab/{id}")).unwrap();
    client.create(&name, &[1; 5000], world.clock.now()).unwrap_err();
    let usage = client.status().unwrap().sources.remove(0);
    assert_eq!((usage.bytes, usage.objects, usage.objects_last_hour), (0, 0, 0));
}

#[test]
fn accounts_outlive_a_restart_and_are_made_again_from_the_vault() {
    let world = World::new();
    commit(&world.writer(world.client("capture/shop")), "shop", &vec![1; 90_000]);
    let usage = world.client("mirror").status().unwrap().sources;
    let accounts = world.folder.path().join("accounts.json");
    let reopen = || {
        let store: Arc<dyn BlobStore> = Arc::clone(&world.store) as _;
        let clock = world.clock.clone();
        let keeper = Keeper::open(store, &accounts, Policy::default(), clock, Box::new(|| None)).unwrap();
        keeper.status(&"mirror".parse().unwrap()).sources
    };
    let again = reopen();
    assert_eq!((again[0].bytes_today, again[0].objects), (usage[0].bytes_today, usage[0].objects));
    ports::files::replace(&accounts, b"not json").unwrap();
    let rebuilt = reopen();
    assert_eq!(rebuilt[0].objects, usage[0].objects);
    // Envelopes of commits are not counted when accounts are made again; bodies and packs are.
    assert!(rebuilt[0].bytes <= usage[0].bytes && rebuilt[0].bytes + 2_000 > usage[0].bytes, "{rebuilt:?}");
}
