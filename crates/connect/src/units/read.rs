use std::{
    collections::BTreeMap,
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    time::Duration,
};

use model::{Item, Layout, StreamName, UnreadableReason};

use super::{
    Body, Unit, UnitError, UnitSettings, UnitSink, UnitsReport, blinded_stream, budget::Budget,
    ledger::UnitLedger, positions_stream, sink::Message,
};
use crate::{ChangeSink, Cursor, Progress, ReadError, SinkError, Stop};

/// How many messages may wait for the thread that stores.
const WAITING_MESSAGES: usize = 256;
/// How often it is looked whether a commit is due while no unit says anything.
const COMMIT_CHECK: Duration = Duration::from_millis(500);
/// The cursor of a source that is read in units: which way of counting their positions follow.
const CURSOR: &str = "units 1";

/// Reads units again and again; it remembers what it told of those that could not be read.
pub struct Units {
    settings: UnitSettings,
    /// Why each unit was not read the last time; an empty text when it was.
    told: BTreeMap<String, String>,
}

impl Units {
    /// Makes a reader of units.
    pub const fn new(settings: UnitSettings) -> Self {
        Self { settings, told: BTreeMap::new() }
    }

    /// Reads units, several at a time, and commits what they say together with how far they came.
    ///
    /// A unit that fails does not end the others: it is in the report and in the commit, and the next read goes on with
    /// it. The error is the sink's, or one that concerns all units.
    pub fn read(
        &mut self,
        units: &[Box<dyn Unit>],
        sink: &mut dyn ChangeSink,
        stop: &Stop,
        progress: &dyn Progress,
    ) -> Result<UnitsReport, ReadError> {
        let positions = positions_stream().map_err(|error| unusable(&error))?;
        let mut known = Vec::with_capacity(units.len());
        for unit in units {
            known.push(sink.known(&positions, unit.name())?.map(|item| item.attributes));
        }
        let settings = self.settings.clone();
        let budget = Budget::new(settings.waiting_bytes);
        let next = AtomicUsize::new(0);
        let mut storing = Storing::new(self, units, &known, sink, &budget, progress, positions)?;
        std::thread::scope(|scope| {
            let (outbox, inbox) = sync_channel(WAITING_MESSAGES);
            for _ in 0..settings.threads.clamp(1, units.len().max(1)) {
                let (outbox, budget, next, known) = (outbox.clone(), &budget, &next, &known);
                scope.spawn(move || work(units, known, next, &outbox, budget, stop));
            }
            drop(outbox);
            let stored = storing.take_all(&inbox);
            // Whatever the threads still want to say, nobody listens: they end.
            drop(inbox);
            budget.close();
            next.store(units.len(), Ordering::SeqCst);
            let committed = if stored.is_ok() { storing.commit() } else { Ok(()) };
            stored.and(committed)
        })?;
        storing.report.stopped = stop.is_requested();
        Ok(storing.report)
    }
}

fn work(
    units: &[Box<dyn Unit>],
    known: &[Option<String>],
    next: &AtomicUsize,
    outbox: &SyncSender<(usize, Message)>,
    budget: &Budget,
    stop: &Stop,
) {
    while !stop.is_requested() {
        let number = next.fetch_add(1, Ordering::SeqCst);
        let (Some(unit), Some(position)) = (units.get(number), known.get(number)) else { return };
        let mut sink = UnitSink::new(number, outbox.clone(), budget, stop);
        let ended = unit.read(position.as_deref(), &mut sink);
        if sink.say(Message::Ended(ended)).is_err() {
            return;
        }
    }
}

/// The side that speaks to the sink.
struct Storing<'a> {
    settings: &'a UnitSettings,
    told: &'a mut BTreeMap<String, String>,
    units: &'a [Box<dyn Unit>],
    /// How far each unit came before.
    known: &'a [Option<String>],
    sink: &'a mut dyn ChangeSink,
    budget: &'a Budget,
    progress: &'a dyn Progress,
    positions: StreamName,
    blinded: StreamName,
    ledgers: Vec<UnitLedger>,
    /// How far units came since the last commit.
    moved: BTreeMap<usize, String>,
    changes: u64,
    bytes: u64,
    /// When the first change since the last commit came.
    since: Option<Duration>,
    report: UnitsReport,
}

impl<'a> Storing<'a> {
    fn new(
        reading: &'a mut Units,
        units: &'a [Box<dyn Unit>],
        known: &'a [Option<String>],
        sink: &'a mut dyn ChangeSink,
        budget: &'a Budget,
        progress: &'a dyn Progress,
        positions: StreamName,
    ) -> Result<Self, ReadError> {
        let blinded = blinded_stream().map_err(|error| unusable(&error))?;
        Ok(Self {
            ledgers: vec![UnitLedger::default(); units.len()],
            units,
            known,
            sink,
            settings: &reading.settings,
            told: &mut reading.told,
            budget,
            progress,
            positions,
            blinded,
            moved: BTreeMap::new(),
            changes: 0,
            bytes: 0,
            since: None,
            report: UnitsReport::default(),
        })
    }

    /// Takes what the units say until all of them have ended.
    fn take_all(&mut self, inbox: &Receiver<(usize, Message)>) -> Result<(), ReadError> {
        loop {
            match inbox.recv_timeout(COMMIT_CHECK) {
                Ok((unit, message)) => self.take(unit, message)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            if self.is_due() {
                self.commit()?;
            }
        }
    }

    fn take(&mut self, unit: usize, message: Message) -> Result<(), ReadError> {
        match message {
            Message::Upsert { item, layout, body, taken_bytes } => {
                let stored = self.upsert(unit, item, layout, body);
                self.budget.give(taken_bytes);
                stored
            }
            Message::Attributes(item) => self.upsert_attributes(unit, item),
            Message::Listed(count) => {
                self.ledgers[unit].list(count);
                Ok(())
            }
            Message::Unchanged(count) => {
                // By itself this is no reason for a commit; the next one counts it.
                self.ledgers[unit].account(count);
                self.sink.enumerated(count)?;
                Ok(self.sink.unchanged(count)?)
            }
            Message::Removed { stream, key } => {
                self.changed(0);
                Ok(self.sink.removed(stream, key)?)
            }
            Message::Unreadable { stream, key, reason } => {
                self.account(unit, 1, 0)?;
                self.changed(0);
                Ok(self.sink.unreadable(stream, key, reason)?)
            }
            Message::Event(event) => {
                self.changed(0);
                Ok(self.sink.event(*event)?)
            }
            Message::Advance(position) => self.advance(unit, position),
            Message::Ended(ended) => self.end(unit, ended),
            question => self.answer(question),
        }
    }

    /// Answers a question; whoever asked may have ended meanwhile.
    fn answer(&mut self, question: Message) -> Result<(), ReadError> {
        match question {
            Message::Known { stream, keys, answer } => {
                let known = keys.iter().map(|key| self.sink.known(&stream, key)).collect::<Result<_, _>>()?;
                answer.send(known).ok();
            }
            Message::KnownKeys { stream, after, limit, answer } => {
                answer.send(self.sink.known_keys(&stream, after.as_deref(), limit)?).ok();
            }
            Message::FailedKeys { stream, limit, answer } => {
                answer.send(self.sink.failed_keys(&stream, limit)?).ok();
            }
            _ => {}
        }
        Ok(())
    }

    fn upsert(&mut self, unit: usize, item: Item, layout: Layout, body: Body) -> Result<(), ReadError> {
        let (stream, key) = (item.stream.clone(), item.key.clone());
        let (stored, bytes) = match body {
            Body::Bytes(bytes) => (self.sink.upsert_bytes(item, layout, &bytes), bytes.len() as u64),
            Body::Stream(reader) => {
                let mut counted = Counted { reader, bytes: 0 };
                (self.sink.upsert(item, layout, &mut counted), counted.bytes)
            }
        };
        self.account(unit, 1, bytes)?;
        match stored {
            Err(SinkError::Body { source, .. }) => {
                let reason = UnreadableReason::Failed { detail: source.to_string() };
                Ok(self.sink.unreadable(stream, key, reason)?)
            }
            other => Ok(other?),
        }
    }

    fn upsert_attributes(&mut self, unit: usize, item: Item) -> Result<(), ReadError> {
        let (stream, key) = (item.stream.clone(), item.key.clone());
        self.account(unit, 1, 0)?;
        if !self.sink.upsert_attributes(item)? {
            // The catalog was lost since the unit asked. The next run asks again, and fetches the content.
            let detail = "its content is no longer known on this host".to_owned();
            self.sink.unreadable(stream, key, UnreadableReason::Failed { detail })?;
        }
        Ok(())
    }

    fn advance(&mut self, unit: usize, position: String) -> Result<(), ReadError> {
        self.balance(unit)?;
        let stands = self.moved.contains_key(&unit) || self.known[unit].as_ref() != Some(&position);
        if stands {
            self.moved.insert(unit, position);
            self.since.get_or_insert_with(|| self.settings.clock.elapsed());
        }
        Ok(())
    }

    fn balance(&mut self, unit: usize) -> Result<(), ReadError> {
        self.ledgers[unit].close().map_err(|(listed, accounted)| ReadError::Source {
            message: format!(
                "{} listed {listed} items and accounted for {accounted}: the connector lost some",
                self.units[unit].name()
            ),
            hint: None,
            transient: false,
            source: None,
        })
    }

    fn end(&mut self, unit: usize, ended: Result<(), UnitError>) -> Result<(), ReadError> {
        let name = self.units[unit].name().to_owned();
        self.progress.advance(1);
        match ended {
            Ok(()) => {
                self.balance(unit)?;
                self.report.read += 1;
                self.clear(name)?;
            }
            Err(UnitError::Blinded { detail, hint }) => {
                let told = hint.map_or_else(|| detail.clone(), |hint| format!("{detail}: {hint}"));
                self.tell(&name, &told, UnreadableReason::Blinded { detail: told.clone() })?;
                self.report.blinded.push((name, told));
            }
            Err(UnitError::Failed { detail }) => {
                self.tell(&name, &detail, UnreadableReason::Failed { detail: detail.clone() })?;
                self.report.failed.push((name, detail));
            }
            Err(UnitError::Stopped) => {}
            Err(UnitError::Source(error)) => return Err(error),
        }
        self.ledgers[unit] = UnitLedger::default();
        Ok(())
    }

    /// Notes that a unit was not read, once for each reason: a read that goes on would otherwise commit it every time.
    fn tell(&mut self, name: &str, detail: &str, reason: UnreadableReason) -> Result<(), SinkError> {
        if self.told.get(name).is_some_and(|told| told == detail) {
            return Ok(());
        }
        self.told.insert(name.to_owned(), detail.to_owned());
        self.sink.enumerated(1)?;
        self.sink.unreadable(self.blinded.clone(), name.to_owned(), reason)?;
        self.changed(0);
        Ok(())
    }

    /// Takes back that a unit was not read, if that was said, by this run or an earlier one.
    fn clear(&mut self, name: String) -> Result<(), SinkError> {
        if self.told.get(&name).is_some_and(String::is_empty) {
            return Ok(());
        }
        if self.sink.known(&self.blinded, &name)?.is_some() {
            self.changed(0);
            self.sink.removed(self.blinded.clone(), name.clone())?;
        }
        self.told.insert(name, String::new());
        Ok(())
    }

    fn account(&mut self, unit: usize, count: u64, bytes: u64) -> Result<(), SinkError> {
        self.ledgers[unit].account(count);
        self.changed(bytes);
        self.sink.enumerated(count)
    }

    fn changed(&mut self, bytes: u64) {
        self.changes += 1;
        self.bytes += bytes;
        self.since.get_or_insert_with(|| self.settings.clock.elapsed());
    }

    fn is_due(&self) -> bool {
        let settings = self.settings;
        let old = |since: Duration| settings.clock.elapsed().saturating_sub(since) >= settings.commit_after;
        self.changes >= settings.commit_changes
            || self.bytes >= settings.commit_bytes
            || self.since.is_some_and(old)
    }

    /// Commits what there is, with how far the units came.
    fn commit(&mut self) -> Result<(), ReadError> {
        let mut is_empty = self.changes == 0;
        for (unit, position) in std::mem::take(&mut self.moved) {
            let key = self.units[unit].name().to_owned();
            let item = Item { stream: self.positions.clone(), key, attributes: position };
            self.sink.enumerated(1)?;
            self.sink.upsert_bytes(item, Layout::Small, &[])?;
            is_empty = false;
        }
        (self.changes, self.bytes, self.since) = (0, 0, None);
        if !is_empty {
            self.sink.checkpoint(&Cursor(CURSOR.to_owned()))?;
        }
        Ok(())
    }
}

struct Counted {
    reader: Box<dyn std::io::Read + Send>,
    bytes: u64,
}

impl std::io::Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.bytes += count as u64;
        Ok(count)
    }
}

fn unusable(error: &model::NameError) -> ReadError {
    ReadError::Source {
        message: format!("a stream cannot be named: {error}"),
        hint: None,
        transient: false,
        source: None,
    }
}
