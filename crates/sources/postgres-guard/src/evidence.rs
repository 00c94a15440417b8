//! Who it is, from looks at who writes.
//!
//! A transaction number that the suspect has as well is proof. Without one, whoever writes to the same tables with
//! statements that destroy is looked for; where one role alone does so, again and again while it was looked at, it was
//! sampled. Everything less is a guess and called one.

use std::collections::{BTreeMap, BTreeSet};

use model::{Actor, Attribution};

use crate::sessions::Writer;

/// So many transactions of one actor, each seen while it destroyed, make a pattern.
const PATTERN: usize = 3;
/// So many statements of one actor that destroy and name a table, each begun anew, make one as well.
const STATEMENTS: usize = 10;

/// A session of an actor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Session {
    pub(crate) process: i32,
    pub(crate) began: i64,
}

/// Who it is, and how well that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) actor: Actor,
    pub(crate) attribution: Attribution,
    pub(crate) sessions: Vec<Session>,
}

/// What was seen of one role and program.
#[derive(Debug, Default)]
struct Trace {
    actor: Actor,
    sessions: BTreeSet<Session>,
    /// Whether it holds a transaction that the suspect names.
    has_number: bool,
    /// Transactions of it that were seen open: while a statement ran that destroys and names a table, or one that may
    /// destroy while a table was locked for writing.
    destroying: BTreeSet<u32>,
    /// Statements that destroy and name a table, by session and beginning, whether or not a transaction was seen.
    statements: BTreeSet<(i32, i64)>,
}

/// What was seen of everybody who writes.
#[derive(Debug, Default)]
pub(crate) struct Evidence {
    traces: BTreeMap<(String, Option<String>, Option<String>), Trace>,
}

impl Evidence {
    /// Takes what one look showed. `tables` are bare names.
    pub(crate) fn add(&mut self, writers: &[Writer], tables: &[String]) {
        for writer in writers {
            let mentions = destroys(&writer.statement) && names_one(&writer.statement, tables);
            // What a function does its call does not say; what only inserts does say so.
            let destroying =
                mentions || writer.by_lock && (hides(&writer.statement) || destroys(&writer.statement));
            if !(writer.by_number || mentions || destroying) {
                continue;
            }
            let Actor { identity, application, address, .. } = &writer.actor;
            let key = (identity.clone(), application.clone(), address.clone());
            let trace = self.traces.entry(key).or_default();
            trace.actor = writer.actor.clone();
            trace.sessions.insert(Session { process: writer.process, began: writer.began });
            trace.has_number |= writer.by_number;
            if mentions {
                trace.statements.insert((writer.process, writer.started));
            }
            if destroying && let Some(number) = writer.number {
                trace.destroying.insert(number);
            }
        }
    }

    /// Returns whether nobody was seen who may be it.
    pub(crate) fn is_empty(&self) -> bool {
        self.traces.is_empty()
    }

    /// Returns who it certainly is; none while looking on may help.
    pub(crate) fn certain(&self) -> Option<Verdict> {
        if let Some(trace) = self.traces.values().find(|trace| trace.has_number) {
            return Some(trace.verdict(Attribution::Sampled));
        }
        let only = self.traces.values().next().filter(|_| self.traces.len() == 1)?;
        only.is_pattern().then(|| only.verdict(Attribution::Sampled))
    }

    /// Returns the best guess.
    pub(crate) fn verdict(&self) -> Option<Verdict> {
        if let Some(verdict) = self.certain() {
            return Some(verdict);
        }
        let mut traces: Vec<&Trace> = self.traces.values().collect();
        traces.sort_by_key(|trace| std::cmp::Reverse(trace.weight()));
        let first = traces.first()?;
        let rival = traces.get(1).map_or(0, |trace| trace.weight());
        // Another one that now and then deletes beside a loop is not the loop.
        let clear = first.is_pattern() && first.weight() >= 5 * rival.max(1);
        Some(first.verdict(if clear { Attribution::Sampled } else { Attribution::Inferred }))
    }
}

impl Trace {
    fn is_pattern(&self) -> bool {
        self.destroying.len() >= PATTERN || self.statements.len() >= STATEMENTS
    }

    fn weight(&self) -> usize {
        self.destroying.len().max(self.statements.len())
    }

    fn verdict(&self, attribution: Attribution) -> Verdict {
        Verdict { actor: self.actor.clone(), attribution, sessions: self.sessions.iter().copied().collect() }
    }
}

fn words(statement: &str) -> impl Iterator<Item = String> {
    statement
        .split(|c: char| !(c.is_alphanumeric() || c == '_'))
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
}

/// Whether a statement deletes, changes or drops, as far as its words tell.
fn destroys(statement: &str) -> bool {
    words(statement).any(|word| ["delete", "update", "truncate", "drop", "merge"].contains(&word.as_str()))
}

/// Whether a statement calls something whose doing it does not show.
fn hides(statement: &str) -> bool {
    words(statement)
        .next()
        .is_some_and(|word| ["select", "call", "do", "execute", "commit"].contains(&word.as_str()))
}

fn names_one(statement: &str, tables: &[String]) -> bool {
    words(statement).any(|word| tables.iter().any(|table| table.to_lowercase() == word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writer(role: &str, number: Option<u32>, by_lock: bool, statement: &str) -> Writer {
        Writer {
            process: 7,
            began: 1,
            actor: Actor { identity: role.to_owned(), ..Actor::default() },
            number,
            by_number: false,
            by_lock,
            statement: statement.to_owned(),
            started: 1,
        }
    }

    fn tables() -> Vec<String> {
        vec!["bookings".to_owned()]
    }

    #[test]
    fn a_transaction_that_the_suspect_names_is_proof() {
        let mut evidence = Evidence::default();
        let proof = Writer { by_number: true, ..writer("agent", Some(9), false, "select wipe()") };
        evidence.add(&[writer("app", Some(8), true, "delete from bookings where id = 1"), proof], &tables());
        let verdict = evidence.certain().unwrap();
        assert_eq!((verdict.actor.identity.as_str(), verdict.attribution), ("agent", Attribution::Sampled));
    }

    #[test]
    fn statements_that_begin_again_and_again_are_a_pattern() {
        let mut evidence = Evidence::default();
        for started in 0..10 {
            assert_eq!(evidence.certain(), None);
            let one = writer("agent", None, false, "delete from bookings where id = 7");
            evidence.add(&[Writer { started, ..one }], &tables());
        }
        assert_eq!(evidence.certain().unwrap().attribution, Attribution::Sampled);
    }

    #[test]
    fn a_statement_alone_is_a_guess() {
        let mut evidence = Evidence::default();
        for _ in 0..50 {
            evidence
                .add(&[writer("agent", None, false, "DELETE FROM public.Bookings WHERE id = 7")], &tables());
        }
        assert_eq!(evidence.certain(), None);
        assert_eq!(evidence.verdict().unwrap().attribution, Attribution::Inferred);
    }

    #[test]
    fn a_loop_is_known_by_its_transactions() {
        let mut evidence = Evidence::default();
        for number in 0..3 {
            assert_eq!(evidence.certain(), None);
            let app = writer("app", Some(100 + number), true, "insert into bookings values (1)");
            evidence.add(&[app, writer("agent", Some(number), true, "do $$ loop $$")], &tables());
        }
        let verdict = evidence.certain().unwrap();
        assert_eq!((verdict.actor.identity.as_str(), verdict.attribution), ("agent", Attribution::Sampled));
        assert_eq!(verdict.sessions, [Session { process: 7, began: 1 }]);
    }

    #[test]
    fn two_that_destroy_alike_are_not_told_apart() {
        let mut evidence = Evidence::default();
        for number in 0..20 {
            let both =
                ["a", "b"].map(|role| writer(role, Some(number), true, "delete from bookings where id = 1"));
            evidence.add(&both, &tables());
        }
        assert_eq!(evidence.verdict().unwrap().attribution, Attribution::Inferred);
    }

    #[test]
    fn who_only_adds_is_nobody() {
        let mut evidence = Evidence::default();
        evidence.add(&[writer("app", Some(1), true, "insert into bookings values (1)")], &tables());
        assert_eq!(evidence.verdict(), None);
    }
}
