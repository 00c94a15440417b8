//! Finding out who it is, ending their sessions, and keeping them from coming back.

use std::{sync::Arc, time::Duration};

use model::{Attribution, Moment};
use ports::Clock;
use postgres_wire::{ConnectionSettings, WireError};
use serde::{Deserialize, Serialize};
use watch::containment::{Action, ActionKind, Container, ContainmentError, Proposal, Suspect, Taken};

use crate::{
    evidence::{Evidence, Session, Verdict},
    numbers,
    sessions::{Sessions, Writer},
};

/// How long it is looked for who it is.
const LOOK_MAX: Duration = Duration::from_millis(150);
/// A server so busy that it has not answered so often by then is asked on, once somebody was seen who may be it.
const LOOKS_MIN: u32 = 12;
/// How long the database looks by itself, at most, before it answers.
const SAMPLE_MILLISECONDS: u32 = 20;
/// SQLSTATE of what the installed policy refuses.
const PROTECTED: &str = "UW001";
/// SQLSTATE of a role that does not exist.
const GONE: &str = "UW002";

/// Contains roles of one cluster, over connections of role `unwipe_guard`.
///
/// A role that is barred loses all of its sessions: one that stays could go on.
pub struct ClusterContainer {
    sessions: Sessions,
    clock: Arc<dyn Clock>,
}

/// What the database needs to know of an action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Details {
    /// The database whose guard is asked.
    database: String,
    /// The session; all of the role's if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    process: Option<i32>,
    /// When that session began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    began: Option<i64>,
}

impl ClusterContainer {
    /// Makes a container; nothing is contacted yet.
    pub fn new(settings: ConnectionSettings, clock: Arc<dyn Clock>) -> Self {
        Self { sessions: Sessions::new(settings, Arc::clone(&clock)), clock }
    }

    /// Connects to a database and asks once, so that the first alarm finds everything warm.
    pub fn warm(&mut self, scope: &str) -> Result<(), ContainmentError> {
        let database = self.sessions.database_for(scope);
        self.sessions.look_on(&database, &[], &[], 0).map(drop).map_err(|error| failed(error, scope))
    }

    fn look(&mut self, suspect: &Suspect, database: &str) -> Result<Option<Verdict>, WireError> {
        let numbers = suspect.transaction.as_deref().map(numbers::read).unwrap_or_default();
        let (tables, bare) = tables(&suspect.targets);
        let until = self.clock.elapsed() + LOOK_MAX;
        let mut evidence = Evidence::default();
        // Who has one open transaction is known by its locks; who commits again and again, by being looked at.
        let [number] = numbers[..] else {
            return self.look_on(evidence, database, &numbers, &tables, &bare, until);
        };
        let writers = self.sessions.writers(database, &numbers, &tables)?;
        evidence.add(&writers, &bare);
        if let Some(verdict) = evidence.certain() {
            return Ok(Some(verdict));
        }
        // What is open and took rows of a table holds its lock to the end: the only one who does is it, even where the
        // log names a subtransaction, of which the server tells nothing once it is released.
        if let Some(verdict) = only_lock(&writers)
            && self.sessions.is_open(database, number)?
        {
            return Ok(Some(verdict));
        }
        self.look_on(evidence, database, &numbers, &tables, &bare, until)
    }

    /// Looks until it is certain who it is, or the time is over.
    fn look_on(
        &mut self,
        mut evidence: Evidence,
        database: &str,
        numbers: &[u32],
        tables: &[String],
        bare: &[String],
        until: Duration,
    ) -> Result<Option<Verdict>, WireError> {
        for looks in 1.. {
            // The locks show those as well whose statements say nothing: nobody is certain before they were looked at.
            let writers = self.sessions.look_on(database, numbers, tables, SAMPLE_MILLISECONDS)?;
            evidence.add(&writers, bare);
            if let Some(verdict) = evidence.certain() {
                return Ok(Some(verdict));
            }
            if self.clock.elapsed() >= until && (looks >= LOOKS_MIN || evidence.is_empty()) {
                break;
            }
        }
        Ok(evidence.verdict())
    }

    fn end_session(&mut self, action: &Action, details: &Details) -> Result<serde_json::Value, WireError> {
        let Details { database, process, began } = details;
        let answer = match (process, began) {
            (Some(process), Some(began)) => {
                let (process, began) = (process.to_string(), began.to_string());
                let sql = "SELECT unwipe_guard.end_session($1, $2)::integer";
                self.sessions.query(database, sql, &[Some(&process), Some(&began)])?
            }
            _ => self.sessions.query(
                database,
                "SELECT unwipe_guard.end_sessions($1)",
                &[Some(&action.subject)],
            )?,
        };
        let ended: u64 = value(&answer.rows).and_then(|text| text.parse().ok()).unwrap_or(0);
        Ok(serde_json::json!({ "sessions_ended": ended }))
    }

    fn bar_login(&mut self, action: &Action, details: &Details) -> Result<serde_json::Value, WireError> {
        let sql = "SELECT unwipe_guard.bar_login($1)";
        let answer = self.sessions.query(&details.database, sql, &[Some(&action.subject)])?;
        let could_log_in = value(&answer.rows) == Some("t");
        Ok(serde_json::json!({ "could_log_in": could_log_in }))
    }
}

impl Container for ClusterContainer {
    fn propose(&mut self, suspect: &Suspect) -> Result<Option<Proposal>, ContainmentError> {
        let database = self.sessions.database_for(&suspect.scope);
        let verdict = self.look(suspect, &database).map_err(|error| failed(error, &suspect.scope))?;
        let verdict = match (verdict, &suspect.actor) {
            (Some(seen), Some(known)) if seen.attribution == Attribution::Inferred && is_known(suspect) => {
                // What the log's own sampling or witness says is better than a guess.
                let sessions = if seen.actor == *known { seen.sessions } else { Vec::new() };
                Verdict { actor: known.clone(), attribution: suspect.attribution, sessions }
            }
            (None, Some(known)) if is_known(suspect) => {
                Verdict { actor: known.clone(), attribution: suspect.attribution, sessions: Vec::new() }
            }
            (Some(seen), _) => seen,
            (None, _) => return Ok(None),
        };
        let actions = actions(suspect, &verdict, &database);
        Ok(Some(Proposal { actor: verdict.actor, attribution: verdict.attribution, actions }))
    }

    fn take(&mut self, action: &Action, now: Moment) -> Result<Taken, ContainmentError> {
        let details = details(action)?;
        let prior = match action.kind {
            ActionKind::EndSession => self.end_session(action, &details),
            ActionKind::BarLogin => self.bar_login(action, &details),
            _ => return Err(foreign(action)),
        };
        let prior = prior.map_err(|error| failed(error, &action.subject))?;
        let can_be_taken_back = action.kind == ActionKind::BarLogin;
        Ok(Taken { action: action.clone(), at: now, prior, can_be_taken_back })
    }

    fn take_back(&mut self, taken: &Taken) -> Result<(), ContainmentError> {
        let action = &taken.action;
        if action.kind != ActionKind::BarLogin {
            return Ok(());
        }
        let details = details(action)?;
        let sql = "SELECT unwipe_guard.restore_login($1)";
        let answer = self.sessions.query(&details.database, sql, &[Some(&action.subject)]);
        answer.map(drop).map_err(|error| failed(error, &action.subject))
    }
}

fn only_lock(writers: &[Writer]) -> Option<Verdict> {
    let mut holders = writers.iter().filter(|writer| writer.by_lock);
    let holder = holders.next()?;
    let session = Session { process: holder.process, began: holder.began };
    holders.next().is_none().then(|| Verdict {
        actor: holder.actor.clone(),
        attribution: Attribution::Sampled,
        sessions: vec![session],
    })
}

fn is_known(suspect: &Suspect) -> bool {
    !matches!(suspect.attribution, Attribution::Inferred | Attribution::Unknown)
}

/// A role as a witness writes it may name two: the one that logged in, and the one whose rights it used.
fn login_of(identity: &str) -> &str {
    identity.split(" as ").next().unwrap_or(identity)
}

/// First the sessions that do it, then the login, then whatever else the role has open or had opened meanwhile.
fn actions(suspect: &Suspect, verdict: &Verdict, database: &str) -> Vec<Action> {
    let role = login_of(&verdict.actor.identity);
    let action = |kind, title: String, session: Option<Session>| Action {
        kind,
        source: suspect.source.clone(),
        subject: role.to_owned(),
        title,
        details: serde_json::json!(Details {
            database: database.to_owned(),
            process: session.map(|session| session.process),
            began: session.map(|session| session.began),
        }),
    };
    let one = |session: &Session| {
        let title = format!("end session {} of role {role}", session.process);
        action(ActionKind::EndSession, title, Some(*session))
    };
    let mut actions: Vec<Action> = verdict.sessions.iter().map(one).collect();
    actions.push(action(ActionKind::BarLogin, format!("keep role {role} from logging in"), None));
    actions.push(action(ActionKind::EndSession, format!("end every session of role {role}"), None));
    actions
}

/// Returns the tables of targets such as `shop.public.bookings`: with their schema, and bare.
fn tables(targets: &[String]) -> (Vec<String>, Vec<String>) {
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let mut tables = (Vec::new(), Vec::new());
    for target in targets {
        if let [_, schema, table] = target.splitn(3, '.').collect::<Vec<_>>()[..] {
            tables.0.push(format!("{}.{}", quoted(schema), quoted(table)));
            tables.1.push(table.to_owned());
        }
    }
    tables
}

fn value(rows: &[Vec<Option<String>>]) -> Option<&str> {
    rows.first()?.first()?.as_deref()
}

fn details(action: &Action) -> Result<Details, ContainmentError> {
    serde_json::from_value(action.details.clone()).map_err(|error| ContainmentError::Failed {
        message: format!("the details of {:?} are not those of a database", action.title),
        hint: None,
        source: Some(error.into()),
    })
}

fn foreign(action: &Action) -> ContainmentError {
    ContainmentError::Failed {
        message: format!("a database cannot do this: {}", action.title),
        hint: None,
        source: None,
    }
}

fn failed(error: WireError, subject: &str) -> ContainmentError {
    let subject = subject.to_owned();
    match error.server().map(|server| (server.sqlstate.as_str(), server.message.clone())) {
        Some((PROTECTED, reason)) => ContainmentError::Protected { subject, reason },
        Some((GONE, _)) => ContainmentError::Gone { subject },
        // Neither schema nor function, or no right to it: nothing is installed here, or an older one.
        Some(("3F000" | "42883" | "42501", message)) => ContainmentError::Failed {
            message,
            hint: Some(
                "install the guard in this database: unwipe guard install SOURCE --url URL --contain ROLE"
                    .to_owned(),
            ),
            source: Some(error.into()),
        },
        _ => ContainmentError::Failed {
            message: error.to_string(),
            hint: error.hint(),
            source: Some(error.into()),
        },
    }
}
