//! A thread that looks at `pg_stat_activity` again and again.

use std::{
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use connect::Stop;
use model::{Actor, Moment};
use ports::Clock;
use postgres_wire::{Connection, ConnectionSettings, Limits, Mode, WireError};

use super::{Finished, Sighting, Sightings};

/// Transactions that write, and sessions whose last statement ended since the last looks. Without a transaction number
/// nothing was written, so nothing can be destroyed; a short transaction has given its number back when it is seen.
const WRITERS: &str = "SELECT pid, usename, application_name, pg_catalog.host(client_addr), backend_xid, query, \
    (extract(epoch FROM query_start) * 1000000)::bigint, (extract(epoch FROM state_change) * 1000000)::bigint \
    FROM pg_catalog.pg_stat_activity \
    WHERE pid <> pg_catalog.pg_backend_pid() AND (backend_xid IS NOT NULL OR \
    state = 'idle' AND backend_type = 'client backend' AND state_change > clock_timestamp() - interval '2 seconds')";
/// A server that does not answer is asked again after this.
const RETRY: Duration = Duration::from_secs(5);
/// How often a sleeping thread looks whether it should end.
const NAP: Duration = Duration::from_millis(100);

/// Samples activity until it is dropped.
#[derive(Debug)]
pub struct Sampler {
    stop: Stop,
    thread: Option<JoinHandle<()>>,
}

impl Sampler {
    /// Begins to sample; what is seen goes into `sightings`.
    pub fn start(
        settings: ConnectionSettings,
        interval: Duration,
        clock: Arc<dyn Clock>,
        sightings: Arc<Mutex<Sightings>>,
    ) -> Self {
        let stop = Stop::default();
        let asked = stop.clone();
        let thread = thread::spawn(move || {
            while !asked.is_requested() {
                // The session ended or never was: production may be restarting.
                drop(sample(&settings, interval, &clock, &sightings, &asked));
                pause(RETRY, &clock, &asked);
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.stop.request();
        if let Some(thread) = self.thread.take() {
            // A panic in it has been reported by the thread itself.
            drop(thread.join());
        }
    }
}

fn pause(duration: Duration, clock: &Arc<dyn Clock>, stop: &Stop) {
    let until = clock.elapsed() + duration;
    while !stop.is_requested() {
        let left = until.saturating_sub(clock.elapsed());
        if left.is_zero() {
            return;
        }
        clock.sleep(left.min(NAP));
    }
}

fn sample(
    settings: &ConnectionSettings,
    interval: Duration,
    clock: &Arc<dyn Clock>,
    sightings: &Mutex<Sightings>,
    stop: &Stop,
) -> Result<(), WireError> {
    let mut target = settings.clone();
    target.application_name.get_or_insert_with(|| "unwipe activity".to_owned());
    let limits = Limits { read_timeout: Some(Duration::from_secs(30)), ..Limits::default() };
    let mut connection = Connection::connect(&target, Mode::Sql, &limits, Arc::clone(clock))?;
    while !stop.is_requested() {
        let rows = connection.query_rows(WRITERS)?;
        let seen_at = clock.now();
        let mut sightings = sightings.lock().unwrap_or_else(PoisonError::into_inner);
        for row in &rows {
            let field = |column: usize| row.get(column).cloned().flatten();
            let number = |column: usize| field(column)?.parse::<i64>().ok();
            let Some(process) = number(0).map(|process| process as i32) else { continue };
            let actor = Actor {
                identity: field(1).unwrap_or_default(),
                application: field(2).filter(|name| !name.is_empty()),
                address: field(3),
                ..Actor::default()
            };
            let statement = field(5).filter(|text| !text.is_empty());
            if let Some(transaction) = number(4) {
                let transaction = transaction as u32;
                sightings.record(Sighting { transaction, process, actor, statement, seen_at });
            } else if let (Some(began), Some(ended)) = (number(6), number(7)) {
                let (began_at, ended_at) = (Moment::from_micros(began), Moment::from_micros(ended));
                sightings.record_finished(Finished { process, actor, statement, began_at, ended_at });
            }
        }
        drop(sightings);
        pause(interval, clock, stop);
    }
    Ok(())
}
