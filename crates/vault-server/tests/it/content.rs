use std::sync::Arc;

use blobs::MemoryStore;
use model::Moment;
use ports::{BlobError, BlobStore, Clock, ManualClock, SeededRandom};
use vault::{InitOptions, init, retention::DAY_MICROS};

use crate::support::{LOCK_DAYS, World, commit, far, name, object, writer};

fn refusal(result: Result<(), BlobError>) -> String {
    match result {
        Err(BlobError::Refused { source, .. }) => source.to_string(),
        other => panic!("not refused: {other:?}"),
    }
}

/// A copy of the world's vault in which commits are made that are then sent by hand.
fn bench(world: &World) -> Arc<MemoryStore> {
    let copy = MemoryStore::new();
    for blob in world.store.list("").unwrap() {
        let bytes = world.store.read(&blob.name).unwrap();
        copy.create(&blob.name, &bytes, blob.locked_until.unwrap()).unwrap();
    }
    Arc::new(copy)
}

#[test]
fn a_pack_must_have_its_name_by_right() {
    let world = World::new();
    let own = bench(&world);
    commit(&world.writer(Arc::clone(&own) as _), "shop", &vec![1; 90_000]);
    let (pack, bytes) = object(&*own, "data/");
    let client = world.client("capture/shop");
    for at in [0, 20, 150, bytes.len() - 1] {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        refusal(client.create(&pack, &changed, far(&world)));
    }
    refusal(client.create(&pack, &bytes[..bytes.len() - 1], far(&world)));
    refusal(client.create(&pack, b"", far(&world)));
    // Bytes that hash to their name and are no pack.
    let noise = vec![9; 1000];
    let id = blake3::hash(&noise).to_hex().to_string();
    let message = refusal(client.create(&name(&format!("data/{}/{id}", &id[..2])), &noise, far(&world)));
    assert!(message.contains("no pack"), "{message}");
    client.create(&pack, &bytes, far(&world)).unwrap();
}

#[test]
fn a_pack_of_another_vault_is_refused() {
    let world = World::new();
    let foreign = Arc::new(MemoryStore::new());
    let (clock, random) = (world.clock.clone(), Arc::new(SeededRandom::new(99)));
    let keys = init(&*foreign, InitOptions { lock_days: LOCK_DAYS }, &*clock, &*random).unwrap();
    commit(&writer(Arc::clone(&foreign) as _, &keys.capture_key, clock, random), "shop", &vec![1; 90_000]);
    let client = world.client("capture/shop");
    let (pack, bytes) = object(&*foreign, "data/");
    refusal(client.create(&pack, &bytes, far(&world)));
    let (log, bytes) = object(&*foreign, "log/");
    let message = refusal(client.create(&log, &bytes, far(&world)));
    assert!(message.contains("belongs to vault"), "{message}");
}

#[test]
fn a_commit_must_be_the_next_of_its_own_source_and_name_what_is_there() {
    let world = World::new();
    let own = bench(&world);
    let local = world.writer(Arc::clone(&own) as _);
    for text in [vec![1; 90_000], vec![2; 90_000]] {
        commit(&local, "shop", &text);
    }
    commit(&local, "other", b"x");
    let read = |text: &str| own.read(&name(text)).unwrap();
    let (first, second) = (name("log/shop/0000000001"), name("log/shop/0000000002"));
    let client = world.client("capture/shop");

    let message = refusal(client.create(&first, &read("log/shop/0000000001"), far(&world)));
    assert!(message.contains("names pack"), "{message}");
    for pack in own.list("data/").unwrap() {
        client.create(&pack.name, &own.read(&pack.name).unwrap(), far(&world)).unwrap();
    }
    // Not the next, not under its own number, not its own source, and not with one bit changed.
    refusal(client.create(&second, &read("log/shop/0000000002"), far(&world)));
    refusal(client.create(&first, &read("log/shop/0000000002"), far(&world)));
    refusal(client.create(&first, &read("log/other/0000000001"), far(&world)));
    let mut changed = read("log/shop/0000000001");
    changed[60] ^= 1;
    refusal(client.create(&first, &changed, far(&world)));
    assert!(world.store.list("log/").unwrap().is_empty());

    client.create(&first, &read("log/shop/0000000001"), far(&world)).unwrap();
    client.create(&second, &read("log/shop/0000000002"), far(&world)).unwrap();
    // A replay of the first as the third.
    refusal(client.create(&name("log/shop/0000000003"), &read("log/shop/0000000001"), far(&world)));
}

#[test]
fn a_commit_with_a_time_of_its_own_is_refused() {
    let world = World::new();
    for (shift, word) in [(-40 * DAY_MICROS, "clock"), (3 * 3_600_000_000, "clock")] {
        let own = bench(&world);
        let clock = Arc::new(ManualClock::new(world.clock.now().plus_micros(shift)));
        let local = writer(Arc::clone(&own) as _, &world.keys.capture_key, clock, Arc::clone(&world.random));
        commit(&local, "shop", b"x");
        let client = world.client("capture/shop");
        let (pack, bytes) = object(&*own, "data/");
        client.create(&pack, &bytes, far(&world)).or_else(exists).unwrap();
        let (log, bytes) = object(&*own, "log/");
        let message = refusal(client.create(&log, &bytes, far(&world)));
        assert!(message.contains(word), "{message}");
    }
}

fn exists(error: BlobError) -> Result<(), BlobError> {
    if matches!(error, BlobError::Exists { .. }) { Ok(()) } else { Err(error) }
}

#[test]
fn locks_come_from_the_servers_clock_and_only_grow() {
    let world = World::new();
    let own = bench(&world);
    commit(&world.writer(Arc::clone(&own) as _), "shop", &vec![1; 90_000]);
    let (pack, bytes) = object(&*own, "data/");
    let client = world.client("capture/shop");
    let now = world.clock.now();
    // A bomb: the disk would be full for a century.
    let century = now.plus_micros(36_500 * DAY_MICROS);
    refusal(client.create(&pack, &bytes, century));
    // A lock that has run out already is made the vault's own.
    client.create(&pack, &bytes, Moment::from_micros(0)).unwrap();
    let lock = client.head(&pack).unwrap().locked_until.unwrap();
    assert_eq!(lock, far(&world));
    refusal(client.extend_lock(&pack, century));
    client.extend_lock(&pack, Moment::from_micros(5)).unwrap();
    assert_eq!(client.head(&pack).unwrap().locked_until, Some(lock));
    let year = now.plus_micros(365 * DAY_MICROS);
    client.extend_lock(&pack, year).unwrap();
    assert_eq!(world.store.head(&pack).unwrap().locked_until, Some(year));
}

#[test]
fn a_commit_lengthens_the_locks_of_what_it_names() {
    let world = World::new();
    let own = bench(&world);
    commit(&world.writer(Arc::clone(&own) as _), "shop", &vec![1; 90_000]);
    let (pack, bytes) = object(&*own, "data/");
    let client = world.client("capture/shop");
    client.create(&pack, &bytes, far(&world)).unwrap();
    let first = world.store.head(&pack).unwrap().locked_until.unwrap();
    // An hour later comes the commit of a client that does not extend anything itself.
    world.clock.advance_micros(3_600 * 1_000_000);
    let (log, bytes) = object(&*own, "log/");
    client.create(&log, &bytes, far(&world)).unwrap();
    assert_eq!(world.store.head(&pack).unwrap().locked_until, Some(first.plus_micros(3_600 * 1_000_000)));
}

#[test]
fn names_and_sizes_that_the_format_does_not_know_are_refused() {
    let world = World::new();
    let client = world.client("capture/shop");
    for bad in ["other", "data/x", "data/ab/cd", "log/shop/1", "log/shop/0000000000", "keys/a", "heads/a/b"] {
        refusal(client.create(&name(bad), b"x", far(&world)));
    }
    refusal(client.create(&name("heads/0"), &vec![0; (2 << 20) + 1], far(&world)));
    // Heads come one by one, so that nobody takes the place of a later one.
    refusal(client.create(&name("heads/1"), b"head", far(&world)));
    refusal(client.create(&name("heads/0"), b"head", far(&world)));
    let writer = world.writer(Arc::clone(&client) as _);
    commit(&writer, "shop", b"one");
    assert_eq!(writer.advance_head().unwrap().heads, 1);
    // The true head, once more: it continues nothing.
    let (_, head) = object(&*world.store, "heads/");
    refusal(client.create(&name("heads/1"), &head, far(&world)));
    commit(&writer, "shop", b"two");
    assert_eq!(writer.advance_head().unwrap().heads, 1);
}

/// Changes a commit's envelope and signs it anew, as somebody with the capture key could.
fn forge(world: &World, commit: &[u8], change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    const HEAD: usize = 16;
    let length = u32::from_le_bytes(commit[12..HEAD].try_into().unwrap()) as usize;
    let mut forged = commit.to_vec();
    change(&mut forged[HEAD..HEAD + length]);
    let text = world.keys.capture_key.to_text().unwrap();
    let seed = text.split("\"signing_seed\": \"").nth(1).unwrap().split('"').next().unwrap();
    let digit = |at: usize| u8::from_str_radix(&seed[at..at + 2], 16).unwrap();
    let seed: Vec<u8> = (0..seed.len()).step_by(2).map(digit).collect();
    let signer = ring::signature::Ed25519KeyPair::from_seed_unchecked(&seed).unwrap();
    let signature = signer.sign(&[b"unwipe/v1/commit", &forged[..HEAD + length]].concat());
    forged[HEAD + length..HEAD + length + 64].copy_from_slice(signature.as_ref());
    forged
}

/// Where the fields of an envelope lie: vault id 16, source `shop` 5, sequence 1, previous 32, signer 32, time 8.
const LOCKED_UNTIL: usize = 16 + 5 + 1 + 32 + 32 + 8;
const RETENTION: usize = LOCKED_UNTIL + 8;

#[test]
fn retention_cannot_be_poisoned_with_a_valid_signature() {
    let world = World::new();
    let own = bench(&world);
    commit(&world.writer(Arc::clone(&own) as _), "shop", &vec![1; 90_000]);
    let client = world.client("capture/shop");
    let (pack, bytes) = object(&*own, "data/");
    client.create(&pack, &bytes, far(&world)).unwrap();
    let (log, honest) = object(&*own, "log/");
    let century = world.clock.now().plus_micros(36_500 * DAY_MICROS).as_micros();

    let shrunken = forge(&world, &honest, |envelope| {
        assert_eq!(u32::from(envelope[RETENTION]), LOCK_DAYS);
        envelope[RETENTION] = 1;
    });
    let message = refusal(client.create(&log, &shrunken, far(&world)));
    assert!(message.contains("kept for 1 days"), "{message}");
    let bomb = forge(&world, &honest, |envelope| {
        envelope[LOCKED_UNTIL..RETENTION].copy_from_slice(&century.to_le_bytes());
    });
    let message = refusal(client.create(&log, &bomb, far(&world)));
    assert!(message.contains("grants locks up to"), "{message}");
    // A lock that has run out already, signed: the server's own counts.
    let lapsed = forge(&world, &honest, |envelope| {
        envelope[LOCKED_UNTIL..RETENTION].copy_from_slice(&0_i64.to_le_bytes());
    });
    client.create(&log, &lapsed, far(&world)).unwrap();
    assert!(world.store.head(&log).unwrap().locked_until >= Some(far(&world)));
    assert!(world.store.head(&pack).unwrap().locked_until >= Some(far(&world)));
}
