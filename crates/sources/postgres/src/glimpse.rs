//! What is told before it is settled: open transactions that take rows away, and destructive ones just committed.
//!
//! The server flushes its log at least every 200 ms, so an open transaction's deletes are here long before its commit.
//! Names and actors are those at hand; the settled event follows with the checkpoint.

use std::{collections::HashMap, time::Duration};

use model::Event;
use ports::Clock;
use postgres_wal::{TransactionId, TransactionIndex};

use crate::{activity::Sightings, events, names::NameMap};

/// Deleting or changing so many rows makes an open transaction worth telling of.
pub(crate) const ROWS_MIN: u64 = 200;
/// An open transaction is told of again no sooner than this, unless it has doubled.
const AGAIN_AFTER: Duration = Duration::from_millis(50);

/// What was last told of an open transaction.
#[derive(Debug, Clone, Copy)]
struct Told {
    rows: u64,
    at: Duration,
}

/// Remembers what was told of which open transaction.
#[derive(Debug, Default)]
pub(crate) struct Glimpses {
    told: HashMap<TransactionId, Told>,
}

/// What an open transaction is told with.
pub(crate) struct Light<'a> {
    pub(crate) clock: &'a dyn Clock,
    pub(crate) names: &'a NameMap,
    pub(crate) sightings: &'a Sightings,
    /// How far the log was read.
    pub(crate) lsn: u64,
}

impl Glimpses {
    /// Returns what is to be told of open transactions now.
    pub(crate) fn underway(&mut self, index: &TransactionIndex, light: &Light<'_>) -> Vec<Event> {
        if !index.is_losing() {
            self.told.clear();
            return Vec::new();
        }
        let now = light.clock.elapsed();
        let is_due = |told: &Told, rows: u64| {
            rows > told.rows && (rows / 2 >= told.rows || now.saturating_sub(told.at) >= AGAIN_AFTER)
        };
        let mut seen = HashMap::new();
        let mut events = Vec::new();
        for (transaction, rows) in index.losing() {
            let known = self.told.get(&transaction).copied();
            if let Some(told) = known.filter(|told| !is_due(told, rows)) {
                seen.insert(transaction, told);
                continue;
            }
            seen.insert(transaction, Told { rows, at: now });
            if let Some(losing) = index.losing_of(transaction) {
                events.extend(events::underway(&losing, light));
            }
        }
        // A transaction that has ended is told of no more.
        self.told = seen;
        events
    }
}
