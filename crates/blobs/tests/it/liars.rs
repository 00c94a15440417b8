//! What a store in a bucket makes of stores that fail and lie.

use std::sync::Arc;

use blobs::s3::S3Store;
use buckets::{Liar, Lie, LockServer, Planted};
use model::Moment;
use ports::{BlobError, BlobName, BlobStore, Clock, SystemClock, TimeSource};

use crate::bucket::{ROOT, WRITER, bucket, credential, settings};

fn name(text: &str) -> BlobName {
    BlobName::new(text).unwrap()
}

/// A moment some hours from now.
fn hours(count: i64) -> Moment {
    SystemClock::new().now().plus_micros(count * 3_600_000_000)
}

struct World {
    server: LockServer,
    liar: Liar,
    store: S3Store,
}

impl World {
    fn new() -> Self {
        let server = LockServer::start();
        let liar = Liar::before(&server);
        let store = bucket(&liar.endpoint(), WRITER, "v");
        Self { server, liar, store }
    }

    /// The same bucket without anything in between.
    fn honest(&self) -> S3Store {
        bucket(&self.server.endpoint(), WRITER, "v")
    }

    /// How many calls there were of a kind since the last lie was told.
    fn calls(&self, kind: &str) -> usize {
        self.liar.calls().iter().filter(|call| call.contains(kind)).count()
    }
}

#[test]
fn a_lock_that_was_dropped_is_set_afterwards_and_looked_at() {
    let world = World::new();
    world.liar.tell(&[Lie::LockDropped]);
    world.store.create(&name("data/aa/1"), b"content", hours(5)).unwrap();
    assert_eq!(world.calls("retention"), 1);
    let lock = world.honest().head(&name("data/aa/1")).unwrap().locked_until.unwrap();
    assert!(lock >= hours(4));
}

#[test]
fn what_cannot_be_locked_is_not_acknowledged() {
    let world = World::new();
    world.liar.tell(&[Lie::LockNeverSet]);
    let error = world.store.create(&name("data/aa/1"), b"content", hours(5)).unwrap_err();
    assert!(matches!(error, BlobError::Unlocked { .. }), "{error:?}");
    // A lock that can be lifted is none.
    world.liar.tell(&[]);
    world.store.create(&name("data/aa/2"), b"content", hours(5)).unwrap();
    world.liar.tell(&[Lie::LockNeverSet]);
    let error = world.store.extend_lock(&name("data/aa/2"), hours(9)).unwrap_err();
    assert!(matches!(error, BlobError::Unlocked { .. }), "{error:?}");
}

#[test]
fn what_was_not_stored_or_differs_is_not_acknowledged() {
    let world = World::new();
    for (number, lies) in [
        vec![Lie::NothingStored],
        vec![Lie::OtherBytesStored],
        vec![Lie::OtherBytesStored, Lie::ChecksumsIgnored],
    ]
    .iter()
    .enumerate()
    {
        world.liar.tell(lies);
        let error =
            world.store.create(&name(&format!("data/aa/{number}")), b"content", hours(5)).unwrap_err();
        assert!(matches!(error, BlobError::Unavailable { .. }), "{lies:?}: {error:?}");
    }
    // Where no checksum is told, what was written is read back.
    world.liar.tell(&[Lie::ChecksumsIgnored]);
    world.store.create(&name("keys/0"), b"content", hours(5)).unwrap();
    assert_eq!(world.calls("GET /vault/v/keys/0?versionId"), 1);
}

#[test]
fn a_body_that_ends_early_is_never_taken_for_the_whole() {
    let world = World::new();
    world.store.create(&name("keys/0"), &[7; 9000], hours(5)).unwrap();
    world.liar.tell(&[Lie::BodyCut]);
    assert!(matches!(BlobStore::read(&world.store, &name("keys/0")), Err(BlobError::Unavailable { .. })));
    assert!(matches!(world.store.read_range(&name("keys/0"), 100, 500), Err(BlobError::Unavailable { .. })));
    world.liar.tell(&[]);
    assert_eq!(world.store.read_range(&name("keys/0"), 100, 500).unwrap(), [7; 500]);
}

/// Runs each call of a store once, with one disturbance at every call that reaches the server.
fn disturbed(disturb: impl Fn(u64) -> Vec<Lie>) {
    for nth in 1..=12 {
        let world = World::new();
        let object = name("log/shop/0000000001");
        world.liar.tell(&disturb(nth));
        world.store.create(&object, b"content", hours(5)).unwrap();
        assert_eq!(BlobStore::read(&world.store, &object).unwrap(), b"content");
        world.store.extend_lock(&object, hours(9)).unwrap();
        assert_eq!(world.store.list("log/").unwrap().len(), 1);
        assert!(world.store.head(&object).unwrap().locked_until.unwrap() >= hours(8));
        world.liar.tell(&[]);
        assert_eq!(world.store.foreign("").unwrap(), [], "call {nth} left a second version");
        let again = world.store.create(&object, b"content", hours(5));
        assert!(matches!(again, Err(BlobError::Exists { .. })), "{again:?}");
    }
}

#[test]
fn a_server_that_is_busy_or_broken_at_any_call_is_asked_again() {
    disturbed(|nth| {
        let status = [500, 503, 429][nth as usize % 3];
        vec![Lie::Status { nth, status }]
    });
}

#[test]
fn a_connection_that_breaks_at_any_call_leaves_one_version() {
    disturbed(|nth| vec![Lie::Cut { nth, after: false }]);
    disturbed(|nth| vec![Lie::Cut { nth, after: true }]);
    // Even where the store would take the name twice.
    disturbed(|nth| vec![Lie::Cut { nth, after: true }, Lie::ConditionIgnored]);
}

#[test]
fn what_fails_for_good_is_told_apart() {
    let world = World::new();
    let create = |store: &S3Store| store.create(&name("keys/0"), b"x", hours(1)).unwrap_err();
    world.liar.tell(&[Lie::Status { nth: 1, status: 507 }]);
    assert!(matches!(create(&world.store), BlobError::Full { .. }));
    for status in [301, 307] {
        world.liar.tell(&[Lie::Status { nth: 1, status }]);
        assert!(matches!(create(&world.store), BlobError::Unavailable { .. }), "a redirect was followed");
        assert_eq!(world.liar.calls().len(), 1);
    }
    let endpoint = world.server.endpoint();
    assert!(matches!(create(&bucket(&endpoint, "reader", "")), BlobError::Refused { .. }));
    assert!(matches!(create(&bucket(&endpoint, "nobody", "")), BlobError::Refused { .. }));
    let gone = bucket("http://127.0.0.1:9", WRITER, "");
    assert!(matches!(create(&gone), BlobError::Unavailable { .. }));
    let (clock, random) = (Arc::new(SystemClock::new()), Arc::new(ports::SystemRandom));
    let elsewhere = blobs::s3::S3Settings { bucket: "elsewhere".to_owned(), ..settings(&endpoint, "") };
    let elsewhere = S3Store::new(&elsewhere, credential(WRITER), clock, random).unwrap();
    assert!(matches!(create(&elsewhere), BlobError::Unavailable { .. }));
    assert!(matches!(elsewhere.list(""), Err(BlobError::Unavailable { .. })), "no bucket is no empty vault");
    // A lock that nobody can honour is refused and not shortened.
    assert!(world.store.create(&name("keys/1"), b"x", hours(-5)).is_err());
}

#[test]
fn what_is_planted_later_is_reported_and_changes_nothing() {
    let world = World::new();
    let (object, other) = (name("log/shop/0000000001"), name("log/shop/0000000002"));
    world.store.create(&object, b"the commit", hours(5)).unwrap();
    world.store.create(&other, b"another", hours(5)).unwrap();
    let plant = |key: &str, what| world.server.plant(LockServer::BUCKET, key, what);
    plant("v/log/shop/0000000001", Planted::Version(b"planted"));
    plant("v/log/shop/0000000001", Planted::DeleteMarker);
    plant("v/log/shop/0000000002", Planted::DeleteMarker);
    plant("v/log/shop/Odd", Planted::Version(b"no vault's"));
    plant("outside", Planted::Version(b"not below the prefix"));
    for store in [world.honest(), bucket(&world.liar.endpoint(), ROOT, "v")] {
        assert_eq!(BlobStore::read(&store, &object).unwrap(), b"the commit");
        assert_eq!(BlobStore::read(&store, &other).unwrap(), b"another");
        let sizes: Vec<u64> = store.list("").unwrap().iter().map(|blob| blob.size_bytes).collect();
        assert_eq!(sizes, [10, 7]);
        let again = store.create(&object, b"mine", hours(5));
        assert!(matches!(again, Err(BlobError::Exists { .. })), "{again:?}");
        let foreign = store.foreign("log/").unwrap();
        let count = |what: &str| foreign.iter().filter(|object| object.what.to_string() == what).count();
        assert_eq!(count("a delete marker"), 2, "{foreign:?}");
        assert!(count("a later version") >= 1, "{foreign:?}");
        assert_eq!(count("an object that no vault writes"), 1, "{foreign:?}");
    }
}

/// Whoever holds the writer's credential can take a name before the vault does: the vault is told, and keeps out.
#[test]
fn a_name_that_was_planted_first_is_taken() {
    let world = World::new();
    world.server.plant(LockServer::BUCKET, "v/log/shop/0000000001", Planted::Version(b"planted"));
    for lies in [vec![], vec![Lie::ConditionIgnored]] {
        world.liar.tell(&lies);
        let created = world.store.create(&name("log/shop/0000000001"), b"the commit", hours(5));
        assert!(matches!(created, Err(BlobError::Exists { .. })), "{created:?}");
    }
    assert_eq!(BlobStore::read(&world.store, &name("log/shop/0000000001")).unwrap(), b"planted");
}

#[test]
fn a_lock_is_never_asked_to_be_shorter() {
    let world = World::new();
    world.store.create(&name("keys/0"), b"x", hours(9)).unwrap();
    world.liar.tell(&[Lie::LockUnenforced]);
    world.store.extend_lock(&name("keys/0"), hours(2)).unwrap();
    assert_eq!(world.calls("retention"), 0);
}

#[test]
fn the_time_is_the_store_s_own_even_for_those_it_refuses() {
    let world = World::new();
    world.liar.tell(&[Lie::ClockMoved(86_400)]);
    let ahead = TimeSource::read(&world.store).unwrap().micros_since(SystemClock::new().now());
    assert!((86_300_000_000..86_500_000_000).contains(&ahead), "{ahead}");
    let nobody = bucket(&world.server.endpoint(), "nobody", "");
    let apart = TimeSource::read(&nobody).unwrap().micros_since(SystemClock::new().now());
    assert!(apart.abs() < 100_000_000, "{apart}");
    assert!(TimeSource::read(&bucket("http://127.0.0.1:9", WRITER, "")).is_err());
}

#[test]
fn many_threads_extend_at_once_and_share_connections() {
    let world = World::new();
    let store = world.honest();
    let names: Vec<BlobName> = (0..200).map(|number| name(&format!("data/aa/{number:03}"))).collect();
    let each = |work: &(dyn Fn(&BlobName) + Sync)| {
        std::thread::scope(|scope| {
            for part in names.chunks(25) {
                scope.spawn(move || part.iter().for_each(work));
            }
        });
    };
    each(&|name| store.create(name, b"x", hours(5)).unwrap());
    each(&|name| store.extend_lock(name, hours(9)).unwrap());
    each(&|name| assert!(store.head(name).unwrap().locked_until.unwrap() >= hours(8)));
}
