//! With immutable flags even root's own hands are tied, until root takes the flag off.

use std::{fs, io::ErrorKind, os::unix::fs::PermissionsExt, path::Path, process::Command};

use blobs::{LocalStore, Protection};
use model::Moment;
use ports::{BlobError, BlobName, BlobStore};

fn lift(path: &Path) -> bool {
    Command::new("chattr").arg("-i").arg(path).status().is_ok_and(|status| status.success())
}

#[expect(clippy::disallowed_methods, reason = "the attacks that must fail")]
#[test]
fn an_immutable_object_resists_root_until_its_flag_is_cleared() {
    let folder = tempfile::tempdir().unwrap();
    let plain = LocalStore::open(folder.path(), Protection::Plain).unwrap();
    let ability = plain.measure().unwrap();
    let store = LocalStore::open(folder.path(), Protection::Immutable).unwrap();
    let (object, path) = (BlobName::new("data/ab/abcd").unwrap(), folder.path().join("data/ab/abcd"));
    let created = store.create(&object, b"content", Moment::from_micros(5));
    if !ability.flags_hold {
        // Without the right or the file system for it, the store refuses instead of pretending.
        assert!(matches!(created, Err(BlobError::Refused { .. })));
        assert_eq!((ability.tier, ability.to_string().as_str()), (0, "no protection from this user"));
        return;
    }
    created.unwrap();
    let denied = |result: std::io::Result<()>| result.unwrap_err().kind() == ErrorKind::PermissionDenied;
    assert!(denied(fs::remove_file(&path)));
    assert!(denied(fs::rename(&path, folder.path().join("elsewhere"))));
    assert!(denied(fs::write(&path, b"encrypted")));
    assert!(denied(fs::hard_link(&path, folder.path().join("link"))));
    assert!(denied(fs::OpenOptions::new().write(true).open(&path).map(|_| ())));
    assert!(denied(fs::set_permissions(&path, fs::Permissions::from_mode(0o777))));
    fs::File::create(folder.path().join("other")).unwrap();
    assert!(denied(fs::rename(folder.path().join("other"), &path)));
    assert!(fs::remove_dir_all(folder.path().join("data")).is_err());

    store.extend_lock(&object, Moment::from_micros(9)).unwrap();
    assert_eq!(store.head(&object).unwrap().locked_until, Some(Moment::from_micros(9)));
    assert_eq!(store.list("").unwrap().len(), 2, "the record beside the object is listed");
    assert_eq!(store.read(&object).unwrap(), b"content");

    // This test process may clear the flag, and the report says so.
    let manifest = BlobName::new("vault.json").unwrap();
    store.create(&manifest, b"{}", Moment::from_micros(5)).unwrap();
    let report = store.measure().unwrap();
    assert!(lift(&folder.path().join("vault.json")));
    assert_eq!((report.tier, report.objects_immutable, report.clearable_here), (0, true, true));
    assert!(report.to_string().contains("may clear"));
    assert!(lift(&path));
    fs::remove_file(&path).unwrap();
}

#[test]
fn a_process_without_the_capability_is_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("probe");
    fs::File::create(&path).unwrap();
    let sealed = Command::new("chattr").arg("+i").arg(&path).status().is_ok_and(|status| status.success());
    if !sealed {
        return;
    }
    // The same root user, but with the one capability dropped, cannot lift the flag.
    let mut without = Command::new("setpriv");
    without.args(["--bounding-set", "-linux_immutable", "--inh-caps", "-linux_immutable", "chattr", "-i"]);
    let lifted = without.arg(&path).status();
    assert!(lift(&path));
    if let Ok(status) = lifted {
        assert!(!status.success(), "the flag was lifted without the capability");
    }
}
