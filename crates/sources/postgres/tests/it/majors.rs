//! Every major version: a base with a tablespace that PostgreSQL's own tool accepts, and the log after it.

use std::{os::unix::fs::PermissionsExt, path::Path, process::Command};

use model::Layout;
use postgres_server::testing::majors_available;
use source_postgres::layout::{File, FileKind};

use crate::{
    sink::{MemorySink, Stored},
    world::{
        Capture, SEGMENT_BYTES, catch_up, compare_with_archive, finish, newest_base, production, settings,
        start_archive, switch_segment,
    },
};

/// Writes a base's files where `pg_verifybackup` can look at them.
fn unpack(files: &[&Stored], manifest: &[u8], target: &Path) {
    std::fs::create_dir(target).unwrap();
    for file in files {
        let path = target.join(&file.item.key);
        let entry: File = serde_json::from_str(&file.item.attributes).unwrap();
        match entry.kind {
            // The files of a tablespace lie below its link's own path.
            FileKind::Folder | FileKind::Link { .. } => std::fs::create_dir_all(&path).unwrap(),
            FileKind::File => {
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(&path, &file.body).unwrap();
                std::fs::set_permissions(&path, std::fs::Permissions::from_mode(entry.mode)).unwrap();
            }
        }
    }
    std::fs::write(target.join("backup_manifest"), manifest).unwrap();
}

#[test]
fn every_major_is_copied_and_followed() {
    for major in majors_available() {
        let mut server = production(major, |_| {});
        start_archive(&mut server);
        let space = server.folder().join("space");
        std::fs::create_dir(&space).unwrap();
        let owner =
            Command::new("chown").arg("--reference").arg(server.data_dir()).arg(&space).status().unwrap();
        assert!(owner.success());
        server.sql(&format!("create tablespace fast location '{}'", space.display()));
        server
            .sql("create table far (n int) tablespace fast; insert into far select generate_series(1, 9999)");
        let sink = MemorySink::default();
        let capture = Capture::start(settings(&server), &sink);
        sink.wait("the base", |inner| inner.checkpoints > 0);
        server.sql("delete from far");
        switch_segment(&server);
        catch_up(&server, &sink, &capture, 1);
        finish(capture);

        let base = newest_base(&sink);
        assert_eq!((base.major, base.tablespaces.len()), (major, 1));
        let start = base.start_lsn - base.start_lsn % SEGMENT_BYTES;
        assert!(compare_with_archive(&server, &sink, 1, start) >= 1, "{major}");
        let inner = sink.lock();
        let deleted = inner.events.iter().flat_map(|event| &event.effects);
        let counts: Vec<u64> = deleted
            .filter(|e| e.target == "postgres.public.far" && e.verb == model::Verb::Delete)
            .map(|e| e.count)
            .collect();
        assert_eq!(counts, [9999], "{major}");
        let files = inner.stream(&format!("base/{:016X}", base.start_lsn));
        assert!(files.iter().any(|file| file.item.key == "tablespace_map"), "{major}");
        let oid = base.tablespaces.keys().next().unwrap();
        let in_space = |file: &&&Stored| file.item.key.starts_with(&format!("pg_tblspc/{oid}/PG_"));
        let pages = Layout::Pages { page_bytes: 8192 };
        assert!(files.iter().filter(in_space).any(|file| file.layout == pages && file.body.len() > 8192));
        let target = server.folder().join("unpacked");
        unpack(&files, &inner.stream("base")[0].body, &target);
        // Only the tool of a full installation: what bundles bring is not always complete.
        let program = Path::new("/usr/lib/postgresql/15/bin/pg_verifybackup");
        // It reads manifests of version 1; 17 and 18 write version 2, which only our own check reads here.
        if program.exists() && major <= 16 {
            let checked = Command::new(program)
                .args(["--no-parse-wal", "--exit-on-error"])
                .arg(&target)
                .output()
                .unwrap();
            assert!(checked.status.success(), "{major}: {checked:?}");
        }
    }
}
