//! What the server's log said of the last transactions, and of statements whose transaction it does not name.

use std::collections::{HashMap, VecDeque};

use model::{Actor, Effect, Moment, Verb};

use super::line::{Line, Session};
use crate::activity::{destroys, may_write};

/// Transactions remembered.
const TRANSACTIONS_MAX: usize = 32_768;
/// Statements remembered whose transaction is not known.
const STATEMENTS_MAX: usize = 4096;
/// A transaction number of a line older than this belongs to an earlier round of the counter.
const AGE_MAX_MICROS: i64 = 24 * 3600 * 1_000_000;
/// Times in the log are cut to milliseconds.
const BLUR_MICROS: i64 = 2000;
/// A statement whose end the log does not tell is taken to have ended by then.
const UNENDED_MICROS: i64 = 60 * 1_000_000;

/// What is known of one transaction.
#[derive(Debug)]
struct Recorded {
    session: Session,
    actor: Actor,
    statement: Option<String>,
    at: Moment,
}

/// A statement whose transaction the log does not name: it had none yet when the line was written, or none any more.
#[derive(Debug)]
struct Statement {
    session: Session,
    local_transaction: Option<(u32, u32)>,
    actor: Actor,
    database: String,
    text: String,
    object: Option<String>,
    began_at: Moment,
    ended_at: Option<Moment>,
}

impl Statement {
    /// Returns whether it ran at a moment, as far as is known.
    fn spans(&self, at: Moment) -> bool {
        let ended = self.ended_at.unwrap_or_else(|| self.began_at.plus_micros(UNENDED_MICROS));
        self.began_at <= at.plus_micros(BLUR_MICROS) && at <= ended.plus_micros(BLUR_MICROS)
    }

    /// Returns whether it says that it does one of the effects, to what they were done to.
    fn explains(&self, scope: &str, effects: &[Effect]) -> bool {
        let (text, object) = (self.text.to_lowercase(), self.object.as_deref().unwrap_or_default());
        let words: Vec<&str> = text.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$')).collect();
        effects.iter().any(|effect| {
            let is_here = self.database == scope || effect.verb == Verb::DropDatabase;
            let name = effect.target.rsplit('.').next().unwrap_or_default();
            let same_object = !object.is_empty() && effect.target.ends_with(&format!(".{object}"));
            let is_named = words.contains(&name.to_lowercase().as_str()) && does(&words, effect.verb);
            is_here && (same_object || is_named)
        })
    }
}

/// Returns whether the words of a statement include one that can have an effect.
fn does(words: &[&str], verb: Verb) -> bool {
    let able: &[&str] = match verb {
        Verb::DropDatabase | Verb::Drop => &["drop"],
        Verb::Truncate => &["truncate"],
        Verb::Delete => &["delete", "merge"],
        Verb::Update => &["update", "merge"],
        Verb::Insert => &["insert", "copy", "merge", "create"],
        _ => return true,
    };
    words.iter().any(|word| able.contains(word))
}

/// Who ran a transaction, with the statement.
pub(crate) type Found<'r> = (&'r Actor, Option<&'r str>);

/// What the log said, as much as fits.
#[derive(Debug, Default)]
pub(crate) struct Records {
    by_transaction: HashMap<u32, Recorded>,
    order: VecDeque<u32>,
    statements: VecDeque<Statement>,
}

impl Records {
    /// Takes a line; `read_at` stands in where the line's own time is not understood.
    pub(crate) fn take(&mut self, line: Line, read_at: Moment) {
        if line.failed {
            // What failed committed nothing.
            if let Some(local) = line.local_transaction {
                let same = |s: &Statement| s.session == line.session && s.local_transaction == Some(local);
                self.statements.retain(|statement| !same(statement));
            }
            return;
        }
        self.end_statements(&line);
        match line.transaction {
            Some(transaction) => self.take_recorded(transaction, line, read_at),
            None => self.take_statement(line),
        }
    }

    /// Returns who ran a transaction, where a line bears its number.
    pub(crate) fn of(&self, transaction: u32, at: Moment) -> Option<Found<'_>> {
        let recorded = self.by_transaction.get(&transaction)?;
        let recent = at.micros_since(recorded.at).abs() <= AGE_MAX_MICROS;
        recent.then_some((&recorded.actor, recorded.statement.as_deref()))
    }

    /// Returns the destroying statement that a process ran at a moment.
    pub(crate) fn statement_of(&self, process: i32, at: Moment) -> Option<&str> {
        let ran = |s: &&Statement| s.session.process == process && s.spans(at) && destroys(Some(&s.text));
        self.statements.iter().rev().find(ran).map(|statement| statement.text.as_str())
    }

    /// Returns the only session that ran a statement on one of the tables when the transaction committed: a guess.
    pub(crate) fn guess(&self, scope: &str, effects: &[Effect], at: Moment) -> Option<Found<'_>> {
        let fits = |s: &&Statement| s.spans(at) && s.explains(scope, effects);
        let mut fitting = self.statements.iter().rev().filter(fits);
        let last = fitting.next()?;
        let unambiguous = fitting.all(|other| other.session == last.session);
        unambiguous.then_some((&last.actor, Some(last.text.as_str())))
    }

    /// A statement has ended when its session says how long it took, or goes on to another transaction.
    fn end_statements(&mut self, line: &Line) {
        let Some(at) = line.at else { return };
        let open = self.statements.iter_mut().rev().find(|statement| statement.session == line.session);
        if let Some(statement) = open
            && statement.ended_at.is_none()
            && (line.local_transaction.is_none() || line.local_transaction != statement.local_transaction)
        {
            statement.ended_at = Some(at);
        }
    }

    fn take_recorded(&mut self, transaction: u32, line: Line, read_at: Moment) {
        let at = line.at.unwrap_or(read_at);
        let mut recorded = match self.by_transaction.remove(&transaction) {
            Some(known)
                if known.session == line.session && at.micros_since(known.at).abs() <= AGE_MAX_MICROS =>
            {
                known
            }
            known => {
                if known.is_none() {
                    self.order.push_back(transaction);
                }
                Recorded { session: line.session, actor: line.actor, statement: None, at }
            }
        };
        // What the session said in the same transaction, before it had a number.
        if let Some(local) = line.local_transaction {
            let same = |s: &Statement| s.session == line.session && s.local_transaction == Some(local);
            for statement in self.statements.iter().filter(|s| same(s)) {
                keep(&mut recorded.statement, Some(statement.text.clone()));
            }
            self.statements.retain(|statement| !same(statement));
        }
        keep(&mut recorded.statement, line.said.statement);
        recorded.at = at;
        self.by_transaction.insert(transaction, recorded);
        if self.order.len() > TRANSACTIONS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.by_transaction.remove(&oldest);
        }
    }

    fn take_statement(&mut self, line: Line) {
        let (Some(at), Some(text)) = (line.at, line.said.statement) else { return };
        if !may_write(Some(&text)) && !destroys(Some(&text)) {
            return;
        }
        if self.statements.len() == STATEMENTS_MAX {
            self.statements.pop_front();
        }
        let took = line.said.took_micros;
        self.statements.push_back(Statement {
            session: line.session,
            local_transaction: line.local_transaction,
            actor: line.actor,
            database: line.database,
            text,
            object: line.said.object,
            began_at: at.plus_micros(-took.unwrap_or(0)),
            ended_at: took.map(|_| at),
        });
    }
}

/// Of several statements of one transaction the first that destroys is worth keeping, or else the first.
fn keep(known: &mut Option<String>, later: Option<String>) {
    let better = known.is_none() || !destroys(known.as_deref()) && destroys(later.as_deref());
    if better && later.is_some() {
        *known = later;
    }
}
