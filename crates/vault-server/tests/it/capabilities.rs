use ports::{BlobError, BlobStore};

use crate::support::{World, commit, far, name};

#[expect(clippy::needless_pass_by_value, reason = "made to be given a result")]
fn is_refused<T: std::fmt::Debug>(result: Result<T, BlobError>) {
    assert!(matches!(result, Err(BlobError::Refused { .. })), "{result:?}");
}

#[test]
fn capture_reads_no_data_and_sees_no_other_log() {
    let world = World::new();
    commit(&world.writer(world.client("capture/shop")), "shop", &[1; 5000]);
    commit(&world.writer(world.client("capture/other")), "other", &[2; 5000]);
    let client = world.client("capture/shop");
    let packs = client.list("data/").unwrap();
    assert_eq!(packs.len(), 2);
    for pack in packs {
        is_refused(client.read(&pack.name));
        is_refused(client.read_range(&pack.name, 0, 10));
        assert!(client.head(&pack.name).is_ok());
    }
    let foreign = name("log/other/0000000001");
    is_refused(client.read(&foreign));
    is_refused(client.head(&foreign));
    is_refused(client.extend_lock(&foreign, far(&world)));
    is_refused(client.create(&name("log/other/0000000002"), b"x", far(&world)));
    assert!(client.list("log/other/").is_err());
    assert!(client.list("log/o").is_err());
    let seen: Vec<_> = client.list("").unwrap().into_iter().map(|blob| blob.name.to_string()).collect();
    assert!(seen.contains(&"log/shop/0000000001".to_owned()));
    assert!(!seen.iter().any(|name| name.starts_with("log/other")), "{seen:?}");
    assert_eq!(client.read(&name("log/shop/0000000001")).unwrap().get(..7), Some(&b"UNWCOMM"[..]));
}

#[test]
fn nobody_replaces_what_the_vault_began_with() {
    let world = World::new();
    for capability in ["capture/shop", "restore", "mirror"] {
        let client = world.client(capability);
        for taken in ["vault.json", "keys/0", "keys/1"] {
            is_refused(client.create(&name(taken), b"{}", far(&world)));
        }
    }
}

#[test]
fn restoring_and_mirroring_read_everything_and_add_at_most_proofs() {
    let world = World::new();
    commit(&world.writer(world.client("capture/shop")), "shop", &[1; 5000]);
    for capability in ["restore", "mirror"] {
        let client = world.client(capability);
        let objects = client.list("").unwrap();
        assert_eq!(objects, world.store.list("").unwrap());
        for object in &objects {
            assert_eq!(client.read(&object.name).unwrap(), world.store.read(&object.name).unwrap());
            is_refused(client.extend_lock(&object.name, far(&world)));
        }
        let pack = name(&format!("data/00/{}", "00".repeat(32)));
        is_refused(client.create(&pack, b"x", far(&world)));
        is_refused(client.create(&name("log/shop/0000000002"), b"x", far(&world)));
        is_refused(client.create(&name("heads/0"), b"x", far(&world)));
    }
    is_refused(world.client("mirror").create(&name("proofs/1"), b"x", far(&world)));
    let restore = world.client("restore");
    restore.create(&name("proofs/1"), b"a certificate", far(&world)).unwrap();
    let again = restore.create(&name("proofs/1"), b"another", far(&world));
    assert!(matches!(again, Err(BlobError::Exists { .. })));
    assert_eq!(restore.read(&name("proofs/1")).unwrap(), b"a certificate");
}

#[test]
fn ranges_and_missing_objects_are_answered_as_a_store_does() {
    let world = World::new();
    let client = world.client("mirror");
    let manifest = name("vault.json");
    let whole = world.store.read(&manifest).unwrap();
    for (offset, length) in
        [(0, 5), (3, 10), (0, 1 << 40), (whole.len() as u64 - 2, 10), (1 << 30, 5), (2, 0)]
    {
        let expected = world.store.read_range(&manifest, offset, length).unwrap();
        assert_eq!(client.read_range(&manifest, offset, length).unwrap(), expected, "{offset} {length}");
    }
    assert!(matches!(client.read(&name("keys/9")), Err(BlobError::Missing { .. })));
    assert!(matches!(client.head(&name("keys/9")), Err(BlobError::Missing { .. })));
}
