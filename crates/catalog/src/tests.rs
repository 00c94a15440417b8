use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::apply::tests::{applied, upsert};

#[test]
fn a_catalog_of_another_schema_is_stale() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("catalog.sqlite");
    drop(Catalog::open(&path).unwrap());
    Connection::open(&path).unwrap().pragma_update(None, "user_version", SCHEMA + 1).unwrap();
    let error = Catalog::open(&path).unwrap_err();
    assert!(matches!(&error, CatalogError::Stale { path: stale } if *stale == path), "{error:?}");
    assert_eq!(error.hint().unwrap(), format!("rm {}", path.display()));
}

#[test]
fn a_file_that_is_no_database_is_stale() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("catalog.sqlite");
    ports::files::create_new(&path, &[7; 9000], 0o600).unwrap();
    assert!(matches!(Catalog::open(&path), Err(CatalogError::Stale { .. })));
}

#[test]
fn what_one_process_applied_another_one_reads() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("catalog.sqlite");
    Catalog::open(&path).unwrap().apply(&applied(1), [upsert("wal/1", "a", 5)]).unwrap();
    let again = Catalog::open(&path).unwrap();
    assert_eq!(again.last_sequence().unwrap(), 1);
    assert_eq!(again.streams().unwrap(), ["wal/1"]);
}

#[test]
fn a_reader_sees_whole_commits_while_another_one_writes() {
    const COMMITS: u64 = 40;
    const ITEMS: usize = 7;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("catalog.sqlite");
    let reader = Catalog::open(&path).unwrap();
    let written = AtomicBool::new(false);
    let stream = model::StreamName::new("files").unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut writer = Catalog::open(&path).unwrap();
            for sequence in 1..=COMMITS {
                let items = (0..ITEMS).map(|n| upsert("files", &format!("{sequence:04}/{n}"), n as u64));
                writer.apply(&applied(sequence), items).unwrap();
            }
            written.store(true, Ordering::SeqCst);
        });
        while !written.load(Ordering::SeqCst) {
            assert_eq!(reader.live(&stream).unwrap().len() % ITEMS, 0);
        }
    });
    assert_eq!(reader.live(&stream).unwrap().len(), ITEMS * COMMITS as usize);
}

#[test]
fn two_that_open_the_same_new_file_both_succeed() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..20 {
        let path = folder.path().join(format!("{round}.sqlite"));
        std::thread::scope(|scope| {
            let open = || drop(Catalog::open(&path).unwrap());
            scope.spawn(open);
            scope.spawn(open);
        });
    }
}
