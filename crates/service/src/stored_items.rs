//! Many small items: found in the catalog page by page, read from the vault in the order in which they lie there.

use std::sync::{
    Arc, Mutex, PoisonError,
    mpsc::{Receiver, SyncSender, sync_channel},
};

use catalog::Version;
use connect::{Progress, StoredBody, StoredError, StoredItem, StoredItems, TakeItem};
use model::StreamName;
use vault::{
    Content,
    reader::{ContentReader, ItemReader},
};

use crate::stored::{StoredSource, catalog_failed, content_failed, stored_item};

/// Content up to this size is read at once, with its neighbours.
const SMALL_BYTES: u64 = 4 << 20;
const PAGE_ROWS: u32 = 256;
const PAGE_BYTES: u64 = 4 << 20;
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

    /// Hands out the pages of what was live after a commit, until nobody listens.
    fn scan(
        &self,
        stream: &StreamName,
        at: u64,
        pages: &SyncSender<Vec<Version>>,
    ) -> Result<(), StoredError> {
        let mut after = 0;
        loop {
            let page = self
                .catalog()
                .page_at(stream, at, after, PAGE_ROWS)
                .map_err(|error| catalog_failed(stream.as_str(), error))?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = *last;
            let (mut part, mut bytes) = (Vec::with_capacity(page.len()), 0);
            for (_, version) in page {
                bytes += version.size_bytes;
                part.push(version);
                if bytes >= PAGE_BYTES {
                    bytes = 0;
                    if pages.send(std::mem::take(&mut part)).is_err() {
                        return Ok(());
                    }
                }
            }
            if !part.is_empty() && pages.send(part).is_err() {
                return Ok(());
            }
        }
    }

    fn take_pages(
        &self,
        pages: &Mutex<Receiver<Vec<Version>>>,
        take: &TakeItem<'_>,
        progress: &dyn Progress,
    ) -> Result<(), StoredError> {
        let mut items = self.reader().items();
        loop {
            let page = pages.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(page) = page else { return Ok(()) };
            let mut bytes = 0;
            for mut version in page {
                let Some(content) = version.content.take() else { continue };
                let item = stored_item(version);
                bytes += content.length;
                if content.length <= SMALL_BYTES {
                    take(
                        &item,
                        &mut Small { items: &mut items, content: Some(&content), key: &item.item.key },
                    )?;
                } else {
                    let reader = self.reader().read_content(&content);
                    take(&item, &mut Large { reader, key: &item.item.key })?;
                }
            }
            progress.advance(bytes);
        }
    }
}

impl StoredItems for StoredSource {
    fn each(
        &self,
        stream: &StreamName,
        at: u64,
        take: &TakeItem<'_>,
        progress: &dyn Progress,
    ) -> Result<(), StoredError> {
        let (sender, pages) = sync_channel(THREADS);
        // Owned by the working threads: when both have ended, the scan learns it.
        let pages = Arc::new(Mutex::new(pages));
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..THREADS)
                .map(|_| {
                    let pages = Arc::clone(&pages);
                    scope.spawn(move || self.take_pages(&pages, take, progress))
                })
                .collect();
            drop(pages);
            let scanned = self.scan(stream, at, &sender);
            drop(sender);
            let died = || StoredError::Missing { what: "a reading thread".to_owned() };
            let results = workers.into_iter().map(|worker| worker.join().unwrap_or_else(|_| Err(died())));
            results.fold(scanned, |all, one| all.and(one))
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
