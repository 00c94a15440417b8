//! Who ran a transaction, as far as sampling `pg_stat_activity` saw it.
//!
//! Sampling costs production nothing and misses short transactions; destruction at scale is long enough to be seen.
//! Where the server's own log can be read, what it says goes first.

use std::collections::{BTreeMap, HashMap, VecDeque};

use model::{Actor, Attribution, Effect, Moment};

use crate::server_log::{Line, Records};

mod sampler;
#[cfg(test)]
mod tests;

pub use sampler::Sampler;

/// Transactions remembered; older sightings make room.
const SIGHTINGS_MAX: usize = 65_536;
/// Finished statements remembered.
const FINISHED_MAX: usize = 1024;
/// A transaction number seen longer ago than this belongs to an earlier round of the counter.
const SIGHTING_AGE_MAX_MICROS: i64 = 24 * 3600 * 1_000_000;

/// What one look at `pg_stat_activity` showed of one transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// The transaction's number.
    pub transaction: u32,
    /// The server process.
    pub process: i32,
    /// Who it was.
    pub actor: Actor,
    /// The statement that ran at that moment.
    pub statement: Option<String>,
    /// When it was seen, by our clock.
    pub seen_at: Moment,
}

/// A statement that was seen after it had ended, between two looks; its transaction number is no longer known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// The server process.
    pub process: i32,
    /// Who it was.
    pub actor: Actor,
    /// The statement.
    pub statement: Option<String>,
    /// When it began, by the server's clock.
    pub began_at: Moment,
    /// When it ended, by the server's clock.
    pub ended_at: Moment,
}

/// What an actor is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known<'s> {
    /// Who it was.
    pub actor: &'s Actor,
    /// The statement that was seen.
    pub statement: Option<&'s str>,
    /// How it is known.
    pub attribution: Attribution,
}

/// The sightings of the last transactions, by transaction number, and of the last finished statements.
#[derive(Debug, Default)]
pub struct Sightings {
    by_transaction: HashMap<u32, (u64, Sighting)>,
    order: BTreeMap<u64, u32>,
    next: u64,
    finished: VecDeque<Finished>,
    log: Records,
}

impl Sightings {
    /// Remembers a sighting. The first statement seen of a transaction stays, unless only later ones destroy.
    pub fn record(&mut self, sighting: Sighting) {
        let place = self.next;
        self.next += 1;
        let transaction = sighting.transaction;
        let known = self.by_transaction.remove(&transaction);
        let sighting = match known {
            Some((old_place, earlier)) => {
                self.order.remove(&old_place);
                merged(earlier, sighting)
            }
            None => sighting,
        };
        self.by_transaction.insert(transaction, (place, sighting));
        self.order.insert(place, transaction);
        if self.order.len() > SIGHTINGS_MAX
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.by_transaction.remove(&oldest);
        }
    }

    /// Remembers a finished statement, once.
    pub fn record_finished(&mut self, finished: Finished) {
        let known =
            |other: &Finished| other.process == finished.process && other.began_at == finished.began_at;
        if self.finished.iter().rev().any(known) {
            return;
        }
        if self.finished.len() == FINISHED_MAX {
            self.finished.pop_front();
        }
        self.finished.push_back(finished);
    }

    /// Returns who runs a transaction that is still open at `at`.
    pub fn of_open(&self, transaction: u32, at: Moment) -> Option<Known<'_>> {
        if let Some((actor, statement)) = self.log.of(transaction, at) {
            return Some(Known { actor, statement, attribution: Attribution::Recorded });
        }
        let (_, sighting) = self.by_transaction.get(&transaction)?;
        let recent = at.micros_since(sighting.seen_at).abs() <= SIGHTING_AGE_MAX_MICROS;
        let mut statement = sighting.statement.as_deref();
        // A look sees one statement of many; the log may have the one that matters.
        if !destroys(statement) {
            statement = self.log.statement_of(sighting.process, at).or(statement);
        }
        recent.then_some(Known { actor: &sighting.actor, statement, attribution: Attribution::Sampled })
    }

    /// Returns the only session whose statement on one of the tables, by the server's log, ran when a transaction
    /// committed at `at` in the database `scope`.
    pub(crate) fn guess(&self, scope: &str, effects: &[Effect], at: Moment) -> Option<Known<'_>> {
        let (actor, statement) = self.log.guess(scope, effects, at)?;
        Some(Known { actor, statement, attribution: Attribution::Inferred })
    }

    /// Takes a line of the server's log that was read at `read_at`.
    pub(crate) fn take_line(&mut self, line: Line, read_at: Moment) {
        self.log.take(line, read_at);
    }

    /// Returns who ran a transaction that committed at `at`.
    ///
    /// A transaction that was too short to be seen is known by the one session whose last statement spans its commit;
    /// where several sessions fit, nobody is named.
    pub fn of(&self, transaction: u32, at: Moment) -> Option<Known<'_>> {
        if let Some(known) = self.of_open(transaction, at) {
            return Some(known);
        }
        let spans = |f: &&Finished| f.began_at <= at && at <= f.ended_at && may_write(f.statement.as_deref());
        let mut spanning = self.finished.iter().filter(spans);
        let first = spanning.next()?;
        let unambiguous = spanning.all(|other| other.process == first.process);
        let (actor, statement) = (&first.actor, first.statement.as_deref());
        unambiguous.then_some(Known { actor, statement, attribution: Attribution::Sampled })
    }
}

/// Of several statements of one transaction the one that destroys is worth keeping.
fn merged(earlier: Sighting, later: Sighting) -> Sighting {
    let same_process = earlier.process == later.process;
    let recent = later.seen_at.micros_since(earlier.seen_at) <= SIGHTING_AGE_MAX_MICROS;
    if !same_process || !recent {
        return later;
    }
    let keeps_earlier = destroys(earlier.statement.as_deref()) || !destroys(later.statement.as_deref());
    let statement =
        if keeps_earlier && earlier.statement.is_some() { earlier.statement } else { later.statement };
    Sighting { statement, ..later }
}

/// Whether a statement may have committed a change; one that only reads is not taken for the one that did.
pub(crate) fn may_write(statement: Option<&str>) -> bool {
    let reads =
        ["select", "show", "explain", "values", "table", "fetch", "begin", "start", "rollback", "set"];
    let first: String =
        statement.unwrap_or_default().trim_start().chars().take_while(char::is_ascii_alphabetic).collect();
    !reads.contains(&first.to_ascii_lowercase().as_str())
}

/// Whether a statement takes something away.
pub(crate) fn destroys(statement: Option<&str>) -> bool {
    let words = ["delete", "drop", "truncate", "update", "alter"];
    let lower = statement.unwrap_or_default().to_ascii_lowercase();
    lower.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| words.contains(&word))
}
