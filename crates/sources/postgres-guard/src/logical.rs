//! The guard without physical access: logical replication that tells of open transactions (PostgreSQL 14 and later).
//!
//! Where the log itself can be read, that is better: it needs no publication, sees tables without a key and every
//! database. A publication that publishes deletes makes `DELETE` fail on a table without a replica identity, so
//! [`publication_script`] leaves those out, and whoever drops a primary key must take the table out first.

mod messages;
mod tally;

pub use messages::{Decoder, MalformedMessage, Message};

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use model::{Event, Stage};
use ports::Clock;
use postgres_wire::{Connection, ConnectionSettings, Limits, Mode, WalMessage, WireError};

use tally::Tally;

/// Publishes what can be published without any statement of production failing for it.
const PUBLICATIONS: &str = "
DO $body$
DECLARE
    named text;
BEGIN
    SELECT string_agg(c.oid::pg_catalog.regclass::text, ', ') INTO named
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind = 'r' AND c.relpersistence = 'p' AND n.nspname NOT IN ('pg_catalog', 'information_schema',
                'unwipe_guard')
            AND (c.relreplident = 'f' OR EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid
                AND i.indisvalid AND (c.relreplident = 'd' AND i.indisprimary OR c.relreplident = 'i' AND i.indisreplident)));
    DROP PUBLICATION IF EXISTS unwipe_guard_rows;
    DROP PUBLICATION IF EXISTS unwipe_guard_truncate;
    IF named IS NOT NULL THEN
        EXECUTE 'CREATE PUBLICATION unwipe_guard_rows FOR TABLE ' || named || ' WITH (publish = ''update, delete'')';
    ELSE
        CREATE PUBLICATION unwipe_guard_rows WITH (publish = 'update, delete');
    END IF;
    CREATE PUBLICATION unwipe_guard_truncate FOR ALL TABLES WITH (publish = 'truncate');
END
$body$;
";
/// Takes the publications out again.
const NO_PUBLICATIONS: &str = "DROP PUBLICATION IF EXISTS unwipe_guard_rows; \
    DROP PUBLICATION IF EXISTS unwipe_guard_truncate;";
/// The slot goes with the session, so it can never keep the server's log.
const SLOT: &str = "unwipe_guard";
/// How much of a transaction the server collects before it tells of it: the least that it allows.
const MEMORY: &str = "-c logical_decoding_work_mem=64kB";
/// How long one look at the socket waits: a request to end is noticed that late.
const LOOK: Duration = Duration::from_millis(200);
/// How often the server hears from us.
const STATUS_INTERVAL: Duration = Duration::from_secs(5);

/// Returns the statements that make the publications, as an administrator of the database.
pub const fn publication_script() -> &'static str {
    PUBLICATIONS
}

/// Returns the statements that remove the publications.
pub const fn publication_removal() -> &'static str {
    NO_PUBLICATIONS
}

/// Why the stream ended before it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum LogicalError {
    /// The server, or the way to it.
    #[error("the server's changes cannot be followed")]
    Wire(#[from] WireError),
    /// The server said something that is not of the protocol.
    #[error("the server's changes cannot be read")]
    Malformed(#[from] MalformedMessage),
}

/// Follows one database's changes under a role with `REPLICATION`.
pub struct LogicalGuard {
    settings: ConnectionSettings,
    clock: Arc<dyn Clock>,
}

impl LogicalGuard {
    /// Makes a guard; nothing is contacted yet.
    pub fn new(settings: ConnectionSettings, clock: Arc<dyn Clock>) -> Self {
        Self { settings, clock }
    }

    /// Tells of open transactions that take rows away, and of those that did, until it is asked to end. `ready` is
    /// called once what happens from then on is seen.
    pub fn run(
        &self,
        stop: &AtomicBool,
        mut ready: impl FnMut(),
        mut tell: impl FnMut(Stage, Event),
    ) -> Result<(), LogicalError> {
        let database = self.settings.database.clone().unwrap_or_else(|| self.settings.user.clone());
        let mut target = self.settings.clone();
        target.application_name = Some("unwipe guard".to_owned());
        target.options = Some(match target.options {
            Some(options) => format!("{options} {MEMORY}"),
            None => MEMORY.to_owned(),
        });
        let mode = Mode::LogicalReplication { database: database.clone() };
        let mut connection = Connection::connect(&target, mode, &Limits::default(), Arc::clone(&self.clock))?;
        if connection.major() < 14 {
            let major = connection.major();
            return Err(WireError::Unsupported { feature: "streaming of open transactions", major }.into());
        }
        let slot = connection.create_logical_slot(SLOT, "pgoutput", true, false)?;
        let options = [
            ("proto_version", "2"),
            ("publication_names", "unwipe_guard_rows,unwipe_guard_truncate"),
            ("streaming", "on"),
        ];
        let mut stream = connection.start_logical(SLOT, slot.consistent_lsn, &options)?;
        ready();
        let (mut decoder, mut tally) = (Decoder::default(), Tally::new(database));
        let (mut seen_lsn, mut told_at) = (slot.consistent_lsn, self.clock.elapsed());
        while !stop.load(Ordering::SeqCst) {
            let mut asked = false;
            match stream.next(LOOK)? {
                Some(WalMessage::Data { start_lsn, data, .. }) => {
                    seen_lsn = seen_lsn.max(start_lsn);
                    let message = decoder.read(data)?;
                    if let Some((stage, event)) = tally.take(&message, seen_lsn, self.clock.as_ref()) {
                        tell(stage, event);
                    }
                }
                Some(WalMessage::Keepalive { server_end_lsn, reply_requested, .. }) => {
                    seen_lsn = seen_lsn.max(server_end_lsn);
                    asked = reply_requested;
                }
                Some(WalMessage::EndOfTimeline { .. }) => return Ok(()),
                None => {}
            }
            if asked || self.clock.elapsed().saturating_sub(told_at) >= STATUS_INTERVAL {
                stream.send_status(seen_lsn, seen_lsn, seen_lsn, false)?;
                told_at = self.clock.elapsed();
            }
        }
        // What goes wrong with a goodbye changes nothing.
        drop(stream.stop());
        Ok(())
    }
}

/// Entry for fuzzing: any bytes, as messages of a server, each after its length. Must never panic.
pub fn fuzz_one(data: &[u8]) {
    let (mut decoder, mut tally) = (Decoder::default(), Tally::new("shop".to_owned()));
    let clock = ports::ManualClock::new(model::Moment::from_micros(0));
    let mut rest = data;
    while let Some((length, after)) = rest.split_first() {
        let (message, after) = after.split_at(usize::from(*length).min(after.len()));
        if let Ok(message) = decoder.read(message) {
            drop(tally.take(&message, 1, &clock));
        }
        rest = after;
    }
}
