//! A sink in memory that keeps what a vault would keep, fails when told to, and survives a reader that is killed.

use std::{
    collections::BTreeMap,
    io::Read,
    sync::{Arc, Condvar, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use connect::{ChangeSink, Cursor, LogTail, SinkError};
use model::{Event, Item, Layout, Stage, StreamName, UnreadableReason};

/// One stored item.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) item: Item,
    pub(crate) layout: Layout,
    pub(crate) body: Vec<u8>,
}

/// Where a process is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Death {
    /// Before the bytes are taken.
    BeforeAppend,
    /// When they are taken and not durable.
    BeforeSync,
    /// When they are durable and not acknowledged.
    AfterSync,
}

/// Everything that is stored.
#[derive(Debug, Default)]
pub(crate) struct Inner {
    /// Visible items, by stream and key.
    pub(crate) items: BTreeMap<(String, String), Stored>,
    /// Items since the last checkpoint.
    pub(crate) draft: BTreeMap<(String, String), Stored>,
    pub(crate) events: Vec<Event>,
    /// What was told before it was settled.
    pub(crate) glimpses: Vec<(Stage, Event)>,
    draft_events: Vec<Event>,
    /// Each log as runs of bytes without gaps.
    pub(crate) logs: BTreeMap<String, Vec<(u64, Vec<u8>)>>,
    /// How much of the last run of each log is synced.
    pub(crate) synced: BTreeMap<String, u64>,
    /// Where each log stood at the last checkpoint.
    committed: BTreeMap<String, u64>,
    pub(crate) cursor: Option<Cursor>,
    pub(crate) checkpoints: u64,
    pub(crate) appends: u64,
    /// Appends from this number on find the disk full.
    pub(crate) full_from: Option<u64>,
    /// The calls after which the sink dies, as a killed process does: at the nth append, or the sync after it.
    pub(crate) dies_at: Option<(u64, Death)>,
}

/// A handle to what is stored; clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct MemorySink(Arc<(Mutex<Inner>, Condvar)>);

impl MemorySink {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.0.lock().unwrap()
    }

    /// Waits until something is true of what is stored.
    pub(crate) fn wait(&self, what: &str, mut is_true: impl FnMut(&Inner) -> bool) {
        let patience = Duration::from_mins(1);
        let until = Instant::now() + patience;
        let mut inner = self.lock();
        while !is_true(&inner) {
            let left = until.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{what} did not come within {patience:?}");
            inner = self.0.1.wait_timeout(inner, left.min(Duration::from_millis(500))).unwrap().0;
        }
    }

    /// Begins anew as a process does after a crash: what was neither synced nor committed is gone.
    pub(crate) fn crash(&self) {
        let mut inner = self.lock();
        inner.draft.clear();
        inner.draft_events.clear();
        let synced = inner.synced.clone();
        for (stream, runs) in &mut inner.logs {
            let end = synced.get(stream).copied().unwrap_or(0);
            if let Some((start, bytes)) = runs.last_mut() {
                bytes.truncate(end.saturating_sub(*start) as usize);
            }
        }
    }

    pub(crate) fn cursor(&self) -> Option<Cursor> {
        self.lock().cursor.clone()
    }

    fn changed(&self) {
        self.0.1.notify_all();
    }
}

impl Inner {
    fn die(&self, here: Death) -> Result<(), SinkError> {
        match self.dies_at {
            Some((append, death)) if self.appends >= append && (death == here || self.appends > append) => {
                Err(SinkError::Vault("killed".into()))
            }
            _ => Ok(()),
        }
    }

    /// Returns where a log ends durably.
    pub(crate) fn durable(&self, stream: &str) -> u64 {
        self.synced.get(stream).copied().unwrap_or(0)
    }

    /// Returns the bytes of a log from `start` to `end`, if they are there.
    pub(crate) fn log(&self, stream: &str, start: u64, end: u64) -> Option<Vec<u8>> {
        let runs = self.logs.get(stream)?;
        let (first, bytes) =
            runs.iter().find(|(first, bytes)| *first <= start && end <= first + bytes.len() as u64)?;
        Some(bytes[(start - first) as usize..(end - first) as usize].to_vec())
    }

    pub(crate) fn stream(&self, name: &str) -> Vec<&Stored> {
        self.items.iter().filter(|((stream, _), _)| stream == name).map(|(_, stored)| stored).collect()
    }
}

impl ChangeSink for MemorySink {
    fn tail(&mut self, stream: &StreamName) -> Result<Option<LogTail>, SinkError> {
        let inner = self.lock();
        let committed = inner.committed.get(stream.as_str()).copied().unwrap_or(0);
        let Some((start, bytes)) = inner.logs.get(stream.as_str()).and_then(|runs| runs.last()) else {
            return Ok(None);
        };
        let offset = committed.max(*start);
        let bytes = bytes[(offset - start) as usize..].to_vec();
        Ok((!bytes.is_empty()).then_some(LogTail { offset, bytes }))
    }

    fn upsert(&mut self, item: Item, layout: Layout, body: &mut dyn Read) -> Result<(), SinkError> {
        let mut content = Vec::new();
        body.read_to_end(&mut content).map_err(|source| SinkError::Body { key: item.key.clone(), source })?;
        let key = (item.stream.as_str().to_owned(), item.key.clone());
        self.lock().draft.insert(key, Stored { item, layout, body: content });
        self.changed();
        Ok(())
    }

    fn unchanged(&mut self, _: u64) -> Result<(), SinkError> {
        Ok(())
    }

    fn enumerated(&mut self, _: u64) -> Result<(), SinkError> {
        Ok(())
    }

    fn removed(&mut self, stream: StreamName, key: String) -> Result<(), SinkError> {
        panic!("{stream} {key} was removed, and nothing of a cluster ever is");
    }

    fn unreadable(&mut self, _: StreamName, key: String, reason: UnreadableReason) -> Result<(), SinkError> {
        panic!("{key}: {reason:?}");
    }

    fn glimpse(&mut self, stage: Stage, event: Event) -> Result<(), SinkError> {
        self.lock().glimpses.push((stage, event));
        self.changed();
        Ok(())
    }

    fn event(&mut self, event: Event) -> Result<(), SinkError> {
        self.lock().draft_events.push(event);
        Ok(())
    }

    fn append(&mut self, stream: &StreamName, offset: u64, bytes: &[u8]) -> Result<(), SinkError> {
        let mut inner = self.lock();
        inner.appends += 1;
        if inner.full_from.is_some_and(|from| inner.appends >= from) {
            return Err(SinkError::Full("no space left on device".into()));
        }
        inner.die(Death::BeforeAppend)?;
        let runs = inner.logs.entry(stream.as_str().to_owned()).or_default();
        match runs.last_mut() {
            Some((start, run)) if *start + run.len() as u64 == offset => run.extend_from_slice(bytes),
            Some((start, run)) => {
                let end = *start + run.len() as u64;
                assert!(offset > end, "{stream}: {offset:X} was appended again, it ends at {end:X}");
                runs.push((offset, bytes.to_vec()));
            }
            None => runs.push((offset, bytes.to_vec())),
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<(), SinkError> {
        let mut inner = self.lock();
        inner.die(Death::BeforeSync)?;
        let ends: Vec<(String, u64)> = inner
            .logs
            .iter()
            .filter_map(|(stream, runs)| {
                runs.last().map(|(start, run)| (stream.clone(), start + run.len() as u64))
            })
            .collect();
        inner.synced.extend(ends);
        let survives = inner.die(Death::AfterSync);
        drop(inner);
        self.changed();
        survives
    }

    fn checkpoint(&mut self, cursor: &Cursor) -> Result<(), SinkError> {
        self.sync()?;
        let mut inner = self.lock();
        let inner = &mut *inner;
        inner.items.append(&mut inner.draft);
        inner.events.append(&mut inner.draft_events);
        inner.committed.clone_from(&inner.synced);
        inner.cursor = Some(cursor.clone());
        inner.checkpoints += 1;
        self.changed();
        Ok(())
    }
}
