//! boto3, which shares no code with unwipe, judges the same buckets.

use std::{collections::BTreeMap, path::Path, process::Command, sync::Arc};

use blobs::s3::attest::{Credentials, Outcome, attest};
use buckets::{Liar, Lie, LockServer};
use ports::{BlobName, BlobStore, Clock, Random, SystemClock, SystemRandom};

use crate::bucket::{ROOT, WRITER, bucket, credential, settings};

fn judge(arguments: &[&str]) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let output = Command::new(root.join(".tools/python/bin/python"))
        .arg(root.join("tools/check_bucket.py"))
        .args(arguments)
        .output()
        .expect(".tools/python is missing; run tools/install_python");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn what_was_written_is_locked_and_root_cannot_destroy_it() {
    let (server, clock) = (LockServer::start(), SystemClock::new());
    let store = bucket(&server.endpoint(), WRITER, "v");
    for (number, size) in [0, 1, 100_000, 5_000_000].into_iter().enumerate() {
        let name = BlobName::new(format!("data/aa/{number}")).unwrap();
        let until = clock.now().plus_micros(31 * 86_400_000_000);
        store.create(&name, &vec![number as u8; size], until).unwrap();
    }
    let seen = judge(&["objects", &server.endpoint(), LockServer::BUCKET, "v/"]);
    assert_eq!(seen.trim(), r#"{"objects": 4}"#);
    // After all that the vault still reads what it wrote, and sees what was tried.
    let read = BlobStore::read(&store, &BlobName::new("data/aa/2").unwrap()).unwrap();
    assert_eq!(read, vec![2; 100_000]);
    assert_eq!(store.foreign("").unwrap().len(), 8);
}

#[test]
fn an_attestation_and_boto3_come_to_the_same_verdicts() {
    let worlds: [&[Lie]; 4] = [
        &[],
        &[Lie::LockUnenforced],
        &[Lie::MultipartUnlocked, Lie::ConditionIgnored],
        &[Lie::ChecksumsIgnored],
    ];
    std::thread::scope(|scope| {
        for lies in worlds {
            scope.spawn(move || {
                let server = LockServer::start();
                let liar = Liar::before(&server);
                liar.tell(lies);
                let endpoint = if lies.is_empty() { server.endpoint() } else { liar.endpoint() };
                let text = judge(&["enforces", &endpoint, LockServer::BUCKET]);
                let theirs: BTreeMap<String, bool> = serde_json::from_str(&text).unwrap();
                let (clock, random): (Arc<dyn Clock>, Arc<dyn Random>) =
                    (Arc::new(SystemClock::new()), Arc::new(SystemRandom));
                let credentials = Credentials { writer: credential(WRITER), attacker: credential(ROOT) };
                let ours = attest(&settings(&endpoint, "v"), credentials, &clock, &random, &[]).unwrap();
                assert!(theirs.len() >= 15, "{theirs:?}");
                for (id, resisted) in &theirs {
                    let check = ours.checks.iter().find(|check| check.id == id).expect(id);
                    assert_eq!(check.outcome == Outcome::Holds, *resisted, "{lies:?}: {check:?}");
                }
                assert_eq!(
                    theirs.values().all(|resisted| *resisted),
                    lies.is_empty(),
                    "{lies:?}: {theirs:?}"
                );
            });
        }
    });
}
