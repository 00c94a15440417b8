use std::collections::BTreeMap;

use postgres_server::testing::{TestServer, account, majors_available, reachable_folder};
use postgres_wire::{
    BaseBackupEvent, BaseBackupOptions, Checkpoint, Mode, WireError,
    base_backup::{Manifest, ManifestChecksums},
    replication::format_lsn,
    tar::{EntryKind, TarEvent, TarParser},
};

use crate::support::{chain, superuser};

/// What a backup delivered: size and CRC-32C of each file, links, the manifest and the positions.
#[derive(Default)]
struct Received {
    files: BTreeMap<String, (u64, u32)>,
    links: BTreeMap<String, String>,
    label: Vec<u8>,
    manifest: Vec<u8>,
    start: Option<(u64, u32)>,
    end: Option<(u64, u32)>,
    tablespaces: usize,
    archives: usize,
    progress: u64,
    bytes: u64,
}

struct Archive {
    parser: TarParser,
    prefix: String,
    current: Option<(String, u64, u32)>,
}

impl Archive {
    fn push(&mut self, piece: &[u8], received: &mut Received) {
        let mut rest = piece;
        while let Some(event) = self.parser.advance(&mut rest).unwrap() {
            match event {
                TarEvent::Entry(entry) => {
                    let path = format!("{}{}", self.prefix, entry.path.to_str().unwrap());
                    match entry.kind {
                        EntryKind::File => self.current = Some((path, 0, 0)),
                        EntryKind::Directory => {}
                        EntryKind::Symlink { target } => {
                            received.links.insert(path, target.to_str().unwrap().to_owned());
                        }
                    }
                }
                TarEvent::Data(data) => {
                    let (path, size, crc) = self.current.as_mut().unwrap();
                    *size += data.len() as u64;
                    *crc = crc32c::crc32c_append(*crc, data);
                    if path == "backup_label" {
                        received.label.extend_from_slice(data);
                    }
                }
                TarEvent::EntryEnd => {
                    if let Some((path, size, crc)) = self.current.take() {
                        assert!(received.files.insert(path, (size, crc)).is_none());
                    }
                }
            }
        }
    }
}

fn back_up(server: &TestServer, options: &BaseBackupOptions) -> Received {
    let mut replication = superuser(server, Mode::PhysicalReplication);
    let mut received = Received::default();
    let mut archive: Option<Archive> = None;
    let mut backup = replication.base_backup(options).unwrap();
    while let Some(event) = backup.next_event().unwrap() {
        match event {
            BaseBackupEvent::Start { lsn, timeline } => received.start = Some((lsn, timeline)),
            BaseBackupEvent::Tablespaces(tablespaces) => received.tablespaces = tablespaces.len(),
            BaseBackupEvent::ArchiveStart { name, tablespace_oid, location } => {
                if let Some(archive) = archive.take() {
                    archive.parser.finish().unwrap();
                }
                received.archives += 1;
                assert_eq!(tablespace_oid.is_none(), name == "base.tar");
                assert_eq!(tablespace_oid.is_none(), location.is_none());
                let prefix = tablespace_oid.map(|oid| format!("pg_tblspc/{oid}/")).unwrap_or_default();
                archive = Some(Archive { parser: TarParser::new(), prefix, current: None });
            }
            BaseBackupEvent::ArchiveData(data) => {
                received.bytes += data.len() as u64;
                archive.as_mut().unwrap().push(data, &mut received);
            }
            BaseBackupEvent::ManifestStart => archive.take().unwrap().parser.finish().unwrap(),
            BaseBackupEvent::ManifestData(data) => received.manifest.extend_from_slice(data),
            BaseBackupEvent::Progress { bytes } => received.progress = received.progress.max(bytes),
            BaseBackupEvent::End { lsn, timeline } => received.end = Some((lsn, timeline)),
        }
    }
    assert!(backup.next_event().unwrap().is_none());
    // The session is ready for the next command.
    replication.identify_system().unwrap();
    received
}

#[test]
fn every_file_is_what_the_manifest_says_on_every_major() {
    for major in majors_available() {
        let server = TestServer::start(major, |_| ());
        let space = reachable_folder();
        let location = space.path().join("space");
        std::fs::create_dir(&location).unwrap();
        account().own(&location).unwrap();
        server.sql(&format!("create tablespace extra location '{}'", location.display()));
        server.sql("create table inside as select i, repeat('x', 100) from generate_series(1, 20000) i");
        server.sql("create table outside tablespace extra as select generate_series(1, 20000)");
        let options = BaseBackupOptions {
            label: "it's a test".into(),
            checkpoint: Checkpoint::Fast,
            ..BaseBackupOptions::default()
        };
        let received = back_up(&server, &options);

        let (start, end) = (received.start.unwrap(), received.end.unwrap());
        assert!(end.0 > start.0 && end.1 == 1 && start.1 == 1);
        assert_eq!((received.tablespaces, received.archives), (2, 2));
        assert!(major < 15 || received.progress > 0);
        let label = String::from_utf8(received.label).unwrap();
        assert!(label.contains("LABEL: it's a test") && label.contains(&format_lsn(start.0)), "{label}");
        // The link itself is left out of the archive when a map is asked for.
        assert!(received.files.contains_key("tablespace_map"));
        assert!(received.links.is_empty());

        let manifest: serde_json::Value = serde_json::from_slice(&received.manifest).unwrap();
        let listed = manifest["Files"].as_array().unwrap();
        assert!(listed.len() > 500);
        for file in listed {
            let path = file["Path"].as_str().unwrap();
            let (size, crc) = received.files.get(path).unwrap_or_else(|| panic!("{path} was not sent"));
            assert_eq!(file["Size"].as_u64(), Some(*size), "{path}");
            // The manifest shows the checksum's bytes in memory order.
            assert_eq!(
                file["Checksum"].as_str(),
                Some(format!("{:08x}", crc.swap_bytes()).as_str()),
                "{path}"
            );
        }
        assert_eq!(received.files.len(), listed.len(), "nothing was sent that is not listed");
    }
}

#[test]
fn options_change_what_is_sent_on_every_major() {
    for major in majors_available() {
        let server = TestServer::start(major, |_| ());
        let options = BaseBackupOptions {
            progress: false,
            checkpoint: Checkpoint::Fast,
            wal: true,
            rate_max_kib: Some(1_048_576),
            verify_checksums: false,
            manifest: Manifest::No,
            tablespace_map: false,
            ..BaseBackupOptions::default()
        };
        let received = back_up(&server, &options);
        assert!(received.manifest.is_empty());
        assert!(received.files.keys().any(|path| path.starts_with("pg_wal/0000")));
        let options = BaseBackupOptions {
            checkpoint: Checkpoint::Fast,
            manifest: Manifest::ForceEncode,
            manifest_checksums: ManifestChecksums::Sha256,
            ..BaseBackupOptions::default()
        };
        let manifest = String::from_utf8(back_up(&server, &options).manifest).unwrap();
        assert!(manifest.contains("Encoded-Path") && manifest.contains("SHA256"));
    }
}

#[test]
fn a_backup_that_is_given_up_stops_the_server_sending() {
    for major in majors_available() {
        let server = TestServer::start(major, |_| ());
        let mut replication = superuser(&server, Mode::PhysicalReplication);
        let options = BaseBackupOptions {
            checkpoint: Checkpoint::Fast,
            rate_max_kib: Some(1024),
            ..BaseBackupOptions::default()
        };
        let mut backup = replication.base_backup(&options).unwrap();
        while !matches!(backup.next_event().unwrap(), Some(BaseBackupEvent::ArchiveData(_))) {}
        drop(backup);
        assert!(matches!(replication.identify_system(), Err(WireError::Unusable)));
        drop(replication);
        let senders = "select count(*) from pg_stat_activity where backend_type = 'walsender'";
        while server.sql(senders) != "0" {
            crate::support::clock().sleep(std::time::Duration::from_millis(50));
        }
    }
}

#[test]
fn refused_options_leave_the_session_usable() {
    for major in majors_available() {
        let server = TestServer::start(major, |_| ());
        let mut replication = superuser(&server, Mode::PhysicalReplication);
        let options = BaseBackupOptions { rate_max_kib: Some(1), ..BaseBackupOptions::default() };
        let mut backup = replication.base_backup(&options).unwrap();
        let error = backup.next_event().unwrap_err();
        assert_eq!(error.server().unwrap().sqlstate, "22003", "{}", chain(&error));
        replication.identify_system().unwrap();
    }
}
