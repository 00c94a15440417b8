use rusqlite::params;

use super::{SearchIndex, Terms};
use crate::{Catalog, CatalogError, Row};

/// So many candidates are taken at a time.
const CHUNK: u32 = 256;
/// So many candidates one page looks at.
const LOOKED_AT_MAX: usize = 2_000;
/// More streams than these are told apart afterwards.
const STREAMS_MAX: usize = 64;

/// What is looked for.
#[derive(Debug, Clone, Copy)]
pub struct Wish<'a> {
    /// The words.
    pub terms: &'a Terms,
    /// The streams; all where none is told.
    pub streams: Option<&'a [String]>,
    /// The commit after which it was live; at any time where none is told.
    pub at: Option<u64>,
    /// Only versions before this row: where the last page ended.
    pub before: Option<i64>,
    /// At most so many.
    pub limit: u32,
}

/// A page of what was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Versions, the newest first; of an item that is found at any time, the newest version that has the words.
    pub rows: Vec<Row>,
    /// Behind which row the next page begins; none at the end. A page may be short, or empty, and have a next one.
    pub next: Option<i64>,
}

impl SearchIndex {
    /// Finds versions by words, the newest first.
    pub fn find(&self, catalog: &Catalog, wish: Wish<'_>) -> Result<Found, CatalogError> {
        let mut found = Found { rows: Vec::new(), next: None };
        let streams = match wish.streams {
            Some(names) => {
                let ids = names.iter().filter_map(|name| catalog.stream_id(name).transpose());
                let ids = ids.collect::<Result<Vec<i64>, _>>()?;
                if ids.is_empty() {
                    return Ok(found);
                }
                Some(ids)
            }
            None => None,
        };
        let expression = wish.terms.expression(streams.as_deref().filter(|ids| ids.len() <= STREAMS_MAX));
        // What came later need not be looked at.
        let end = wish.at.map_or(Ok(i64::MAX), |at| catalog.first_row_after(at))?;
        let (mut before, mut looked_at) = (wish.before.unwrap_or(i64::MAX).min(end), 0);
        loop {
            let candidates = self.candidates(&expression, before)?;
            for &id in &candidates {
                before = id;
                looked_at += 1;
                let may_be = wish.at.map_or(Ok(true), |at| catalog.was_live(id, at))?;
                let row = if may_be { catalog.row(id)? } else { None };
                let row = row.filter(|row| wish.streams.is_none_or(|names| names.contains(&row.stream)));
                if let Some(row) = row
                    && (wish.at.is_some() || !self.has_later(catalog, &row, &expression)?)
                {
                    found.rows.push(row);
                }
                if found.rows.len() >= wish.limit as usize || looked_at >= LOOKED_AT_MAX {
                    found.next = Some(before);
                    return Ok(found);
                }
            }
            if candidates.len() < CHUNK as usize {
                return Ok(found);
            }
        }
    }

    fn candidates(&self, expression: &str, before: i64) -> Result<Vec<i64>, CatalogError> {
        let mut statement = self.database.prepare_cached(CANDIDATES)?;
        let rows = statement.query_map(params![expression, before, CHUNK], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Returns whether the next version of the same item has the words as well.
    fn has_later(&self, catalog: &Catalog, row: &Row, expression: &str) -> Result<bool, CatalogError> {
        let Some(next) = catalog.row_after(row)? else { return Ok(false) };
        let mut statement =
            self.database.prepare_cached("SELECT 1 FROM texts WHERE texts MATCH ?1 AND rowid = ?2")?;
        Ok(statement.exists(params![expression, next])?)
    }
}

pub(super) const CANDIDATES: &str =
    "SELECT rowid FROM texts WHERE texts MATCH ?1 AND rowid < ?2 ORDER BY rowid DESC LIMIT ?3";
