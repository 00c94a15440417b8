use super::*;

#[test]
fn relation_files_are_stored_by_page() {
    for path in [
        "base/5/16384",
        "base/5/16384.12",
        "base/5/16384_fsm",
        "base/5/16384_vm.1",
        "base/5/16384_init",
        "global/1262",
        "pg_tblspc/16400/PG_15_202209061/5/16384",
    ] {
        assert!(is_relation_file(path), "{path}");
        assert_eq!(content_layout(path, 0), Layout::Pages { page_bytes: 8192 });
    }
    for path in [
        "base/5/pg_filenode.map",
        "base/5/PG_VERSION",
        "global/pg_control",
        "pg_xact/0000",
        "base/5/16384_old",
        "base/5/16384.",
        "16384",
        "pg_tblspc/16400",
    ] {
        assert!(!is_relation_file(path), "{path}");
    }
    assert_eq!(content_layout("pg_xact/0000", 262_144), Layout::Blocks);
    assert_eq!(content_layout("postgresql.conf", 30_000), Layout::Small);
}

#[test]
fn wal_comes_over_the_stream() {
    assert!(is_wal_content("pg_wal/000000010000000000000001"));
    assert!(is_wal_content("pg_wal/archive_status/000000010000000000000001.done"));
    assert!(!is_wal_content("pg_wal"));
    assert!(!is_wal_content("pg_wal/archive_status"));
    assert!(!is_wal_content("pg_wal2/x"));
}
