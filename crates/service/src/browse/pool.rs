//! Connections to catalogs that are used again. A catalog that was made anew meanwhile is another file.

use std::{
    collections::HashMap,
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

impl Pool {
    /// Asks a catalog, over an idle connection or a new one.
    pub(super) fn ask<T>(
        &self,
        source: &SourceName,
        path: &Path,
        question: impl FnOnce(&Opened) -> Result<T, BrowseError>,
    ) -> Result<T, BrowseError> {
        let opened = self.take(source, path)?;
        let answer = question(&opened);
        // What failed may fail again: it is opened anew.
        if !matches!(answer, Err(BrowseError::Catalog(_))) {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            let of_source = idle.entry(source.clone()).or_default();
            if of_source.len() < IDLE_MAX {
                of_source.push(opened);
            }
        }
        answer
    }

    fn take(&self, source: &SourceName, path: &Path) -> Result<Opened, BrowseError> {
        let files = (identity(path), identity(&search::path_beside(path)));
        if files.0.is_none() {
            return Err(BrowseError::NoCatalog { name: source.clone() });
        }
        let idle = {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            let of_source = idle.entry(source.clone()).or_default();
            // An index that was still being made when it was opened is looked for again.
            of_source.retain(|opened| opened.files == files && (opened.index.is_some() || files.1.is_none()));
            of_source.pop()
        };
        idle.map_or_else(|| open(source, path, files), Ok)
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

fn identity(path: &Path) -> FileIdentity {
    std::fs::metadata(path).ok().map(|found| (found.dev(), found.ino()))
}
