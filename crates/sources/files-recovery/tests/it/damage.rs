use std::path::PathBuf;

use connect::StoredError;
use files_recovery::RestoreError;
use model::Completeness;

use crate::world::{World, counts, stream};

#[test]
fn what_cannot_be_read_is_in_the_commit_with_its_reason() {
    // The kernel has files that nobody may read, not even root.
    let root = PathBuf::from("/sys/bus/cpu");
    assert!(root.join("drivers_probe").exists(), "this system has no sysfs");
    let world = World::new();
    let (_, report) = world.run(&mut world.reader_of(root)).unwrap();
    let (stored, _, unreadable) = counts(&report);
    assert!(stored > 0 && unreadable >= 1, "{stored} stored, {unreadable} unreadable");
    assert!(report.commits.iter().any(|commit| commit.completeness == Completeness::Partial));
    let unread = world.catalog().unread_at(&stream(), world.latest(), 100).unwrap();
    assert!(unread.contains(&"drivers_probe".to_owned()), "{unread:?}");
    let (restored, _) = world.restore_at(world.latest()).unwrap();
    assert!(restored.files > 0);
}

#[test]
fn a_damaged_pack_is_found_and_the_folder_does_not_get_its_name() {
    let world = World::new();
    world.put("a", &vec![7; 5000]);
    world.capture();
    let stored = world.stored();
    let pack = stored.reader().vault().commit(&crate::world::docs(), 1).unwrap().envelope.packs[0].id;
    let name = ports::BlobName::new(format!("data/{}/{pack}", &pack.to_string()[..2])).unwrap();
    world.store.damage(&name, |bytes| {
        bytes[150] ^= 1;
        Some(())
    });
    let error = world.restore_at(1).unwrap_err();
    assert!(matches!(error, RestoreError::Stored(StoredError::Damaged { .. })), "{error}");
    assert!(!world.folder.path().join("restored-0").exists());
}
