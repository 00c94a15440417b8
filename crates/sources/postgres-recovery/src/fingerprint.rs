//! The row counts and content hashes of all tables at one position.
//!
//! Checksums, index checks and full scans all pass on a zeroed page, on a table that was cut off and on a page from the
//! past; a count and a hash of every row do not.

use std::{collections::BTreeMap, fmt, sync::Arc};

use ::drill::OverBudget;
use ports::Clock;
use postgres_wire::{
    Connection, ConnectionSettings, Limits, Mode, SettingsError, WireError, quote_identifier, quote_literal,
};
use serde::{Deserialize, Serialize};

use crate::drill::Limits as DrillLimits;

/// Settings that change how values look as text, fixed so that two servers agree.
const TEXT_SETTINGS: &str = "set datestyle = 'ISO, YMD'; set intervalstyle = 'postgres'; set timezone = 'UTC'; \
     set extra_float_digits = 3; set bytea_output = 'hex'; set xmlbinary = 'base64'; set lc_monetary = 'C'; \
     set row_security = off; set search_path = pg_catalog; set statement_timeout = 0; set lock_timeout = '30s'; \
     set enable_indexscan = off; set enable_indexonlyscan = off; set enable_bitmapscan = off";

const TABLES: &str = "select n.nspname, c.relname from pg_catalog.pg_class c \
     join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
     where c.relkind in ('r', 'm') and c.relpersistence = 'p' and c.relispopulated \
     and n.nspname not in ('pg_catalog', 'information_schema') and n.nspname not like 'pg\\_toast%' order by 1, 2";

/// Why a fingerprint could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum FingerprintError {
    /// The address of the server cannot be used.
    #[error("the address of the server cannot be used")]
    Address(#[from] SettingsError),
    /// The server refused.
    #[error("cannot take the fingerprint of database {database}")]
    Wire {
        /// The database.
        database: String,
        /// What the server answered.
        #[source]
        source: WireError,
    },
    /// A table could not be read; that alone is a finding.
    #[error("cannot read table {table}")]
    Table {
        /// The table.
        table: String,
        /// What the server answered.
        #[source]
        source: WireError,
    },
    /// The drill's time is over.
    #[error(transparent)]
    Over(#[from] OverBudget),
    /// The server did not export a snapshot.
    #[error("the server exported no snapshot of database {database}")]
    NoSnapshot {
        /// The database.
        database: String,
    },
}

impl FingerprintError {
    /// Says what a person can do.
    pub fn hint(&self) -> Option<String> {
        const LOGICAL: &str = "recording at an exact position needs wal_level = logical, and a role with REPLICATION \
                               that may read all tables";
        match self {
            Self::Wire { source, .. } | Self::Table { source, .. } => {
                source.hint().or_else(|| source.server().map(|_| LOGICAL.to_owned()))
            }
            Self::NoSnapshot { .. } => Some(LOGICAL.to_owned()),
            Self::Over(over) => Some(over.hint().to_owned()),
            Self::Address(_) => None,
        }
    }
}

/// What one table holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableFingerprint {
    /// Its rows.
    pub rows: u64,
    /// The sum of the hashes of its rows' texts; it does not depend on their order.
    pub hash: String,
}

/// What the tables of one cluster hold: `database.schema.table` to count and hash.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// The position at which it was taken, where one is known.
    pub lsn: Option<u64>,
    /// The tables.
    pub tables: BTreeMap<String, TableFingerprint>,
}

/// A table in which two fingerprints differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// The table.
    pub table: String,
    /// What was expected; nothing when it should not be there.
    pub expected: Option<TableFingerprint>,
    /// What was found; nothing when it is missing or cannot be read.
    pub found: Option<TableFingerprint>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let table = &self.table;
        match (&self.expected, &self.found) {
            (Some(expected), Some(found)) if expected.rows == found.rows => {
                write!(f, "{table} has other content in its {} rows", found.rows)
            }
            (Some(expected), Some(found)) => {
                write!(f, "{table} has {} rows instead of {}", found.rows, expected.rows)
            }
            (Some(_), None) => write!(f, "{table} is missing or cannot be read"),
            _ => write!(f, "{table} should not be there"),
        }
    }
}

impl Fingerprint {
    /// Lists the tables in which `found` differs from this fingerprint; only tables of databases that both cover.
    pub fn differences(&self, found: &Self) -> Vec<Difference> {
        let names: std::collections::BTreeSet<&String> =
            self.tables.keys().chain(found.tables.keys()).collect();
        let difference = |table: &String| {
            let (expected, found) = (self.tables.get(table), found.tables.get(table));
            (expected != found).then(|| Difference {
                table: table.clone(),
                expected: expected.cloned(),
                found: found.cloned(),
            })
        };
        names.into_iter().filter_map(difference).collect()
    }
}

/// A fingerprint with the tables that could not be read.
#[derive(Debug, Default)]
pub struct Taken {
    /// What could be read.
    pub fingerprint: Fingerprint,
    /// What could not: each is a finding.
    pub unreadable: Vec<FingerprintError>,
}

/// Takes the fingerprint of all databases of a server of our own, where nobody else writes.
pub fn of_scratch(url: &dyn Fn(&str) -> String, clock: &Arc<dyn Clock>) -> Result<Taken, FingerprintError> {
    let budget = ::drill::Budget::default();
    of_scratch_within(url, &DrillLimits { budget, began: clock.elapsed(), clock: Arc::clone(clock) })
}

/// Does the same as long as there is time.
pub fn of_scratch_within(
    url: &dyn Fn(&str) -> String,
    limits: &DrillLimits,
) -> Result<Taken, FingerprintError> {
    let clock = &limits.clock;
    let mut connection = connect(&url("postgres"), Mode::Sql, clock)?;
    let wire = |database: &str| {
        let database = database.to_owned();
        move |source| FingerprintError::Wire { database, source }
    };
    let sql = "select datname from pg_catalog.pg_database where datallowconn order by 1";
    let rows = connection.query_rows(sql).map_err(wire("postgres"))?;
    let mut taken = Taken::default();
    for database in rows.into_iter().filter_map(|row| row.into_iter().next().flatten()) {
        let mut connection = connect(&url(&database), Mode::Sql, clock)?;
        tables_of(&mut connection, &database, Some(limits), &mut taken)?;
    }
    Ok(taken)
}

/// Takes the fingerprint of one database of a running production server at an exact position.
///
/// A temporary logical slot exports the snapshot, which needs `wal_level=logical`; snapshots do not reach over databases.
pub fn of_production(
    settings: &ConnectionSettings,
    slot: &str,
    clock: &Arc<dyn Clock>,
) -> Result<Taken, FingerprintError> {
    let database = settings.database_name();
    let wire = |source| FingerprintError::Wire { database: database.to_owned(), source };
    let mode = Mode::LogicalReplication { database: database.to_owned() };
    let mut exporter = connect_as(settings, mode, clock)?;
    let slot = exporter.create_logical_slot(slot, "pgoutput", true, true).map_err(wire)?;
    let missing = || FingerprintError::NoSnapshot { database: database.to_owned() };
    let snapshot = slot.snapshot.ok_or_else(missing)?;
    let mut reader = connect_as(settings, Mode::Sql, clock)?;
    let begin = format!(
        "begin transaction isolation level repeatable read read only; set transaction snapshot {}",
        quote_literal(&snapshot)
    );
    reader.execute(&begin).map_err(wire)?;
    let mut taken = Taken::default();
    tables_of(&mut reader, database, None, &mut taken)?;
    reader.execute("commit").map_err(wire)?;
    taken.fingerprint.lsn = Some(slot.consistent_lsn);
    // The snapshot lives as long as its session is left alone.
    drop(exporter);
    Ok(taken)
}

fn connect(url: &str, mode: Mode, clock: &Arc<dyn Clock>) -> Result<Connection, FingerprintError> {
    connect_as(&ConnectionSettings::from_url(url)?, mode, clock)
}

fn connect_as(
    settings: &ConnectionSettings,
    mode: Mode,
    clock: &Arc<dyn Clock>,
) -> Result<Connection, FingerprintError> {
    let database = settings.database_name().to_owned();
    // One count of a large table is one long silence.
    let limits = Limits { read_timeout: None, ..Limits::default() };
    Connection::connect(settings, mode, &limits, Arc::clone(clock))
        .map_err(|source| FingerprintError::Wire { database, source })
}

fn tables_of(
    connection: &mut Connection,
    database: &str,
    limits: Option<&DrillLimits>,
    taken: &mut Taken,
) -> Result<(), FingerprintError> {
    let wire = |source| FingerprintError::Wire { database: database.to_owned(), source };
    connection.execute(TEXT_SETTINGS).map_err(wire)?;
    for row in connection.query_rows(TABLES).map_err(wire)? {
        let [Some(schema), Some(table)] = row.as_slice() else { continue };
        let left = limits.map(DrillLimits::left).transpose()?.flatten();
        if let Some(left) = left {
            let millis = left.as_millis().clamp(1, i32::MAX as u128);
            connection.execute(&format!("set statement_timeout = {millis}")).map_err(wire)?;
        }
        let name = format!("{database}.{schema}.{table}");
        let sql = format!(
            "select count(*), coalesce(sum(hashtextextended(t::text, 0)), 0) from only {}.{} as t",
            quote_identifier(schema),
            quote_identifier(table)
        );
        match connection.query_one(&sql) {
            Ok(row) => {
                let mut values = row.into_iter().flatten();
                let rows = values.next().and_then(|text| text.parse().ok()).unwrap_or(0);
                let hash = values.next().unwrap_or_default();
                taken.fingerprint.tables.insert(name, TableFingerprint { rows, hash });
            }
            Err(source @ WireError::Server { .. }) => {
                // What was broken off because the time is over says nothing of the table.
                limits.map(DrillLimits::left).transpose()?;
                taken.unreadable.push(FingerprintError::Table { table: name, source });
            }
            Err(error) => return Err(wire(error)),
        }
    }
    Ok(())
}
