//! Clones of data directories on file systems that share blocks and on those that do not.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use ports::SystemClock;
use postgres_server::{
    CloneError, CloneOptions, CloneReport, Launch, Server, Settings, StopMode, clone_directory,
    testing::{self, PATIENCE, TestServer},
};

/// A stopped server with a tablespace, whose folder the clone must not share.
fn stopped_server() -> TestServer {
    let mut server = TestServer::start(*testing::majors_available().last().unwrap(), |_| {});
    let space = server.folder().join("space");
    std::fs::create_dir(&space).unwrap();
    testing::account().own(&space).unwrap();
    server.sql(&format!("create tablespace away location '{}'", space.display()));
    server.sql("create table far tablespace away as select generate_series(1, 1000) id");
    server.stop(StopMode::Fast);
    server
}

fn clone_to(server: &TestServer, to: &Path) -> Result<CloneReport, CloneError> {
    clone_directory(server.data_dir(), to, CloneOptions::default(), &SystemClock::new(), &|_| {})
}

/// Starts a clone, changes it, and checks that the source did not change.
fn check_clone(server: &mut TestServer, folder: &Path) {
    let installation = testing::installation(server.major());
    let clone = Server::new(installation, testing::account(), &folder.join("clone"), &folder.join("control"));
    let settings = Settings::new().with("fsync", "off").with("allow_in_place_tablespaces", "on");
    let launch = Launch::private(settings).ready_within(PATIENCE);
    let mut running = clone.start(&launch, Arc::new(SystemClock::new())).unwrap();
    let url = running.url("postgres", "postgres");
    assert_eq!(testing::psql(&url, "select count(*) from far"), Ok("1000".to_owned()));
    testing::psql(&url, "truncate far").unwrap();
    running.stop(StopMode::Fast, PATIENCE).unwrap();
    server.restart(StopMode::Fast, |_| {});
    assert_eq!(server.sql("select count(*) from far"), "1000");
    server.stop(StopMode::Fast);
}

#[test]
fn a_copy_is_independent_of_its_source() {
    let mut server = stopped_server();
    let folder = testing::reachable_folder();
    let report = clone_to(&server, &folder.path().join("clone")).unwrap();
    assert!(report.files > 500 && report.bytes > 10_000_000, "{report:?}");
    assert!(matches!(clone_to(&server, &folder.path().join("clone")), Err(CloneError::NotEmpty { .. })));
    check_clone(&mut server, folder.path());
}

#[test]
fn a_running_server_is_not_cloned() {
    let server = TestServer::start(testing::majors_available()[0], |_| {});
    let folder = testing::reachable_folder();
    assert!(matches!(clone_to(&server, &folder.path().join("clone")), Err(CloneError::InUse { .. })));
}

#[test]
fn wal_can_stay_behind() {
    let server = stopped_server();
    let folder = testing::reachable_folder();
    let to = folder.path().join("clone");
    let options = CloneOptions { without_wal: true, ..CloneOptions::default() };
    clone_directory(server.data_dir(), &to, options, &SystemClock::new(), &|_| {}).unwrap();
    let wal: Vec<_> =
        std::fs::read_dir(to.join("pg_wal")).unwrap().flatten().filter(|e| e.path().is_file()).collect();
    assert!(wal.is_empty(), "{wal:?}");
    assert!(to.join("pg_wal/archive_status").is_dir());
}

/// A small XFS in a file, unmounted when dropped.
struct Xfs {
    folder: tempfile::TempDir,
}

impl Xfs {
    fn mount() -> Result<Self, String> {
        let folder = testing::reachable_folder();
        let image = folder.path().join("image");
        let file = std::fs::File::create(&image).map_err(|e| e.to_string())?;
        file.set_len(600 << 20).map_err(|e| e.to_string())?;
        run(Command::new("mkfs.xfs").args(["-q", "-m", "reflink=1"]).arg(&image))?;
        let xfs = Self { folder };
        std::fs::create_dir(xfs.path()).map_err(|e| e.to_string())?;
        run(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(xfs.path()))?;
        Ok(xfs)
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("xfs")
    }
}

impl Drop for Xfs {
    fn drop(&mut self) {
        if let Err(error) = run(Command::new("umount").arg(self.path())) {
            eprintln!("{error}");
        }
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|e| format!("{command:?}: {e}"))?;
    let message = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(format!("{command:?}: {}", message.trim())) }
}

#[test]
fn a_file_system_that_can_shares_blocks() {
    let mut server = stopped_server();
    let xfs = match Xfs::mount() {
        Ok(xfs) => xfs,
        Err(reason) => {
            eprintln!("NOT TESTED: cloning with shared blocks, for want of a mounted XFS ({reason})");
            return;
        }
    };
    let (first, second) = (xfs.path().join("first"), xfs.path().join("clone"));
    let report = clone_to(&server, &first).unwrap();
    assert!(!report.reflinked, "two file systems cannot share");
    let report =
        clone_directory(&first, &second, CloneOptions::default(), &SystemClock::new(), &|_| {}).unwrap();
    assert!(report.reflinked, "{report:?}");
    eprintln!("shared {} files, {} bytes in {:?}", report.files, report.bytes, report.elapsed);
    check_clone(&mut server, &xfs.path());
}
