//! A production server with an archive of its own, a replication role, and a reader in a thread.

use std::{
    path::PathBuf,
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use connect::{ReadEnd, ReadError, SourceReader, Stop};
use model::SourceName;
use ports::SystemClock;
use postgres_server::testing::{TestOptions, TestServer};
use source_postgres::{ClusterReader, ClusterSettings};

use crate::sink::MemorySink;

pub const ROLE: &str = "unwipe";
pub const SLOT: &str = "unwipe_shop";

/// Starts a server that bounds slots, archives its WAL, and has the role that a capture needs.
pub fn production(major: u32, change: impl FnOnce(&mut TestOptions)) -> TestServer {
    let server = TestServer::start(major, |options| {
        options.settings.set("max_slot_wal_keep_size", "1GB");
        options.settings.set("wal_keep_size", "0");
        options.settings.set("autovacuum", "off");
        change(options);
    });
    server.sql(&format!("create role {ROLE} login replication"));
    server
}

pub fn url_of(server: &TestServer, role: &str) -> String {
    server.url().replacen("postgres@", &format!("{role}@"), 1)
}

pub fn settings(server: &TestServer) -> ClusterSettings {
    settings_as(&url_of(server, ROLE))
}

pub fn settings_as(url: &str) -> ClusterSettings {
    let source = SourceName::new("shop").unwrap();
    let mut settings = ClusterSettings::new(&source, url).unwrap();
    settings.patience = Duration::from_secs(3);
    settings
}

/// A reader that runs in its own thread.
pub struct Capture {
    stop: Stop,
    thread: Option<JoinHandle<Result<ReadEnd, ReadError>>>,
}

impl Capture {
    /// Starts to read from where the sink stands.
    pub fn start(settings: ClusterSettings, sink: &MemorySink) -> Self {
        let stop = Stop::default();
        let (asked, mut sink) = (stop.clone(), sink.clone());
        let thread = thread::spawn(move || {
            let mut reader = ClusterReader::new(settings, Arc::new(SystemClock::new()));
            let cursor = sink.cursor();
            reader.changes(cursor.as_ref(), &mut sink, &asked)
        });
        Self { stop, thread: Some(thread) }
    }

    /// Asks it to end, and returns how it ended.
    pub fn stop(mut self) -> Result<ReadEnd, ReadError> {
        self.stop.request();
        self.thread.take().unwrap().join().unwrap()
    }

    /// Waits until it ends by itself.
    pub fn join(mut self) -> Result<ReadEnd, ReadError> {
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
pub fn catch_up(server: &TestServer, sink: &MemorySink, timeline: u32) {
    let lsn = server.current_lsn();
    let stream = format!("wal/{timeline}");
    sink.wait(&format!("{stream} up to {lsn:X}"), |inner| inner.durable(&stream) >= lsn);
}

/// Makes the reader end, so that everything is committed.
pub fn finish(capture: Capture) {
    assert_eq!(capture.stop().unwrap(), ReadEnd::Stopped);
}

/// Returns the server's own copies of finished segments, by name.
pub fn archive(server: &TestServer) -> PathBuf {
    server.folder().join("archive")
}
