//! Words in what items are called, beside the catalog: a cache of a cache, filled behind it, that may be deleted.
//!
//! Capture never writes it. The number of a version in the catalog is its number here, so that newest first is the order
//! in which the index is read anyway.

mod find;
mod inside;
mod terms;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, OpenFlags, OptionalExtension, TransactionBehavior, params};

pub use find::{Found, Wish};
pub use inside::{Inside, InsideEdge};
pub use terms::Terms;

use crate::{BUSY, Catalog, CatalogError, damaged_file};

/// The schema's number; an index with another one is made anew.
const SCHEMA: i64 = 1;
/// So many versions are taken in at a time.
const BATCH: u32 = 5_000;
/// By so many characters of their titles things are sorted in a folder.
const SORTED_CHARACTERS: usize = 100;

/// What is indexed of a version.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Described {
    /// What people call it: a subject, a file's name, a table.
    pub title: String,
    /// Names and addresses of people that have to do with it.
    pub people: String,
    /// In which folder it lies, where keys do not tell.
    pub folder: Option<String>,
}

/// Says what to index of a version, from its stream, key and attributes; nothing for what nobody looks for.
pub type Describe<'a> = dyn Fn(&str, &str, &str) -> Option<Described> + 'a;

/// How far an index was filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Filled {
    /// Versions that were looked at.
    pub versions: u64,
    /// Whether nothing is left.
    pub is_up_to_date: bool,
}

/// The index of one source's catalog.
#[derive(Debug)]
pub struct SearchIndex {
    database: Connection,
}

impl SearchIndex {
    /// Opens or makes an index; one that is damaged or of another version must be deleted.
    pub fn open(path: &Path) -> Result<Self, CatalogError> {
        let mut database = Connection::open(path)?;
        let prepared = prepare(&mut database).map_err(|error| damaged_file(path, error))?;
        if prepared == SCHEMA { Ok(Self { database }) } else { Err(stale(path)) }
    }

    /// Opens an index that is there, for questions alone.
    pub fn open_to_read(path: &Path) -> Result<Self, CatalogError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let database = Connection::open_with_flags(path, flags)?;
        database.busy_timeout(BUSY)?;
        let found = crate::schema(&database).map_err(|error| damaged_file(path, error))?;
        database.pragma_update(None, "query_only", true)?;
        if found == SCHEMA { Ok(Self { database }) } else { Err(stale(path)) }
    }

    /// Makes an index in memory.
    pub fn in_memory() -> Result<Self, CatalogError> {
        let mut database = Connection::open_in_memory()?;
        prepare(&mut database)?;
        Ok(Self { database })
    }

    /// Returns the last version of the catalog that was looked at.
    pub fn last_row(&self) -> Result<i64, CatalogError> {
        let mut statement = self.database.prepare_cached("SELECT row FROM progress")?;
        Ok(statement.query_row([], |row| row.get(0)).optional()?.unwrap_or(0))
    }

    /// Returns whether it was filled from this catalog: another one may count its versions differently.
    pub fn is_of(&self, catalog: &Catalog) -> Result<bool, CatalogError> {
        let mut statement = self.database.prepare_cached("SELECT row, mark FROM progress")?;
        let progress = statement
            .query_row([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))
            .optional()?;
        let Some((row, mark)) = progress else { return Ok(true) };
        Ok(mark_of(catalog, row)?.is_some_and(|found| found == mark))
    }

    /// Takes in one batch of versions that it does not know yet, in one transaction. An index of another catalog is
    /// emptied first.
    pub fn fill(&mut self, catalog: &Catalog, describe: &Describe<'_>) -> Result<Filled, CatalogError> {
        let is_of = self.is_of(catalog)?;
        let transaction = self.database.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if !is_of {
            transaction.execute_batch(EMPTY)?;
        }
        let last: i64 =
            transaction.query_row("SELECT row FROM progress", [], |row| row.get(0)).optional()?.unwrap_or(0);
        let (mut versions, mut newest) = (0, last);
        let mut names = HashMap::new();
        catalog.each_behind(last, BATCH, &mut |version| {
            let (row, stream, key, attributes) = version;
            (versions, newest) = (versions + 1, row);
            let name: &String = match names.entry(stream) {
                std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
                std::collections::hash_map::Entry::Vacant(new) => new.insert(catalog.stream_name(stream)?),
            };
            if let Some(described) = describe(name, key, attributes) {
                insert(&transaction, (row, stream, key), &described)?;
            }
            Ok(())
        })?;
        if newest > last {
            let mark = mark_of(catalog, newest)?.unwrap_or_default();
            transaction
                .execute("INSERT OR REPLACE INTO progress VALUES (0, ?1, ?2)", params![newest, mark])?;
        }
        transaction.commit()?;
        Ok(Filled { versions, is_up_to_date: versions < u64::from(BATCH) })
    }

    /// Merges the parts of the index a little; returns whether there was something to merge. Questions become faster.
    pub fn merge(&mut self, pages: u32) -> Result<bool, CatalogError> {
        let before = self.database.total_changes();
        self.database.execute("INSERT INTO texts (texts, rank) VALUES ('merge', ?1)", [pages])?;
        Ok(self.database.total_changes() > before + 1)
    }
}

/// Returns the file of the index beside a catalog's file.
pub fn path_beside(catalog: &Path) -> PathBuf {
    let name = catalog.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    catalog.with_file_name(name.replacen("catalog", "search", 1))
}

fn insert(
    database: &Connection,
    (row, stream, key): (i64, i64, &str),
    described: &Described,
) -> Result<(), CatalogError> {
    database
        .prepare_cached("INSERT INTO texts (rowid, title, key, people, place) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![row, described.title, key, described.people, terms::place(stream)])?;
    if let Some(folder) = &described.folder {
        let sorted = sorted(&described.title);
        database
            .prepare_cached("INSERT OR IGNORE INTO inside VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![stream, folder, sorted, row])?;
    }
    Ok(())
}

fn sorted(title: &str) -> String {
    title.chars().flat_map(char::to_lowercase).take(SORTED_CHARACTERS).collect()
}

/// What tells that a row is the same in another catalog.
fn mark_of(catalog: &Catalog, row: i64) -> Result<Option<String>, CatalogError> {
    let found = catalog.row(row)?;
    Ok(found.map(|row| format!("{}\n{}\n{}", row.from, row.stream, row.key)))
}

fn prepare(database: &mut Connection) -> Result<i64, CatalogError> {
    database.busy_timeout(BUSY)?;
    match database.pragma_update(None, "journal_mode", "WAL") {
        Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy) => {}
        other => other?,
    }
    database.pragma_update(None, "synchronous", "NORMAL")?;
    if crate::schema(database)? == 0 {
        let transaction = database.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if crate::schema(&transaction)? == 0 {
            transaction.execute_batch(include_str!("search.sql"))?;
            transaction.pragma_update(None, "user_version", SCHEMA)?;
        }
        transaction.commit()?;
    }
    crate::schema(database)
}

fn stale(path: &Path) -> CatalogError {
    CatalogError::Stale { path: path.to_owned() }
}

const EMPTY: &str =
    "INSERT INTO texts (texts) VALUES ('delete-all'); DELETE FROM inside; DELETE FROM progress;";

#[cfg(test)]
mod tests;
