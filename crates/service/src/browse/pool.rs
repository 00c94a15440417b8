//! Connections to catalogs that are used again. A catalog that was made anew meanwhile is another file.

use std::{
    collections::HashMap,
    ops::Deref,
    os::unix::fs::MetadataExt,
    path::Path,
    sync::{Mutex, PoisonError},
};

use catalog::{Catalog, CatalogError, search, search::SearchIndex};
use model::SourceName;

use super::BrowseError;

/// So many idle connections stay open for each source.
const IDLE_MAX: usize = 4;

/// What tells a file from another one of the same name.
type FileIdentity = Option<(u64, u64)>;

/// A catalog and its index, open to be asked.
pub(super) struct Opened {
    pub(super) catalog: Catalog,
    /// None when there is none yet, or it is not of this catalog.
    pub(super) index: Option<SearchIndex>,
    files: (FileIdentity, FileIdentity),
}

#[derive(Default)]
pub(super) struct Pool {
    idle: Mutex<HashMap<SourceName, Vec<Opened>>>,
}

/// An opened catalog that goes back into the pool.
pub(super) struct Reading<'a> {
    pool: &'a Pool,
    source: SourceName,
    /// There is one until it goes back.
    opened: Option<Opened>,
    kept: Kept<'a>,
}

/// What stands in for an opened catalog once it went back; never seen by anybody.
type Kept<'a> = std::marker::PhantomData<&'a ()>;

impl Pool {
    /// Takes an idle connection, or opens one.
    pub(super) fn take(&self, source: &SourceName, path: &Path) -> Result<Reading<'_>, BrowseError> {
        let index_path = search::path_beside(path);
        let files = (identity(path), identity(&index_path));
        if files.0.is_none() {
            return Err(BrowseError::NoCatalog { name: source.clone() });
        }
        let idle = {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            let of_source = idle.entry(source.clone()).or_default();
            of_source.retain(|opened| opened.files == files);
            of_source.pop()
        };
        let opened = match idle {
            Some(opened) => opened,
            None => open(source, path, files)?,
        };
        Ok(Reading { pool: self, source: source.clone(), opened: Some(opened), kept: Kept::default() })
    }
}

fn open(
    source: &SourceName,
    path: &Path,
    files: (FileIdentity, FileIdentity),
) -> Result<Opened, BrowseError> {
    let catalog = match Catalog::open_to_read(path) {
        // It is made anew by whoever refreshes it.
        Err(CatalogError::Stale { .. }) => return Err(BrowseError::NoCatalog { name: source.clone() }),
        other => other?,
    };
    let index = match files.1 {
        Some(_) => SearchIndex::open_to_read(&search::path_beside(path)).ok(),
        None => None,
    };
    Ok(Opened { catalog, index, files })
}

#[cfg(test)]
mod tests {}
