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
use model::{Completeness, Event, StreamName};
use ports::span::{Fact, Outcome, Work};
use vault::{CommitReceipt, CommitWriter, Cursor, VaultWriter, WriteError, tree::HEAD_INTERVAL};

use crate::{
    chunk_cache::{ChunkCache, NewChunks},
    log_run::{LogBytes, store_run, take_runs},
};

/// All that one commit will hold.
pub(crate) struct Batch {
    pub(crate) number: u64,
    /// What is told of the commit, from when it was asked for.
    pub(crate) work: Work,
    pub(crate) writer: CommitWriter,
    /// The chunks that the writer stores, to be known once they are in the vault.
    pub(crate) chunks: NewChunks,
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
    /// So is the tree of no concern to the commit: when no head can be made, the next one covers it.
    pub(crate) head: Result<(), WriteError>,
}

/// A thread that takes batches in order.
pub(crate) struct Committer {
    batches: Option<SyncSender<Batch>>,
    results: Receiver<Result<Done, WriteError>>,
    thread: Option<JoinHandle<()>>,
    pub(crate) under_way: u64,
}

impl Committer {
    pub(crate) fn start(
        vault: Arc<VaultWriter>,
        catalog: Arc<Mutex<Catalog>>,
        chunks: ChunkCache,
    ) -> std::io::Result<Self> {
        // One batch waits while one is written: a reader that is faster than the vault is held back here.
        let (batches, queue) = sync_channel(1);
        let (answer, results) = channel();
        let thread = std::thread::Builder::new()
            .name("committer".to_owned())
            .spawn(move || run(&queue, &answer, &vault, &catalog, &chunks))?;
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

fn run(
    queue: &Receiver<Batch>,
    answer: &Sender<Result<Done, WriteError>>,
    vault: &VaultWriter,
    catalog: &Mutex<Catalog>,
    chunks: &ChunkCache,
) {
    for batch in queue {
        let new_chunks = batch.chunks.clone();
        let result = commit(batch, vault, catalog);
        match &result {
            Ok(_) => chunks.keep(&new_chunks),
            // What is known is wrong: another vault stands in the place of the one that was written to.
            Err(WriteError::MissingPack { .. }) => chunks.clear(),
            Err(_) => {}
        }
        // After a failure nothing later may be committed: it would leave a gap in the log.
        let failed = result.is_err();
        if answer.send(result).is_err() || failed {
            return;
        }
    }
}

fn commit(mut batch: Batch, vault: &VaultWriter, catalog: &Mutex<Catalog>) -> Result<Done, WriteError> {
    let mut work = std::mem::take(&mut batch.work);
    let result = carry_out(batch, &mut work, vault, catalog);
    work.end(match &result {
        Ok(_) => Outcome::Done,
        Err(error) if error.is_full() => Outcome::Failed("there is no room"),
        Err(_) => Outcome::Failed("the vault did not take it"),
    });
    result
}

fn carry_out(
    batch: Batch,
    work: &mut Work,
    vault: &VaultWriter,
    catalog: &Mutex<Catalog>,
) -> Result<Done, WriteError> {
    let Batch { number, mut writer, mut logs, events, cursor, .. } = batch;
    work.phase("storing");
    work.number("unwipe.commit.events", events.len() as u64);
    for (stream, run) in take_runs(&mut logs) {
        store_run(&mut writer, stream, &run)?;
    }
    for event in events {
        writer.event(event)?;
    }
    let (receipt, blocks) = writer.finish_with_changes(&cursor)?;
    know(work, &receipt);
    let applied = Applied {
        sequence: receipt.sequence,
        hash: receipt.hash,
        vault_time: receipt.vault_time,
        cursor: cursor.0,
        ledger: receipt.ledger,
    };
    work.phase("catalog");
    let catalog = catalog.lock().unwrap_or_else(PoisonError::into_inner).apply_blocks(&applied, blocks);
    work.phase("tree head");
    let head = vault.advance_head_if_due(HEAD_INTERVAL).map(|_| ());
    Ok(Done { number, receipt, catalog, head })
}

/// Says how much a commit holds, and nothing of what.
fn know(work: &mut Work, receipt: &CommitReceipt) {
    let ledger = &receipt.ledger;
    work.number("unwipe.commit.number", receipt.sequence);
    work.number("unwipe.commit.items", ledger.enumerated);
    work.number("unwipe.commit.stored", ledger.stored);
    work.number("unwipe.commit.unreadable", ledger.unreadable);
    work.number("unwipe.commit.new_bytes", receipt.new_bytes);
    let completeness = match receipt.completeness {
        Completeness::Complete => "complete",
        Completeness::Partial => "partial",
    };
    work.fact("unwipe.commit.completeness", Fact::Word(completeness));
}
