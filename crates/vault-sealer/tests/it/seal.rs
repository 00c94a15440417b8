use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
};

use blobs::{SealerClient, SealerReaper};
use model::Moment;
use ports::{BlobError, BlobName, BlobStore, Clock, LapsedBlobs, LapsedProof};
use vault::retention::DAY_MICROS;
use vault_sealer::{ReapGate, Refusal, SealerError};

use crate::support::{World, commit, is_root};

/// Agrees to everything, so that what the sealer itself decides is seen.
struct Agrees;

impl ReapGate for Agrees {
    fn may_reap(&self, _: &BlobName, _: Moment) -> Result<(), Refusal> {
        Ok(())
    }
}

/// A proof that anybody could have made.
struct Named(BlobName);

impl LapsedProof for Named {
    fn name(&self) -> &BlobName {
        &self.0
    }
}

fn name(text: &str) -> BlobName {
    BlobName::new(text).unwrap()
}

#[expect(clippy::needless_pass_by_value, reason = "made to be given a result")]
fn is_refused(result: Result<(), BlobError>) {
    assert!(matches!(result, Err(BlobError::Refused { .. })), "{result:?}");
}

#[test]
fn a_store_behind_the_sealer_is_a_store() {
    if !is_root() {
        return;
    }
    let world = World::new();
    let (_, writer) = world.init();
    for round in 1..=3 {
        assert_eq!(commit(&writer, &vec![round; 50_000]).sequence, u64::from(round));
    }
    let store = world.store();
    let pack = store.list("data/").unwrap().remove(0);
    assert!(matches!(store.create(&pack.name, b"x", world.clock.now()), Err(BlobError::Exists { .. })));
    assert!(matches!(store.head(&name("keys/9")), Err(BlobError::Missing { .. })));
    assert!(matches!(store.extend_lock(&name("keys/9"), world.clock.now()), Err(BlobError::Missing { .. })));
    // A lock grows, and never shrinks, also over a restart.
    let first = store.head(&pack.name).unwrap().locked_until.unwrap();
    let later = first.plus_micros(DAY_MICROS);
    store.extend_lock(&pack.name, later).unwrap();
    store.extend_lock(&pack.name, first).unwrap();
    assert_eq!(store.head(&pack.name).unwrap().locked_until, Some(later));
    assert_eq!(world.reopen(Box::new(Agrees)).lock(&pack.name).unwrap(), Some(later));
    assert_eq!(store.measure().unwrap().tier, 0, "this very process has the capability");
    assert!(store.measure().unwrap().objects_immutable);
}

#[test]
fn only_what_is_what_its_name_says_is_sealed() {
    if !is_root() {
        return;
    }
    let world = World::new();
    let client = SealerClient::new(&world.socket());
    let far = world.clock.now().plus_micros(40 * DAY_MICROS);
    // Nothing can be checked before there is a manifest.
    let id = blake3::hash(b"x").to_hex().to_string();
    let pack = name(&format!("data/{}/{id}", &id[..2]));
    assert!(client.seal(&pack, b"x", far).is_err());
    is_refused(client.seal(&name("vault.json"), b"{}", far));
    let (_, writer) = world.init();
    commit(&writer, &vec![1; 90_000]);
    for (bad, content) in [
        (pack.as_str(), &b"x"[..]),
        ("log/shop/0000000002", b"no commit"),
        ("other", b"x"),
        ("data/ab/cd", b"x"),
        ("keys/01", b"x"),
    ] {
        is_refused(client.seal(&name(bad), content, far));
    }
    // A commit under another name than its own.
    let store = world.store();
    let first = store.read(&name("log/shop/0000000001")).unwrap();
    is_refused(client.seal(&name("log/shop/0000000002"), &first, far));
    is_refused(client.seal(&name("log/other/0000000001"), &first, far));
    is_refused(client.seal(&name("proofs/1"), &vec![0; (2 << 20) + 1], far));
    let century = world.clock.now().plus_micros(36_500 * DAY_MICROS);
    is_refused(client.seal(&name("proofs/1"), b"x", century));
    is_refused(client.extend(&name("vault.json"), century));
    client.seal(&name("proofs/1"), b"x", Moment::from_micros(0)).unwrap();
    let lock = client.lock(&name("proofs/1")).unwrap().unwrap();
    assert!(lock >= world.clock.now().plus_micros(30 * DAY_MICROS), "{lock}");
}

#[test]
fn nothing_is_removed_before_record_floor_and_gate_agree() {
    if !is_root() {
        return;
    }
    let world = World::with(Box::new(Agrees), vec![0]);
    let (_, writer) = world.init();
    commit(&writer, &vec![1; 90_000]);
    let client = SealerClient::new(&world.socket());
    let pack = world.store().list("data/").unwrap().remove(0).name;
    is_refused(client.reap(&pack));
    // The clock is set a year ahead: no time has passed.
    world.clock.jump(365 * DAY_MICROS);
    is_refused(client.reap(&pack));
    // Nor does a restart believe it, with the floor that was written down.
    let restarted = world.reopen(Box::new(Agrees));
    assert!(matches!(restarted.reap(&pack), Err(SealerError::Locked { .. })));
    world.clock.jump(-365 * DAY_MICROS);
    world.clock.pass(20 * DAY_MICROS);
    is_refused(client.reap(&pack));
    world.clock.pass(18 * DAY_MICROS);
    // A proof is no more than the name that it is for: the sealer looks itself.
    is_refused(SealerReaper::new(&world.socket()).reap(Named(name("vault.json"))));
    SealerReaper::new(&world.socket()).reap(Named(pack.clone())).unwrap();
    assert!(matches!(world.store().head(&pack), Err(BlobError::Missing { .. })));
    // What the vault begins with stays, and the folder is closed again.
    for kept in ["vault.json", "keys/0"] {
        is_refused(client.reap(&name(kept)));
    }
    let fan = world.root().join(pack.as_str()).parent().unwrap().to_owned();
    let flags = std::process::Command::new("lsattr").arg("-d").arg(fan).output().unwrap();
    assert!(String::from_utf8_lossy(&flags.stdout).split(' ').next().unwrap().contains('a'));
}

#[test]
fn by_default_and_without_a_record_nothing_is_removed() {
    if !is_root() {
        return;
    }
    let world = World::new();
    let (_, writer) = world.init();
    commit(&writer, &vec![1; 90_000]);
    world.clock.pass(100 * DAY_MICROS);
    let pack = world.store().list("data/").unwrap().remove(0).name;
    is_refused(SealerClient::new(&world.socket()).reap(&pack));
    // An object that is there without a record: nobody knows its lock.
    let other = format!("{}{}", &pack.as_str()[..10], "0".repeat(62));
    ports::files::create_new(&world.root().join(&other), b"planted", 0o444).unwrap();
    let sealer = world.reopen(Box::new(Agrees));
    assert!(matches!(sealer.reap(&name(&other)), Err(SealerError::Unrecorded)));
    assert!(matches!(sealer.reap(&name("keys/0")), Err(SealerError::Refusal(_))));
}

#[test]
fn a_stranger_and_a_babbler_are_refused() {
    if !is_root() {
        return;
    }
    let world = World::with(Box::new(Agrees), vec![12_345]);
    is_refused(SealerClient::new(&world.socket()).reap(&name("vault.json")));
    let world = World::with(Box::new(Agrees), vec![0]);
    for babble in [
        "\n",
        "{}\n",
        "{\"verb\":\"delete\",\"name\":\"vault.json\"}\n",
        "{\"verb\":\"lock\",\"name\":\"../../etc/passwd\"}\n",
        "{\"verb\":\"lock\",\"name\":\"data/.hidden\"}\n",
        "{\"verb\":\"seal\",\"name\":\"proofs/1\",\"length\":99999999999,\"until\":0}\n",
        "{\"verb\":\"reap\",\"name\":\"proofs/1\",\"force\":true}\n",
    ] {
        let mut stream = UnixStream::connect(world.socket()).unwrap();
        stream.write_all(babble.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.contains("refused"), "{babble}: {answer}");
    }
    let mut endless = UnixStream::connect(world.socket()).unwrap();
    drop(endless.write_all(&vec![b'x'; 100_000]));
    let mut answer = String::new();
    drop(endless.read_to_string(&mut answer));
    assert!(answer.is_empty() || answer.contains("refused"), "{answer}");
    // Content that breaks off leaves nothing.
    let mut torn = UnixStream::connect(world.socket()).unwrap();
    torn.write_all(b"{\"verb\":\"seal\",\"name\":\"keys/0\",\"length\":10,\"until\":0}\nabc").unwrap();
    torn.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    torn.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("failed"), "{answer}");
    assert!(!world.root().join("keys/0").exists());
}
