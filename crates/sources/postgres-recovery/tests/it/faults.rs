//! What is damaged is named; what is interrupted can be done again.

use connect::Silent;
use postgres_recovery::{ClusterHistory, cluster::RestoreError, restore_cluster, wal::WalFileError};
use postgres_server::testing::reachable_folder;
use source_postgres::layout;

use crate::{
    restore::{ask, options, production, restore},
    store::MemoryStore,
};

fn store_with_table() -> (MemoryStore, String, u64) {
    let server = production(15);
    server.sql("create table t as select generate_series(1, 5000) as id");
    let mut store = MemoryStore::default();
    let (start, _) = store.take_base(&server);
    server.sql("insert into t values (5001)");
    store.take_wal(&server);
    (store, server.sql("select pg_relation_filepath('t')"), start)
}

type Damage = fn(&mut Vec<u8>);

#[test]
fn a_damaged_file_of_a_base_is_named() {
    let (store, path, start) = store_with_table();
    let stream = layout::base_files_stream(start).unwrap();
    let damages: [(&str, Damage); 3] = [
        ("its checksum is not that of the manifest", |content| content[9000] ^= 1),
        ("bytes, the manifest says", |content| content.truncate(8192)),
        ("its checksum is not that of the manifest", |content| content[8192..16384].fill(0)),
    ];
    for (words, damage) in damages {
        let mut damaged = store.clone();
        damage(damaged.content_mut(&stream, &path));
        let folder = reachable_folder();
        let error = restore(&damaged, 15, "latest", folder.path()).unwrap_err();
        let RestoreError::Faults { faults } = &error else { panic!("{error}") };
        assert_eq!(faults.len(), 1);
        assert_eq!(faults[0].path, path);
        assert!(faults[0].fault.contains(words), "{error}");
    }
}

#[test]
fn damaged_wal_is_named_by_its_position() {
    let (mut store, _, _) = store_with_table();
    let history = ClusterHistory::read(&store).unwrap();
    let end = history.newest().unwrap().last_lsn;
    let base_end = history.bases[0].base.end_lsn;
    // Inside of the last record; what lies between may be the unused rest of a segment.
    let at = end - 8;
    store.flip_wal(1, at);
    let folder = reachable_folder();
    let error = restore(&store, 15, "latest", folder.path()).unwrap_err();
    let RestoreError::Wal(WalFileError::Damaged { at: good, .. }) = &error else { panic!("{error:?}") };
    assert!((base_end..=at).contains(good), "{error}");
    let target = error.hint().unwrap().split_once("before:").unwrap().1.to_owned();
    let folder = reachable_folder();
    restore(&store, 15, &format!("before:{target}"), folder.path()).unwrap();
}

#[test]
fn an_interrupted_restore_is_done_again_in_the_same_directory() {
    let (store, _, _) = store_with_table();
    let folder = reachable_folder();
    let mut interrupted = store.clone();
    interrupted.reads_left = Some(100);
    assert!(restore(&interrupted, 15, "latest", folder.path()).is_err());
    let data = folder.path().join("data");
    assert!(data.join(ports::files::SCRATCH_MARK).is_file(), "an unfinished restore must be marked");
    let restored = restore(&store, 15, "latest", folder.path()).unwrap();
    assert_eq!(ask(&restored, "select count(*) from t"), "5001");
    assert!(!data.join(ports::files::SCRATCH_MARK).exists());
}

#[test]
fn a_directory_that_is_not_empty_is_left_alone() {
    let (store, _, _) = store_with_table();
    let folder = reachable_folder();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    ports::files::create_new(&data.join("precious"), b"x", 0o600).unwrap();
    let error = restore(&store, 15, "latest", folder.path()).unwrap_err();
    assert!(matches!(error, RestoreError::NotEmpty { .. }), "{error}");
    assert_eq!(std::fs::read_dir(&data).unwrap().count(), 1);
}

#[test]
fn a_path_that_leads_out_of_the_directory_is_refused() {
    let (mut store, _, start) = store_with_table();
    let stream = layout::base_files_stream(start).unwrap();
    let attributes = r#"{"kind":"file","mode":384}"#;
    for key in ["../escaped", "/tmp/escaped", "base/../../escaped", "pg_tblspc/999/x"] {
        let mut hostile = store.clone();
        hostile.put(&stream, key, attributes.to_owned(), b"x".to_vec());
        let folder = reachable_folder();
        let history = ClusterHistory::read(&hostile).unwrap();
        let route = history.choose_latest(None).unwrap();
        let options = options(15, &folder.path().join("control"));
        let data = folder.path().join("a/data");
        let error = restore_cluster(&hostile, &history, &route, &data, &options, &Silent).unwrap_err();
        assert!(matches!(&error, RestoreError::Path { path } if path == key), "{key}: {error}");
        assert!(!folder.path().join("a/escaped").exists());
    }
    store.put(&stream, "base/extra", attributes.to_owned(), b"x".to_vec());
    let folder = reachable_folder();
    assert!(restore(&store, 15, "latest", folder.path()).is_err(), "a file that the manifest does not know");
}
