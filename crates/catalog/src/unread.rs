//! What could not be read and still is so, found through the ledgers: no index tells of it.

use rusqlite::{OptionalExtension, params};

use crate::{Catalog, CatalogError};

/// So many rows are looked at for one page: among a million that could be read there may be one that could not.
const ROWS_MAX: i64 = 100_000;

/// A live item without content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadItem {
    /// Its stream.
    pub stream: String,
    /// Its key.
    pub key: String,
    /// The commit that says so.
    pub sequence: u64,
    /// Why, as JSON.
    pub reason: String,
}

/// A page of what could not be read, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnreadItems {
    /// The items; there may be fewer than were asked for, or none, although more follow.
    pub items: Vec<UnreadItem>,
    /// Where the next page begins; absent after the last one.
    pub next: Option<i64>,
}

impl Catalog {
    /// Lists the live items that could not be read, from behind a row towards older ones; so many at most.
    pub fn unread(&self, behind: Option<i64>, limit: u32) -> Result<UnreadItems, CatalogError> {
        let mut page = UnreadItems::default();
        let (mut left, mut end) = (ROWS_MAX, behind.unwrap_or(i64::MAX));
        for commit in self.commits_with_unread()? {
            let (first, after) = (self.first_row_from(commit)?, self.first_row_from(commit + 1)?);
            end = end.min(after);
            if first >= end {
                continue;
            }
            let from = first.max(end - left);
            let room = (limit as usize).saturating_sub(page.items.len());
            let mut found = self.unread_rows(from, end, room + 1)?;
            let more = found.len() > room;
            found.truncate(room);
            left -= end - from;
            // What found no room on this page is the beginning of the next one.
            end = if more { found.last().map_or(end, |(row, _)| *row) } else { from };
            page.items.extend(found.into_iter().map(|(_, item)| item));
            if more || left <= 0 {
                page.next = Some(end);
                break;
            }
        }
        Ok(page)
    }

    /// Returns the commits that could not read something, newest first.
    fn commits_with_unread(&self) -> Result<Vec<i64>, CatalogError> {
        let mut statement = self
            .database
            .prepare_cached("SELECT sequence FROM commits WHERE unreadable > 0 ORDER BY sequence DESC")?;
        Ok(statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
    }

    /// Returns the first row that came with a commit or a later one. Rows are in the order of their commits.
    fn first_row_from(&self, commit: i64) -> Result<i64, CatalogError> {
        let mut newest = self.database.prepare_cached("SELECT COALESCE(MAX(id), 0) + 1 FROM versions")?;
        let (mut low, mut high) = (0_i64, newest.query_row([], |row| row.get(0))?);
        let mut at = self
            .database
            .prepare_cached("SELECT id, from_sequence FROM versions WHERE id >= ?1 ORDER BY id LIMIT 1")?;
        while low < high {
            let middle = low + (high - low) / 2;
            let found: Option<(i64, i64)> =
                at.query_row([middle], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
            match found {
                Some((id, sequence)) if sequence < commit => low = id + 1,
                _ => high = middle,
            }
        }
        Ok(low)
    }

    fn unread_rows(
        &self,
        from: i64,
        until: i64,
        limit: usize,
    ) -> Result<Vec<(i64, UnreadItem)>, CatalogError> {
        let mut statement = self.database.prepare_cached(
            "SELECT v.id, s.name, v.key, v.from_sequence, v.reason FROM versions v JOIN streams s ON s.id = v.stream
             WHERE v.id >= ?1 AND v.id < ?2 AND v.content IS NULL AND v.reason IS NOT NULL
               AND v.until_sequence IS NULL ORDER BY v.id DESC LIMIT ?3",
        )?;
        let rows = statement.query_map(params![from, until, limit as i64], |row| {
            let item = UnreadItem {
                stream: row.get(1)?,
                key: row.get(2)?,
                sequence: row.get::<_, i64>(3)? as u64,
                reason: row.get(4)?,
            };
            Ok((row.get(0)?, item))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

#[cfg(test)]
mod tests {
    use model::{Item, Ledger, StreamName, UnreadableReason};
    use vault::Change;

    use super::*;
    use crate::apply::tests::{applied, removed, upsert};

    fn unread(stream: &str, key: &str) -> Change {
        let item = Item {
            stream: StreamName::new(stream).unwrap(),
            key: key.to_owned(),
            attributes: "{}".to_owned(),
        };
        Change::Unreadable { item, reason: UnreadableReason::Denied { detail: format!("no {key}") } }
    }

    fn commit(catalog: &mut Catalog, sequence: u64, changes: Vec<Change>) {
        let unreadable = changes.iter().filter(|change| matches!(change, Change::Unreadable { .. })).count();
        let ledger = Ledger { unreadable: unreadable as u64, ..Ledger::default() };
        catalog.apply(&crate::Applied { ledger, ..applied(sequence) }, changes).unwrap();
    }

    fn world() -> Catalog {
        let mut catalog = Catalog::in_memory().unwrap();
        commit(&mut catalog, 1, vec![upsert("files", "a", 1), unread("files", "b"), unread("mail", "c")]);
        commit(&mut catalog, 2, vec![upsert("files", "d", 1)]);
        let many = (0..5).map(|number| unread("files", &format!("e{number}")));
        commit(&mut catalog, 3, many.chain([upsert("files", "f", 2)]).collect());
        // One can be read by now, one is gone.
        commit(&mut catalog, 4, vec![upsert("files", "e0", 1), removed("mail", "c")]);
        catalog
    }

    #[test]
    fn all_that_cannot_be_read_now_is_on_its_pages_once() {
        let catalog = world();
        for limit in 1..8 {
            let (mut keys, mut behind) = (Vec::new(), None);
            loop {
                let page = catalog.unread(behind, limit).unwrap();
                assert!(page.items.len() <= limit as usize);
                keys.extend(page.items.into_iter().map(|item| (item.sequence, item.key)));
                behind = page.next;
                if behind.is_none() {
                    break;
                }
            }
            let keys: Vec<_> = keys.iter().map(|(sequence, key)| (*sequence, key.as_str())).collect();
            assert_eq!(keys, [(3, "e4"), (3, "e3"), (3, "e2"), (3, "e1"), (1, "b")], "{limit} a page");
        }
    }

    #[test]
    fn each_comes_with_its_reason_and_commits_without_any_are_not_looked_through() {
        let catalog = world();
        let page = catalog.unread(None, 100).unwrap();
        assert!(page.items[4].reason.contains("no b") && page.items[4].stream == "files");
        assert_eq!(catalog.commits_with_unread().unwrap(), [3, 1]);
        assert_eq!(Catalog::in_memory().unwrap().unread(None, 10).unwrap(), UnreadItems::default());
    }

    #[test]
    fn a_page_looks_at_so_many_rows_and_says_where_it_stopped() {
        let mut catalog = Catalog::in_memory().unwrap();
        let rows = (0..ROWS_MAX as u64 + 10).map(|number| upsert("files", &format!("k{number}"), 1));
        let changes: Vec<_> = [unread("files", "first")].into_iter().chain(rows).collect();
        commit(&mut catalog, 1, changes);
        let page = catalog.unread(None, 10).unwrap();
        assert!(page.items.is_empty() && page.next.is_some());
        let page = catalog.unread(page.next, 10).unwrap();
        assert_eq!((page.items.len(), page.next), (1, None));
    }
}
