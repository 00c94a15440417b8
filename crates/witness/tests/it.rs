//! A witness against a vault that grows, is put back, is forked; over HTTP and by file.

#![expect(clippy::unwrap_used, reason = "a test stops at the first thing that goes wrong")]

use std::{net::Ipv4Addr, os::unix::fs::PermissionsExt as _, path::Path, sync::Arc};

use blobs::MemoryStore;
use model::{Moment, SourceName, StreamName};
use ports::{BlobStore, Clock, ManualClock, SeededRandom, TimeSource as _};
use vault::{
    Cursor, InitOptions, NewVault, Vault, VaultWriter, WriterOptions, init,
    tree::{SignedCheckpoint, VerifierKey},
};
use witness::{
    Client, Refusal, RunningServer, Submission, SubmitError, Witness, WitnessClock, WitnessError, WitnessKey,
    request, start,
};

const NAME: &str = "witness.example/anna";

struct World {
    clock: Arc<ManualClock>,
    random: Arc<SeededRandom>,
    keys: NewVault,
    store: Arc<dyn BlobStore>,
    folder: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::new("2026-04-25T14:00:09Z".parse().unwrap()));
        let random = Arc::new(SeededRandom::new(3));
        let store: Arc<dyn BlobStore> = Arc::new(MemoryStore::new());
        let keys = init(&*store, InitOptions { lock_days: 30 }, &*clock, &*random).unwrap();
        Self { clock, random, keys, store, folder: tempfile::tempdir().unwrap() }
    }

    /// Commits once for each name and makes a head of it.
    fn grow(&self, store: &Arc<dyn BlobStore>, names: &[&str]) -> Vault {
        let options = WriterOptions { threads: 0, ..WriterOptions::default() };
        let (clock, random) = (Arc::clone(&self.clock), Arc::clone(&self.random));
        let writer =
            VaultWriter::open(Arc::clone(store), &self.keys.capture_key, clock, random, options).unwrap();
        for name in names {
            let mut commit = writer.begin(&SourceName::new(*name).unwrap());
            commit.remove(StreamName::new("base").unwrap(), "x").unwrap();
            commit.finish(&Cursor(Vec::new())).unwrap();
        }
        writer.advance_head().unwrap();
        Vault::open(Arc::clone(store)).unwrap()
    }

    fn log_key(&self) -> VerifierKey {
        vault::keys::KeyState::of(&self.keys.manifest).verifier_keys(self.keys.manifest.vault).remove(0)
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock) as Arc<dyn Clock>
    }

    fn open(&self) -> Result<Witness, WitnessError> {
        Witness::open(self.folder.path(), self.clock())
    }

    /// Makes a witness that watches the vault.
    fn witness(&self) -> Witness {
        let mut witness =
            Witness::init(self.folder.path(), NAME, false, self.clock(), &*self.random).unwrap();
        witness.watch(&self.log_key()).unwrap();
        witness
    }
}

fn serve(witness: Witness) -> (RunningServer, Client) {
    let key = witness.key().clone();
    let server = start(witness, (Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let client = Client::new(&format!("http://{}/", server.address()), key);
    (server, client)
}

/// Has the newest head cosigned.
fn submit(client: &Client, vault: &Vault, clock: &ManualClock) -> Result<Submission, SubmitError> {
    let head = vault.newest_tree_head().unwrap().unwrap();
    client.submit(vault, &head, clock.now())
}

fn copy(from: &Arc<dyn BlobStore>) -> Arc<dyn BlobStore> {
    let to = MemoryStore::new();
    for blob in from.list("").unwrap() {
        let lock = from.head(&blob.name).unwrap().locked_until.unwrap();
        to.create(&blob.name, &from.read(&blob.name).unwrap(), lock).unwrap();
    }
    Arc::new(to)
}

fn ask(vault: &Vault, old_size: u64) -> String {
    let head = vault.newest_tree_head().unwrap().unwrap();
    request(vault, &head, old_size).unwrap().unwrap().to_string()
}

fn logs(folder: &Path, key: &VerifierKey) -> witness::LogState {
    Witness::logs(folder).unwrap().remove(key.name()).unwrap()
}

#[test]
fn a_growing_vault_is_cosigned_over_http_and_the_answers_are_kept_in_it() {
    let world = World::new();
    let (_server, client) = serve(world.witness());
    let mut last = None;
    for round in 1..5 {
        let vault = world.grow(&world.store, &["shop", "mail", "shop"]);
        world.clock.advance_micros(3_600_000_000);
        let submission = submit(&client, &vault, &world.clock).unwrap();
        assert_eq!(submission.cosigned_at, world.clock.now());
        let head = vault.newest_tree_head().unwrap().unwrap();
        assert_eq!(head.size(), 3 * round);
        let signed = vault.cosigned(&head).unwrap();
        let read = SignedCheckpoint::parse(&signed.note.to_string()).unwrap();
        read.check(vault.manifest().vault, &vault.keys()).unwrap();
        let seconds = world.clock.now().as_micros() / 1_000_000;
        assert_eq!(read.note.cosigned_at(&submission_key(&world)), u64::try_from(seconds).ok());
        last = Some((vault, submission));
    }
    let (vault, submission) = last.unwrap();
    let report = vault::verify::verify(&vault, None, vault::verify::Depth::Structure, &mut |_| {}).unwrap();
    assert_eq!(report.findings, []);
    let state = logs(world.folder.path(), &world.log_key());
    assert_eq!((state.size, state.grown_at), (12, Some(world.clock.now())));

    // The same head again: the time anew, and no growth.
    world.clock.advance_micros(86_400_000_000);
    assert_eq!(submit(&client, &vault, &world.clock).unwrap().cosigned_at, world.clock.now());
    let again = logs(world.folder.path(), &world.log_key());
    assert_eq!((again.seen_at, again.grown_at), (Some(world.clock.now()), state.grown_at));
    let time = WitnessClock::new(Client::new("http://127.0.0.1:1", submission_key(&world)), vault);
    assert!(time.read().is_err(), "nobody listens there");
    assert_eq!(submission.answer.lines().count(), 1);
}

fn submission_key(world: &World) -> VerifierKey {
    WitnessKey::read(&world.folder.path().join("witness.key")).unwrap().public().clone()
}

#[test]
fn a_witness_tells_the_time() {
    let world = World::new();
    let (_server, client) = serve(world.witness());
    let vault = world.grow(&world.store, &["shop"]);
    let time = WitnessClock::new(client, vault);
    assert_eq!(time.read().unwrap(), "2026-04-25T14:00:09Z".parse::<Moment>().unwrap());
    world.clock.advance_micros(5_000_000);
    assert_eq!(time.read().unwrap(), "2026-04-25T14:00:14Z".parse::<Moment>().unwrap());
}

#[test]
fn a_vault_that_was_put_back_or_forked_is_not_cosigned() {
    let world = World::new();
    let (_server, client) = serve(world.witness());
    world.grow(&world.store, &["shop", "shop"]);
    let old = copy(&world.store);
    let vault = world.grow(&world.store, &["shop", "mail"]);
    submit(&client, &vault, &world.clock).unwrap();

    let rolled_back = Vault::open(Arc::clone(&old)).unwrap();
    let error = submit(&client, &rolled_back, &world.clock).unwrap_err();
    assert!(matches!(error, SubmitError::RolledBack { witnessed: 4, size: 2, .. }), "{error}");

    // Two histories, both signed by the genuine key: as long, and longer.
    let forked = world.grow(&old, &["forged", "forged"]);
    let error = submit(&client, &forked, &world.clock).unwrap_err();
    assert!(error.is_tampering(), "{error}");
    let longer = world.grow(&old, &["forged"]);
    let error = submit(&client, &longer, &world.clock).unwrap_err();
    assert!(matches!(error, SubmitError::Forked { witnessed: 4, .. }), "{error}");
    let state = logs(world.folder.path(), &world.log_key());
    assert_eq!(state.size, 4);
    assert!(
        state.fork.unwrap().request.contains(&forked.manifest().vault.to_string()),
        "the evidence is kept"
    );
    // The genuine vault goes on.
    submit(&client, &world.grow(&world.store, &["shop"]), &world.clock).unwrap();
    assert_eq!(logs(world.folder.path(), &world.log_key()).size, 5);
}

#[test]
fn a_request_that_is_not_in_order_is_refused_with_the_protocols_words() {
    let world = World::new();
    let mut witness = world.witness();
    let vault = world.grow(&world.store, &["shop", "shop", "shop"]);
    let stranger = World::new();
    let unknown = ask(&stranger.grow(&stranger.store, &["shop"]), 0);
    let good = ask(&vault, 0);
    let refused = |witness: &mut Witness, text: &str| witness.add_checkpoint(text).unwrap_err();
    assert!(matches!(refused(&mut witness, "old 0"), Refusal::Malformed { .. }));
    assert!(matches!(refused(&mut witness, &good.replacen("old 0", "old 9", 1)), Refusal::Malformed { .. }));
    let renamed = unknown.replace(&stranger.keys.manifest.vault.to_string(), "0000");
    assert!(matches!(refused(&mut witness, &renamed), Refusal::UnknownOrigin { .. }));
    assert!(matches!(refused(&mut witness, &good.replacen("\n3\n", "\n4\n", 1)), Refusal::Unsigned));
    assert!(matches!(refused(&mut witness, &ask(&vault, 2)), Refusal::OldSize { size: 0 }));
    witness.add_checkpoint(&good).unwrap();
    assert!(matches!(refused(&mut witness, &good), Refusal::OldSize { size: 3 }));
    witness.add_checkpoint(&ask(&vault, 3)).unwrap();
    let proofless: Vec<_> = ask(&world.grow(&world.store, &["shop"]), 3).lines().map(str::to_owned).collect();
    let without = [&proofless[..1], &proofless[2..]].concat().join("\n") + "\n";
    assert!(matches!(refused(&mut witness, &without), Refusal::Fork { same_size: false }));
}

#[test]
fn what_was_cosigned_is_remembered_before_the_answer_and_a_lost_memory_retires_the_key() {
    let world = World::new();
    let mut witness = world.witness();
    assert!(matches!(world.open(), Err(WitnessError::Busy { .. })));
    let vault = world.grow(&world.store, &["shop"]);
    witness.add_checkpoint(&ask(&vault, 0)).unwrap();
    let key = witness.key().clone();
    drop(witness);
    assert_eq!(logs(world.folder.path(), &world.log_key()).size, 1);

    // The memory cannot be written: no signature.
    let mut witness = world.open().unwrap();
    let larger = world.grow(&world.store, &["shop"]);
    let draft = world.folder.path().join("witness.json.draft");
    std::fs::create_dir(&draft).unwrap();
    assert!(matches!(witness.add_checkpoint(&ask(&larger, 1)), Err(Refusal::State(_))));
    std::fs::remove_dir(&draft).unwrap();
    assert!(witness.add_checkpoint(&ask(&larger, 1)).is_ok());
    drop(witness);

    for damage in ["", "{}"] {
        let path = world.folder.path().join("witness.json");
        if path.exists() {
            std::fs::remove_file(&path).unwrap();
        }
        if !damage.is_empty() {
            ports::files::create_new(&path, damage.as_bytes(), 0o600).unwrap();
        }
        assert!(matches!(world.open(), Err(WitnessError::LostState { .. })));
    }
    let again = |anew| Witness::init(world.folder.path(), NAME, anew, world.clock(), &*world.random);
    assert!(matches!(again(false), Err(WitnessError::Exists { .. })));
    let mut fresh = again(true).unwrap();
    assert!(*fresh.key() != key, "the old key never signs again");
    assert!(matches!(fresh.add_checkpoint(&ask(&larger, 0)), Err(Refusal::UnknownOrigin { .. })));
}

#[test]
fn the_key_file_is_private_and_says_no_other_key() {
    let world = World::new();
    let public = world.witness().key().clone();
    let path = world.folder.path().join("witness.key");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(*WitnessKey::read(&path).unwrap().public(), public);
    assert_eq!(public.to_string().parse::<VerifierKey>().unwrap(), public);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    assert!(WitnessKey::read(&path).is_err());
    assert!(matches!(world.open(), Err(WitnessError::Key(_))));
}

#[test]
fn an_answer_that_the_trusted_key_did_not_sign_is_not_kept() {
    let world = World::new();
    let (server, _) = serve(world.witness());
    let elsewhere = tempfile::tempdir().unwrap();
    let random = SeededRandom::new(4);
    let trusted = WitnessKey::create(&elsewhere.path().join("key"), NAME, &random).unwrap();
    let client = Client::new(&format!("http://{}", server.address()), trusted.public().clone());
    let vault = world.grow(&world.store, &["shop"]);
    let result = submit(&client, &vault, &world.clock);
    assert!(matches!(result, Err(SubmitError::Signature { .. })), "{result:?}");
    assert!(vault.store().list("proofs/").unwrap().is_empty());
}
