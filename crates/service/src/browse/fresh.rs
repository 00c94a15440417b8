//! Bringing catalogs and their indexes up to date, by a thread in the background.

use catalog::{CatalogError, search, search::SearchIndex};
use connect::{Progress, Stop};
use model::SourceName;

use super::{Browse, BrowseError, Freshness, describe};
use crate::{ServiceError, installation};

/// So much of the index is merged at a time, in pages of SQLite.
const MERGED_PAGES: u32 = 500;
/// So often at most.
const MERGES_MAX: u32 = 20;

impl Browse {
    /// Brings a source's catalog to the vault's newest commit, if there is a reader of it, and takes into the index of
    /// words what is new. Ends soon after it is asked to, and goes on there the next time.
    pub fn refresh(
        &self,
        source: &SourceName,
        stop: &Stop,
        progress: &dyn Progress,
    ) -> Result<Freshness, BrowseError> {
        let kind = self.kind(source)?;
        let failed = |error: ServiceError| BrowseError::Refresh(Box::new(error));
        let catalog = match &self.reader {
            Some(reader) => self.installation.caught_up(source, reader, progress),
            None => self.installation.catalog(source),
        };
        let catalog = catalog.map_err(failed)?;
        let mut index = self.open_index(source)?;
        let mut freshness = Freshness { commit: catalog.last_sequence()?, indexed: 0, is_indexed: false };
        while !freshness.is_indexed && !stop.is_requested() {
            let filled =
                index.fill(&catalog, &|stream, key, attributes| describe(kind, stream, key, attributes))?;
            freshness.indexed += filled.versions;
            freshness.is_indexed = filled.is_up_to_date;
            progress.advance(filled.versions);
        }
        for _ in 0..MERGES_MAX {
            if freshness.indexed == 0 || stop.is_requested() || !index.merge(MERGED_PAGES)? {
                break;
            }
        }
        Ok(freshness)
    }

    /// Opens the index of a source; one that is of no more use is moved aside and begun anew.
    fn open_index(&self, source: &SourceName) -> Result<SearchIndex, BrowseError> {
        let path = search::path_beside(&self.catalog_path(source));
        match SearchIndex::open(&path) {
            Err(CatalogError::Stale { .. }) => {
                let moved = installation::move_aside(&path);
                moved.map_err(|error| BrowseError::Refresh(Box::new(error.into())))?;
                Ok(SearchIndex::open(&path)?)
            }
            other => Ok(other?),
        }
    }
}
