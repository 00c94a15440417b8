//! Questions to the catalog.

use model::{Event, Item, Ledger, Moment, Severity, StreamName};
use rusqlite::{OptionalExtension, Params, Row, params};
use vault::Content;

use crate::{
    Catalog, CatalogError,
    apply::{damaged, severity_rank},
};

/// One stored version of an item.
#[derive(Debug, Clone, PartialEq)]
pub struct Version {
    /// The item.
    pub item: Item,
    /// The commit that brought this version.
    pub sequence: u64,
    /// Bytes of content.
    pub size_bytes: u64,
    /// Where the content is; `None` when the item was unreadable.
    pub content: Option<Content>,
    /// Why it was unreadable, as JSON.
    pub reason: Option<String>,
}

/// One commit as the catalog knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitRow {
    /// Its number.
    pub sequence: u64,
    /// Its vault time.
    pub vault_time: Moment,
    /// Where capture resumes after it.
    pub cursor: Vec<u8>,
    /// Its completeness ledger.
    pub ledger: Ledger,
}

/// Which events are asked for.
#[derive(Debug, Clone, Copy)]
pub struct EventFilter {
    /// No earlier than this.
    pub from: Option<Moment>,
    /// No later than this.
    pub until: Option<Moment>,
    /// At least this serious.
    pub severity: Severity,
    /// At most this many, the newest ones.
    pub limit: u32,
}

impl Catalog {
    /// Lists the live versions of a stream's items in key order.
    pub fn live(&self, stream: &StreamName) -> Result<Vec<Version>, CatalogError> {
        self.versions("ORDER BY v.key", params![stream.as_str()])
    }

    /// Lists the live runs of a log that touch `start..end`, in order of their starts.
    ///
    /// Runs may overlap where a killed capture was resumed, so the end of each one is looked at, not only its key.
    pub fn live_runs(&self, stream: &StreamName, start: u64, end: u64) -> Result<Vec<Version>, CatalogError> {
        let start = i64::try_from(start).unwrap_or(i64::MAX);
        let end = format!("{end:016X}");
        self.versions(
            "AND v.key < ?3 AND json_extract(v.attributes, '$.end') > ?2 ORDER BY v.key",
            params![stream.as_str(), start, end],
        )
    }

    /// Finds the live version of one item.
    pub fn live_item(&self, stream: &StreamName, key: &str) -> Result<Option<Version>, CatalogError> {
        Ok(self.versions("AND v.key = ?2", params![stream.as_str(), key])?.pop())
    }

    /// Returns the last row of all versions; rows are in the order in which the versions were stored.
    pub fn last_row(&self) -> Result<i64, CatalogError> {
        let last: Option<i64> =
            self.database.query_row("SELECT max(id) FROM versions", [], |row| row.get(0))?;
        Ok(last.unwrap_or(0))
    }

    /// Lists versions that were live after commit `at` among the given rows, in their order.
    ///
    /// Each comes with its row, behind which the next page begins.
    pub fn page_at(
        &self,
        stream: &StreamName,
        at: u64,
        rows: std::ops::Range<i64>,
        limit: u32,
    ) -> Result<Vec<(i64, Version)>, CatalogError> {
        let mut statement = self.database.prepare_cached(&format!(
            "SELECT {VERSION_COLUMNS}, v.id FROM versions v NOT INDEXED JOIN streams s ON s.id = v.stream
             WHERE v.stream = (SELECT id FROM streams WHERE name = ?1) AND {LIVE_AT} AND v.id >= ?3 AND v.id < ?4
             ORDER BY v.id LIMIT ?5"
        ))?;
        let values = params![stream.as_str(), sequence(at), rows.start, rows.end, limit];
        let rows = statement.query_map(values, |row| Ok((row.get(7)?, read_version(row))))?;
        rows.map(|row| row.map_err(CatalogError::from).and_then(|(row, version)| Ok((row, version?))))
            .collect()
    }

    /// Returns the version in a row, with the place of its content.
    pub fn version_of_row(&self, row: i64) -> Result<Option<Version>, CatalogError> {
        self.database
            .prepare_cached(&format!(
                "SELECT {VERSION_COLUMNS} FROM versions v JOIN streams s ON s.id = v.stream WHERE v.id = ?1"
            ))?
            .query_map([row], |row| Ok(read_version(row)))?
            .next()
            .transpose()?
            .transpose()
    }

    /// Finds the version of one item that was live after commit `at`.
    pub fn item_at(&self, stream: &StreamName, key: &str, at: u64) -> Result<Option<Version>, CatalogError> {
        self.database
            .prepare_cached(&format!(
                "SELECT {VERSION_COLUMNS} FROM versions v JOIN streams s ON s.id = v.stream
                 WHERE s.name = ?1 AND {LIVE_AT} AND v.key = ?3"
            ))?
            .query_map(params![stream.as_str(), sequence(at), key], |row| Ok(read_version(row)))?
            .next()
            .transpose()?
            .transpose()
    }

    /// Lists items that were live after commit `at` in key order, from behind a key on; without their contents' places.
    pub fn listed_at(
        &self,
        stream: &StreamName,
        at: u64,
        after_key: Option<&str>,
        limit: u32,
    ) -> Result<Vec<(Item, u64)>, CatalogError> {
        let mut statement = self.database.prepare_cached(&format!(
            "SELECT v.key, v.attributes, v.size_bytes FROM versions v JOIN streams s ON s.id = v.stream
             WHERE s.name = ?1 AND {LIVE_AT} AND v.key > ?3 ORDER BY v.key LIMIT ?4"
        ))?;
        let values = params![stream.as_str(), sequence(at), after_key.unwrap_or_default(), limit];
        let rows = statement.query_map(values, |row| {
            let item = Item { stream: stream.clone(), key: row.get(0)?, attributes: row.get(1)? };
            Ok((item, row.get::<_, i64>(2)? as u64))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Lists the keys that were live after commit `at` without a content, because they could not be read.
    pub fn unread_at(&self, stream: &StreamName, at: u64, limit: u32) -> Result<Vec<String>, CatalogError> {
        let mut statement = self.database.prepare_cached(&format!(
            "SELECT v.key FROM versions v JOIN streams s ON s.id = v.stream
             WHERE s.name = ?1 AND {LIVE_AT} AND v.content IS NULL ORDER BY v.key LIMIT ?3"
        ))?;
        let rows = statement.query_map(params![stream.as_str(), sequence(at), limit], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Lists the keys that came, changed or went after one commit and no later than another, in order.
    pub fn changed(&self, stream: &StreamName, after: u64, until: u64) -> Result<Vec<String>, CatalogError> {
        let mut statement = self.database.prepare_cached(
            "SELECT DISTINCT v.key FROM versions v JOIN streams s ON s.id = v.stream
             WHERE s.name = ?1 AND (v.from_sequence > ?2 AND v.from_sequence <= ?3
                                    OR v.until_sequence > ?2 AND v.until_sequence <= ?3) ORDER BY v.key",
        )?;
        let rows = statement
            .query_map(params![stream.as_str(), sequence(after), sequence(until)], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Lists the versions of one item that came after one commit and no later than another, oldest first.
    pub fn versions_of(
        &self,
        stream: &StreamName,
        key: &str,
        after: u64,
        until: u64,
    ) -> Result<Vec<Version>, CatalogError> {
        let mut statement = self.database.prepare_cached(&format!(
            "SELECT {VERSION_COLUMNS} FROM versions v JOIN streams s ON s.id = v.stream
             WHERE s.name = ?1 AND v.key = ?2 AND v.from_sequence > ?3 AND v.from_sequence <= ?4
             ORDER BY v.from_sequence"
        ))?;
        let values = params![stream.as_str(), key, sequence(after), sequence(until)];
        let rows = statement.query_map(values, |row| Ok(read_version(row)))?;
        rows.map(|row| row?).collect()
    }

    /// Lists the live keys whose reading failed for a cause that may have passed.
    pub fn failed(&self, stream: &StreamName, limit: u32) -> Result<Vec<String>, CatalogError> {
        let mut statement = self.database.prepare_cached(
            "SELECT v.key FROM versions v JOIN streams s ON s.id = v.stream
             WHERE s.name = ?1 AND v.until_sequence IS NULL AND v.content IS NULL
               AND json_extract(v.reason, '$.reason') = 'failed' ORDER BY v.key LIMIT ?2",
        )?;
        let rows = statement.query_map(params![stream.as_str(), limit], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Returns the newest commit no later than a moment.
    pub fn commit_at(&self, moment: Moment) -> Result<Option<u64>, CatalogError> {
        // From the newest on: vault time hardly ever goes back, so that the first one that is met is the newest.
        let newest: Option<i64> = self
            .database
            .prepare_cached(COMMIT_AT)?
            .query_row([moment.as_micros()], |row| row.get(0))
            .optional()?;
        Ok(newest.map(|sequence| sequence as u64))
    }

    /// Lists live versions of the stream `?1` that meet a further condition.
    fn versions(&self, condition: &str, values: impl Params) -> Result<Vec<Version>, CatalogError> {
        let mut statement = self.database.prepare_cached(&format!(
            "SELECT {VERSION_COLUMNS} FROM versions v JOIN streams s ON s.id = v.stream
             WHERE s.name = ?1 AND v.until_sequence IS NULL {condition}"
        ))?;
        let rows = statement.query_map(values, |row| Ok(read_version(row)))?;
        rows.map(|row| row?).collect()
    }

    /// Returns the vault time of a commit.
    pub fn time_of(&self, at: u64) -> Result<Option<Moment>, CatalogError> {
        let mut statement =
            self.database.prepare_cached("SELECT vault_time FROM commits WHERE sequence = ?1")?;
        let mut rows = statement.query_map([sequence(at)], |row| row.get(0))?;
        Ok(rows.next().transpose()?.map(Moment::from_micros))
    }

    /// Lists the streams that held anything after commit `at`, in name order, with how many items each held.
    pub fn counts_at(&self, at: u64) -> Result<Vec<(String, u64)>, CatalogError> {
        Ok(self.sizes_at(at)?.into_iter().map(|size| (size.stream, size.items)).collect())
    }

    /// Lists the streams that hold anything, in name order.
    pub fn streams(&self) -> Result<Vec<String>, CatalogError> {
        let mut statement = self.database.prepare_cached("SELECT name FROM streams ORDER BY name")?;
        let rows = statement.query_map([], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Lists events, oldest first.
    pub fn events(&self, filter: EventFilter) -> Result<Vec<Event>, CatalogError> {
        let mut statement = self.database.prepare_cached(
            "SELECT document FROM (
                 SELECT id, at, position, document FROM events
                 WHERE severity >= ?1 AND at >= ?2 AND at <= ?3 ORDER BY at DESC, position DESC, id DESC LIMIT ?4
             ) ORDER BY at, position, id",
        )?;
        let from = filter.from.map_or(i64::MIN, Moment::as_micros);
        let until = filter.until.map_or(i64::MAX, Moment::as_micros);
        let rows = statement
            .query_map(params![severity_rank(filter.severity), from, until, filter.limit], |row| {
                row.get::<_, String>(0)
            })?;
        rows.map(|row| serde_json::from_str(&row?).map_err(damaged("event"))).collect()
    }

    /// Lists the newest commits, newest first.
    pub fn commits(&self, limit: u32) -> Result<Vec<CommitRow>, CatalogError> {
        let mut statement = self.database.prepare_cached(
            "SELECT sequence, vault_time, cursor, enumerated, stored, unchanged, unreadable
             FROM commits ORDER BY sequence DESC LIMIT ?1",
        )?;
        let number = |row: &Row<'_>, index: usize| row.get::<_, i64>(index).map(|n| n as u64);
        let rows = statement.query_map([limit], |row| {
            Ok(CommitRow {
                sequence: number(row, 0)?,
                vault_time: Moment::from_micros(row.get(1)?),
                cursor: row.get(2)?,
                ledger: Ledger {
                    enumerated: number(row, 3)?,
                    stored: number(row, 4)?,
                    unchanged: number(row, 5)?,
                    unreadable: number(row, 6)?,
                },
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

pub(crate) const COMMIT_AT: &str =
    "SELECT sequence FROM commits WHERE vault_time <= ?1 ORDER BY sequence DESC LIMIT 1";
const VERSION_COLUMNS: &str =
    "s.name, v.key, v.attributes, v.from_sequence, v.size_bytes, v.content, v.reason";
const LIVE_AT: &str = "v.from_sequence <= ?2 AND (v.until_sequence IS NULL OR v.until_sequence > ?2)";

/// A commit's number as SQLite counts.
pub(crate) fn sequence(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn read_version(row: &Row<'_>) -> Result<Version, CatalogError> {
    let stream: String = row.get(0)?;
    let content: Option<Vec<u8>> = row.get(5)?;
    Ok(Version {
        item: Item {
            stream: StreamName::new(stream).map_err(damaged("stream name"))?,
            key: row.get(1)?,
            attributes: row.get(2)?,
        },
        sequence: row.get::<_, i64>(3)? as u64,
        size_bytes: row.get::<_, i64>(4)? as u64,
        content: content.map(|bytes| Content::from_bytes(&bytes).map_err(damaged("content"))).transpose()?,
        reason: row.get(6)?,
    })
}
