//! From committed transactions to events: what was done to which table, how serious it is, and who did it.

use std::collections::{BTreeMap, BTreeSet};

use model::{Actor, Attribution, Effect, Event, Moment, Severity, Verb};
use postgres_wal::{Losing, RelationLocator, RelationRows, RowCounts, TransactionSummary};

use crate::{
    activity::{Known, Sightings},
    glimpse::{self, Light},
    layout::lsn_key,
    names::{NameMap, Target},
    scan::Commit,
    transactions,
    witness::{self, WitnessMessage},
};

mod effects;
mod routine;
#[cfg(test)]
mod tests;

pub(crate) use routine::Routine;

use effects::effects;

/// Deleting or changing fewer rows than this is never destructive.
const ROWS_DESTRUCTIVE_MIN: u64 = 1000;
/// Deleting or changing this share of a table is destructive, if it is also [`ROWS_DESTRUCTIVE_MIN`] rows.
const SHARE_DESTRUCTIVE_PERCENT: u64 = 5;
/// Adding fewer rows than this at once is daily work.
const ROWS_BULK_MIN: u64 = 500;
/// Adding this share of a table at once is notable, if it is also [`ROWS_BULK_MIN`] rows: a load, or invented rows.
const SHARE_BULK_PERCENT: u64 = 50;
/// Notable events of one database that a checkpoint tells one by one; the rest are summed up in one.
const NOTABLE_EVENTS_MAX: usize = 100;

/// Returns whether a transaction is daily work whatever the names say.
pub(crate) fn is_routine(commit: &Commit) -> bool {
    let summary = &commit.summary;
    summary.rows.deleted == 0
        && summary.rows.updated < ROWS_DESTRUCTIVE_MIN
        && summary.rows.inserted < ROWS_BULK_MIN
        && !changes_names(commit)
        && our_messages(summary).next().is_none()
}

/// Returns whether names may be others after this transaction.
pub(crate) fn changes_names(commit: &Commit) -> bool {
    let summary = &commit.summary;
    commit.defines
        || !summary.files_dropped.is_empty()
        || !summary.files_created.is_empty()
        || !summary.tables_truncated.is_empty()
        || !summary.databases_created.is_empty()
        || !commit.databases_dropped.is_empty()
}

/// Returns whether a transaction took anything away that is worth a word before it is settled.
pub(crate) fn loses(commit: &Commit) -> bool {
    let summary = &commit.summary;
    summary.rows.deleted > 0
        || summary.rows.updated >= glimpse::ROWS_MIN
        || !summary.files_dropped.is_empty()
        || !summary.tables_truncated.is_empty()
        || !commit.databases_dropped.is_empty()
}

/// Returns the events of transactions, each on its own while they are few.
pub(crate) fn tell(commits: &[Commit], names: &NameMap, sightings: &Sightings) -> Vec<Event> {
    gather(commits, names, sightings, true)
}

/// Returns the events of those transactions that took something away, all but the destructive ones in sums.
pub(crate) fn glimpsed(commits: &[Commit], names: &NameMap, sightings: &Sightings) -> Vec<Event> {
    gather(commits.iter().filter(|commit| loses(commit)), names, sightings, false)
}

/// Returns the event of a transaction that is still open; nothing when all that it touched is internal.
pub(crate) fn underway(losing: &Losing, light: &Light<'_>) -> Option<Event> {
    let (effects, severity) = effects::of_rows(&losing.relations, light.names);
    if effects.is_empty() {
        return None;
    }
    let at = light.clock.now();
    let (actor, attribution, statement) = named(light.sightings.of_open(losing.transaction.0, at));
    let database = losing.relations.first().map(|rows| rows.relation.database);
    Some(Event {
        at,
        position: lsn_key(light.lsn),
        transaction: losing.transaction.to_string(),
        scope: database.map_or_else(String::new, |oid| light.names.database(oid)),
        effects,
        severity,
        actor,
        attribution,
        statement,
    })
}

fn gather<'c>(
    commits: impl IntoIterator<Item = &'c Commit>,
    names: &NameMap,
    sightings: &Sightings,
    settled: bool,
) -> Vec<Event> {
    let singles_max = if settled { NOTABLE_EVENTS_MAX } else { 0 };
    let mut told = Vec::new();
    let mut notable: BTreeMap<String, usize> = BTreeMap::new();
    let mut sums: Vec<Sum> = Vec::new();
    for commit in commits {
        let Some(event) = event(commit, names, sightings, settled) else { continue };
        if event.severity == Severity::Destructive {
            told.push(event);
            continue;
        }
        let count = notable.entry(event.scope.clone()).or_default();
        *count += 1;
        if *count <= singles_max {
            told.push(event);
        } else {
            merge(&mut sums, event, commit.summary.transaction.0);
        }
    }
    told.extend(sums.into_iter().map(Sum::into_event));
    told
}

/// Small transactions of one actor in one database.
struct Sum {
    event: Event,
    counts: BTreeMap<(Verb, String), u64>,
    transactions: Vec<u32>,
}

impl Sum {
    fn into_event(self) -> Event {
        let effects = self.counts.into_iter();
        let effects = effects.map(|((verb, target), count)| Effect { verb, target, count }).collect();
        let transaction = transactions::write(self.transactions);
        Event { effects, transaction, ..self.event }
    }
}

/// Adds an event to the sum of its database and actor; whoever undoes one actor's work must not touch another's.
fn merge(sums: &mut Vec<Sum>, mut event: Event, transaction: u32) {
    let effects = std::mem::take(&mut event.effects);
    let same = |sum: &Sum| {
        let known = &sum.event;
        known.scope == event.scope && known.attribution == event.attribution && known.actor == event.actor
    };
    let place = sums.iter().position(same).unwrap_or_else(|| {
        sums.push(Sum { event: event.clone(), counts: BTreeMap::new(), transactions: Vec::new() });
        sums.len() - 1
    });
    let sum = &mut sums[place];
    for Effect { verb, target, count } in effects {
        *sum.counts.entry((verb, target)).or_default() += count;
    }
    sum.transactions.push(transaction);
    let known = &mut sum.event;
    known.severity = known.severity.max(event.severity);
    if known.statement != event.statement {
        known.statement = None;
    }
    (known.at, known.position) = (event.at, event.position);
}

/// Returns a transaction's event; nothing when all that it touched is internal.
///
/// Where nobody saw who it was, a guess is made once everything is settled, not before: what is told at once may lead
/// to somebody being stopped.
fn event(commit: &Commit, names: &NameMap, sightings: &Sightings, settled: bool) -> Option<Event> {
    let summary = &commit.summary;
    let (effects, severity) = effects(commit, names);
    let messages = witness_messages(summary);
    if effects.is_empty() && messages.is_empty() {
        return None;
    }
    let at = Moment::from_micros(summary.commit_time_unix_microseconds);
    // A removed database is gone with the record that removed it, before the commit.
    let lsn = commit.databases_dropped.iter().map(|&(_, lsn)| lsn).min().unwrap_or(summary.commit_lsn.0);
    let dropped = commit.databases_dropped.first().map(|&(oid, _)| oid);
    let database = dropped.or_else(|| summary.databases.first().copied());
    let scope = database.map_or_else(String::new, |oid| names.database(oid));
    let (actor, attribution, statement) = witness::testimony(&messages).map_or_else(
        || {
            let seen = sightings.of(summary.transaction.0, at);
            named(seen.or_else(|| sightings.guess(&scope, &effects, at).filter(|_| settled)))
        },
        |(actor, statement)| (Some(actor), Attribution::Witnessed, statement),
    );
    Some(Event {
        at,
        position: lsn_key(lsn),
        transaction: summary.transaction.to_string(),
        scope,
        effects,
        severity,
        actor,
        attribution,
        statement,
    })
}

/// Returns the actor, how it is known, and the statement.
fn named(known: Option<Known<'_>>) -> (Option<Actor>, Attribution, Option<String>) {
    known.map_or((None, Attribution::Unknown, None), |known| {
        (Some(known.actor.clone()), known.attribution, known.statement.map(str::to_owned))
    })
}

fn our_messages(summary: &TransactionSummary) -> impl Iterator<Item = &postgres_wal::MessageSummary> {
    summary.messages.iter().filter(|message| message.prefix == witness::PREFIX)
}

fn witness_messages(summary: &TransactionSummary) -> Vec<WitnessMessage> {
    let texts = our_messages(summary).filter_map(|message| message.content.text());
    texts.filter_map(|text| WitnessMessage::parse(text.as_bytes())).collect()
}
