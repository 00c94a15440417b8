//! A source's past item by item: what changed between two commits, and how each item was.

use catalog::Version;
use connect::{StoredBody, StoredError, StoredHistory, StoredVersion};
use model::StreamName;
use vault::reader::ContentReader;

use crate::stored::{StoredSource, catalog_failed, content_failed, stored_item};

fn stored_version(version: Version) -> StoredVersion {
    StoredVersion { has_content: version.content.is_some(), item: stored_item(version) }
}

impl StoredHistory for StoredSource {
    fn changed(&self, stream: &StreamName, after: u64, until: u64) -> Result<Vec<String>, StoredError> {
        self.catalog().changed(stream, after, until).map_err(|error| catalog_failed(stream.as_str(), error))
    }

    fn live_keys(
        &self,
        stream: &StreamName,
        at: u64,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<String>, StoredError> {
        let page = self.catalog().listed_at(stream, at, after, limit);
        let page = page.map_err(|error| catalog_failed(stream.as_str(), error))?;
        Ok(page.into_iter().map(|(item, _)| item.key).collect())
    }

    fn version(&self, stream: &StreamName, key: &str, at: u64) -> Result<Option<StoredVersion>, StoredError> {
        let version = self.catalog().item_at(stream, key, at).map_err(|error| catalog_failed(key, error))?;
        Ok(version.map(stored_version))
    }

    fn versions(
        &self,
        stream: &StreamName,
        key: &str,
        after: u64,
        until: u64,
    ) -> Result<Vec<StoredVersion>, StoredError> {
        let versions = self.catalog().versions_of(stream, key, after, until);
        let versions = versions.map_err(|error| catalog_failed(key, error))?;
        Ok(versions.into_iter().map(stored_version).collect())
    }

    fn content(&self, stream: &StreamName, key: &str, at: u64) -> Result<Vec<u8>, StoredError> {
        let (_, content) =
            self.item_at(stream, key, at)?.ok_or_else(|| StoredError::Missing { what: key.to_owned() })?;
        self.reader().read_all(&content).map_err(|error| content_failed(key, error))
    }

    fn open<'a>(
        &'a self,
        stream: &StreamName,
        key: &str,
        at: u64,
    ) -> Result<Box<dyn StoredBody + 'a>, StoredError> {
        let (_, content) =
            self.item_at(stream, key, at)?.ok_or_else(|| StoredError::Missing { what: key.to_owned() })?;
        Ok(Box::new(Opened { reader: self.reader().open_content(content), key: key.to_owned() }))
    }
}

struct Opened<'a> {
    reader: ContentReader<'a>,
    key: String,
}

impl StoredBody for Opened<'_> {
    fn next_portion(&mut self) -> Result<Option<&[u8]>, StoredError> {
        self.reader.next_portion().map_err(|error| content_failed(&self.key, error))
    }
}
