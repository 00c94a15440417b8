//! One line of the server's log, whatever its format.

use std::collections::HashMap;

use model::{Actor, Moment};
use serde::Deserialize;

use super::message::{self, Said};

/// Columns of a csvlog up to the application's name, which PostgreSQL 13 has as well.
const COLUMNS_MIN: usize = 23;
/// Names of time zones remembered; a server uses two.
const ZONES_MAX: usize = 16;

/// A session; the server gives a process number again, but not within the same second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Session {
    /// When it began, in seconds since 1970.
    pub(super) started: i64,
    /// The server process.
    pub(super) process: i32,
}

/// What a line says about a session's transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// When it was written; unknown as long as the server's time zone is.
    pub(super) at: Option<Moment>,
    pub(super) session: Session,
    /// The number of the transaction among those of this session's slot; none outside of one.
    pub(super) local_transaction: Option<(u32, u32)>,
    /// The number that the WAL knows it by; none before it has written something.
    pub(super) transaction: Option<u32>,
    pub(super) database: String,
    pub(super) actor: Actor,
    /// Whether it tells that a statement failed.
    pub(super) failed: bool,
    pub(super) said: Said,
}

/// Why a line is not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unused {
    /// It belongs to no session of a client.
    NoSession,
    /// It is no line of such a log.
    NotALine,
}

/// A line of a jsonlog; what is empty is left out by the server.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Json {
    timestamp: String,
    user: String,
    dbname: String,
    remote_host: String,
    session_id: String,
    session_start: String,
    vxid: String,
    txid: u32,
    error_severity: String,
    message: String,
    application_name: String,
}

/// What both formats have.
struct Raw<'r> {
    time: &'r str,
    user: &'r str,
    database: &'r str,
    host: &'r str,
    session: &'r str,
    session_start: &'r str,
    local: &'r str,
    transaction: u32,
    severity: &'r str,
    message: &'r str,
    application: &'r str,
}

/// Reads lines, and learns from them how far the server's time zones are from UTC.
#[derive(Debug, Default)]
pub(super) struct LineReader {
    zones: HashMap<String, i64>,
}

impl LineReader {
    /// Reads a record of a csvlog.
    pub(super) fn csv(&mut self, fields: &[String]) -> Result<Line, Unused> {
        if fields.len() < COLUMNS_MIN {
            return Err(Unused::NotALine);
        }
        // The address is followed by the port, except `[local]`.
        let from = fields[4].as_str();
        let host = from.rsplit_once(':').map_or(from, |(host, _)| host);
        self.line(&Raw {
            time: &fields[0],
            user: &fields[1],
            database: &fields[2],
            host,
            session: &fields[5],
            session_start: &fields[8],
            local: &fields[9],
            transaction: fields[10].parse().map_err(|_| Unused::NotALine)?,
            severity: &fields[11],
            message: &fields[13],
            application: &fields[22],
        })
    }

    /// Reads a line of a jsonlog.
    pub(super) fn json(&mut self, line: &[u8]) -> Result<Line, Unused> {
        let line = String::from_utf8_lossy(line);
        let json: Json = serde_json::from_str(&line).map_err(|_| Unused::NotALine)?;
        self.line(&Raw {
            time: &json.timestamp,
            user: &json.user,
            database: &json.dbname,
            host: &json.remote_host,
            session: &json.session_id,
            session_start: &json.session_start,
            local: &json.vxid,
            transaction: json.txid,
            severity: &json.error_severity,
            message: &json.message,
            application: &json.application_name,
        })
    }

    fn line(&mut self, raw: &Raw<'_>) -> Result<Line, Unused> {
        let session = session(raw.session).ok_or(Unused::NotALine)?;
        // Its own processes do nothing in anybody's name.
        if raw.user.is_empty() {
            return Err(Unused::NoSession);
        }
        let known = |text: &str| (!text.is_empty() && text != "[local]").then(|| text.to_owned());
        let actor = Actor {
            identity: raw.user.to_owned(),
            application: known(raw.application).filter(|name| name != "[unknown]"),
            address: known(raw.host),
            ..Actor::default()
        };
        Ok(Line {
            at: self.moment(raw.time, raw.session_start, session),
            session,
            local_transaction: local_transaction(raw.local),
            transaction: (raw.transaction != 0).then_some(raw.transaction),
            database: raw.database.to_owned(),
            actor,
            failed: matches!(raw.severity, "ERROR" | "FATAL" | "PANIC"),
            said: message::read(raw.message),
        })
    }

    /// Returns a time of the log. It is written in the server's time zone, of which an abbreviation says little; but
    /// the same line has the session's beginning both so and in UTC.
    fn moment(&mut self, text: &str, session_start: &str, session: Session) -> Option<Moment> {
        if let Some((start, zone)) = as_if_utc(session_start) {
            let offset = start.as_micros() - session.started.saturating_mul(1_000_000);
            if self.zones.len() < ZONES_MAX || self.zones.contains_key(zone) {
                self.zones.insert(zone.to_owned(), offset);
            }
        }
        let (time, zone) = as_if_utc(text)?;
        Some(time.plus_micros(-self.zones.get(zone).copied()?))
    }
}

/// Reads `2026-01-31 12:00:00.123 CET` as if it were UTC, and returns the zone with it.
fn as_if_utc(text: &str) -> Option<(Moment, &str)> {
    let mut words = text.split_ascii_whitespace();
    let (date, time, zone) = (words.next()?, words.next()?, words.next()?);
    Some((format!("{date}T{time}Z").parse().ok()?, zone))
}

/// Reads `6b087e92.431c`: when a session began, and its process.
fn session(text: &str) -> Option<Session> {
    let (started, process) = text.split_once('.')?;
    Some(Session {
        started: i64::from_str_radix(started, 16).ok()?,
        process: i32::from_str_radix(process, 16).ok()?,
    })
}

/// Reads `3/12`; outside of a transaction the second number is 0.
fn local_transaction(text: &str) -> Option<(u32, u32)> {
    let (slot, number) = text.split_once('/')?;
    let (slot, number) = (slot.parse().ok()?, number.parse().ok()?);
    (number != 0).then_some((slot, number))
}
