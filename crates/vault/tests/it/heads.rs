//! Tree heads: they cover everything, lose nothing, and give a rolled back or forked vault away.

use std::sync::Arc;

use blobs::{Fault, FaultCall, FaultStore, MemoryStore};
use model::SourceName;
use ports::{BlobName, BlobStore, Clock as _};
use vault::{
    Vault, VaultWriter, WriteError,
    tree::{AddCheckpoint, Comparison, HEAD_INTERVAL, SignedCheckpoint, Standing, Tree},
    verify::{Depth, Problem, Report, verify},
};

use crate::support::{World, cursor, item, shop, small_options};

pub(crate) fn source(name: &str) -> SourceName {
    SourceName::new(name).unwrap()
}

pub(crate) fn commit(writer: &VaultWriter, source: &SourceName) {
    let mut commit = writer.begin(source);
    commit.remove(item("base", "x").stream, "x").unwrap();
    commit.finish(&cursor("c")).unwrap();
}

fn check(store: &Arc<dyn BlobStore>) -> Report {
    let vault = Vault::open(Arc::clone(store)).unwrap();
    verify(&vault, None, Depth::Structure, &mut |_| {}).unwrap()
}

/// Copies a vault, without what `keep` refuses.
pub(crate) fn copy(from: &dyn BlobStore, keep: impl Fn(&str) -> bool) -> Arc<dyn BlobStore> {
    let to = MemoryStore::new();
    for blob in from.list("").unwrap() {
        if keep(blob.name.as_str()) {
            let lock = from.head(&blob.name).unwrap().locked_until.unwrap();
            to.create(&blob.name, &from.read(&blob.name).unwrap(), lock).unwrap();
        }
    }
    Arc::new(to)
}

/// Copies a vault with one object changed.
fn altered(from: &dyn BlobStore, object: &str, change: impl Fn(&mut Vec<u8>)) -> Arc<dyn BlobStore> {
    let to = copy(from, |name| name != object);
    let name = BlobName::new(object).unwrap();
    let mut bytes = from.read(&name).unwrap();
    change(&mut bytes);
    to.create(&name, &bytes, from.head(&name).unwrap().locked_until.unwrap()).unwrap();
    to
}

pub(crate) fn checkpoint(store: &Arc<dyn BlobStore>) -> SignedCheckpoint {
    let vault = Vault::open(Arc::clone(store)).unwrap();
    let head = vault.newest_tree_head().unwrap().unwrap();
    // As it comes back from paper.
    SignedCheckpoint::parse(&vault.cosigned(&head).unwrap().note.to_string()).unwrap()
}

fn standing(store: &Arc<dyn BlobStore>, kept: &SignedCheckpoint) -> Standing {
    Comparison::of(&Vault::open(Arc::clone(store)).unwrap(), kept).unwrap().unwrap().standing
}

fn problems(report: &Report) -> Vec<(&str, Problem)> {
    report.findings.iter().map(|finding| (finding.object.as_str(), finding.problem)).collect()
}

#[test]
fn heads_cover_the_commits_of_all_sources_and_every_proof_holds() {
    let world = World::in_memory(70);
    let writer = world.writer();
    for round in 0..5 {
        for name in ["shop", "mail", "unwipe"] {
            for _ in 0..=round {
                commit(&writer, &source(name));
            }
        }
        let advance = writer.advance_head().unwrap();
        assert_eq!((advance.heads, advance.commits), (1, 3 * (round + 1)));
    }
    assert_eq!(writer.advance_head().unwrap().heads, 0, "nothing new, no new head");
    let report = check(&world.store);
    assert_eq!(report.findings, []);
    assert_eq!((report.heads, report.commits, report.uncovered_commits), (5, 45, 0));

    let vault = Vault::open(Arc::clone(&world.store)).unwrap();
    let sizes: Vec<_> = (0..5).map(|number| vault.tree_head(number).unwrap()).collect();
    let newest = &sizes[4].signed;
    for name in ["shop", "mail", "unwipe"] {
        for sequence in 1..=15 {
            let (index, tree, head) = vault.tree_covering(&source(name), sequence).unwrap().unwrap();
            let path = tree.inclusion_proof(index, head.size()).unwrap();
            let leaf = vault::tree::Leaf {
                source: source(name),
                sequence,
                hash: vault.commit(&source(name), sequence).unwrap().hash,
            };
            let proof = vault::tree::InclusionProof { index, path, signed: head.signed };
            let read = vault::tree::InclusionProof::parse(&proof.to_string()).unwrap();
            assert!(read == proof && read.holds(&leaf.tree_hash()));
            assert!(!read.holds(&vault::tree::Leaf { sequence: sequence + 1, ..leaf }.tree_hash()));
        }
    }
    for old in &sizes {
        let tree = vault.tree_since(old.size()).unwrap();
        let proof = tree.consistency_proof(old.size(), 45).unwrap();
        let request = AddCheckpoint { old_size: old.size(), proof, signed: newest.clone() };
        assert!(AddCheckpoint::parse(&request.to_string()).unwrap().continues(&old.signed.checkpoint.root));
    }
    assert!(vault.tree_covering(&shop(), 16).unwrap().is_none());
}

#[test]
fn a_commit_without_a_head_is_harmless_and_the_next_head_covers_it() {
    let world = World::in_memory(71);
    let writer = world.writer();
    commit(&writer, &shop());
    drop(writer);
    let report = check(&world.store);
    assert!(report.is_sound());
    assert_eq!((report.heads, report.uncovered_commits), (0, 1));
    let next = world.writer();
    commit(&next, &shop());
    assert_eq!(next.advance_head().unwrap().commits, 2);
    assert_eq!(check(&world.store).uncovered_commits, 0);
}

#[test]
fn a_head_is_made_when_the_newest_one_is_old() {
    let world = World::in_memory(72);
    let writer = world.writer();
    let due = |writer: &VaultWriter| writer.advance_head_if_due(HEAD_INTERVAL).unwrap().map(|a| a.commits);
    commit(&writer, &shop());
    assert_eq!(due(&writer), Some(1));
    commit(&writer, &shop());
    assert_eq!(due(&writer), None);
    world.clock.advance_micros(59_000_000);
    assert_eq!(due(&writer), None);
    world.clock.advance_micros(1_000_000);
    assert_eq!(due(&writer), Some(1));
    // A clock that is set back does not stop the heads, and does not turn their time back.
    world.clock.advance_micros(-86_400_000_000);
    commit(&writer, &shop());
    assert_eq!(due(&writer), Some(1));
    let report = check(&world.store);
    assert_eq!(report.findings, []);
    assert!(report.newest_head.unwrap().vault_time > world.clock.now());
}

#[test]
fn a_vault_that_was_put_back_is_consistent_with_itself_and_not_with_a_kept_checkpoint() {
    let world = World::in_memory(73);
    let writer = world.writer();
    (0..3).for_each(|_| commit(&writer, &shop()));
    writer.advance_head().unwrap();
    let (early, old) = (checkpoint(&world.store), copy(&*world.store, |_| true));
    (0..4).for_each(|_| commit(&writer, &shop()));
    writer.advance_head().unwrap();
    let kept = checkpoint(&world.store);

    assert!(check(&old).is_sound());
    assert_eq!(standing(&old, &kept), Standing::RolledBack);
    assert_eq!(standing(&old, &early), Standing::Consistent);
    for at in [&early, &kept] {
        assert_eq!(standing(&world.store, at), Standing::Consistent);
    }

    // The genuine key goes on where the old copy stands: longer than ever, and another history.
    let forger = world.writer_on(Arc::clone(&old), small_options()).unwrap();
    (0..9).for_each(|_| commit(&forger, &source("forged")));
    forger.advance_head().unwrap();
    assert!(check(&old).is_sound());
    assert_eq!(standing(&old, &kept), Standing::Forked);
    assert_eq!(standing(&old, &early), Standing::Consistent);

    let stranger = World::in_memory(74);
    commit(&stranger.writer(), &shop());
    stranger.writer().advance_head().unwrap();
    let vault = Vault::open(Arc::clone(&world.store)).unwrap();
    assert!(Comparison::of(&vault, &checkpoint(&stranger.store)).unwrap().is_err());
    let forged = kept.note.to_string().replacen("\n7\n", "\n8\n", 1);
    assert!(Comparison::of(&vault, &SignedCheckpoint::parse(&forged).unwrap()).unwrap().is_err());
}

#[test]
fn newest_commits_that_are_gone_or_replaced_are_found_through_the_heads() {
    let world = World::in_memory(75);
    let writer = world.writer();
    (0..3).for_each(|_| commit(&writer, &shop()));
    let before = copy(&*world.store, |_| true);
    commit(&writer, &shop());
    writer.advance_head().unwrap();

    let truncated = copy(&*world.store, |name| name != "log/shop/0000000004");
    assert_eq!(problems(&check(&truncated)), [("log/shop/0000000004", Problem::RolledBack)]);
    let emptied = copy(&*world.store, |name| !name.starts_with("log/"));
    assert_eq!(problems(&check(&emptied)), [("log/shop/0000000001", Problem::RolledBack)]);

    // Another fourth commit by the genuine key, under the heads of the first.
    let forger = world.writer_on(Arc::clone(&before), small_options()).unwrap();
    let mut other = forger.begin(&shop());
    other.remove(item("base", "x").stream, "other").unwrap();
    other.finish(&cursor("other")).unwrap();
    let name = BlobName::new("heads/0").unwrap();
    let lock = world.store.head(&name).unwrap().locked_until.unwrap();
    before.create(&name, &world.store.read(&name).unwrap(), lock).unwrap();
    let report = check(&before);
    assert_eq!(problems(&report), [("log/shop/0000000004", Problem::Forked)]);
    assert!(report.shows_tampering());
    // Nor does a writer go on behind such a commit as if nothing were.
    commit(&forger, &shop());
    let error = world.writer_on(before, small_options()).unwrap().advance_head().unwrap_err();
    assert!(matches!(error, WriteError::Fork { sequence: 5, .. }), "{error:?}");
}

#[test]
fn every_changed_byte_of_a_head_is_found_and_so_is_a_missing_head() {
    let world = World::in_memory(76);
    let writer = world.writer();
    for _ in 0..3 {
        commit(&writer, &shop());
        writer.advance_head().unwrap();
    }
    let length = world.store.read(&BlobName::new("heads/1").unwrap()).unwrap().len();
    for at in 0..length {
        let damaged = altered(&*world.store, "heads/1", |bytes| bytes[at] ^= 1);
        let report = check(&damaged);
        assert!(problems(&report).contains(&("heads/1", Problem::Altered)), "byte {at}: {report:?}");
        assert!(report.shows_tampering());
    }
    for length in [0, 20, length - 1] {
        let damaged = altered(&*world.store, "heads/1", |bytes| bytes.truncate(length));
        assert_eq!(problems(&check(&damaged)), [("heads/1", Problem::Altered)]);
    }
    let missing = copy(&*world.store, |name| name != "heads/1");
    assert_eq!(problems(&check(&missing)), [("heads/1", Problem::Missing)]);
    let moved = altered(&*world.store, "heads/1", |bytes| {
        *bytes = world.store.read(&BlobName::new("heads/2").unwrap()).unwrap();
    });
    assert_eq!(problems(&check(&moved)), [("heads/1", Problem::Altered)]);
}

#[test]
fn a_head_of_the_genuine_key_that_does_not_continue_the_last_one_stops_the_writer_and_is_found() {
    let world = World::in_memory(77);
    let writer = world.writer();
    commit(&writer, &shop());
    let fork = copy(&*world.store, |_| true);
    writer.advance_head().unwrap();
    commit(&writer, &shop());

    let forger = world.writer_on(Arc::clone(&fork), small_options()).unwrap();
    commit(&forger, &source("forged"));
    forger.advance_head().unwrap();
    commit(&forger, &source("forged"));
    forger.advance_head().unwrap();
    // The forger's second head is put where the next one would go.
    let name = BlobName::new("heads/1").unwrap();
    let lock = fork.head(&name).unwrap().locked_until.unwrap();
    world.store.create(&name, &fork.read(&name).unwrap(), lock).unwrap();
    assert!(matches!(writer.advance_head(), Err(WriteError::HeadFork { number: 1 })));
    assert!(problems(&check(&world.store)).contains(&("heads/1", Problem::Altered)));
}

#[test]
fn the_store_fails_at_every_call_while_a_head_is_made_and_nothing_is_lost() {
    for fault in [Fault::Fail, Fault::FailAfter, Fault::Full] {
        for nth in 1.. {
            let faulty = Arc::new(FaultStore::new(Arc::new(MemoryStore::new())));
            let world = World::in_store(Arc::clone(&faulty) as Arc<dyn BlobStore>, 78);
            commit(&world.writer(), &source("mail"));
            let writer = world.writer();
            commit(&writer, &shop());
            faulty.fail_at(nth, (fault == Fault::Full).then_some(FaultCall::Create), fault);
            let first = writer.advance_head();
            let reached = faulty.calls() >= nth;
            faulty.heal();
            // A look for the next name that finds nothing has no effect after which it could fail.
            let harmless = fault == Fault::FailAfter && first.is_ok();
            assert!(first.is_err() == reached || harmless, "{fault:?} at {nth}: {first:?}");
            commit(&writer, &shop());
            writer.advance_head().unwrap();
            let report = check(&world.store);
            assert_eq!((report.findings, report.uncovered_commits), (vec![], 0), "{fault:?} at {nth}");
            if !reached {
                break;
            }
        }
    }
}

#[test]
fn two_writers_make_heads_at_the_same_time_and_lose_nothing() {
    let world = World::in_memory(79);
    std::thread::scope(|scope| {
        for name in ["shop", "mail", "unwipe"] {
            let world = &world;
            scope.spawn(move || {
                let writer = world.writer();
                for _ in 0..40 {
                    commit(&writer, &source(name));
                    writer.advance_head().unwrap();
                }
            });
        }
    });
    world.writer().advance_head().unwrap();
    let report = check(&world.store);
    assert_eq!(report.findings, []);
    assert_eq!((report.commits, report.uncovered_commits), (120, 0));
    assert!(report.heads <= 120);
}

#[test]
fn a_store_with_ten_thousand_commits_is_appended_to_with_a_handful_of_calls() {
    let faulty = Arc::new(FaultStore::new(Arc::new(MemoryStore::new())));
    let world = World::in_store(Arc::clone(&faulty) as Arc<dyn BlobStore>, 80);
    let writer = world.writer();
    for number in 0..10_000 {
        commit(&writer, &shop());
        if number % 100 == 99 {
            writer.advance_head().unwrap();
        }
    }
    commit(&writer, &shop());
    faulty.heal();
    writer.advance_head().unwrap();
    // One look for a newer head, one for a newer commit of the own source on both sides, one create.
    assert!(faulty.calls() <= 8, "{} calls", faulty.calls());
    let vault = Vault::open(Arc::clone(&world.store)).unwrap();
    let head = vault.newest_tree_head().unwrap().unwrap();
    assert_eq!((head.size(), head.number), (10_001, 100));
    let object = world.store.head(&BlobName::new("heads/100").unwrap()).unwrap();
    assert!(object.size_bytes < 1200, "{} bytes", object.size_bytes);

    // A proof towards the newest head needs the heads after the old one and a search, not all of them.
    faulty.heal();
    let tree: Tree = vault.tree_since(9_900).unwrap();
    assert!(tree.consistency_proof(9_900, 10_001).is_some());
    assert!(faulty.calls() <= 20, "{} calls", faulty.calls());
    let report = check(&world.store);
    assert_eq!((report.findings, report.heads, report.uncovered_commits), (vec![], 101, 0));
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 256, ..Default::default() })]

    /// The body is read before its signature is looked at, so it must stand any bytes.
    #[test]
    fn a_head_of_any_bytes_is_refused(
        bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..400),
        at in 0_usize..1000,
        keep in 0_usize..400,
    ) {
        let world = World::in_memory(82);
        let writer = world.writer();
        commit(&writer, &shop());
        writer.advance_head().unwrap();
        let genuine = world.store.read(&BlobName::new("heads/0").unwrap()).unwrap();
        // A part of the genuine head, any bytes, and the rest of it: lengths and counts turn up in every form.
        let at = at % genuine.len();
        let forged = [&genuine[..at], &bytes, &genuine[(at + keep).min(genuine.len())..]].concat();
        proptest::prop_assume!(forged != genuine);
        proptest::prop_assert!(vault::tree::TreeHead::parse(&forged, world.keys.manifest.vault, &vault::keys::KeyState::of(&world.keys.manifest)).is_err());
    }
}

#[test]
fn a_cosignature_that_is_none_or_whose_head_is_gone_is_found() {
    let world = World::in_memory(83);
    let writer = world.writer();
    commit(&writer, &shop());
    writer.advance_head().unwrap();
    let vault = Vault::open(Arc::clone(&world.store)).unwrap();
    let head = vault.newest_tree_head().unwrap().unwrap();
    let seed = [5; 32];
    let signer =
        vault::tree::NoteSigner::from_seed("w", vault::tree::Algorithm::CosignatureV1, &seed).unwrap();
    let answer = format!("{}\n", signer.sign(head.signed.note.text(), 7));
    let lock = world.clock.now().plus_micros(1);
    assert_eq!(vault.keep_cosignatures(&head, &answer, lock).unwrap(), 1);
    assert_eq!(vault.keep_cosignatures(&head, &answer, lock).unwrap(), 0, "the first one stays");
    assert_eq!(vault.cosigned(&head).unwrap().note.cosigned_at(signer.key()), Some(7));
    assert!(check(&world.store).is_sound());

    let object = world.store.list("proofs/").unwrap().remove(0).name.to_string();
    let damaged = altered(&*world.store, &object, |bytes| bytes[0] ^= 1);
    assert_eq!(problems(&check(&damaged)), [(object.as_str(), Problem::Altered)]);
    let orphan = copy(&*world.store, |name| !name.starts_with("heads/"));
    assert_eq!(problems(&check(&orphan)), [(object.as_str(), Problem::RolledBack)]);
    let misnamed = copy(&*world.store, |_| true);
    let name = BlobName::new("proofs/cosignature-00-00000000").unwrap();
    misnamed.create(&name, answer.as_bytes(), lock).unwrap();
    assert_eq!(problems(&check(&misnamed)), [(name.as_str(), Problem::Foreign)]);
}
