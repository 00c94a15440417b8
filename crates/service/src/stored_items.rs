//! Many small items: found in the catalog page by page, read from the vault in the order in which they lie there.

use std::{
    ops::Range,
    sync::atomic::{AtomicI64, Ordering},
};

use catalog::Version;
use connect::{Progress, StoredBody, StoredError, StoredItem, StoredItems, TakeItem};
use model::StreamName;
use vault::{
    Content, VaultReader,
    reader::{ContentReader, ItemReader},
};

use crate::stored::{StoredSource, catalog_failed, content_failed, stored_item};

/// Content up to this size is read at once, with its neighbours.
const SMALL_BYTES: u64 = 4 << 20;
const PAGE_ROWS: u32 = 256;
const PART_ROWS_MAX: i64 = 2048;
/// Few items are most often large ones: so many parts for each thread keep all of them busy to the end.
const PARTS_PER_THREAD: i64 = 32;
const THREADS: usize = 2;

impl StoredSource {
    /// Finds the version of one item that was live after a commit.
    pub fn item_at(
        &self,
        stream: &StreamName,
        key: &str,
        at: u64,
    ) -> Result<Option<(StoredItem, Content)>, StoredError> {
        let version = self.catalog().item_at(stream, key, at).map_err(|error| catalog_failed(key, error))?;
        Ok(version.and_then(|mut version| {
            let content = version.content.take()?;
            Some((stored_item(version), content))
        }))
    }

    /// Takes parts of the catalog's rows, one after the other, until there are no more.
    fn take_parts(
        &self,
        stream: &StreamName,
        at: u64,
        parts: &Parts,
        take: &TakeItem<'_>,
        progress: &dyn Progress,
    ) -> Result<(), StoredError> {
        let mut items = self.reader().items();
        while let Some(mut rows) = parts.next() {
            loop {
                let page = self
                    .catalog()
                    .page_at(stream, at, rows.clone(), PAGE_ROWS)
                    .map_err(|error| catalog_failed(stream.as_str(), error))?;
                let Some((last, _)) = page.last() else { break };
                rows.start = *last + 1;
                for (_, version) in page {
                    progress.advance(take_one(self.reader(), &mut items, version, take)?);
                }
            }
        }
        Ok(())
    }
}

/// Neighbouring rows, shared out among threads. Large parts: what lies together was stored together, shares frames, and
/// most often goes into one folder, where two threads would only wait for each other.
struct Parts {
    next: AtomicI64,
    end: i64,
    rows: i64,
}

impl Parts {
    /// Shares out all rows before one.
    fn before(end: i64) -> Self {
        let rows = (end / (THREADS as i64 * PARTS_PER_THREAD)).clamp(1, PART_ROWS_MAX);
        Self { next: AtomicI64::new(0), end, rows }
    }

    fn next(&self) -> Option<Range<i64>> {
        let start = self.next.fetch_add(self.rows, Ordering::SeqCst);
        (start < self.end).then(|| start..self.end.min(start + self.rows))
    }

    /// Lets the others end soon.
    fn stop(&self) {
        self.next.store(self.end, Ordering::SeqCst);
    }
}

fn take_one(
    reader: &VaultReader,
    items: &mut ItemReader<'_>,
    mut version: Version,
    take: &TakeItem<'_>,
) -> Result<u64, StoredError> {
    let Some(content) = version.content.take() else { return Ok(0) };
    let item = stored_item(version);
    let key = &item.item.key;
    if content.length <= SMALL_BYTES {
        take(&item, &mut Small { items, content: Some(&content), key })?;
    } else {
        take(&item, &mut Large { reader: reader.read_content(&content), key })?;
    }
    Ok(content.length)
}

impl StoredItems for StoredSource {
    fn each(
        &self,
        stream: &StreamName,
        at: u64,
        take: &TakeItem<'_>,
        progress: &dyn Progress,
    ) -> Result<(), StoredError> {
        let last = self.catalog().last_row().map_err(|error| catalog_failed(stream.as_str(), error))?;
        let parts = Parts::before(last + 1);
        std::thread::scope(|scope| {
            let work = || {
                let result = self.take_parts(stream, at, &parts, take, progress);
                if result.is_err() {
                    parts.stop();
                }
                result
            };
            let workers: Vec<_> = (0..THREADS).map(|_| scope.spawn(work)).collect();
            let died = || StoredError::Missing { what: "a reading thread".to_owned() };
            for worker in workers {
                worker.join().map_err(|_| died())??;
            }
            Ok(())
        })
    }

    fn unread(&self, stream: &StreamName, at: u64, limit: u32) -> Result<Vec<String>, StoredError> {
        self.catalog().unread_at(stream, at, limit).map_err(|error| catalog_failed(stream.as_str(), error))
    }
}

struct Small<'a, 'r> {
    items: &'a mut ItemReader<'r>,
    content: Option<&'a Content>,
    key: &'a str,
}

impl StoredBody for Small<'_, '_> {
    fn next_portion(&mut self) -> Result<Option<&[u8]>, StoredError> {
        let Some(content) = self.content.take().filter(|content| content.length > 0) else { return Ok(None) };
        self.items.read(content).map(Some).map_err(|error| content_failed(self.key, error))
    }
}

struct Large<'a> {
    reader: ContentReader<'a>,
    key: &'a str,
}

impl StoredBody for Large<'_> {
    fn next_portion(&mut self) -> Result<Option<&[u8]>, StoredError> {
        self.reader.next_portion().map_err(|error| content_failed(self.key, error))
    }
}
