//! All versions of an item, and what was removed.

use catalog::{RemovalEdge, VersionEdge};
use model::{SourceName, StreamName};

use super::{At, Browse, BrowseError, Deleted, DeletedItem, PageWish, Past, Versions, cursor, pages, stand};

/// Versions are counted up to here.
pub(super) const VERSIONS_COUNTED: u32 = 10_000;
/// So many pages of removals are looked through for those of one stream.
const PAGES_MAX: usize = 20;

impl Browse {
    /// Lists the versions of an item, the newest first, also those that were removed.
    pub fn versions(
        &self,
        source: &SourceName,
        (stream, key): (&StreamName, &str),
        wish: &PageWish,
    ) -> Result<Versions, BrowseError> {
        let behind = wish.cursor.as_deref().filter(|text| !text.is_empty()).map(cursor::read_pair);
        let behind =
            behind.transpose()?.map(|(until, id)| VersionEdge { until: (until > 0).then_some(until), id });
        self.ask(source, |opened, kind| {
            let catalog = &opened.catalog;
            let total = catalog.count_versions(stream, key, VERSIONS_COUNTED)?;
            let mut found = catalog.past_of(stream, key, behind, wish.limit() + 1)?;
            let is_more = found.len() > wish.limit() as usize;
            found.truncate(wish.limit() as usize);
            let last = found.last().filter(|_| is_more);
            let next = last.map(|last| cursor::pair(last.row.until.unwrap_or(0), last.row.id));
            let versions = found.into_iter().map(|past| {
                let until_commit = past.row.until;
                let until = until_commit.map(|commit| catalog.time_of(commit)).transpose()?.flatten();
                let entry = pages::entry(catalog, kind, past.row)?;
                Ok(Past { entry, until_commit, until, is_removed: past.is_removed })
            });
            Ok(Versions { total, versions: versions.collect::<Result<_, BrowseError>>()?, next })
        })
    }

    /// Lists what was removed after one moment and no later than another, the newest removals first; of one stream or
    /// of all.
    pub fn deleted_between(
        &self,
        source: &SourceName,
        stream: Option<&StreamName>,
        (after, until): (At, At),
        wish: &PageWish,
    ) -> Result<Deleted, BrowseError> {
        let behind = wish.cursor.as_deref().filter(|text| !text.is_empty()).map(cursor::read_pair);
        let mut behind = behind.transpose()?.map(|(sequence, id)| RemovalEdge { sequence, id });
        self.ask(source, |opened, kind| {
            let catalog = &opened.catalog;
            let (after, until) = (stand(catalog, source, after)?, stand(catalog, source, until)?);
            let limit = wish.limit() as usize;
            let mut deleted = Deleted { after, until, items: Vec::new(), next: None };
            for _ in 0..PAGES_MAX {
                let found = catalog.removed_between(after.commit, until.commit, behind, wish.limit() + 1)?;
                let is_last = found.len() <= limit;
                for removal in found {
                    if deleted.items.len() == limit {
                        break;
                    }
                    behind = Some(RemovalEdge { sequence: removal.sequence, id: removal.row.id });
                    if stream.is_some_and(|stream| stream.as_str() != removal.row.stream) {
                        continue;
                    }
                    let name = StreamName::new(removal.row.stream.as_str());
                    let is_back = match &name {
                        Ok(name) => catalog.row_at(name, &removal.row.key, until.commit)?.is_some(),
                        Err(_) => false,
                    };
                    deleted.items.push(DeletedItem {
                        removed_commit: removal.sequence,
                        removed: catalog.time_of(removal.sequence)?,
                        entry: pages::entry(catalog, kind, removal.row)?,
                        is_back,
                    });
                }
                deleted.next = behind.filter(|_| !is_last).map(|edge| cursor::pair(edge.sequence, edge.id));
                if is_last || deleted.items.len() == limit {
                    break;
                }
            }
            Ok(deleted)
        })
    }
}
