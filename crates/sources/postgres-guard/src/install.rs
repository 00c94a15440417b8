//! Putting the guard into a database, with an administrator's credential, and taking it out again without a trace.

use postgres_wire::{Connection, WireError, quote_literal};
use serde::Serialize;

use crate::SCHEMA;

const CONTAIN: &str = include_str!("install/contain.sql");
const REFUSE: &str = include_str!("install/refuse.sql");
const SPARE: &str = include_str!("install/spare.sql");
const BARRED: &str = include_str!("install/barred.sql");
const REMOVE: &str = include_str!("install/remove.sql");
/// Where the statements that refuse name the roles.
const REFUSED: &str = "@refused@";
/// The name of the trigger on each table.
const TRIGGER: &str = "unwipe_guard_refuse";

/// A pattern that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// It names nothing.
    #[error("a pattern for roles is empty")]
    Empty,
    /// It would name every role.
    #[error("{pattern:?} names every role; name those that are meant")]
    Everybody {
        /// The pattern.
        pattern: String,
    },
}

/// Which roles may be stopped; patterns in which `*` stands for any characters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Policy {
    /// Roles that may be contained.
    pub contained: Vec<String>,
    /// Roles whose `DROP` and `TRUNCATE` are refused.
    pub refused: Vec<String>,
    /// Roles that must never be contained, whatever else says so.
    pub protected: Vec<String>,
}

/// What is installed in a database.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Status {
    /// Whether sessions can be ended and logins barred.
    pub containment: bool,
    /// Whether `DROP` and `TRUNCATE` are refused to the roles of the policy.
    pub refusal: bool,
    /// The installed policy.
    pub policy: Policy,
    /// Tables with a trigger that refuses `TRUNCATE`.
    pub tables_guarded: u64,
    /// Tables that have none, or one that somebody disabled, although `TRUNCATE` is refused; by name, at most 100.
    pub tables_unguarded: Vec<String>,
    /// Roles that the guard keeps from logging in now.
    pub barred: Vec<String>,
}

impl Policy {
    /// Checks the patterns.
    pub fn check(&self) -> Result<(), PolicyError> {
        for pattern in self.contained.iter().chain(&self.refused).chain(&self.protected) {
            if pattern.is_empty() {
                return Err(PolicyError::Empty);
            }
        }
        let everybody = |pattern: &&String| pattern.chars().all(|c| c == '*');
        match self.contained.iter().chain(&self.refused).find(everybody) {
            Some(pattern) => Err(PolicyError::Everybody { pattern: pattern.clone() }),
            None => Ok(()),
        }
    }

    /// Returns the statements that install everything but the triggers of tables that exist already.
    pub fn script(&self) -> String {
        let mut script = format!("{CONTAIN}\nDELETE FROM unwipe_guard.policy;\n");
        let rules =
            [("contained", &self.contained), ("refused", &self.refused), ("protected", &self.protected)];
        for (rule, pattern) in rules.iter().flat_map(|(rule, list)| list.iter().map(move |item| (rule, item)))
        {
            script.push_str(&format!(
                "INSERT INTO unwipe_guard.policy (pattern, rule) VALUES ({}, '{rule}') ON CONFLICT DO NOTHING;\n",
                quote_literal(pattern)
            ));
        }
        script.push_str(&if self.refused.is_empty() { SPARE.to_owned() } else { self.refusal() });
        script
    }

    fn refusal(&self) -> String {
        let likened = self.refused.iter().map(|pattern| quote_literal(&likened(pattern)));
        REFUSE.replace(REFUSED, &format!("ARRAY[{}]", likened.collect::<Vec<_>>().join(", ")))
    }
}

/// Returns the pattern as `LIKE` reads it.
fn likened(pattern: &str) -> String {
    pattern.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_").replace('*', "%")
}

/// Installs the guard in the connection's database, in place of an earlier one, and sets the password of its role where
/// one is given as [`postgres_wire::password_verifier`] writes it. Returns the tables whose trigger could not be made,
/// each with what the server said: somebody held them for too long.
pub fn install(
    connection: &mut Connection,
    policy: &Policy,
    password: Option<&str>,
) -> Result<Vec<(String, String)>, WireError> {
    let mut script = policy.script();
    if let Some(verifier) = password {
        script.push_str(&format!("ALTER ROLE unwipe_guard PASSWORD {};\n", quote_literal(verifier)));
    }
    connection.simple_query(&script)?;
    if policy.refused.is_empty() { disarm(connection) } else { arm(connection) }
}

/// Removes every trace of the guard and of the witness from the connection's database, and the guard's role where no
/// other database has a guard.
pub fn remove(connection: &mut Connection) -> Result<(), WireError> {
    connection.simple_query(BARRED)?;
    connection.simple_query(SPARE)?;
    if let Some((table, message)) = disarm(connection)?.into_iter().next() {
        let reason = format!("the trigger of {table} could not be removed: {message}");
        return Err(WireError::Argument { reason });
    }
    connection.simple_query(REMOVE).map(drop)
}

/// Returns the statements that remove everything; run together, they lock every guarded table until they are done.
pub fn removal_script() -> String {
    format!("{BARRED}{SPARE}{REMOVE}")
}

/// Tells what is installed in the connection's database.
pub fn status(connection: &mut Connection) -> Result<Status, WireError> {
    let mut status = Status::default();
    let exists = "SELECT pg_catalog.to_regclass('unwipe_guard.policy') IS NOT NULL, (SELECT count(*) = 3 \
        FROM pg_catalog.pg_event_trigger WHERE evtenabled = 'A' AND evtname IN \
        ('unwipe_guard_arm', 'unwipe_guard_refuse_drop', 'unwipe_guard_refuse_disarm'))";
    let row = connection.query_one(exists)?;
    let is_true = |column: usize| row.get(column).is_some_and(|value| value.as_deref() == Some("t"));
    (status.containment, status.refusal) = (is_true(0), is_true(1));
    if !status.containment {
        return Ok(status);
    }
    for row in connection.query_rows("SELECT rule, pattern FROM unwipe_guard.policy ORDER BY 1, 2")? {
        let mut row = row.into_iter().flatten();
        let (Some(rule), Some(pattern)) = (row.next(), row.next()) else { continue };
        match rule.as_str() {
            "contained" => status.policy.contained.push(pattern),
            "refused" => status.policy.refused.push(pattern),
            _ => status.policy.protected.push(pattern),
        }
    }
    let names = |rows: Vec<Vec<Option<String>>>| rows.into_iter().flatten().flatten().collect::<Vec<_>>();
    status.barred = names(connection.query_rows("SELECT role FROM unwipe_guard.barred ORDER BY 1")?);
    if status.refusal {
        let mut unguarded = names(connection.query_rows(&tables(false))?);
        status.tables_guarded = names(connection.query_rows(&tables(true))?).len() as u64;
        unguarded.truncate(100);
        status.tables_unguarded = unguarded;
    }
    Ok(status)
}

/// The tables that users have, with a trigger that is armed or without one.
fn tables(armed: bool) -> String {
    let not = if armed { "" } else { "NOT " };
    format!(
        "SELECT c.oid::pg_catalog.regclass FROM pg_catalog.pg_class c \
            JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
            WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' \
            AND n.nspname NOT IN ('pg_catalog', 'information_schema', '{SCHEMA}') AND n.nspname !~ '^pg_toast' \
            AND {not}EXISTS (SELECT FROM pg_catalog.pg_trigger t \
                WHERE t.tgrelid = c.oid AND t.tgname = '{TRIGGER}' AND t.tgenabled = 'A') ORDER BY c.oid"
    )
}

/// Adds the trigger to each table by itself, so that no more than one is locked at a time.
fn arm(connection: &mut Connection) -> Result<Vec<(String, String)>, WireError> {
    each_table(connection, &tables(false), |table| {
        format!(
            "SET LOCAL lock_timeout = '3s'; DROP TRIGGER IF EXISTS {TRIGGER} ON {table}; \
             CREATE TRIGGER {TRIGGER} BEFORE TRUNCATE ON {table} FOR EACH STATEMENT \
             EXECUTE FUNCTION {SCHEMA}.refuse_truncate(); ALTER TABLE {table} ENABLE ALWAYS TRIGGER {TRIGGER}"
        )
    })
}

/// Takes every trigger of ours from each table by itself.
fn disarm(connection: &mut Connection) -> Result<Vec<(String, String)>, WireError> {
    let sql = format!(
        "SELECT DISTINCT t.tgrelid::pg_catalog.regclass::text FROM pg_catalog.pg_trigger t \
            JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid \
            JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace \
            WHERE n.nspname = '{SCHEMA}' AND t.tgname = '{TRIGGER}' AND NOT t.tgisinternal"
    );
    each_table(connection, &sql, |table| {
        format!("SET LOCAL lock_timeout = '3s'; DROP TRIGGER IF EXISTS {TRIGGER} ON {table}")
    })
}

fn each_table(
    connection: &mut Connection,
    sql: &str,
    statements: impl Fn(&str) -> String,
) -> Result<Vec<(String, String)>, WireError> {
    let mut failed = Vec::new();
    for table in connection.query_rows(sql)?.into_iter().flatten().flatten() {
        // A table that was dropped meanwhile needs nothing.
        match connection.simple_query(&statements(&table)) {
            Ok(_) => {}
            Err(error) if !connection.is_usable() => return Err(error),
            Err(error) if error.server().is_some_and(|server| server.sqlstate == "42P01") => {}
            Err(error) => {
                let message =
                    error.server().map_or_else(|| error.to_string(), |server| server.message.clone());
                failed.push((table, message));
            }
        }
    }
    Ok(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_written_as_like_reads_them() {
        assert_eq!(likened("app_*"), "app\\_%");
        assert_eq!(likened("50%\\"), "50\\%\\\\");
    }

    #[test]
    fn nobody_names_everybody() {
        let policy = |contained: &str, protected: &str| Policy {
            contained: vec![contained.to_owned()],
            protected: vec![protected.to_owned()],
            ..Policy::default()
        };
        assert_eq!(policy("agent_*", "*").check(), Ok(()));
        assert_eq!(policy("", "x").check(), Err(PolicyError::Empty));
        assert!(matches!(policy("**", "x").check(), Err(PolicyError::Everybody { .. })));
    }

    #[test]
    fn a_script_leaves_no_place_open() {
        let refused = vec!["agent".to_owned(), "it's".to_owned()];
        let script = Policy { refused, ..Policy::default() }.script();
        assert!(!script.contains(REFUSED) && script.contains("ARRAY['agent', 'it''s']::text[]"));
        assert!(!Policy::default().script().contains("CREATE EVENT TRIGGER"));
    }
}
