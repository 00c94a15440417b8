//! What happened, in words: commits with their names and actors, written as events at the next checkpoint.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use connect::{ChangeSink, ReadError, SinkError};
use model::{Attribution, Event, Item, Layout, Moment, Severity, Stage};
use ports::Clock;
use postgres_wal::{Lsn, TransactionIndex, WalError};

use crate::{
    activity::Sightings,
    events::{self, Routine},
    failure,
    glimpse::{Glimpses, Light},
    layout::{self, Relation},
    names::{NameMap, NameReader},
    scan::Commit,
    server_log::ServerLog,
    settings::ClusterSettings,
};

/// Names are read anew this often although no definition was seen to change.
const NAMES_INTERVAL: Duration = Duration::from_mins(10);
/// How long the end of a read waits for names that were asked for.
const SETTLE_MAX: Duration = Duration::from_secs(5);
/// Commits kept for their names, at most; beyond it they are told with the names at hand.
const PENDING_MAX: usize = 10_000;

/// Collects what the log says until it is written.
pub(crate) struct Chronicle {
    clock: Arc<dyn Clock>,
    names: NameMap,
    reader: NameReader,
    sightings: Arc<Mutex<Sightings>>,
    log: Option<ServerLog>,
    /// How far the log was read.
    lsn: u64,
    pending: Vec<Commit>,
    routine: Routine,
    told: Vec<Event>,
    relations: Vec<(String, Relation)>,
    names_asked_at: Duration,
    glimpses: Glimpses,
}

impl Chronicle {
    pub(crate) fn new(
        settings: &ClusterSettings,
        clock: Arc<dyn Clock>,
        sightings: Arc<Mutex<Sightings>>,
    ) -> Self {
        let mut reader = NameReader::start(settings.clone(), Arc::clone(&clock));
        reader.request();
        let names_asked_at = clock.elapsed();
        let log = settings.log_folder.as_deref();
        let log = log.map(|folder| ServerLog::start(folder, Arc::clone(&clock), Arc::clone(&sightings)));
        Self {
            clock,
            names: NameMap::default(),
            reader,
            sightings,
            log,
            lsn: 0,
            pending: Vec::new(),
            routine: Routine::default(),
            told: Vec::new(),
            relations: Vec::new(),
            names_asked_at,
            glimpses: Glimpses::default(),
        }
    }

    /// Remembers the names that earlier runs stored.
    pub(crate) fn recall(&mut self, relations: &[(String, Relation)]) {
        self.names.recall(relations);
    }

    /// Takes a committed transaction.
    pub(crate) fn take(&mut self, commit: Commit) {
        self.lsn = commit.summary.commit_lsn.0;
        if events::is_routine(&commit) {
            self.routine.add(&commit);
            return;
        }
        if events::changes_names(&commit) {
            self.ask_for_names();
        }
        self.pending.push(commit);
        if self.pending.len() >= PENDING_MAX {
            self.tell();
        }
    }

    /// Tells at once of transactions that were just committed and took something away.
    pub(crate) fn glimpse_done(
        &self,
        commits: &[Commit],
        sink: &mut dyn ChangeSink,
    ) -> Result<(), SinkError> {
        if !commits.iter().any(events::loses) {
            return Ok(());
        }
        let done = events::glimpsed(commits, &self.names, &self.sightings());
        done.into_iter().try_for_each(|event| sink.glimpse(Stage::Done, event))
    }

    /// Tells of open transactions that take much away.
    pub(crate) fn glimpse_underway(
        &mut self,
        index: &TransactionIndex,
        lsn: u64,
        sink: &mut dyn ChangeSink,
    ) -> Result<(), SinkError> {
        self.lsn = lsn;
        let sightings = self.sightings.lock().unwrap_or_else(PoisonError::into_inner);
        let light = Light { clock: self.clock.as_ref(), names: &self.names, sightings: &sightings, lsn };
        let underway = self.glimpses.underway(index, &light);
        drop(sightings);
        underway.into_iter().try_for_each(|event| sink.glimpse(Stage::Underway, event))
    }

    fn sightings(&self) -> MutexGuard<'_, Sightings> {
        self.sightings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the news that some of the log was not understood.
    pub(crate) fn take_failure(&mut self, failure: &WalError, at: Moment) {
        let text =
            format!("the log could not be understood: {failure}; events up to the next segment are missing");
        self.told.push(remark(failure.lsn().0, at, text));
    }

    /// Takes the news that the server went on without some of what it had acknowledged.
    pub(crate) fn take_fork(&mut self, ours: u32, durable: u64, timeline: u32, fork_lsn: u64, at: Moment) {
        let text = format!(
            "the server went on with timeline {timeline} from {}; what timeline {ours} holds from there up to {} \
             is no longer in production and stays stored",
            Lsn(fork_lsn),
            Lsn(durable)
        );
        self.told.push(remark(fork_lsn, at, text));
    }

    /// Takes names that have come.
    pub(crate) fn poll(&mut self) {
        while let Some(answer) = self.reader.poll() {
            // Without names events speak in numbers; the preflight says how to allow them.
            if let Ok(snapshot) = answer {
                self.relations.extend(self.names.absorb(snapshot));
            }
        }
        if self.clock.elapsed().saturating_sub(self.names_asked_at) >= NAMES_INTERVAL {
            self.ask_for_names();
        }
        // A remark has its place in the order of what happened.
        let remarks = self.log.as_ref().filter(|_| self.lsn > 0).map(ServerLog::remarks).unwrap_or_default();
        let (lsn, at) = (self.lsn, self.clock.now());
        self.told.extend(remarks.into_iter().map(|text| remark(lsn, at, text)));
    }

    /// Returns whether the names are as new as the commits that wait for them.
    pub(crate) fn is_settled(&self) -> bool {
        self.reader.is_settled()
    }

    /// Waits a little until it is settled.
    pub(crate) fn settle(&mut self) {
        let until = self.clock.elapsed() + SETTLE_MAX;
        self.poll();
        while !self.is_settled() && self.clock.elapsed() < until {
            self.clock.sleep(Duration::from_millis(10));
            self.poll();
        }
    }

    /// Returns whether there is anything to write.
    pub(crate) fn has_news(&self) -> bool {
        !(self.pending.is_empty()
            && self.routine.is_empty()
            && self.told.is_empty()
            && self.relations.is_empty())
    }

    /// Writes everything into the sink, for the commit that the caller makes next.
    pub(crate) fn write(&mut self, sink: &mut dyn ChangeSink) -> Result<(), ReadError> {
        self.poll();
        self.tell();
        let stream = layout::relations_stream().map_err(failure::named)?;
        for (key, relation) in self.relations.drain(..) {
            let attributes = serde_json::to_string(&relation).map_err(failure::described)?;
            let item = Item { stream: stream.clone(), key, attributes };
            sink.upsert(item, Layout::Small, &mut std::io::empty())?;
        }
        let mut told = std::mem::take(&mut self.told);
        told.extend(self.routine.take(&self.names));
        told.sort_by(|a, b| a.position.cmp(&b.position));
        for event in told {
            sink.event(event)?;
        }
        Ok(())
    }

    fn ask_for_names(&mut self) {
        self.names_asked_at = self.clock.elapsed();
        self.reader.request();
    }

    fn tell(&mut self) {
        let pending = std::mem::take(&mut self.pending);
        if let Some(log) = self.log.as_ref().filter(|_| !pending.is_empty()) {
            log.catch_up();
        }
        let told = events::tell(&pending, &self.names, &self.sightings());
        self.told.extend(told);
    }
}

/// Something about the log itself that a person should see.
pub(crate) fn remark(lsn: u64, at: Moment, text: String) -> Event {
    Event {
        at,
        position: layout::lsn_key(lsn),
        transaction: String::new(),
        scope: String::new(),
        effects: Vec::new(),
        severity: Severity::Notable,
        actor: None,
        attribution: Attribution::Unknown,
        statement: Some(text),
    }
}
