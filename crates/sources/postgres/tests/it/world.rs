//! A production server with an archive of its own, a replication role, and a reader in a thread.

use std::{
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use connect::{ReadEnd, ReadError, SourceReader, Stop};
use model::SourceName;
use ports::SystemClock;
use postgres_server::{
    Configuration, Launch, RunningServer, Server, Settings, StopMode,
    testing::{self, TestOptions, TestServer},
};
use postgres_wal::Lsn;
use source_postgres::{ClusterReader, ClusterSettings, layout::Base};

use crate::sink::MemorySink;

pub(crate) const ROLE: &str = "unwipe";
pub(crate) const SLOT: &str = "unwipe_shop";
pub(crate) const SEGMENT_BYTES: u64 = 16 << 20;

/// Starts a server that bounds slots, archives its WAL, and has the role that a capture needs.
pub(crate) fn production(major: u32, change: impl FnOnce(&mut TestOptions)) -> TestServer {
    let server = TestServer::start(major, |options| {
        options.settings.set("max_slot_wal_keep_size", "1GB");
        options.settings.set("wal_keep_size", "0");
        options.settings.set("autovacuum", "off");
        change(options);
    });
    server.sql(&format!("create role {ROLE} login replication"));
    server
}

/// Makes the server copy each finished segment into [`archive`], as owners of clusters do.
pub(crate) fn start_archive(server: &mut TestServer) {
    let folder = archive(server);
    std::fs::create_dir(&folder).unwrap();
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o777)).unwrap();
    let command = format!("cp %p {}/%f", folder.display());
    server.restart(StopMode::Fast, |settings| {
        settings.set("archive_mode", "on");
        settings.set("archive_command", &command);
    });
}

/// Asserts that every archived segment from `from` on is stored byte for byte; returns how many there are.
pub(crate) fn compare_with_archive(
    server: &TestServer,
    sink: &MemorySink,
    timeline: u32,
    from: u64,
) -> usize {
    let inner = sink.lock();
    let mut compared = 0;
    for entry in std::fs::read_dir(archive(server)).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if name.len() != 24 || !name.starts_with(&format!("{timeline:08X}")) {
            continue;
        }
        let number = u64::from_str_radix(&name[8..16], 16).unwrap() << 8
            | u64::from_str_radix(&name[16..], 16).unwrap();
        let start = number * SEGMENT_BYTES;
        let theirs = std::fs::read(&path).unwrap();
        if start < from || theirs.len() as u64 != SEGMENT_BYTES {
            continue;
        }
        let ours = inner.log(&format!("wal/{timeline}"), start, start + SEGMENT_BYTES);
        assert!(
            ours.is_some_and(|ours| ours == theirs),
            "segment {name} differs from the server's own archive"
        );
        compared += 1;
    }
    compared
}

/// Begins a new segment and waits until the server has archived those before.
pub(crate) fn switch_segment(server: &TestServer) {
    let finished = server.sql("select pg_walfile_name(pg_switch_wal())");
    let path = archive(server).join(&finished);
    for _ in 0..600 {
        if path.metadata().is_ok_and(|file| file.len() == SEGMENT_BYTES) {
            return;
        }
        thread::sleep(Duration::from_millis(100));
    }
    panic!("{finished} was not archived");
}

/// Returns the newest base's description.
pub(crate) fn newest_base(sink: &MemorySink) -> Base {
    let inner = sink.lock();
    serde_json::from_str(&inner.stream("base").last().expect("a base").item.attributes).unwrap()
}

/// Makes a standby of a server from what was stored, as an owner would: from its own base backup.
pub(crate) fn standby(server: &TestServer) -> RunningServer {
    let folder = server.folder().join("standby");
    let (data, control) = (folder.join("data"), folder.join("control"));
    std::fs::create_dir(&folder).unwrap();
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o777)).unwrap();
    let program = testing::installations().newest_tool("pg_basebackup", server.major()).unwrap();
    let account = testing::account();
    let url = server.url();
    let status = as_account(&program)
        .args(["-d", &url, "-X", "stream", "-c", "fast", "-D"])
        .arg(&data)
        .status()
        .unwrap();
    assert!(status.success(), "pg_basebackup failed");
    std::fs::File::create(data.join("standby.signal")).unwrap();
    let settings = Settings::new()
        .with("fsync", "off")
        .with("max_slot_wal_keep_size", "1GB")
        .with("primary_conninfo", &url);
    let mut launch = Launch::private(settings).ready_within(testing::PATIENCE);
    launch.configuration = Configuration::Private {
        access: vec!["local all all trust".into(), "local replication all trust".into()],
    };
    let server = Server::new(testing::installation(server.major()), account, &data, &control);
    server.start(&launch, Arc::new(SystemClock::new())).unwrap_or_else(|error| panic!("{error}"))
}

/// PostgreSQL's own programs must not run as root either, or the copy belongs to the wrong account.
fn as_account(program: &std::path::Path) -> std::process::Command {
    let root = std::fs::metadata("/proc/self").unwrap();
    if std::os::unix::fs::MetadataExt::uid(&root) != 0 {
        return std::process::Command::new(program);
    }
    let mut command = std::process::Command::new("setpriv");
    command.args(["--reuid", "postgres", "--regid", "postgres", "--clear-groups"]).arg(program);
    command
}

pub(crate) fn url_of(server: &TestServer, role: &str) -> String {
    server.url().replacen("postgres@", &format!("{role}@"), 1)
}

pub(crate) fn settings(server: &TestServer) -> ClusterSettings {
    settings_as(&url_of(server, ROLE))
}

pub(crate) fn settings_as(url: &str) -> ClusterSettings {
    let source = SourceName::new("shop").unwrap();
    let mut settings = ClusterSettings::new(&source, url).unwrap();
    settings.patience = Duration::from_secs(3);
    settings
}

/// A reader that runs in its own thread.
pub(crate) struct Capture {
    stop: Stop,
    thread: Option<JoinHandle<Result<ReadEnd, ReadError>>>,
}

impl Capture {
    /// Starts to read from where the sink stands.
    pub(crate) fn start(settings: ClusterSettings, sink: &MemorySink) -> Self {
        let stop = Stop::default();
        let (asked, mut sink) = (stop.clone(), sink.clone());
        let thread = thread::spawn(move || {
            let mut reader = ClusterReader::new(settings, Arc::new(SystemClock::new()));
            let cursor = sink.cursor();
            reader.changes(cursor.as_ref(), &mut sink, &asked)
        });
        Self { stop, thread: Some(thread) }
    }

    /// Returns whether it has not ended by itself.
    pub(crate) fn is_running(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// Asks it to end, and returns how it ended.
    pub(crate) fn stop(mut self) -> Result<ReadEnd, ReadError> {
        self.stop.request();
        self.thread.take().unwrap().join().unwrap()
    }

    /// Waits until it ends by itself.
    pub(crate) fn join(mut self) -> Result<ReadEnd, ReadError> {
        self.thread.take().unwrap().join().unwrap()
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.stop.request();
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// Waits until everything that the server wrote so far is durable in the sink.
pub(crate) fn catch_up(server: &TestServer, sink: &MemorySink, capture: &Capture, timeline: u32) {
    // What is only inserted is flushed, and so sent, with the next commit.
    server.sql("select pg_logical_emit_message(true, 'test', 'caught up')");
    let lsn: Lsn = server.sql("select pg_current_wal_flush_lsn()").parse().unwrap();
    let stream = format!("wal/{timeline}");
    sink.wait(&format!("{stream} up to {lsn}"), |inner| {
        assert!(capture.is_running(), "the reader ended before {lsn}");
        inner.durable(&stream) >= lsn.0
    });
}

/// Makes the reader end, so that everything is committed.
pub(crate) fn finish(capture: Capture) {
    assert_eq!(capture.stop().unwrap(), ReadEnd::Stopped);
}

/// Returns the server's own copies of finished segments, by name.
pub(crate) fn archive(server: &TestServer) -> PathBuf {
    server.folder().join("archive")
}
