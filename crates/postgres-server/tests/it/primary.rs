//! A primary that archives its WAL, and base backups of it.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use ports::{Clock, SystemClock};
use postgres_server::testing::{self, TestServer};

/// The oldest, a middle and the newest major version, for tests that do not depend on each one's layout.
pub(crate) fn some_majors() -> Vec<u32> {
    let all = testing::majors_available();
    let mut some = vec![all[0], all[all.len() / 2], all[all.len() - 1]];
    some.dedup();
    some
}

pub(crate) struct Primary {
    pub(crate) server: TestServer,
    pub(crate) wal: PathBuf,
}

impl Primary {
    pub(crate) fn start(major: u32) -> Self {
        let server = TestServer::start(major, |options| {
            options.settings.set("archive_mode", "on");
            // The server stands in its data directory when it runs the command.
            options.settings.set("archive_command", "cp %p ../wal/%f.part && mv ../wal/%f.part ../wal/%f");
            options.settings.set("wal_level", "replica");
            options.init.segment_mib = 1;
        });
        let wal = server.folder().join("wal");
        std::fs::create_dir(&wal).unwrap();
        testing::account().own(&wal).unwrap();
        server.sql("create table rows (id int primary key, note text)");
        Self { server, wal }
    }

    /// Takes a base backup without WAL into a new folder of the test's.
    pub(crate) fn base_backup(&self, name: &str) -> PathBuf {
        let to = self.server.folder().join(name);
        let program = testing::installations().newest_tool("pg_basebackup", 16).unwrap();
        let output = Command::new(program)
            .args(["-X", "none", "-c", "fast", "--no-sync", "-d", &self.server.url(), "-D"])
            .arg(&to)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        to
    }

    pub(crate) fn insert(&self, id: u32) {
        self.server.sql(&format!("insert into rows values ({id}, repeat('x', 100))"));
    }

    /// Deletes all rows and returns the transaction id.
    pub(crate) fn destroy(&self) -> u32 {
        let xid = self.server.sql(
            "with d as (delete from rows returning 1) select txid_current() from (select count(*) from d) c",
        );
        xid.parse().unwrap()
    }

    /// Ends the current WAL file and waits until it is archived.
    pub(crate) fn archive(&self) {
        // A file in which nothing was written yet is not ended.
        self.server.sql("select pg_logical_emit_message(true, 'test', 'end of file')");
        let name = self.server.sql("select pg_walfile_name(pg_switch_wal())");
        wait_for(&self.wal.join(name));
    }
}

fn wait_for(path: &Path) {
    let clock = SystemClock::new();
    while !path.exists() {
        assert!(clock.elapsed() < testing::PATIENCE, "{} was not archived", path.display());
        clock.sleep(Duration::from_millis(20));
    }
}
