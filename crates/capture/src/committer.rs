//! The thread that finishes commits while the reader goes on.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, Sender, SyncSender, channel, sync_channel},
    },
    thread::JoinHandle,
};

use catalog::{Applied, Catalog, CatalogError};
use model::{Event, Item, StreamName};
use vault::{Change, CommitReceipt, CommitWriter, Cursor, Layout, WriteError};

use crate::LogRun;

/// Contiguous bytes of one log.
#[derive(Debug, Clone, Default)]
pub(crate) struct LogBytes {
    pub(crate) start: u64,
    pub(crate) bytes: Vec<u8>,
}

/// All that one commit will hold.
pub(crate) struct Batch {
    pub(crate) number: u64,
    pub(crate) writer: CommitWriter,
    /// The changes that the writer already has, for the catalog.
    pub(crate) changes: Vec<Change>,
    pub(crate) logs: BTreeMap<StreamName, Vec<LogBytes>>,
    pub(crate) events: Vec<Event>,
    pub(crate) cursor: Cursor,
}

/// A commit that is in the vault.
pub(crate) struct Done {
    pub(crate) number: u64,
    pub(crate) receipt: CommitReceipt,
    /// The catalog is a cache: when it fails, the commit stands, and the catalog is rebuilt some day.
    pub(crate) catalog: Result<(), CatalogError>,
}

/// A thread that takes batches in order.
pub(crate) struct Committer {
    batches: Option<SyncSender<Batch>>,
    results: Receiver<Result<Done, WriteError>>,
    thread: Option<JoinHandle<()>>,
    pub(crate) under_way: u64,
}

impl Committer {
    pub(crate) fn start(catalog: Arc<Mutex<Catalog>>) -> std::io::Result<Self> {
        // One batch waits while one is written: a reader that is faster than the vault is held back here.
        let (batches, queue) = sync_channel(1);
        let (answer, results) = channel();
        let thread = std::thread::Builder::new()
            .name("committer".to_owned())
            .spawn(move || run(&queue, &answer, &catalog))?;
        Ok(Self { batches: Some(batches), results, thread: Some(thread), under_way: 0 })
    }

    /// Hands a batch over; waits while the thread is two batches behind.
    pub(crate) fn submit(&mut self, batch: Batch) -> Result<(), WriteError> {
        let batches = self.batches.as_ref().ok_or(WriteError::Thread)?;
        batches.send(batch).map_err(|_| WriteError::Thread)?;
        self.under_way += 1;
        Ok(())
    }

    /// Returns the next result if there is one, or waits for it.
    pub(crate) fn result(&mut self, wait: bool) -> Result<Option<Done>, WriteError> {
        if self.under_way == 0 {
            return Ok(None);
        }
        let received = if wait {
            self.results.recv().map_err(|_| WriteError::Thread)?
        } else {
            match self.results.try_recv() {
                Ok(result) => result,
                Err(std::sync::mpsc::TryRecvError::Empty) => return Ok(None),
                Err(std::sync::mpsc::TryRecvError::Disconnected) => return Err(WriteError::Thread),
            }
        };
        self.under_way -= 1;
        received.map(Some)
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        self.batches = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            // The panic was printed by the thread; a result that never came is reported as `WriteError::Thread`.
        }
    }
}

fn run(queue: &Receiver<Batch>, answer: &Sender<Result<Done, WriteError>>, catalog: &Mutex<Catalog>) {
    for batch in queue {
        let result = commit(batch, catalog);
        // After a failure nothing later may be committed: it would leave a gap in the log.
        let failed = result.is_err();
        if answer.send(result).is_err() || failed {
            return;
        }
    }
}

fn commit(batch: Batch, catalog: &Mutex<Catalog>) -> Result<Done, WriteError> {
    let Batch { number, mut writer, mut changes, logs, events, cursor } = batch;
    for (stream, runs) in logs {
        for run in runs {
            let content = writer.store_bytes(Layout::Stream, &run.bytes)?;
            let position = LogRun { start: run.start, end: run.start + run.bytes.len() as u64 };
            let item =
                Item { stream: stream.clone(), key: position.key(), attributes: position.attributes() };
            writer.upsert(item.clone(), content.clone())?;
            changes.push(Change::Upsert { item, content });
        }
    }
    for event in events {
        writer.event(event.clone())?;
        changes.push(Change::Event(event));
    }
    let receipt = writer.finish(&cursor)?;
    let applied = Applied {
        sequence: receipt.sequence,
        hash: receipt.hash,
        vault_time: receipt.vault_time,
        cursor: cursor.0,
        ledger: receipt.ledger,
    };
    let catalog = catalog.lock().unwrap_or_else(PoisonError::into_inner).apply(&applied, changes);
    Ok(Done { number, receipt, catalog })
}
