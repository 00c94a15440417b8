//! One item to read, and two versions of it compared.

use std::io::Write;

use catalog::{Row, Version};
use connect::Progress;
use model::{SourceName, StreamName};
use render::{Limits, Stored};

use super::{
    At, Browse, BrowseError, Compared, ItemView, Stand, pages, past::VERSIONS_COUNTED, pool::Opened, stand,
};

/// An item's row, and where its content is.
struct Found {
    stand: Stand,
    row: Row,
    version: Version,
}

impl Browse {
    /// Shows an item as it was at a moment.
    pub fn item(
        &self,
        source: &SourceName,
        (stream, key): (&StreamName, &str),
        at: At,
    ) -> Result<ItemView, BrowseError> {
        let (found, entry, versions) = self.ask(source, |opened, kind| {
            let found = find(opened, source, (stream, key), at)?;
            let versions = opened.catalog.count_versions(stream, key, VERSIONS_COUNTED)?;
            let entry = pages::entry(&opened.catalog, kind, found.row.clone())?;
            Ok((found, entry, versions))
        })?;
        let document = self.document(self.kind(source)?, &found, &Limits::PAGE)?;
        Ok(ItemView { stand: found.stand, entry, document, versions })
    }

    /// Compares an item as it was at two moments.
    pub fn difference(
        &self,
        source: &SourceName,
        (stream, key): (&StreamName, &str),
        (old, new): (At, At),
    ) -> Result<Compared, BrowseError> {
        let ((old, old_entry), (new, new_entry)) = self.ask(source, |opened, kind| {
            let side = |at| {
                let found = find(opened, source, (stream, key), at)?;
                let entry = pages::entry(&opened.catalog, kind, found.row.clone())?;
                Ok::<_, BrowseError>((found, entry))
            };
            Ok((side(old)?, side(new)?))
        })?;
        let digest =
            |found: &Found| found.version.content.as_ref().map(|content| (content.length, content.digest));
        let kind = self.kind(source)?;
        let difference = render::difference(
            &self.document(kind, &old, &Limits::COMPARISON)?,
            &self.document(kind, &new, &Limits::COMPARISON)?,
        );
        Ok(Compared {
            is_content_same: digest(&old) == digest(&new),
            old: old_entry,
            new: new_entry,
            difference,
        })
    }

    /// Writes the whole content that an item had at a moment, checked; returns how many bytes it has.
    pub fn content(
        &self,
        source: &SourceName,
        place: (&StreamName, &str),
        at: At,
        (out, progress): (&mut dyn Write, &dyn Progress),
    ) -> Result<u64, BrowseError> {
        let found = self.ask(source, |opened, _| find(opened, source, place, at))?;
        let content = found.version.content.ok_or(BrowseError::NoContent)?;
        let length = content.length;
        let mut reader = self.vault_reader()?.open_content(content);
        while let Some(portion) = reader.next_portion()? {
            out.write_all(portion).map_err(BrowseError::Write)?;
            progress.advance(portion.len() as u64);
        }
        out.flush().map_err(BrowseError::Write)?;
        Ok(length)
    }

    fn document(&self, kind: &str, found: &Found, limits: &Limits) -> Result<render::Document, BrowseError> {
        let content = match &found.version.content {
            Some(content) if content.length > 0 => {
                let length = content.length.min(limits.content_bytes() as u64);
                Some(self.vault_reader()?.read_range(content, 0, length)?)
            }
            Some(_) => Some(Vec::new()),
            None => None,
        };
        let stored = Stored {
            stream: &found.row.stream,
            key: &found.row.key,
            attributes: &found.row.attributes,
            content: content.as_deref(),
            size_bytes: found.row.size_bytes,
            reason: found.row.reason.as_deref(),
        };
        Ok(render::render(kind, &stored, limits))
    }
}

fn find(
    opened: &Opened,
    source: &SourceName,
    (stream, key): (&StreamName, &str),
    at: At,
) -> Result<Found, BrowseError> {
    let catalog = &opened.catalog;
    let stand = stand(catalog, source, at)?;
    let row = catalog.row_at(stream, key, stand.commit)?.ok_or(BrowseError::NotThere)?;
    let version = catalog.version_of_row(row.id)?.ok_or(BrowseError::NotThere)?;
    Ok(Found { stand, row, version })
}
