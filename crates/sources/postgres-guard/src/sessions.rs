//! What the database tells the guard, and what it does for it, over connections that stay open.

use std::{collections::HashMap, sync::Arc, time::Duration};

use model::Actor;
use ports::Clock;
use postgres_wire::{Connection, ConnectionSettings, Limits, Mode, ResultSet, WireError};

/// A server that does not answer within this cannot be helped in time.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// The log has 32 bits of a number; the rest is that of the nearest number that has ended.
const IS_OPEN: &str = "SELECT coalesce(pg_catalog.txid_status( \
    $1::bigint + ((ended - $1::bigint + 2147483648) >> 32 << 32)) = 'in progress', false) \
    FROM pg_catalog.txid_snapshot_xmax(pg_catalog.txid_current_snapshot()) AS ended";
/// SQLSTATE of a number that nobody has had yet.
const IN_THE_FUTURE: &str = "22023";

/// A session that writes now, or has just written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Writer {
    pub(crate) process: i32,
    /// When its session began, in microseconds since 1970; with the process it names one session for good.
    pub(crate) began: i64,
    pub(crate) actor: Actor,
    /// Its transaction, if it has one at this moment.
    pub(crate) number: Option<u32>,
    /// Whether it holds one of the transactions that were asked for.
    pub(crate) by_number: bool,
    /// Whether it may write to one of the tables that were asked for.
    pub(crate) by_lock: bool,
    pub(crate) statement: String,
    /// When the statement began, in microseconds since 1970.
    pub(crate) started: i64,
}

/// Connections of the guard's role, one for each database in which it is installed.
pub(crate) struct Sessions {
    settings: ConnectionSettings,
    clock: Arc<dyn Clock>,
    open: HashMap<String, Connection>,
    /// Databases in which nothing is installed, or which do not let us in; asked again after a while.
    closed: HashMap<String, Duration>,
}

/// How long a database without the guard is left alone.
const CLOSED_FOR: Duration = Duration::from_mins(5);

impl Sessions {
    pub(crate) fn new(settings: ConnectionSettings, clock: Arc<dyn Clock>) -> Self {
        Self { settings, clock, open: HashMap::new(), closed: HashMap::new() }
    }

    /// Returns the database whose guard is asked about what happens in `scope`.
    pub(crate) fn database_for(&mut self, scope: &str) -> String {
        let home = self.settings.database.clone().unwrap_or_else(|| self.settings.user.clone());
        let now = self.clock.elapsed();
        self.closed.retain(|_, since| now.saturating_sub(*since) < CLOSED_FOR);
        if scope.is_empty() || scope == home || self.closed.contains_key(scope) {
            return home;
        }
        let is_installed = "SELECT pg_catalog.to_regnamespace('unwipe_guard') IS NOT NULL";
        match self.query(scope, is_installed, &[]) {
            Ok(answer) if answer.rows.first().and_then(|row| row[0].as_deref()) == Some("t") => {
                scope.to_owned()
            }
            _ => {
                self.open.remove(scope);
                self.closed.insert(scope.to_owned(), now);
                home
            }
        }
    }

    /// Returns who writes now; tables are given as `schema.table`.
    pub(crate) fn writers(
        &mut self,
        database: &str,
        numbers: &[u32],
        tables: &[String],
    ) -> Result<Vec<Writer>, WireError> {
        let numbers = array(numbers.iter().map(ToString::to_string));
        let tables = quoted(tables);
        let sql = "SELECT * FROM unwipe_guard.writers($1::bigint[], $2::text[])";
        let answer = self.query(database, sql, &[Some(&numbers), Some(&tables)])?;
        Ok(answer.rows.iter().filter_map(|row| writer(row)).collect())
    }

    /// Returns who writes now, and each statement that is seen to destroy within a while: in one answer, because on a
    /// busy server each question waits for its turn.
    pub(crate) fn look_on(
        &mut self,
        database: &str,
        numbers: &[u32],
        tables: &[String],
        milliseconds: u32,
    ) -> Result<Vec<Writer>, WireError> {
        let (asked, tables) = (array(numbers.iter().map(ToString::to_string)), quoted(tables));
        let sql = "SELECT * FROM unwipe_guard.writers($1::bigint[], $2::text[]) UNION ALL \
            SELECT pid, began, role, application, address, number, false, false, statement, started \
            FROM unwipe_guard.sample($3)";
        let params = [asked, tables, milliseconds.to_string()];
        let answer = self.query(database, sql, &params.each_ref().map(|text| Some(text.as_str())))?;
        let mut writers: Vec<Writer> = answer.rows.iter().filter_map(|row| writer(row)).collect();
        for writer in &mut writers {
            writer.by_number |= writer.number.is_some_and(|number| numbers.contains(&number));
        }
        Ok(writers)
    }

    /// Returns whether a transaction, or a subtransaction of one, is still open.
    pub(crate) fn is_open(&mut self, database: &str, number: u32) -> Result<bool, WireError> {
        match self.query(database, IS_OPEN, &[Some(&number.to_string())]) {
            Err(error) if error.server().is_some_and(|server| server.sqlstate == IN_THE_FUTURE) => Ok(false),
            answer => Ok(answer?.rows.first().and_then(|row| row.first()?.as_deref()) == Some("t")),
        }
    }

    /// Runs one statement; a connection that broke while nobody used it is made anew, once.
    pub(crate) fn query(
        &mut self,
        database: &str,
        sql: &str,
        params: &[Option<&str>],
    ) -> Result<ResultSet, WireError> {
        if let Some(connection) = self.open.get_mut(database) {
            match connection.query_params(sql, params) {
                Err(error) if !is_lost(&error, connection) => return Err(error),
                Err(_) => {
                    self.open.remove(database);
                }
                answer => return answer,
            }
        }
        let mut connection = self.connect(database)?;
        let answer = connection.query_params(sql, params);
        if connection.is_usable() {
            self.open.insert(database.to_owned(), connection);
        }
        answer
    }

    fn connect(&self, database: &str) -> Result<Connection, WireError> {
        let mut target = self.settings.clone();
        target.database = Some(database.to_owned());
        target.application_name = Some("unwipe guard".to_owned());
        let limits = Limits {
            connect_timeout: ANSWER_MAX,
            read_timeout: Some(ANSWER_MAX),
            write_timeout: Some(ANSWER_MAX),
            ..Limits::default()
        };
        Connection::connect(&target, Mode::Sql, &limits, Arc::clone(&self.clock))
    }
}

/// Whether the connection rather than the statement was refused.
fn is_lost(error: &WireError, connection: &Connection) -> bool {
    !connection.is_usable() || matches!(error, WireError::Unavailable { .. } | WireError::Closed { .. })
}

/// Writes names of tables, which are quoted as SQL reads them, as an array.
fn quoted(tables: &[String]) -> String {
    array(tables.iter().map(|table| format!("\"{}\"", table.replace('\\', "\\\\").replace('"', "\\\""))))
}

fn array(items: impl Iterator<Item = String>) -> String {
    format!("{{{}}}", items.collect::<Vec<_>>().join(","))
}

fn writer(row: &[Option<String>]) -> Option<Writer> {
    let field = |column: usize| row.get(column).cloned().flatten();
    let flag = |column: usize| row.get(column).is_some_and(|value| value.as_deref() == Some("t"));
    Some(Writer {
        process: field(0)?.parse().ok()?,
        began: field(1)?.parse().ok()?,
        actor: Actor {
            identity: field(2)?,
            application: field(3).filter(|name| !name.is_empty()),
            address: field(4),
            ..Actor::default()
        },
        number: field(5).and_then(|number| number.parse().ok()),
        by_number: flag(6),
        by_lock: flag(7),
        statement: field(8).unwrap_or_default(),
        started: field(9).and_then(|started| started.parse().ok()).unwrap_or(0),
    })
}
