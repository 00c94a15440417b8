//! All versions of an item, what was removed within a window, and how much each stream held.

use model::StreamName;
use rusqlite::params;

use crate::{Catalog, CatalogError, Row, query::sequence};

/// Where a page of versions begins: behind this one, towards older ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VersionEdge {
    /// The commit that ended it; none for the live one.
    pub until: Option<u64>,
    /// Its row.
    pub id: i64,
}

/// One version among all of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Past {
    /// The version.
    pub row: Row,
    /// Whether it ended because the item was removed.
    pub is_removed: bool,
}

/// Where a page of removals begins: behind this one, towards older ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RemovalEdge {
    /// The commit.
    pub sequence: u64,
    /// The row.
    pub id: i64,
}

/// Something that was removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removal {
    /// The last version before.
    pub row: Row,
    /// The commit that removed it.
    pub sequence: u64,
}

/// How much a stream held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamSize {
    /// The stream.
    pub stream: String,
    /// Items.
    pub items: u64,
    /// Bytes of their contents, as they were in the source.
    pub bytes: u64,
}

/// Takes a version: its row, stream, key and attributes.
pub(crate) type TakeVersion<'a> = dyn FnMut((i64, i64, &str, &str)) -> Result<(), CatalogError> + 'a;

impl Catalog {
    /// Lists the streams that held anything after commit `at`, in name order.
    pub fn sizes_at(&self, at: u64) -> Result<Vec<StreamSize>, CatalogError> {
        let mut statement = self.database.prepare_cached(SIZES)?;
        let rows = statement.query_map([sequence(at)], |row| {
            Ok(StreamSize {
                stream: row.get(0)?,
                items: row.get::<_, i64>(1)? as u64,
                bytes: row.get::<_, i64>(2)? as u64,
            })
        })?;
        let sizes = rows.collect::<Result<Vec<_>, _>>()?;
        Ok(sizes.into_iter().filter(|size| size.items > 0).collect())
    }

    /// Counts the versions of an item; no further than `max`.
    pub fn count_versions(&self, stream: &StreamName, key: &str, max: u32) -> Result<u64, CatalogError> {
        let Some(id) = self.stream_id(stream.as_str())? else { return Ok(0) };
        let mut statement = self.database.prepare_cached(COUNT)?;
        Ok(statement.query_row(params![id, key, max], |row| row.get::<_, i64>(0))? as u64)
    }

    /// Lists the versions of an item, newest first, at most `limit`.
    pub fn past_of(
        &self,
        stream: &StreamName,
        key: &str,
        behind: Option<VersionEdge>,
        limit: u32,
    ) -> Result<Vec<Past>, CatalogError> {
        let Some(id) = self.stream_id(stream.as_str())? else { return Ok(Vec::new()) };
        let mut ids = Vec::new();
        if behind.is_none() {
            let mut live = self.database.prepare_cached(crate::browse::NEWEST)?;
            ids.extend(
                live.query_map(params![id, key], |row| row.get::<_, i64>(0))?
                    .collect::<Result<Vec<_>, _>>()?,
            );
        }
        let (until, row) = match behind {
            Some(VersionEdge { until: Some(until), id }) => (sequence(until), id),
            _ => (i64::MAX, i64::MAX),
        };
        let mut ended = self.database.prepare_cached(ENDED)?;
        ids.extend(
            ended
                .query_map(params![id, key, until, row, limit], |row| row.get::<_, i64>(0))?
                .collect::<Result<Vec<_>, _>>()?,
        );
        ids.truncate(limit as usize);
        let mut past = Vec::with_capacity(ids.len());
        for id in ids {
            let Some(row) = self.row_by_id(id)? else { continue };
            let row = Row { stream: stream.as_str().to_owned(), key: key.to_owned(), ..row };
            past.push(Past { is_removed: self.is_removed(&row)?, row });
        }
        Ok(past)
    }

    /// Lists what was removed after one commit and no later than another, the newest removals first; at most `limit`. It
    /// may be back since.
    pub fn removed_between(
        &self,
        after: u64,
        until: u64,
        behind: Option<RemovalEdge>,
        limit: u32,
    ) -> Result<Vec<Removal>, CatalogError> {
        let (last, row) =
            behind.map_or((sequence(until), i64::MAX), |edge| (sequence(edge.sequence), edge.id));
        let mut statement = self.database.prepare_cached(REMOVALS)?;
        let found = statement
            .query_map(params![sequence(after), sequence(until).min(last), last, row, limit], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?
            .collect::<Result<Vec<(i64, i64)>, _>>()?;
        let mut removals = Vec::with_capacity(found.len());
        for (sequence, id) in found {
            removals.extend(self.row(id)?.map(|row| Removal { row, sequence: sequence as u64 }));
        }
        Ok(removals)
    }

    /// Returns the row of the next version of the same item.
    pub(crate) fn row_after(&self, row: &Row) -> Result<Option<i64>, CatalogError> {
        // What was not replaced and not removed has no later version: most often this is all there is to ask.
        let (Some(_), Some(stream)) = (row.until, self.stream_id(&row.stream)?) else { return Ok(None) };
        let mut statement = self.database.prepare_cached(LATER)?;
        Ok(statement.query_row(params![stream, row.key, row.id], |row| row.get(0))?)
    }

    /// Hands out the versions behind a row, in their order: row, stream, key, attributes; at most `limit`.
    pub(crate) fn each_behind(
        &self,
        row: i64,
        limit: u32,
        take: &mut TakeVersion<'_>,
    ) -> Result<(), CatalogError> {
        let mut statement = self.database.prepare_cached(BEHIND)?;
        let mut rows = statement.query(params![row, limit])?;
        while let Some(row) = rows.next()? {
            let text = |index| row.get_ref(index).and_then(|value| Ok(value.as_str()?));
            take((row.get(0)?, row.get(1)?, text(2)?, text(3)?))?;
        }
        Ok(())
    }

    /// Returns the name of a stream.
    pub(crate) fn stream_name(&self, id: i64) -> Result<String, CatalogError> {
        let mut statement = self.database.prepare_cached("SELECT name FROM streams WHERE id = ?1")?;
        Ok(statement.query_row([id], |row| row.get(0))?)
    }

    fn is_removed(&self, row: &Row) -> Result<bool, CatalogError> {
        let Some(until) = row.until else { return Ok(false) };
        let mut statement =
            self.database.prepare_cached("SELECT 1 FROM removals WHERE sequence = ?1 AND version = ?2")?;
        Ok(statement.exists(params![sequence(until), row.id])?)
    }
}

pub(crate) const SIZES: &str = "SELECT s.name, z.items, z.bytes FROM streams s JOIN sizes z ON z.stream = s.id
     WHERE z.sequence = (SELECT max(sequence) FROM sizes WHERE stream = s.id AND sequence <= ?1) ORDER BY s.name";
pub(crate) const COUNT: &str =
    "SELECT count(*) FROM (SELECT 1 FROM versions WHERE stream = ?1 AND key = ?2 LIMIT ?3)";
pub(crate) const LATER: &str = "SELECT min(id) FROM versions WHERE stream = ?1 AND key = ?2 AND id > ?3";
pub(crate) const BEHIND: &str =
    "SELECT id, stream, key, attributes FROM versions WHERE id > ?1 ORDER BY id LIMIT ?2";
pub(crate) const ENDED: &str =
    "SELECT id FROM versions WHERE stream = ?1 AND key = ?2 AND until_sequence <= ?3
     AND (until_sequence, id) < (?3, ?4) ORDER BY until_sequence DESC, id DESC LIMIT ?5";
pub(crate) const REMOVALS: &str =
    "SELECT sequence, version FROM removals WHERE sequence > ?1 AND sequence <= ?2
     AND (sequence, version) < (?3, ?4) ORDER BY sequence DESC, version DESC LIMIT ?5";

#[cfg(test)]
mod tests;
