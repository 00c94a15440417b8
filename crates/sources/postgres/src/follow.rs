//! Following the log: bytes from the server, durable first, acknowledged next, understood last.

use std::{sync::Arc, time::Duration};

use connect::{ChangeSink, Cursor, LogTail, ReadEnd, ReadError, SinkError, Stop, Urge};
use ports::Clock;
use postgres_wal::{Lsn, Major, SegmentSize};
use postgres_wire::{Connection, Limits, Mode, WireError};

use crate::{
    chronicle::Chronicle,
    failure,
    layout::{self, Position},
    scan::Scan,
    settings::ClusterSettings,
    slot::SlotMeter,
};

mod session;
mod store;

pub(crate) use session::store_history;

/// How often the server hears from us although nothing happens.
const STATUS_INTERVAL: Duration = Duration::from_secs(10);
/// A server that is silent for so long is asked, and given up after as long again.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// How long one look at the socket waits: a request to end is noticed that late.
const LOOK: Duration = Duration::from_millis(200);
/// A commit is proposed this often, or at each segment if that is sooner.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(10);
/// How long haste waits for names.
const URGED_PATIENCE: Duration = Duration::from_secs(2);
const BACKOFF_MIN: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(5);

/// Why a session with the server ended.
enum SessionEnd {
    /// It was asked to end.
    Stopped,
    /// The timeline ended; the position is already on the next one.
    NextTimeline,
}

/// What ended a session before its time.
enum Interruption {
    /// Trying again may help.
    Transient(ReadError),
    /// The server no longer has what comes next.
    WalRemoved,
    /// Trying again does not help, or the sink refused.
    Final(ReadError),
}

impl From<WireError> for Interruption {
    fn from(error: WireError) -> Self {
        match error {
            WireError::WalRemoved { .. } => Self::WalRemoved,
            // A session that is beyond use says nothing about the next one.
            WireError::Unusable => Self::Transient(failure::wire(error)),
            error => failure::wire(error).into(),
        }
    }
}

impl From<ReadError> for Interruption {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Source { transient: true, .. } => Self::Transient(error),
            error => Self::Final(error),
        }
    }
}

impl From<SinkError> for Interruption {
    fn from(error: SinkError) -> Self {
        Self::Final(error.into())
    }
}

/// Follows the log from a position on.
pub(crate) struct Follower<'r> {
    settings: &'r ClusterSettings,
    clock: &'r Arc<dyn Clock>,
    stop: &'r Stop,
    /// Somebody asks that what was read is committed at once.
    urge: &'r Urge,
    /// Since when somebody waits for that.
    urged_at: Option<Duration>,
    sink: &'r mut dyn ChangeSink,
    chronicle: &'r mut Chronicle,
    meter: &'r SlotMeter,
    /// The first position that is in no commit.
    committed: Position,
    /// Where we read; `durable` bytes of it are in the sink.
    timeline: u32,
    durable: u64,
    /// Bytes that an earlier run made durable; they are compared with what the server sends.
    tail: Option<LogTail>,
    scan: Option<Scan>,
    /// Where the log must be read from so that the scan misses nothing, once.
    read_from: u64,
    segment: SegmentSize,
    /// What the log shows as open before this may have ended before this session began.
    live_from: u64,
    checkpointed_at: Duration,
    /// Where reading ends well, if it does not go on for ever.
    end_lsn: Option<u64>,
    /// Reused for what the socket has at once.
    batch: Vec<u8>,
}

impl<'r> Follower<'r> {
    /// Prepares to follow from a position; takes over what an earlier run made durable.
    pub(crate) fn new(
        settings: &'r ClusterSettings,
        clock: &'r Arc<dyn Clock>,
        (stop, urge): (&'r Stop, &'r Urge),
        sink: &'r mut dyn ChangeSink,
        chronicle: &'r mut Chronicle,
        (meter, position): (&'r SlotMeter, Position),
    ) -> Result<Self, ReadError> {
        let stream = layout::wal_stream(position.timeline).map_err(failure::named)?;
        // A tail that begins after the position does not continue it: what lies between must be read first.
        let continues = |tail: &LogTail| !tail.bytes.is_empty() && tail.offset <= position.lsn;
        let tail = sink.tail(&stream)?.filter(continues);
        let end = tail.as_ref().map_or(0, |tail| tail.offset + tail.bytes.len() as u64);
        let checkpointed_at = clock.elapsed();
        Ok(Self {
            settings,
            clock,
            stop,
            urge,
            urged_at: None,
            sink,
            chronicle,
            meter,
            timeline: position.timeline,
            durable: end.max(position.lsn),
            committed: position,
            tail,
            scan: None,
            read_from: 0,
            segment: SegmentSize::DEFAULT,
            live_from: u64::MAX,
            checkpointed_at,
            end_lsn: None,
            batch: Vec::new(),
        })
    }

    /// Follows until asked to end, to a position if one is given, or until something stands in the way.
    pub(crate) fn run(&mut self, end_lsn: Option<u64>) -> Result<ReadEnd, ReadError> {
        self.end_lsn = end_lsn;
        let mut lost_at: Option<Duration> = None;
        let mut backoff = BACKOFF_MIN;
        loop {
            let durable_before = (self.timeline, self.durable);
            let end = self.session();
            if (self.timeline, self.durable) != durable_before {
                (lost_at, backoff) = (None, BACKOFF_MIN);
            }
            match end {
                Ok(SessionEnd::Stopped) => {
                    self.chronicle.settle();
                    self.checkpoint()?;
                    return Ok(if self.is_up_to_date() { ReadEnd::UpToDate } else { ReadEnd::Stopped });
                }
                Ok(SessionEnd::NextTimeline) => {}
                Err(Interruption::WalRemoved) => {
                    self.checkpoint()?;
                    return Err(self.hole());
                }
                Err(Interruption::Final(error)) => {
                    // What a full sink did take stays durable without a commit; others get their commit now.
                    if !matches!(error, ReadError::Sink(_)) {
                        self.checkpoint()?;
                    }
                    return Err(error);
                }
                Err(Interruption::Transient(error)) => {
                    let now = self.clock.elapsed();
                    if lost_at.is_none() {
                        self.checkpoint()?;
                    }
                    if self.stop.is_requested() {
                        return Ok(ReadEnd::Stopped);
                    }
                    let lost_for = now.saturating_sub(*lost_at.get_or_insert(now));
                    if lost_for >= self.settings.patience {
                        return Err(error);
                    }
                    self.pause(backoff);
                    backoff = (backoff * 2).min(BACKOFF_MAX);
                }
            }
        }
    }

    fn is_up_to_date(&self) -> bool {
        self.end_lsn.is_some_and(|end| self.durable >= end)
    }

    /// Waits before the next attempt, unless asked to end.
    fn pause(&self, duration: Duration) {
        let until = self.clock.elapsed() + duration;
        while self.clock.elapsed() < until && !self.stop.is_requested() {
            self.clock.sleep(LOOK.min(duration));
        }
    }

    fn hole(&self) -> ReadError {
        ReadError::Hole { from: Lsn(self.durable).to_string(), to: "the next base".to_owned() }
    }

    /// Returns where the follower stands after it ended.
    pub(crate) fn position(&self) -> Position {
        Position { lsn: self.durable, timeline: self.timeline, ..self.committed.clone() }
    }

    fn connect(&self) -> Result<Connection, WireError> {
        let target = self.settings.replication_connection();
        Connection::connect(&target, Mode::PhysicalReplication, &Limits::default(), Arc::clone(self.clock))
    }

    /// Makes the scan that fits the server, and decides where it must begin.
    fn prepare_scan(&mut self, major: u32, segment: SegmentSize) -> Result<(), ReadError> {
        self.segment = segment;
        if self.scan.is_some() {
            return Ok(());
        }
        let major = Major::from_number(major).map_err(|error| {
            failure::refused(error.to_string(), "use a version of this program that knows the server's")
        })?;
        let begin = self.committed.index_lsn.filter(|&lsn| lsn <= self.committed.lsn);
        self.read_from = begin.unwrap_or_else(|| Lsn(self.committed.lsn).segment_start(segment).0);
        self.scan = Some(Scan::new(major, segment, self.read_from));
        Ok(())
    }

    /// Gives up what the server no longer has for the scan: it begins at the first page of what is still here.
    fn shorten_scan(&mut self, major: u32) -> Result<(), ReadError> {
        let next_page = |lsn: u64| lsn.next_multiple_of(postgres_wal::PAGE_BYTES);
        let major =
            Major::from_number(major).map_err(|error| failure::broken("the server is unknown", error))?;
        let tail = self.tail.take();
        let start = tail.as_ref().map_or(self.durable, |tail| tail.offset);
        let mut scan = Scan::new(major, self.segment, next_page(start));
        if let Some(tail) = tail {
            scan.push(tail.offset, &tail.bytes);
        }
        self.scan = Some(scan);
        self.read_from = self.durable;
        Ok(self.understand()?)
    }

    /// Takes what the scan found into the chronicle, and tells at once what cannot wait for it.
    fn understand(&mut self) -> Result<(), SinkError> {
        let Some(scan) = &mut self.scan else { return Ok(()) };
        let mut commits = scan.take_commits();
        // A restart reads again what an earlier run has already told.
        if self.committed.timeline == self.timeline {
            commits.retain(|commit| commit.summary.end_lsn.0 > self.committed.lsn);
        }
        let glimpsed = self.chronicle.glimpse_done(&commits, self.sink);
        for commit in commits {
            self.chronicle.take(commit);
        }
        for failure in scan.take_failures() {
            self.chronicle.take_failure(&failure, self.clock.now());
        }
        glimpsed?;
        self.glimpse_underway()
    }

    /// Tells of open transactions that take much away.
    fn glimpse_underway(&mut self) -> Result<(), SinkError> {
        match &self.scan {
            Some(scan) if self.read_from >= self.live_from => {
                self.chronicle.glimpse_underway(scan.open(), self.read_from, self.sink)
            }
            _ => Ok(()),
        }
    }

    fn checkpoint_is_due(&mut self) -> bool {
        let now = self.clock.elapsed();
        if self.urge.take() {
            self.urged_at.get_or_insert(now);
        }
        // Haste waits a moment for the names of what just happened: they are stored once.
        let hastened = self
            .urged_at
            .is_some_and(|at| self.chronicle.is_settled() || now.saturating_sub(at) >= URGED_PATIENCE);
        let bytes = self.durable.saturating_sub(self.committed.lsn);
        let waited = self.clock.elapsed().saturating_sub(self.checkpointed_at);
        let is_due = (bytes >= self.segment.bytes() || waited >= CHECKPOINT_INTERVAL)
            && (self.chronicle.is_settled() || waited >= 2 * CHECKPOINT_INTERVAL);
        if hastened {
            self.urged_at = None;
        }
        self.has_changed() && (hastened || is_due)
    }

    fn has_changed(&self) -> bool {
        self.durable != self.committed.lsn
            || self.timeline != self.committed.timeline
            || self.chronicle.has_news()
    }

    /// Proposes a commit with everything so far.
    pub(crate) fn checkpoint(&mut self) -> Result<(), ReadError> {
        self.checkpointed_at = self.clock.elapsed();
        if !self.has_changed() {
            return Ok(());
        }
        self.chronicle.write(self.sink)?;
        let index_lsn = self.scan.as_ref().and_then(|scan| scan.restart_lsn(self.durable));
        let position = Position {
            system_identifier: self.committed.system_identifier,
            timeline: self.timeline,
            lsn: self.durable,
            index_lsn,
        };
        let cursor = Cursor(serde_json::to_string(&position).map_err(failure::described)?);
        self.sink.checkpoint(&cursor)?;
        self.committed = position;
        Ok(())
    }
}
