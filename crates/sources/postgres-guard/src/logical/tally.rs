//! How many rows each transaction has taken, and when that is worth a word.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use model::{Attribution, Effect, Event, Moment, Severity, Stage, Verb};
use ports::Clock;

use super::messages::Message;

/// Deleting or changing so many rows makes an open transaction worth telling of.
const ROWS_MIN: u64 = 200;
/// Deleting or changing so many rows is destructive.
const ROWS_DESTRUCTIVE: u64 = 1000;
/// An open transaction is told of again no sooner than this, unless it has doubled.
const AGAIN_AFTER: Duration = Duration::from_millis(50);
/// Transactions and relations that are remembered, at most; a server that opens more is not believed.
const ENTRIES_MAX: usize = 100_000;
/// 2000-01-01, from where PostgreSQL counts, in microseconds since 1970-01-01.
const POSTGRES_EPOCH_MICROS: i64 = 946_684_800_000_000;

type Counts = BTreeMap<(Verb, u32), u64>;

/// One open transaction.
#[derive(Debug, Default)]
struct Open {
    /// By subtransaction, so that one that is rolled back can be taken out.
    parts: BTreeMap<u32, Counts>,
    rows: u64,
    told_rows: u64,
    told_at: Option<Duration>,
}

/// All that is open.
#[derive(Debug)]
pub(super) struct Tally {
    database: String,
    names: HashMap<u32, String>,
    open: HashMap<u32, Open>,
    /// The transaction that the next rows belong to.
    current: Option<u32>,
    /// The transaction that is told as a whole, after its commit.
    whole: Option<u32>,
}

impl Tally {
    pub(super) fn new(database: String) -> Self {
        Self { database, names: HashMap::new(), open: HashMap::new(), current: None, whole: None }
    }

    /// Takes a message, and returns what it makes worth telling.
    pub(super) fn take(
        &mut self,
        message: &Message<'_>,
        lsn: u64,
        clock: &dyn Clock,
    ) -> Option<(Stage, Event)> {
        match message {
            Message::Begin { transaction } => {
                (self.current, self.whole) = (Some(*transaction), Some(*transaction));
            }
            Message::Commit { commit_lsn, committed_at } => {
                let transaction = self.whole.take()?;
                return self.done(transaction, *commit_lsn, *committed_at);
            }
            Message::Relation { relation, schema, name } => {
                if self.names.len() < ENTRIES_MAX {
                    self.names.insert(*relation, format!("{}.{schema}.{name}", self.database));
                }
            }
            Message::Insert { .. } | Message::Other => {}
            Message::Update { subtransaction, relation } => {
                return self.count(Verb::Update, *subtransaction, &[*relation], lsn, clock);
            }
            Message::Delete { subtransaction, relation } => {
                return self.count(Verb::Delete, *subtransaction, &[*relation], lsn, clock);
            }
            Message::Truncate { subtransaction, relations } => {
                return self.count(Verb::Truncate, *subtransaction, relations, lsn, clock);
            }
            Message::StreamStart { transaction } => self.current = Some(*transaction),
            Message::StreamStop => self.current = None,
            Message::StreamCommit { transaction, commit_lsn, committed_at } => {
                return self.done(*transaction, *commit_lsn, *committed_at);
            }
            Message::StreamAbort { transaction, subtransaction } => self.abort(*transaction, *subtransaction),
        }
        None
    }

    fn count(
        &mut self,
        verb: Verb,
        subtransaction: Option<u32>,
        relations: &[u32],
        lsn: u64,
        clock: &dyn Clock,
    ) -> Option<(Stage, Event)> {
        let transaction = self.current?;
        if self.open.len() >= ENTRIES_MAX && !self.open.contains_key(&transaction) {
            return None;
        }
        let open = self.open.entry(transaction).or_default();
        let counts = open.parts.entry(subtransaction.unwrap_or(transaction)).or_default();
        for relation in relations {
            *counts.entry((verb, *relation)).or_default() += 1;
            open.rows += 1;
        }
        // What has committed already is told of as a whole.
        let is_destructive = verb == Verb::Truncate || open.rows >= ROWS_MIN;
        if self.whole == Some(transaction) || !is_destructive {
            return None;
        }
        let now = clock.elapsed();
        let is_due = open.told_at.is_none_or(|told_at| {
            open.rows / 2 >= open.told_rows || now.saturating_sub(told_at) >= AGAIN_AFTER
        });
        if !is_due {
            return None;
        }
        (open.told_rows, open.told_at) = (open.rows, Some(now));
        Some((Stage::Underway, self.event(transaction, lsn, clock.now())?))
    }

    fn done(&mut self, transaction: u32, lsn: u64, committed_at: i64) -> Option<(Stage, Event)> {
        let at = Moment::from_micros(committed_at.saturating_add(POSTGRES_EPOCH_MICROS));
        let event = self.event(transaction, lsn, at);
        self.open.remove(&transaction);
        event.map(|event| (Stage::Done, event))
    }

    fn abort(&mut self, transaction: u32, subtransaction: u32) {
        if transaction == subtransaction {
            self.open.remove(&transaction);
        } else if let Some(open) = self.open.get_mut(&transaction)
            && let Some(counts) = open.parts.remove(&subtransaction)
        {
            open.rows = open.rows.saturating_sub(counts.values().sum());
        }
    }

    fn event(&self, transaction: u32, lsn: u64, at: Moment) -> Option<Event> {
        let open = self.open.get(&transaction)?;
        let mut counts: BTreeMap<(Verb, String), u64> = BTreeMap::new();
        for ((verb, relation), count) in open.parts.values().flatten() {
            let name = self.names.get(relation).cloned();
            let name = name.unwrap_or_else(|| format!("{} oid/{relation}", self.database));
            *counts.entry((*verb, name)).or_default() += count;
        }
        let effects: Vec<Effect> =
            counts.into_iter().map(|((verb, target), count)| Effect { verb, target, count }).collect();
        let destroys = |effect: &Effect| effect.verb == Verb::Truncate || effect.count >= ROWS_DESTRUCTIVE;
        let severity = if effects.iter().any(destroys) { Severity::Destructive } else { Severity::Notable };
        (!effects.is_empty()).then(|| Event {
            at,
            position: format!("{lsn:016X}"),
            transaction: transaction.to_string(),
            scope: self.database.clone(),
            effects,
            severity,
            actor: None,
            attribution: Attribution::Unknown,
            statement: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use ports::ManualClock;

    use super::*;

    fn rows(tally: &mut Tally, subtransaction: u32, rows: u64, clock: &ManualClock) -> Vec<u64> {
        let one = Message::Delete { subtransaction: Some(subtransaction), relation: 9 };
        let told = (0..rows).filter_map(|_| tally.take(&one, 1, clock));
        told.map(|(stage, event)| {
            assert_eq!(stage, Stage::Underway);
            event.effects[0].count
        })
        .collect()
    }

    #[test]
    fn an_open_transaction_is_told_of_when_it_doubles_and_without_what_was_rolled_back() {
        let clock = ManualClock::new(Moment::from_micros(0));
        let mut tally = Tally::new("shop".to_owned());
        tally.take(&Message::Relation { relation: 9, schema: "public", name: "bookings" }, 1, &clock);
        tally.take(&Message::StreamStart { transaction: 7 }, 1, &clock);
        assert_eq!(rows(&mut tally, 8, 900, &clock), [200, 400, 800]);
        tally.take(&Message::StreamStop, 1, &clock);
        tally.take(&Message::StreamAbort { transaction: 7, subtransaction: 8 }, 1, &clock);
        tally.take(&Message::StreamStart { transaction: 7 }, 1, &clock);
        rows(&mut tally, 7, 5, &clock);
        let end = Message::StreamCommit { transaction: 7, commit_lsn: 5, committed_at: 0 };
        let (stage, event) = tally.take(&end, 1, &clock).unwrap();
        assert_eq!((stage, event.effects.len(), event.effects[0].count), (Stage::Done, 1, 5));
        assert_eq!(event.effects[0].target, "shop.public.bookings");
        assert_eq!(tally.take(&end, 1, &clock), None);
    }
}
