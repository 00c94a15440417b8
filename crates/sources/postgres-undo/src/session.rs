//! One of the two servers, with a session in which equal values have equal texts.

use std::io::{self, Write};

use postgres_wire::{Connection, WireError};

use crate::error::{PlanningError, Side};

/// Settings under which both servers write the same value as the same text, and no name is found but by its schema.
///
/// `pg_dump` relies on the same ones. An empty search path keeps objects that an attacker made in `public` from
/// standing in for the system's operators and functions.
pub(crate) const SETTINGS: &str = "\
SET search_path = pg_catalog; \
SET TimeZone = 'UTC'; \
SET DateStyle = 'ISO, YMD'; \
SET IntervalStyle = 'postgres'; \
SET extra_float_digits = 3; \
SET bytea_output = 'hex'; \
SET lc_monetary = 'C'; \
SET lc_numeric = 'C'; \
SET xmloption = 'content'; \
SET row_security = off; \
SET statement_timeout = 0; \
SET idle_in_transaction_session_timeout = 0; \
SET standard_conforming_strings = on; \
SET check_function_bodies = off; \
SET default_tablespace = ''; \
SET synchronize_seqscans = off";

/// Rows are read by place, thousands at a time. The planner takes each place for a page fetched at random and reads the
/// whole table once for each batch instead; the places are sorted and lie close together, so looking them up is cheaper.
const BY_PLACE: &str = "SET enable_seqscan = off";

/// A row of a result.
pub(crate) type Row = Vec<Option<String>>;

/// A connection with its place in the story, for errors.
pub(crate) struct Session<'c> {
    connection: &'c mut Connection,
    side: Side,
}

impl<'c> Session<'c> {
    /// Prepares a connection: equal texts, and one consistent view for all reads that follow.
    pub(crate) fn begin_reading(connection: &'c mut Connection, side: Side) -> Result<Self, PlanningError> {
        let mut session = Self { connection, side };
        // Temporary tables must be possible in scratch, where all may be written, and nothing in production.
        let mode = match side {
            Side::Scratch => "READ WRITE",
            Side::Production => "READ ONLY",
        };
        session.run("preparing the session", SETTINGS)?;
        session.run("preparing the session", "SET lock_timeout = '30s'")?;
        session.run("preparing the session", BY_PLACE)?;
        session.run("beginning to read", &format!("BEGIN ISOLATION LEVEL REPEATABLE READ {mode}"))?;
        Ok(session)
    }

    /// Ends the reading. Nothing was written.
    pub(crate) fn end_reading(mut self) -> Result<(), PlanningError> {
        self.run("ending to read", "ROLLBACK")
    }

    pub(crate) fn rows(&mut self, activity: &str, sql: &str) -> Result<Vec<Row>, PlanningError> {
        self.connection.query_rows(sql).map_err(|source| self.failed(activity, source))
    }

    pub(crate) fn run(&mut self, activity: &str, sql: &str) -> Result<(), PlanningError> {
        self.connection.execute(sql).map(drop).map_err(|source| self.failed(activity, source))
    }

    /// Appends the rows of a `COPY ... TO STDOUT` to a file and returns their number.
    pub(crate) fn copy_out(
        &mut self,
        activity: &str,
        sql: &str,
        out: &mut dyn Write,
    ) -> Result<u64, PlanningError> {
        let mut consumer = |piece: &[u8]| -> io::Result<()> { out.write_all(piece) };
        self.connection.copy_out(sql, &mut consumer).map_err(|source| match source {
            WireError::Consumer { source } => PlanningError::Write { what: activity.to_owned(), source },
            source => self.failed(activity, source),
        })
    }

    /// Copies the rows of a query on another server into a table here, in bounded memory: both connections are at work
    /// at the same time.
    pub(crate) fn copy_from(
        &mut self,
        from: &mut Session<'_>,
        activity: &str,
        query: &str,
        into: &str,
    ) -> Result<(), PlanningError> {
        let side = self.side;
        let failed = |source| PlanningError::Server { side, activity: activity.to_owned(), source };
        let mut copy = self.connection.copy_in(into).map_err(failed)?;
        let mut refusal = None;
        let mut consumer = |piece: &[u8]| -> io::Result<()> {
            copy.write(piece).map_err(|source| {
                refusal = Some(source);
                io::Error::other("the other server refused the rows")
            })
        };
        let copied = from.connection.copy_out(query, &mut consumer);
        match (copied, refusal) {
            (_, Some(source)) => Err(failed(source)),
            (Err(source), None) => {
                copy.fail("the rows could not be read").map_err(failed)?;
                Err(from.failed(activity, source))
            }
            (Ok(_), None) => copy.finish().map(drop).map_err(failed),
        }
    }

    pub(crate) fn unusable(&self, reason: impl Into<String>) -> PlanningError {
        PlanningError::Answer { side: self.side, reason: reason.into() }
    }

    fn failed(&self, activity: &str, source: WireError) -> PlanningError {
        PlanningError::Server { side: self.side, activity: activity.to_owned(), source }
    }
}

/// Returns the text of a column that the query never leaves empty.
pub(crate) fn text(row: &Row, position: usize) -> String {
    row.get(position).cloned().flatten().unwrap_or_default()
}

/// Returns a number that the query never leaves empty.
pub(crate) fn number<T: std::str::FromStr + Default>(row: &Row, position: usize) -> T {
    row.get(position).and_then(|value| value.as_deref()?.parse().ok()).unwrap_or_default()
}

/// Returns a truth value.
pub(crate) fn flag(row: &Row, position: usize) -> bool {
    row.get(position).and_then(|value| value.as_deref()) == Some("t")
}

/// Writes texts as an array constant of SQL: `'{"a","b",NULL}'`.
pub(crate) fn array<'t>(values: impl Iterator<Item = Option<&'t str>>) -> String {
    let mut text = String::from("{");
    for (position, value) in values.enumerate() {
        if position > 0 {
            text.push(',');
        }
        match value {
            None => text.push_str("NULL"),
            Some(value) => {
                text.push('"');
                for c in value.chars() {
                    if matches!(c, '"' | '\\') {
                        text.push('\\');
                    }
                    text.push(c);
                }
                text.push('"');
            }
        }
    }
    text.push('}');
    postgres_wire::quote_literal(&text)
}
