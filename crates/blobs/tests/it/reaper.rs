//! The one interface that deletes from a bucket.

use std::{sync::Arc, time::Duration};

use blobs::s3::{ReaperCredential, S3Reaper};
use buckets::{Liar, Lie, LockServer, Planted};
use ports::{BlobError, BlobName, BlobStore, Clock, LapsedBlobs, LapsedProof, SystemClock, SystemRandom};

use crate::bucket::{REAPER, WRITER, bucket, credential, settings};

/// What is locked for less than it takes to store it is refused.
const LOCKED_FOR_MICROS: i64 = 5_000_000;

/// In a vault only retention makes such a proof.
struct Claim(BlobName);

impl LapsedProof for Claim {
    fn name(&self) -> &BlobName {
        &self.0
    }
}

fn reaper(endpoint: &str, key: &str) -> S3Reaper {
    let credential = ReaperCredential::new(credential(key));
    S3Reaper::new(&settings(endpoint, "v"), credential, Arc::new(SystemClock::new()), Arc::new(SystemRandom))
        .unwrap()
}

fn claim(text: &str) -> Claim {
    Claim(BlobName::new(text).unwrap())
}

#[test]
fn what_is_locked_is_not_even_tried() {
    let (server, clock) = (LockServer::start(), SystemClock::new());
    let liar = Liar::before(&server);
    let store = bucket(&server.endpoint(), WRITER, "v");
    store.create(&claim("data/aa/1").0, b"x", clock.now().plus_micros(3_600_000_000)).unwrap();
    // Not even where the store would let it go.
    liar.tell(&[Lie::LockUnenforced]);
    let refused = reaper(&liar.endpoint(), REAPER).reap(claim("data/aa/1"));
    assert!(matches!(refused, Err(BlobError::Refused { .. })), "{refused:?}");
    assert!(liar.calls().iter().all(|call| !call.starts_with("DELETE")), "{:?}", liar.calls());
    // A store whose clock was moved is asked, and its own lock refuses.
    liar.tell(&[Lie::ClockMoved(7200)]);
    let refused = reaper(&liar.endpoint(), REAPER).reap(claim("data/aa/1"));
    assert!(matches!(refused, Err(BlobError::Refused { .. })), "{refused:?}");
    assert_eq!(store.list("").unwrap().len(), 1);
}

#[test]
fn what_has_lapsed_is_removed_as_one_version_and_only_with_the_credential() {
    let (server, clock) = (LockServer::start(), SystemClock::new());
    let store = bucket(&server.endpoint(), WRITER, "v");
    for name in ["data/aa/1", "data/aa/2", "data/aa/11"] {
        let name = BlobName::new(name).unwrap();
        let hours = i64::from(name.as_str() == "data/aa/2");
        let until = clock.now().plus_micros(LOCKED_FOR_MICROS + hours * 3_600_000_000);
        store.create(&name, name.as_str().as_bytes(), until).unwrap();
    }
    server.plant(LockServer::BUCKET, "v/data/aa/1", Planted::Version(b"later"));
    let lapses_at = clock.now().plus_micros(LOCKED_FOR_MICROS);
    while clock.now() < lapses_at.plus_micros(1_000_000) {
        clock.sleep(Duration::from_millis(100));
    }
    let refused = reaper(&server.endpoint(), WRITER).reap(claim("data/aa/1"));
    assert!(
        matches!(refused, Err(BlobError::Refused { .. })),
        "the writer's credential deleted: {refused:?}"
    );
    let reaper = reaper(&server.endpoint(), REAPER);
    reaper.reap(claim("data/aa/1")).unwrap();
    assert!(matches!(reaper.reap(claim("data/aa/2")), Err(BlobError::Refused { .. })));
    assert!(matches!(reaper.reap(claim("data/aa/3")), Err(BlobError::Missing { .. })));
    let fresh = bucket(&server.endpoint(), WRITER, "v");
    let read = |text: &str| BlobStore::read(&fresh, &BlobName::new(text).unwrap());
    assert_eq!(read("data/aa/11").unwrap(), b"data/aa/11");
    assert_eq!(read("data/aa/2").unwrap(), b"data/aa/2");
    // What was planted behind it is what is left under the name; nothing of the vault asks for it.
    assert_eq!(read("data/aa/1").unwrap(), b"later");
}
