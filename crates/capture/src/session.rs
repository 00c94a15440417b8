use std::{
    collections::{BTreeMap, VecDeque},
    io::Read,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use catalog::{Catalog, CatalogError};
use connect::{ChangeSink, KnownItem, LogTail, Observer, ReadEnd, ReadError, SinkError, SourceReader, Stop};
use model::{Event, Item, Layout, SourceName, Stage, StreamName, UnreadableReason};
use ports::Tracing;
use vault::{
    CaptureKey, CommitReceipt, CommitWriter, Content, Cursor, VaultWriter, WriteError,
    journal::{JournalError, JournalOptions},
};

use crate::{
    chunk_cache::{ChunkCache, NewChunks},
    committer::{Batch, Committer, Done},
    journal_keeper::JournalKeeper,
    log_run::{LogBytes, store_run, take_runs},
    sketches::{Look, Sketches, Tee},
};

/// Why a capture ended before its time.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The source could not be read.
    #[error("reading the source ended")]
    Read(#[from] ReadError),
    /// The vault did not take a commit.
    #[error("the vault did not take the commit")]
    Write(#[from] WriteError),
    /// The journal failed.
    #[error("the journal failed")]
    Journal(#[from] JournalError),
    /// A thread could not be started.
    #[error("a thread cannot be started")]
    Thread(#[source] std::io::Error),
    /// The vault's log holds a cursor that is not text.
    #[error("the newest commit of this source has no readable cursor")]
    Cursor,
}

impl CaptureError {
    /// Returns what a person can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Read(ReadError::Sink(SinkError::Full(_))) => Some(
                "make room in the vault's store; the next capture goes on where this one stopped".to_owned(),
            ),
            Self::Read(error) => error.hint().map(str::to_owned),
            Self::Write(error) => error.hint(),
            Self::Journal(JournalError::Full(_)) => Some(
                "make room on the disk of the home folder; the next capture goes on where this one stopped"
                    .to_owned(),
            ),
            Self::Journal(JournalError::InUse { .. }) => {
                Some("stop the other process, or let it go on: one is enough".to_owned())
            }
            Self::Journal(_) | Self::Thread(_) | Self::Cursor => None,
        }
    }

    /// Returns whether beginning again later may succeed without a person.
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Read(ReadError::Source { transient, .. }) => *transient,
            Self::Read(ReadError::Sink(SinkError::Full(_))) | Self::Journal(JournalError::Full(_)) => true,
            Self::Write(error) => error.is_full(),
            _ => false,
        }
    }
}

/// How many bytes of logs are held in memory; a reader that proposes no commit for longer fills packs ahead of it.
const LOG_BYTES_MAX: usize = 32 << 20;

/// The newest commit, whatever its number.
const NEWEST: u64 = u64::MAX;

/// What a session needs to know.
#[derive(Debug, Clone)]
pub struct SessionOptions {
    /// Where the state of this source lives: its journal and its known chunks.
    pub state_folder: PathBuf,
    /// How large the journal's files are.
    pub journal: JournalOptions,
}

/// What a session did.
#[derive(Debug, Clone, Default)]
pub struct CaptureReport {
    /// The commits it made.
    pub commits: Vec<CommitReceipt>,
    /// Bytes it added to the vault.
    pub new_bytes: u64,
    /// Items that could not be read.
    pub unreadable: u64,
    /// Why the catalog could not follow, if it could not: it is a cache and must be rebuilt.
    pub catalog_stale: Option<String>,
    /// Why the newest commits are in no tree head yet, if so: they are as good as any, and the next head covers them.
    pub head_behind: Option<String>,
    /// Journal files in which synced bytes are lost; the reader was sent back to before the first of them.
    pub damaged_journal: Vec<PathBuf>,
}

/// One run of capturing one source.
pub struct Session {
    writer: Arc<VaultWriter>,
    source: SourceName,
    catalog: Arc<Mutex<Catalog>>,
    journal: JournalKeeper,
    committer: Committer,
    chunks: ChunkCache,
    current: Current,
    /// What a killed run synced and did not commit, until a reader asks for it.
    tail: BTreeMap<StreamName, LogBytes>,
    /// Up to where the journal holds each log without a gap.
    ends: BTreeMap<StreamName, u64>,
    /// What of it each batch that is under way contains.
    journal_marks: VecDeque<(u64, BTreeMap<StreamName, u64>)>,
    batches: u64,
    /// Is told of what happens, before it is committed.
    observer: Option<Arc<dyn Observer>>,
    /// What is remembered of files, once a reader runs that tells which of its items are such.
    sketches: Option<Sketches>,
    /// Is told of each commit, once it is in the vault.
    tracing: Tracing,
    state_folder: PathBuf,
    /// Up to where commits hold each log.
    committed: BTreeMap<StreamName, u64>,
    report: CaptureReport,
}

/// The commit in the making.
#[derive(Default)]
struct Current {
    writer: Option<CommitWriter>,
    chunks: NewChunks,
    logs: BTreeMap<StreamName, Vec<LogBytes>>,
    log_bytes: usize,
    events: Vec<Event>,
    /// How many items the reader says it listed, once it said so.
    enumerated: Option<u64>,
}

impl Session {
    /// Opens a session; what a killed run left in its journal is committed with the next checkpoint.
    pub fn open(
        writer: Arc<VaultWriter>,
        key: &CaptureKey,
        source: SourceName,
        catalog: Arc<Mutex<Catalog>>,
        random: Arc<dyn ports::Random>,
        options: &SessionOptions,
    ) -> Result<Self, CaptureError> {
        let journal =
            JournalKeeper::open(options.state_folder.join("journal"), key.clone(), random, options.journal)?;
        let vault = writer.vault().manifest().vault;
        let chunks = ChunkCache::open(&options.state_folder.join("chunks.sqlite"), vault);
        let mut session = Self {
            committer: Committer::start(Arc::clone(&writer), Arc::clone(&catalog), chunks.clone())
                .map_err(CaptureError::Thread)?,
            catalog,
            chunks,
            current: Current::default(),
            writer,
            source,
            tail: BTreeMap::new(),
            ends: BTreeMap::new(),
            journal_marks: VecDeque::new(),
            batches: 0,
            observer: None,
            sketches: None,
            tracing: Tracing::default(),
            state_folder: options.state_folder.clone(),
            committed: BTreeMap::new(),
            report: CaptureReport { damaged_journal: journal.damaged().to_vec(), ..CaptureReport::default() },
            journal,
        };
        session.replay()?;
        Ok(session)
    }

    /// Tells somebody of what happens in the source, while it is read.
    #[must_use]
    pub fn observed_by(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = Some(observer);
        self
    }

    /// Tells somebody how long each commit took.
    #[must_use]
    pub fn traced_by(mut self, tracing: Tracing) -> Self {
        self.tracing = tracing;
        self
    }

    fn observe(&self, stage: Stage, event: &Event) {
        if let Some(observer) = &self.observer {
            observer.observe(&self.source, stage, event);
        }
    }

    /// Takes over what a killed run left.
    fn replay(&mut self) -> Result<(), CaptureError> {
        let current = &mut self.current;
        self.journal.replay(|stream, offset, bytes| current.push_log(stream, offset, bytes))?;
        let damaged = !self.report.damaged_journal.is_empty();
        for (stream, runs) in &current.logs {
            // After a gap that a reader left knowingly, its last commit stands in the newest run. A gap from damage
            // must be read again: then the reader goes on before it, and all runs are committed anyway.
            let run = if damaged { runs.first() } else { runs.last() };
            if let Some(run) = run {
                self.ends.insert(stream.clone(), run.end());
                self.tail.insert(stream.clone(), run.clone());
            }
        }
        Ok(())
    }

    /// Runs a reader from where the last commit left off, until it ends or is asked to.
    pub fn run(
        mut self,
        reader: &mut dyn SourceReader,
        stop: &Stop,
    ) -> Result<(ReadEnd, CaptureReport), CaptureError> {
        let cursor = self.cursor()?;
        let vault = self.writer.vault().manifest().vault;
        let path = self.state_folder.join("sketches.sqlite");
        self.sketches = reader
            .files()
            .map(|file_of| Sketches::open(&path, vault, file_of))
            .transpose()
            .map_err(CaptureError::Thread)?;
        let read = reader.changes(cursor.as_ref(), &mut self, stop);
        // Whatever the reader says, what it already checkpointed is finished first.
        let finished = self.drain(true);
        let end = read?;
        finished?;
        if !self.report.commits.is_empty() {
            self.report.head_behind = self.writer.advance_head().err().map(|error| error.to_string());
        }
        // Otherwise the next session would replay the newest file and commit its bytes again.
        self.journal.begin_anew(&self.committed)?;
        Ok((end, self.report))
    }

    /// Returns where reading goes on: the cursor of the newest commit that has one.
    ///
    /// Commits that did not come from reading the source, such as a rolled base, have none.
    fn cursor(&self) -> Result<Option<connect::Cursor>, CaptureError> {
        let vault = self.writer.vault();
        let newest = vault.last_sequence(&self.source).map_err(WriteError::from)?;
        for sequence in (1..=newest).rev() {
            let commit = vault.commit(&self.source, sequence).map_err(WriteError::from)?;
            if !commit.envelope.cursor.is_empty() {
                let text = String::from_utf8(commit.envelope.cursor).map_err(|_| CaptureError::Cursor)?;
                return Ok(Some(connect::Cursor(text)));
            }
        }
        Ok(None)
    }

    fn commit_writer(&mut self) -> &mut CommitWriter {
        let (writer, source) = (&self.writer, &self.source);
        let (chunks, new) = (&self.chunks, &self.current.chunks);
        self.current.writer.get_or_insert_with(|| {
            let mut commit = writer.begin_with(source, Box::new(chunks.lookup(new)));
            commit.keep_changes();
            commit
        })
    }

    /// Stores the bytes of logs that are held in memory, ahead of their commit; the journal keeps them until then.
    fn store_logs(&mut self) -> Result<(), WriteError> {
        self.commit_writer();
        let Current { writer: Some(writer), logs, log_bytes, .. } = &mut self.current else {
            return Ok(());
        };
        for (stream, run) in take_runs(logs) {
            store_run(writer, stream, &run)?;
        }
        *log_bytes = 0;
        Ok(())
    }

    /// Asks the catalog about what earlier commits hold. It is a cache: one that fails knows nothing.
    fn ask<T: Default>(
        &mut self,
        question: impl FnOnce(&Catalog) -> Result<T, CatalogError>,
    ) -> Result<T, SinkError> {
        self.drain(true).map_err(sink_error)?;
        let catalog = self.catalog.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(question(&catalog).unwrap_or_else(|error| {
            self.report.catalog_stale.get_or_insert_with(|| error.to_string());
            T::default()
        }))
    }

    /// Begins to look at an item's content, if it is a file.
    fn look(&self, item: &Item) -> Option<Look> {
        self.sketches.as_ref()?.look(item)
    }

    /// Has what was looked at compared with the version before; what looks encrypted is told like anything that somebody
    /// did.
    fn judge(&mut self, look: Option<Look>) {
        if let Some((sketches, look)) = self.sketches.as_mut().zip(look) {
            sketches.judge(look, self.writer.now());
        }
    }

    /// Stores a content that is seen while it is read.
    fn store_seen(&mut self, layout: Layout, body: &mut dyn Read) -> Result<Content, WriteError> {
        let Some(mut sketches) = self.sketches.take() else {
            return self.commit_writer().store(layout.into(), body);
        };
        let tee = &mut Tee { body, sketches: &mut sketches };
        let stored = self.commit_writer().store(layout.into(), tee);
        if stored.is_err() {
            sketches.abandon();
        }
        self.sketches = Some(sketches);
        stored
    }

    /// Takes results of finished commits in; their bytes may then leave the journal.
    fn drain(&mut self, wait: bool) -> Result<(), WriteError> {
        while let Some(done) = self.committer.result(wait)? {
            self.take(done)?;
        }
        Ok(())
    }

    fn take(&mut self, done: Done) -> Result<(), WriteError> {
        self.report.new_bytes += done.receipt.new_bytes;
        self.report.unreadable += done.receipt.ledger.unreadable;
        self.report.commits.push(done.receipt);
        if let Err(error) = done.catalog {
            self.report.catalog_stale.get_or_insert_with(|| error.to_string());
        }
        if let Some(sketches) = &mut self.sketches {
            sketches.keep(done.number);
        }
        self.report.head_behind = done.head.err().map(|error| error.to_string());
        while self.journal_marks.front().is_some_and(|(number, _)| *number <= done.number) {
            let Some((_, marks)) = self.journal_marks.pop_front() else { break };
            self.journal.retire(&marks).map_err(|error| WriteError::Source(std::io::Error::other(error)))?;
            self.committed.extend(marks);
        }
        Ok(())
    }
}

impl Current {
    /// Adds bytes to the runs of a log; bytes that continue the last run become part of it.
    fn push_log(&mut self, stream: &StreamName, offset: u64, bytes: &[u8]) {
        self.log_bytes += bytes.len();
        let runs = self.logs.entry(stream.clone()).or_default();
        match runs.last_mut() {
            Some(last) if last.end() == offset => last.bytes.extend_from_slice(bytes),
            _ => runs.push(LogBytes { start: offset, bytes: bytes.to_vec() }),
        }
    }
}

impl ChangeSink for Session {
    fn tail(&mut self, stream: &StreamName) -> Result<Option<LogTail>, SinkError> {
        Ok(self.tail.remove(stream).map(|run| LogTail { offset: run.start, bytes: run.bytes }))
    }

    fn upsert(&mut self, item: Item, layout: Layout, body: &mut dyn Read) -> Result<(), SinkError> {
        let look = self.look(&item);
        let stored = match look {
            Some(_) => self.store_seen(layout, body),
            None => self.commit_writer().store(layout.into(), body),
        };
        let content = stored.map_err(|error| match error {
            WriteError::Source(source) => SinkError::Body { key: item.key.clone(), source },
            other => sink_error(other),
        })?;
        let added = self.commit_writer().upsert(item, content).map_err(sink_error);
        match (&added, &mut self.sketches) {
            (Err(_), Some(sketches)) => sketches.abandon(),
            _ => self.judge(look),
        }
        added
    }

    fn upsert_bytes(&mut self, item: Item, layout: Layout, bytes: &[u8]) -> Result<(), SinkError> {
        let look = self.look(&item);
        let writer = self.commit_writer();
        let content = writer.store_bytes(layout.into(), bytes).map_err(sink_error)?;
        writer.upsert(item, content).map_err(sink_error)?;
        if let Some((sketches, _)) = self.sketches.as_mut().zip(look.as_ref()) {
            sketches.see(bytes);
        }
        self.judge(look);
        Ok(())
    }

    fn known(&mut self, stream: &StreamName, key: &str) -> Result<Option<KnownItem>, SinkError> {
        let version = self.ask(|catalog| catalog.live_item(stream, key))?;
        Ok(version.map(|version| KnownItem {
            has_content: version.content.is_some(),
            attributes: version.item.attributes,
        }))
    }

    fn known_keys(
        &mut self,
        stream: &StreamName,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<String>, SinkError> {
        let page = self.ask(|catalog| catalog.listed_at(stream, NEWEST, after, limit))?;
        Ok(page.into_iter().map(|(item, _)| item.key).collect())
    }

    fn failed_keys(&mut self, stream: &StreamName, limit: u32) -> Result<Vec<String>, SinkError> {
        self.ask(|catalog| catalog.failed(stream, limit))
    }

    fn upsert_attributes(&mut self, item: Item) -> Result<bool, SinkError> {
        let version = self.ask(|catalog| catalog.live_item(&item.stream, &item.key))?;
        let Some(content) = version.and_then(|version| version.content) else { return Ok(false) };
        self.commit_writer().upsert(item, content).map_err(sink_error)?;
        Ok(true)
    }

    fn unchanged(&mut self, count: u64) -> Result<(), SinkError> {
        self.commit_writer().unchanged(count);
        Ok(())
    }

    fn enumerated(&mut self, count: u64) -> Result<(), SinkError> {
        let total = self.current.enumerated.get_or_insert(0);
        *total += count;
        let total = *total;
        self.commit_writer().enumerated(total);
        Ok(())
    }

    fn removed(&mut self, stream: StreamName, key: String) -> Result<(), SinkError> {
        if let Some(sketches) = &mut self.sketches {
            sketches.removed(stream.as_str(), &key);
        }
        self.commit_writer().remove(stream, key).map_err(sink_error)
    }

    fn unreadable(
        &mut self,
        stream: StreamName,
        key: String,
        reason: UnreadableReason,
    ) -> Result<(), SinkError> {
        let item = Item { stream, key, attributes: "{}".to_owned() };
        self.commit_writer().unreadable(item, reason).map_err(sink_error)
    }

    fn glimpse(&mut self, stage: Stage, event: Event) -> Result<(), SinkError> {
        self.observe(stage, &event);
        Ok(())
    }

    fn event(&mut self, event: Event) -> Result<(), SinkError> {
        self.observe(Stage::Told, &event);
        self.current.events.push(event);
        Ok(())
    }

    fn append(&mut self, stream: &StreamName, offset: u64, bytes: &[u8]) -> Result<(), SinkError> {
        if self.ends.get(stream) != Some(&offset) {
            // The commit that explains why the log begins here (a new base) must be there before any of these bytes
            // is acknowledged: after a kill a reader would go on behind them and never know of the gap.
            self.drain(true).map_err(sink_error)?;
        }
        self.tail.remove(stream);
        self.journal.append(stream, offset, bytes).map_err(journal_error)?;
        self.ends.insert(stream.clone(), offset + bytes.len() as u64);
        self.current.push_log(stream, offset, bytes);
        if self.current.log_bytes > LOG_BYTES_MAX {
            self.store_logs().map_err(sink_error)?;
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<(), SinkError> {
        self.journal.sync().map_err(journal_error)?;
        self.drain(false).map_err(sink_error)
    }

    fn checkpoint(&mut self, cursor: &connect::Cursor) -> Result<(), SinkError> {
        self.journal.sync().map_err(journal_error)?;
        self.commit_writer();
        let Current { writer, chunks, logs, mut events, .. } = std::mem::take(&mut self.current);
        let Some(mut writer) = writer else { return Ok(()) };
        if logs.is_empty() {
            // Nothing more comes into its pack, which need not wait in memory while earlier commits are finished.
            writer.end_pack().map_err(sink_error)?;
        }
        self.batches += 1;
        if let Some(sketches) = &mut self.sketches {
            let found = sketches.end_batch(self.batches).map_err(sink_error)?;
            for event in &found {
                self.observe(Stage::Told, event);
            }
            events.extend(found);
        }
        self.journal_marks.push_back((self.batches, self.ends.clone()));
        let mut work = self.tracing.begin("commit");
        work.name("unwipe.source", &self.source);
        work.phase("waiting");
        let batch = Batch {
            number: self.batches,
            work,
            writer,
            chunks,
            logs,
            events,
            cursor: Cursor(cursor.0.clone().into_bytes()),
        };
        // A thread that died leaves its reason among the results.
        if let Err(error) = self.committer.submit(batch) {
            self.drain(true).map_err(sink_error)?;
            return Err(sink_error(error));
        }
        self.drain(false).map_err(sink_error)
    }
}

fn sink_error(error: WriteError) -> SinkError {
    if error.is_full() { SinkError::Full(Box::new(error)) } else { SinkError::Vault(Box::new(error)) }
}

fn journal_error(error: JournalError) -> SinkError {
    match error {
        JournalError::Full(_) => SinkError::Full(Box::new(error)),
        other => SinkError::Vault(Box::new(other)),
    }
}

#[cfg(test)]
mod tests;
