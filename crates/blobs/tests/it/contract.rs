use std::sync::{Arc, Barrier};

use blobs::{Fault, FaultCall, FaultStore, LocalStore, MemoryStore, Protection};
use buckets::{Liar, Lie, LockServer};
use model::Moment;
use ports::{BlobError, BlobName, BlobStore};

use crate::bucket::{WRITER, bucket};

fn name(text: &str) -> BlobName {
    BlobName::new(text).unwrap()
}

/// Whole seconds in the future: that is what every store can express and accept.
fn at(seconds: i64) -> Moment {
    let future: Moment = "2096-01-01T00:00:00Z".parse().unwrap();
    future.plus_micros(seconds * 1_000_000)
}

fn for_each_store(check: impl Fn(Arc<dyn BlobStore>)) {
    let folder = tempfile::tempdir().unwrap();
    check(Arc::new(MemoryStore::new()));
    check(Arc::new(LocalStore::open(&folder.path().join("vault"), Protection::Plain).unwrap()));
    check(Arc::new(FaultStore::new(Arc::new(MemoryStore::new()))));
    let server = LockServer::start();
    check(Arc::new(bucket(&server.endpoint(), WRITER, "")));
    check(Arc::new(bucket(&server.endpoint(), WRITER, "some/where")));
    // The same where conditional writes are ignored and listings come in pages.
    let liar = Liar::before(&server);
    liar.tell(&[Lie::ConditionIgnored, Lie::SmallPages]);
    check(Arc::new(bucket(&liar.endpoint(), WRITER, "else/where")));
}

#[test]
fn an_object_is_created_once_and_stays_as_it_was() {
    for_each_store(|store| {
        let object = name("data/ab/abcd");
        store.create(&object, b"first", at(10)).unwrap();
        let again = store.create(&object, b"second", at(20));
        assert!(matches!(again, Err(BlobError::Exists { name }) if name == object));
        assert_eq!(store.read(&object).unwrap(), b"first");
        assert_eq!(store.head(&object).unwrap().locked_until, Some(at(10)));
    });
}

#[test]
fn ranges_are_cut_at_the_end() {
    for_each_store(|store| {
        let object = name("keys/0");
        store.create(&object, b"0123456789", at(0)).unwrap();
        assert_eq!(store.read_range(&object, 3, 4).unwrap(), b"3456");
        assert_eq!(store.read_range(&object, 8, 100).unwrap(), b"89");
        assert_eq!(store.read_range(&object, 100, 1).unwrap(), b"");
        assert_eq!(store.read_range(&object, 5, u64::MAX).unwrap(), b"56789");
    });
}

#[test]
fn what_is_not_there_is_missing() {
    for_each_store(|store| {
        let object = name("log/shop/0000000001");
        assert!(matches!(store.read(&object), Err(BlobError::Missing { .. })));
        assert!(matches!(store.read_range(&object, 0, 1), Err(BlobError::Missing { .. })));
        assert!(matches!(store.head(&object), Err(BlobError::Missing { .. })));
        assert!(matches!(store.extend_lock(&object, at(1)), Err(BlobError::Missing { .. })));
        assert!(store.list("").unwrap().is_empty());
    });
}

#[test]
fn lists_are_in_order_and_cut_to_their_prefix() {
    for_each_store(|store| {
        for text in
            ["vault.json", "log/shop/0000000002", "log/shop/0000000001", "log/shop-2/0000000001", "keys/0"]
        {
            store.create(&name(text), text.as_bytes(), at(7)).unwrap();
        }
        let names = |prefix: &str| -> Vec<String> {
            store.list(prefix).unwrap().into_iter().map(|blob| blob.name.to_string()).collect()
        };
        assert_eq!(names("log/shop/"), ["log/shop/0000000001", "log/shop/0000000002"]);
        assert_eq!(names("log/sh"), ["log/shop-2/0000000001", "log/shop/0000000001", "log/shop/0000000002"]);
        assert_eq!(names("").len(), 5);
        assert_eq!(names("vault"), ["vault.json"]);
        let blob = &store.list("keys/").unwrap()[0];
        assert_eq!(blob.size_bytes, 6);
        // A store that must be asked for each lock leaves it out of the list.
        assert!(blob.locked_until.is_none_or(|lock| lock == at(7)));
        assert_eq!(store.head(&blob.name).unwrap().locked_until, Some(at(7)));
    });
}

#[test]
fn a_lock_only_grows() {
    for_each_store(|store| {
        let object = name("keys/0");
        store.create(&object, b"x", at(100)).unwrap();
        store.extend_lock(&object, at(50)).unwrap();
        assert_eq!(store.head(&object).unwrap().locked_until, Some(at(100)));
        store.extend_lock(&object, at(200)).unwrap();
        assert_eq!(store.head(&object).unwrap().locked_until, Some(at(200)));
        assert_eq!(store.read(&object).unwrap(), b"x");
    });
}

#[test]
fn of_many_that_create_one_name_at_once_one_succeeds() {
    for_each_store(|store| {
        let (count, object) = (8, name("log/shop/0000000001"));
        let start = Barrier::new(count);
        let won: usize = std::thread::scope(|scope| {
            let attempts: Vec<_> = (0..count as u8)
                .map(|number| {
                    let (store, start, object) = (&store, &start, &object);
                    scope.spawn(move || {
                        start.wait();
                        store.create(object, &[number; 5000], at(0)).is_ok()
                    })
                })
                .collect();
            attempts.into_iter().map(|attempt| usize::from(attempt.join().unwrap())).sum()
        });
        assert_eq!(won, 1);
        let content = store.read(&object).unwrap();
        assert!(content.len() == 5000 && content.iter().all(|byte| *byte == content[0]));
    });
}

#[test]
fn local_objects_are_read_only_files_and_leave_nothing_beside_them() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    let store = LocalStore::open(folder.path(), Protection::Plain).unwrap();
    store.create(&name("keys/0"), b"x", at(1)).unwrap();
    let mode = std::fs::metadata(folder.path().join("keys/0")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o444);
    // What a crash may leave behind begins with a dot and is not an object.
    std::fs::File::create(folder.path().join("keys/.draft-1-1")).unwrap();
    assert_eq!(store.list("").unwrap().len(), 1);
}

#[test]
fn faults_come_when_they_were_ordered() {
    let store = FaultStore::new(Arc::new(MemoryStore::new()));
    store.fail_at(2, Some(FaultCall::Create), Fault::Full);
    store.create(&name("a"), b"", at(0)).unwrap();
    assert!(matches!(store.create(&name("b"), b"", at(0)), Err(BlobError::Full { .. })));
    store.create(&name("b"), b"", at(0)).unwrap();
    store.fail_from(1, None, Fault::FailAfter);
    assert!(store.create(&name("c"), b"c", at(0)).is_err());
    assert!(store.read(&name("c")).is_err());
    store.heal();
    assert_eq!(store.read(&name("c")).unwrap(), b"c");
}
