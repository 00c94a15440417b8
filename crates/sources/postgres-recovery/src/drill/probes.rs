//! The owner's questions to a restored cluster.

use std::{sync::Arc, time::Duration};

use ::drill::{OverBudget, ProbeAnswer, ProbeConfig};
use postgres_wire::{Connection, ConnectionSettings, Mode, WireError};

use super::limits::Limits;

/// How long an answer may take where nothing is said.
const TIMEOUT: Duration = Duration::from_mins(5);
/// So long is what is kept of an answer, in characters.
const ANSWER_CHARS_MAX: usize = 1000;

/// Asks each question in a transaction of its own that may only read and ends in nothing.
pub(super) fn ask(
    url: &dyn Fn(&str) -> String,
    probes: &[&ProbeConfig],
    limits: &Limits,
) -> Result<Vec<ProbeAnswer>, OverBudget> {
    let mut answers = Vec::new();
    for probe in probes {
        let left = limits.left()?.unwrap_or(Duration::MAX);
        let timeout = probe.timeout.map_or(TIMEOUT, |span| Duration::from_secs(span.0)).min(left);
        let asked = question(&url(&probe.database), &probe.sql, timeout, limits);
        // What was broken off because the drill's own time is over says nothing of the database.
        limits.left()?;
        let (answer, error) = match asked {
            Ok(answer) => (answer.map(|text| text.chars().take(ANSWER_CHARS_MAX).collect::<String>()), None),
            Err(error) => (None, Some(error.chars().take(ANSWER_CHARS_MAX).collect())),
        };
        let held = error.is_none() && probe.expect.holds(answer.as_deref());
        answers.push(ProbeAnswer {
            database: probe.database.clone(),
            sql: probe.sql.clone(),
            expect: probe.expect.to_string(),
            answer,
            error,
            held,
        });
    }
    Ok(answers)
}

/// Returns the first value of the first row.
fn question(url: &str, sql: &str, timeout: Duration, limits: &Limits) -> Result<Option<String>, String> {
    let text = |error: WireError| super::chain(&error);
    let settings = ConnectionSettings::from_url(url).map_err(|error| super::chain(&error))?;
    let wire = postgres_wire::Limits { read_timeout: None, ..postgres_wire::Limits::default() };
    let mut connection =
        Connection::connect(&settings, Mode::Sql, &wire, Arc::clone(&limits.clock)).map_err(text)?;
    let millis = timeout.as_millis().clamp(1, i32::MAX as u128);
    let begin = format!(
        "begin transaction read only; set local statement_timeout = {millis}; set local lock_timeout = '30s'"
    );
    connection.execute(&begin).map_err(text)?;
    // One statement and no more: a second one could end the transaction that only reads.
    let result = connection.query_params(sql, &[]).map_err(text)?;
    connection.execute("rollback").map_err(text)?;
    Ok(result.rows.into_iter().next().and_then(|row| row.into_iter().next().flatten()))
}
