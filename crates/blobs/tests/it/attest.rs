//! What an attestation says of an honest server and of each lie.

use std::sync::Arc;

use blobs::s3::{
    S3Settings,
    attest::{Attestation, Canary, Credentials, ForeignAnswer, Outcome, Verdict, attest, try_foreign},
};
use buckets::{Liar, Lie, LockServer};
use ports::{BlobStore, Clock, Random, SystemClock, SystemRandom};

use crate::bucket::{ROOT, WRITER, bucket, credential, settings};

fn run(settings: &S3Settings, attacker: &str, known: &[Canary]) -> Attestation {
    let credentials = Credentials { writer: credential(WRITER), attacker: credential(attacker) };
    let (clock, random): (Arc<dyn Clock>, Arc<dyn Random>) =
        (Arc::new(SystemClock::new()), Arc::new(SystemRandom));
    attest(settings, credentials, &clock, &random, known).unwrap()
}

fn ids(attestation: &Attestation, outcome: Outcome) -> Vec<&str> {
    attestation.checks.iter().filter(|check| check.outcome == outcome).map(|check| check.id).collect()
}

#[test]
fn an_honest_store_is_trusted_and_a_weak_credential_proves_less() {
    let server = LockServer::start();
    let settings = settings(&server.endpoint(), "v");
    let first = run(&settings, ROOT, &[]);
    assert_eq!(first.verdict, Verdict::Trusted, "{:#?}", first.checks);
    assert!(first.checks.len() >= 27, "{:#?}", first.checks);
    assert_eq!(first.canaries.len(), 1);
    // The writer may not delete: refusals may come from that, so it is a remark.
    let second = run(&settings, WRITER, &first.canaries);
    assert_eq!(second.verdict, Verdict::TrustedWithRemarks);
    assert!(ids(&second, Outcome::Remark).contains(&"lapse"), "{:#?}", second.checks);
    assert!(ids(&second, Outcome::Holds).contains(&"canaries"));
    assert_eq!(second.canaries, first.canaries);
    // What attestations leave behind is nothing to a vault.
    let store = bucket(&server.endpoint(), WRITER, "v");
    assert!(store.list("").unwrap().is_empty());
    assert!(store.foreign("").unwrap().is_empty());
}

#[test]
fn each_lie_is_found() {
    let expected: [(&[Lie], Verdict, &[&str]); 9] = [
        (&[Lie::MultipartUnlocked], Verdict::TrustedWithRemarks, &["parts-locked"]),
        (&[Lie::ConditionIgnored], Verdict::TrustedWithRemarks, &["if-none-match", "race"]),
        (&[Lie::LockDropped], Verdict::TrustedWithRemarks, &["lock-on-write", "past-lock"]),
        (&[Lie::LockNeverSet], Verdict::NotTrusted, &["lock-on-write"]),
        (&[Lie::NothingStored], Verdict::NotTrusted, &["lock-on-write"]),
        (
            &[Lie::ChecksumsIgnored],
            Verdict::TrustedWithRemarks,
            &["wrong-sha256", "wrong-md5", "checksum-told"],
        ),
        (&[Lie::ClockMoved(600)], Verdict::TrustedWithRemarks, &["clock"]),
        (&[Lie::ClockMoved(86_400)], Verdict::NotTrusted, &["clock"]),
        (
            &[Lie::LockUnenforced],
            Verdict::NotTrusted,
            &["shorten-bypass", "clear", "delete-version", "delete-bypass", "delete-batch", "short-lock"],
        ),
    ];
    std::thread::scope(|scope| {
        for (lies, verdict, found) in expected {
            scope.spawn(move || {
                let server = LockServer::start();
                let liar = Liar::before(&server);
                liar.tell(lies);
                let attestation = run(&settings(&liar.endpoint(), ""), ROOT, &[]);
                // The simulator checks no signatures, which is a finding of its own.
                let checks = &attestation.checks;
                let bad: Vec<_> = checks
                    .iter()
                    .filter(|check| check.outcome != Outcome::Holds && check.id != "wrong-secret")
                    .collect();
                for id in found {
                    assert!(bad.iter().any(|check| check.id == *id), "{lies:?} hid from {id}: {checks:#?}");
                }
                let worst = bad.iter().map(|check| check.outcome).max();
                let expected = if verdict == Verdict::NotTrusted { Outcome::Fails } else { Outcome::Remark };
                assert_eq!(worst, Some(expected), "{lies:?}: {bad:#?}");
                assert!(
                    checks.iter().any(|check| check.id == "wrong-secret" && check.outcome == Outcome::Fails)
                );
            });
        }
    });
}

#[test]
fn a_canary_that_was_taken_is_missed() {
    let server = LockServer::start();
    let liar = Liar::before(&server);
    let settings = settings(&liar.endpoint(), "");
    let first = run(&settings, ROOT, &[]);
    liar.tell(&[Lie::LockUnenforced]);
    // This store's locks hold nothing from here on for what is written now; the old canary is really locked.
    let second = run(&settings, ROOT, &first.canaries);
    assert!(ids(&second, Outcome::Holds).contains(&"canaries"), "{:#?}", second.checks);
    // One that was set out under the lie is deleted by the next attempt, and stays missed afterwards.
    let fresh = LockServer::start();
    let weak = Liar::before(&fresh);
    weak.tell(&[Lie::LockUnenforced]);
    let settings = crate::bucket::settings(&weak.endpoint(), "");
    let set_out = run(&settings, ROOT, &[]).canaries;
    let third = run(&settings, ROOT, &set_out);
    assert!(ids(&third, Outcome::Fails).contains(&"canaries"), "{:#?}", third.checks);
    weak.tell(&[]);
    let fourth = run(&settings, ROOT, &third.canaries);
    assert!(ids(&fourth, Outcome::Fails).contains(&"canaries"), "{:#?}", fourth.checks);
}

#[test]
fn what_the_bucket_is_shows() {
    let server = LockServer::start();
    server.make_bucket("plain", false);
    let bucket = |name: &str| S3Settings { bucket: name.to_owned(), ..settings(&server.endpoint(), "") };
    for name in ["plain", "missing"] {
        assert_eq!(run(&bucket(name), ROOT, &[]).verdict, Verdict::NotTrusted, "{name}");
    }
    let unreachable = S3Settings { endpoint: "http://127.0.0.1:9".to_owned(), ..bucket("vault") };
    assert_eq!(run(&unreachable, ROOT, &[]).verdict, Verdict::NotTrusted);
    server.set_default_retention("vault", 1);
    server.set_lifecycle("vault");
    let attestation = run(&bucket("vault"), ROOT, &[]);
    assert_eq!(attestation.verdict, Verdict::TrustedWithRemarks, "{:#?}", attestation.checks);
    assert_eq!(ids(&attestation, Outcome::Remark), ["lifecycle"]);
    assert!(ids(&attestation, Outcome::Holds).contains(&"default-rule"));
}

#[test]
fn a_foreign_credential_is_tried_on_throw_away_objects_alone() {
    let server = LockServer::start();
    let settings = settings(&server.endpoint(), "v");
    let (clock, random): (Arc<dyn Clock>, Arc<dyn Random>) =
        (Arc::new(SystemClock::new()), Arc::new(SystemRandom));
    let of = |name: &str| {
        let attempts = try_foreign(&settings, credential(WRITER), credential(name), &clock, &random).unwrap();
        assert_eq!(attempts.len(), 9, "{attempts:#?}");
        let done = attempts.iter().filter(|attempt| matches!(attempt.answer, ForeignAnswer::Done(_)));
        done.map(|attempt| attempt.what).collect::<Vec<_>>()
    };
    assert_eq!(of("stranger"), Vec::<&str>::new());
    assert_eq!(of("reader"), ["list the vault's objects"]);
    // The lock holds against whoever may do everything; what it lets through is said.
    let root = of(ROOT);
    assert!(root.contains(&"put an object beside the vault's"), "{root:?}");
    assert!(!root.iter().any(|what| what.starts_with("delete") || what.starts_with("shorten")), "{root:?}");
    let store = bucket(&server.endpoint(), WRITER, "v");
    assert!(store.list("").unwrap().is_empty() && store.foreign("").unwrap().is_empty());
}
