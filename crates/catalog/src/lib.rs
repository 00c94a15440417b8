//! The index of what a vault holds for one source, in SQLite. A cache: delete it, rebuild it, same answers.

mod apply;
mod browse;
mod folder;
mod past;
mod query;
pub mod search;
mod unread;

use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

pub use apply::Applied;
pub use browse::{Direction, Page, PageRequest, Row};
pub use folder::{Child, Children, Place};
pub use past::{Past, Removal, RemovalEdge, StreamSize, VersionEdge};
pub use query::{CommitRow, EventFilter, Version};
pub use unread::{UnreadItem, UnreadItems};

/// The schema's number; a catalog with another one is rebuilt.
const SCHEMA: i64 = 3;
/// So long a connection waits for another one's lock.
const BUSY: std::time::Duration = std::time::Duration::from_secs(10);

/// Why the catalog cannot answer.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// The file was written by another version of unwipe, or is damaged: delete it and rebuild.
    #[error("the catalog {} must be rebuilt", path.display())]
    Stale {
        /// The catalog's file.
        path: PathBuf,
    },
    /// Commits are applied in order; this one does not follow.
    #[error("commit {found} does not follow commit {last} in the catalog")]
    Order {
        /// The newest applied commit.
        last: u64,
        /// The commit that was offered.
        found: u64,
    },
    /// A stored value is not what was written.
    #[error("the catalog holds a damaged {what}")]
    Damaged {
        /// What could not be understood.
        what: &'static str,
        /// Why not.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// SQLite failed.
    #[error("the catalog's database failed")]
    Database(#[from] rusqlite::Error),
}

/// The catalog of one source.
#[derive(Debug)]
pub struct Catalog {
    database: Connection,
}

impl CatalogError {
    /// Returns whether the file is of no more use; deleting it loses nothing that the vault does not hold.
    pub fn needs_rebuild(&self) -> bool {
        match self {
            Self::Stale { .. } | Self::Damaged { .. } => true,
            Self::Database(error) => matches!(
                error.sqlite_error_code(),
                Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt | ErrorCode::TypeMismatch)
            ),
            Self::Order { .. } => false,
        }
    }

    /// Returns what a person can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Stale { path } => Some(format!("rm {}", path.display())),
            error if error.needs_rebuild() => {
                Some("delete catalog.sqlite of the source; it is rebuilt from the vault".to_owned())
            }
            _ => None,
        }
    }
}

impl Catalog {
    /// Opens or creates the catalog in a file.
    pub fn open(path: &Path) -> Result<Self, CatalogError> {
        let stale = || CatalogError::Stale { path: path.to_owned() };
        let mut database = Connection::open(path)?;
        prepare(&mut database).map_err(|error| damaged_file(path, error))?;
        match schema(&database)? {
            SCHEMA => Ok(Self { database }),
            _ => Err(stale()),
        }
    }

    /// Opens a catalog that is there, for questions alone: nothing is made, and nothing can be changed.
    pub fn open_to_read(path: &Path) -> Result<Self, CatalogError> {
        let stale = || CatalogError::Stale { path: path.to_owned() };
        // Not SQLite's own read-only mode: it cannot read a file in WAL mode whose last writer closed it.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let database = Connection::open_with_flags(path, flags)?;
        database.busy_timeout(BUSY)?;
        let found = schema(&database).map_err(|error| damaged_file(path, error))?;
        database.pragma_update(None, "query_only", true)?;
        if found == SCHEMA { Ok(Self { database }) } else { Err(stale()) }
    }

    /// Makes a catalog that lives in memory.
    pub fn in_memory() -> Result<Self, CatalogError> {
        let mut database = Connection::open_in_memory()?;
        prepare(&mut database)?;
        Ok(Self { database })
    }
}

/// Sets a database up, and makes the tables where there are none yet.
fn prepare(database: &mut Connection) -> Result<(), CatalogError> {
    database.busy_timeout(BUSY)?;
    // WAL lets readers go on while capture writes. Losing the last commits in a power cut is harmless: it is a cache.
    match database.pragma_update(None, "journal_mode", "WAL") {
        // SQLite does not wait here. Whoever is in the way is setting the same mode, which stays with the file.
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {}
        other => other?,
    }
    database.pragma_update(None, "synchronous", "NORMAL")?;
    if schema(database)? == 0 {
        // Two processes may come upon the empty file together: the second one finds the tables made.
        let transaction = database.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if schema(&transaction)? == 0 {
            transaction.execute_batch(include_str!("schema.sql"))?;
            transaction.pragma_update(None, "user_version", SCHEMA)?;
        }
        transaction.commit()?;
    }
    Ok(())
}

/// Says of a file that cannot be used that it must be made anew.
fn damaged_file(path: &Path, error: CatalogError) -> CatalogError {
    if error.needs_rebuild() { CatalogError::Stale { path: path.to_owned() } } else { error }
}

fn schema(database: &Connection) -> Result<i64, CatalogError> {
    Ok(database.pragma_query_value(None, "user_version", |row| row.get(0))?)
}

#[cfg(test)]
mod tests;
