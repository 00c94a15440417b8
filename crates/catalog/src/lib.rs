//! The index of what a vault holds for one source, in SQLite. A cache: delete it, rebuild it, same answers.

mod apply;
mod query;

use std::path::{Path, PathBuf};

use rusqlite::Connection;

pub use apply::Applied;
pub use query::{CommitRow, EventFilter, Version};

/// The schema's number; a catalog with another one is rebuilt.
const SCHEMA: i64 = 1;

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

impl Catalog {
    /// Opens or creates the catalog in a file.
    pub fn open(path: &Path) -> Result<Self, CatalogError> {
        let database = Connection::open(path)?;
        // WAL lets readers go on while capture writes. Losing the last commits in a power cut is harmless: it is a cache.
        database.pragma_update(None, "journal_mode", "WAL")?;
        database.pragma_update(None, "synchronous", "NORMAL")?;
        database.busy_timeout(std::time::Duration::from_secs(10))?;
        let stale = || CatalogError::Stale { path: path.to_owned() };
        let version: i64 =
            database.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(|_| stale())?;
        match version {
            0 => {
                database.execute_batch(&format!(
                    "BEGIN;\n{}\nPRAGMA user_version = {SCHEMA};\nCOMMIT;",
                    include_str!("schema.sql")
                ))?;
            }
            SCHEMA => {}
            _ => return Err(stale()),
        }
        Ok(Self { database })
    }

    /// Makes a catalog that lives in memory.
    pub fn in_memory() -> Result<Self, CatalogError> {
        let database = Connection::open_in_memory()?;
        database.execute_batch(include_str!("schema.sql"))?;
        Ok(Self { database })
    }
}
