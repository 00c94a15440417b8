//! Keeps the log of an idle server moving.
//!
//! A server sends what it has flushed. On a quiet server the process that flushes every 200 ms sleeps for up to five
//! seconds, and a large `DELETE` may go on unseen as long. An empty transaction that does not wait for its commit wakes it.

use std::{
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use ports::Clock;
use postgres_wire::{Connection, ConnectionSettings, Limits, Mode, WireError};

use std::sync::atomic::{AtomicBool, Ordering};

/// Takes a transaction number, and so wakes the process that flushes, only when the log is ahead of what was flushed:
/// by more than a page, which is some hundred deleted rows.
const BEAT: &str = "SELECT CASE WHEN NOT pg_catalog.pg_is_in_recovery() \
    AND pg_catalog.pg_current_wal_insert_lsn() - pg_catalog.pg_current_wal_flush_lsn() > 8192 \
    THEN pg_catalog.txid_current() END";
/// A server that does not answer is asked again after this.
const RETRY: Duration = Duration::from_secs(5);
/// How often a sleeping thread looks whether it should end.
const NAP: Duration = Duration::from_millis(100);

/// Beats until it is dropped.
#[derive(Debug)]
pub struct Pulse {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Pulse {
    /// Begins to beat, as any role that may log in; a server that is away is tried again.
    pub fn start(settings: ConnectionSettings, interval: Duration, clock: Arc<dyn Clock>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            while !asked.load(Ordering::SeqCst) {
                // The session ended or never was: production may be restarting.
                drop(beat(&settings, interval, &clock, &asked));
                pause(RETRY, &clock, &asked);
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            // A panic in it has been reported by the thread itself.
            drop(thread.join());
        }
    }
}

fn beat(
    settings: &ConnectionSettings,
    interval: Duration,
    clock: &Arc<dyn Clock>,
    stop: &AtomicBool,
) -> Result<(), WireError> {
    let mut target = settings.clone();
    target.application_name = Some("unwipe pulse".to_owned());
    let limits = Limits { read_timeout: Some(Duration::from_secs(30)), ..Limits::default() };
    let mut connection = Connection::connect(&target, Mode::Sql, &limits, Arc::clone(clock))?;
    connection.simple_query("SET synchronous_commit = off")?;
    while !stop.load(Ordering::SeqCst) {
        connection.query_one(BEAT)?;
        pause(interval, clock, stop);
    }
    Ok(())
}

fn pause(duration: Duration, clock: &Arc<dyn Clock>, stop: &AtomicBool) {
    let until = clock.elapsed() + duration;
    while !stop.load(Ordering::SeqCst) {
        let left = until.saturating_sub(clock.elapsed());
        if left.is_zero() {
            return;
        }
        clock.sleep(left.min(NAP));
    }
}
