//! What connectors may read of a source's stored past: the catalog says where, the vault gives the bytes.

use std::{
    io::{self, Read, Write},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
        mpsc::sync_channel,
    },
};

use capture::LogRun;
use catalog::{Catalog, CatalogError, Version};
use connect::{LogRange, Progress, Stored, StoredError, StoredItem};
use model::StreamName;
use vault::{Content, VaultError, VaultReader};

/// Content up to this size is read at once.
const SMALL_BYTES: u64 = 1 << 20;
/// How many portions are decoded ahead of the writer.
const PORTIONS_AHEAD: usize = 2;
const THREADS: usize = 2;

/// One source's stored past.
pub struct StoredSource {
    catalog: Mutex<Catalog>,
    reader: VaultReader,
}

impl StoredSource {
    /// Puts a catalog and a reader of the same vault together.
    pub const fn new(catalog: Catalog, reader: VaultReader) -> Self {
        Self { catalog: Mutex::new(catalog), reader }
    }

    /// Returns the catalog.
    pub fn catalog(&self) -> MutexGuard<'_, Catalog> {
        self.catalog.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the reader of the vault.
    pub const fn reader(&self) -> &VaultReader {
        &self.reader
    }

    /// Returns where a stored version of an item is.
    pub fn content(&self, item: &StoredItem) -> Result<Content, StoredError> {
        let key = &item.item.key;
        let version = self
            .catalog()
            .live_item(&item.item.stream, key)
            .map_err(|error| catalog_failed(key, error))?
            .filter(|version| version.sequence == item.sequence)
            .and_then(|version| version.content);
        version.ok_or_else(|| StoredError::Missing { what: key.clone() })
    }

    fn copy(
        &self,
        item: &StoredItem,
        out: &mut dyn Write,
        progress: &dyn Progress,
    ) -> Result<(), StoredError> {
        let content = self.content(item)?;
        let key = &item.item.key;
        let write_failed = |source| StoredError::Write { what: key.clone(), source };
        if content.length <= SMALL_BYTES {
            let bytes = self.reader.read_all(&content).map_err(|error| content_failed(key, error))?;
            out.write_all(&bytes).map_err(write_failed)?;
            progress.advance(bytes.len() as u64);
            return out.flush().map_err(write_failed);
        }
        // Decoding the next portion and writing the last one keep a core each busy.
        std::thread::scope(|scope| {
            let (portions, decoded) = sync_channel(PORTIONS_AHEAD);
            let mut reader = self.reader.read_content(&content);
            scope.spawn(move || {
                // A writer that failed listens no more, and says itself why.
                while let Some(portion) = reader.take_portion().transpose() {
                    let failed = portion.is_err();
                    if portions.send(portion).is_err() || failed {
                        return;
                    }
                }
            });
            for portion in decoded {
                let bytes = portion.map_err(|error| content_failed(key, error))?;
                out.write_all(&bytes).map_err(write_failed)?;
                progress.advance(bytes.len() as u64);
            }
            out.flush().map_err(write_failed)
        })
    }
}

impl Stored for StoredSource {
    fn items(&self, stream: &StreamName) -> Result<Vec<StoredItem>, StoredError> {
        let versions = self.catalog().live(stream).map_err(|error| catalog_failed(stream.as_str(), error))?;
        Ok(versions.into_iter().filter(|version| version.content.is_some()).map(stored_item).collect())
    }

    fn read(&self, item: &StoredItem, out: &mut dyn Write) -> Result<(), StoredError> {
        self.copy(item, out, &connect::Silent)
    }

    fn read_many(
        &self,
        items: &[StoredItem],
        open: &(dyn Fn(&StoredItem) -> io::Result<Box<dyn Write + Send>> + Sync),
        progress: &dyn Progress,
    ) -> Result<(), StoredError> {
        // The largest first, so that no thread is left alone with one of them at the end.
        let mut order: Vec<&StoredItem> = items.iter().collect();
        order.sort_by_key(|item| std::cmp::Reverse(item.size_bytes));
        let next = AtomicUsize::new(0);
        let failure = Mutex::new(None);
        let work = || {
            while let Some(item) = order.get(next.fetch_add(1, Ordering::SeqCst)) {
                let result = open(item)
                    .map_err(|source| StoredError::Write { what: item.item.key.clone(), source })
                    .and_then(|mut out| self.copy(item, &mut *out, progress));
                if let Err(error) = result {
                    failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                    next.store(order.len(), Ordering::SeqCst);
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(work);
            }
        });
        failure.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
    }

    fn log_ranges(&self, stream: &StreamName, start: u64, end: u64) -> Result<Vec<LogRange>, StoredError> {
        let versions = self.runs(stream, start, end)?;
        Ok(versions
            .iter()
            .map(|(run, version)| LogRange { start: run.start, end: run.end, sequence: version.sequence })
            .collect())
    }

    fn read_log<'a>(
        &'a self,
        stream: &StreamName,
        start: u64,
        end: u64,
    ) -> Result<Box<dyn Read + 'a>, StoredError> {
        let runs = self.runs(stream, start, end)?;
        Ok(Box::new(LogReader {
            source: self,
            runs: runs.into_iter(),
            position: start,
            end,
            piece: Vec::new(),
            read: 0,
        }))
    }
}

impl StoredSource {
    /// Lists the stored runs of a log that touch `start..end`, in order of their starts.
    fn runs(&self, stream: &StreamName, start: u64, end: u64) -> Result<Vec<(LogRun, Version)>, StoredError> {
        let failed = |error| catalog_failed(stream.as_str(), error);
        let versions = self.catalog().live_runs(stream, start, end).map_err(failed)?;
        let runs = versions.into_iter().filter_map(|version| {
            LogRun::of_attributes(&version.item.attributes)
                .filter(|run| run.end > start && run.start < end)
                .map(|run| (run, version))
        });
        Ok(runs.collect())
    }
}

/// Reads a log across the runs that hold it.
struct LogReader<'a> {
    source: &'a StoredSource,
    runs: std::vec::IntoIter<(LogRun, Version)>,
    position: u64,
    end: u64,
    piece: Vec<u8>,
    read: usize,
}

impl LogReader<'_> {
    /// Loads the next run that goes beyond the position; runs may overlap where a killed capture was resumed.
    fn load(&mut self) -> io::Result<bool> {
        while self.position < self.end {
            let Some((run, version)) = self.runs.next() else {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the log ends before"));
            };
            if run.end <= self.position {
                continue;
            }
            if run.start > self.position {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the log has a gap"));
            }
            let content = version.content.ok_or_else(|| io::Error::other("the run has no content"))?;
            let bytes = self.source.reader.read_all(&content).map_err(io::Error::other)?;
            let until = (self.end.min(run.end) - run.start) as usize;
            let from = (self.position - run.start) as usize;
            self.piece = bytes.get(from..until).map(<[u8]>::to_vec).ok_or_else(|| {
                io::Error::new(io::ErrorKind::InvalidData, "the run is shorter than its commit says")
            })?;
            self.read = 0;
            self.position = self.end.min(run.end);
            return Ok(true);
        }
        Ok(false)
    }
}

impl Read for LogReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.read == self.piece.len() && !self.load()? {
            return Ok(0);
        }
        let count = buffer.len().min(self.piece.len() - self.read);
        buffer[..count].copy_from_slice(&self.piece[self.read..self.read + count]);
        self.read += count;
        Ok(count)
    }
}

pub(crate) fn stored_item(version: Version) -> StoredItem {
    StoredItem { item: version.item, sequence: version.sequence, size_bytes: version.size_bytes }
}

pub(crate) fn catalog_failed(what: &str, error: CatalogError) -> StoredError {
    StoredError::Vault { what: what.to_owned(), source: Box::new(error) }
}

/// Tells damage from other failures.
pub(crate) fn content_failed(what: &str, error: VaultError) -> StoredError {
    let tampering = error.is_tampering();
    let (what, source) = (what.to_owned(), Box::new(error));
    if tampering { StoredError::Damaged { what, source } } else { StoredError::Vault { what, source } }
}
