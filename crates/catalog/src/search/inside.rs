use rusqlite::params;

use super::SearchIndex;
use crate::{Catalog, CatalogError, Direction, Row};

/// So many candidates are taken at a time.
const CHUNK: usize = 512;
/// So many candidates one page looks at.
const LOOKED_AT_MAX: usize = 20_000;
/// What a look into the catalog counts for beside one at a candidate: each is somewhere else in a large file.
const LOOK_UP_COST: usize = 16;

/// Where in a folder a page begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InsideEdge {
    /// The beginning of the title in lower case.
    pub sorted: String,
    /// The version.
    pub row: i64,
}

impl InsideEdge {
    /// Returns the place of a version with this title.
    pub fn of(title: &str, row: i64) -> Self {
        Self { sorted: super::sorted(title), row }
    }
}

/// A page of what lies in a folder, in the order of titles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inside {
    /// The versions that were live, in ascending order, whichever way the page goes.
    pub rows: Vec<Row>,
    /// Where the next page in the same direction begins; none at the end. A page may be short, or empty, and have a
    /// next one.
    pub next: Option<InsideEdge>,
}

impl SearchIndex {
    /// Returns a page of what lay in a folder after commit `at`, in a stream whose keys do not tell.
    pub fn inside(
        &self,
        catalog: &Catalog,
        (stream, folder, at): (&str, &str, u64),
        from: Option<&InsideEdge>,
        (direction, limit): (Direction, u32),
    ) -> Result<Inside, CatalogError> {
        let mut inside = Inside { rows: Vec::new(), next: None };
        let Some(id) = catalog.stream_id(stream)? else { return Ok(inside) };
        let end = catalog.first_row_after(at)?;
        let mut edge = from.cloned();
        let mut looked_at = 0;
        loop {
            let entries = self.entries_inside((id, folder), edge.as_ref(), direction)?;
            let is_last = entries.len() < CHUNK;
            for entry in entries {
                looked_at += 1;
                // What came later need not be looked up: rows are in the order of commits.
                if entry.row < end {
                    looked_at += LOOK_UP_COST;
                    if catalog.was_live(entry.row, at)? {
                        inside.rows.extend(catalog.row(entry.row)?);
                    }
                }
                edge = Some(entry);
                if inside.rows.len() >= limit as usize || looked_at >= LOOKED_AT_MAX {
                    inside.next.clone_from(&edge);
                    break;
                }
            }
            if is_last || inside.next.is_some() {
                break;
            }
        }
        if direction == Direction::Back {
            inside.rows.reverse();
        }
        Ok(inside)
    }

    fn entries_inside(
        &self,
        (stream, folder): (i64, &str),
        edge: Option<&InsideEdge>,
        direction: Direction,
    ) -> Result<Vec<InsideEdge>, CatalogError> {
        let (text, (sorted, row)) = match (direction, edge) {
            (Direction::Forward, edge) => (INSIDE_FORWARD, edge.map_or(("", i64::MIN), parts)),
            (Direction::Back, Some(edge)) => (INSIDE_BACK, parts(edge)),
            (Direction::Back, None) => (INSIDE_FROM_END, ("", 0)),
        };
        let mut statement = self.database.prepare_cached(text)?;
        let rows = statement.query_map(params![stream, folder, sorted, row, CHUNK as i64], |row| {
            Ok(InsideEdge { sorted: row.get(0)?, row: row.get(1)? })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

fn parts(edge: &InsideEdge) -> (&str, i64) {
    (&edge.sorted, edge.row)
}

pub(super) const INSIDE_FORWARD: &str = "SELECT sorted, version FROM inside WHERE stream = ?1 AND folder = ?2
     AND (sorted, version) > (?3, ?4) ORDER BY sorted, version LIMIT ?5";
pub(super) const INSIDE_BACK: &str = "SELECT sorted, version FROM inside WHERE stream = ?1 AND folder = ?2
     AND (sorted, version) < (?3, ?4) ORDER BY sorted DESC, version DESC LIMIT ?5";
pub(super) const INSIDE_FROM_END: &str =
    "SELECT sorted, version FROM inside WHERE stream = ?1 AND folder = ?2
     AND ?3 = '' AND ?4 = 0 ORDER BY sorted DESC, version DESC LIMIT ?5";
