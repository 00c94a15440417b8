use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, TryRecvError},
    },
    time::Duration,
};

use model::{Event, Item, Layout, Severity, StreamName, UnreadableReason};

use super::{
    Body, Planned, UnitError, UnitSettings, UnitsReport, blinded_stream,
    budget::Budget,
    entry::{Entry, Outcome, Presence},
    ledger::UnitLedger,
    positions_stream,
    queue::{Job, Queue, Turn},
    sink::Message,
};
use crate::{ChangeSink, Cursor, Progress, ReadError, SinkError, Stop, pause};

/// How often it is looked whether a commit is due while no unit says anything.
const COMMIT_CHECK: Duration = Duration::from_millis(50);
/// The cursor of a source that is read in units: which way of counting their positions follow.
const CURSOR: &str = "units 1";

/// The side that speaks to the sink.
pub(super) struct Storing<'a, 'u> {
    settings: &'a UnitSettings,
    told: &'a mut BTreeMap<String, String>,
    sink: &'a mut dyn ChangeSink,
    progress: &'a dyn Progress,
    stop: &'a Stop,
    queue: &'a Queue<'u>,
    budget: &'a Budget,
    /// Whether units are read again.
    repeats: bool,
    positions: StreamName,
    blinded: StreamName,
    entries: Vec<Entry<'u>>,
    numbers: BTreeMap<String, usize>,
    /// How far units came since the last commit.
    moved: BTreeMap<usize, String>,
    /// Units that said something since the last commit. What is known of an item is as of the last commit, so that none of
    /// them is read again before the next one.
    spoke: BTreeSet<usize>,
    /// Those of them that have ended, with when they are due.
    held: BTreeMap<usize, (Turn, Duration)>,
    changes: u64,
    bytes: u64,
    /// When the first change since the last commit came.
    since: Option<Duration>,
    committed: Option<Duration>,
}

impl<'a, 'u> Storing<'a, 'u> {
    pub(super) fn new(
        settings: &'a UnitSettings,
        told: &'a mut BTreeMap<String, String>,
        (sink, progress, stop): (&'a mut dyn ChangeSink, &'a dyn Progress, &'a Stop),
        (queue, budget): (&'a Queue<'u>, &'a Budget),
        repeats: bool,
    ) -> Result<Self, ReadError> {
        Ok(Self {
            settings,
            told,
            sink,
            progress,
            stop,
            queue,
            budget,
            repeats,
            positions: positions_stream().map_err(|error| unusable(&error))?,
            blinded: blinded_stream().map_err(|error| unusable(&error))?,
            entries: Vec::new(),
            numbers: BTreeMap::new(),
            moved: BTreeMap::new(),
            spoke: BTreeSet::new(),
            held: BTreeMap::new(),
            changes: 0,
            bytes: 0,
            since: None,
            committed: None,
        })
    }

    /// Takes in which units there are now. Those that are new are due at once; those that are missing are not read again,
    /// and what one of them still says of how far it came does not count.
    pub(super) fn plan(&mut self, plan: Vec<Planned<'u>>) -> Result<(), ReadError> {
        let mut missing: BTreeSet<usize> = (0..self.entries.len()).collect();
        for planned in plan {
            let name = planned.unit.name().to_owned();
            let Some(&number) = self.numbers.get(&name) else {
                let number = self.entries.len();
                self.entries.push(Entry::new(planned));
                self.numbers.insert(name, number);
                self.begin(number)?;
                continue;
            };
            missing.remove(&number);
            self.queue.replace(number, &planned.unit);
            let entry = &mut self.entries[number];
            entry.planned = planned;
            match std::mem::replace(&mut entry.presence, Presence::Wanted) {
                Presence::Gone => self.begin(number)?,
                Presence::Wanted | Presence::Leaving => {}
            }
        }
        for number in missing {
            let waited = self.queue.remove(number) | self.held.remove(&number).is_some();
            let entry = &mut self.entries[number];
            entry.queued &= !waited;
            entry.presence = if entry.queued { Presence::Leaving } else { Presence::Gone };
            self.moved.remove(&number);
        }
        Ok(())
    }

    /// Lets a unit be read that was not there before.
    fn begin(&mut self, number: usize) -> Result<(), ReadError> {
        let now = self.settings.clock.elapsed();
        let entry = &mut self.entries[number];
        let known = self.sink.known(&self.positions, entry.name())?;
        entry.restart(known.map(|item| item.attributes));
        self.add(number, Turn::First, now);
        Ok(())
    }

    fn add(&mut self, number: usize, turn: Turn, due: Duration) {
        let entry = &mut self.entries[number];
        entry.queued = true;
        let (unit, position) = (Arc::clone(&entry.planned.unit), entry.position.clone());
        self.queue.add(turn, due, Job { number, unit, position });
    }

    /// Returns how each unit ended the last time.
    pub(super) fn report(&self) -> UnitsReport {
        let mut report = UnitsReport { stopped: self.stop.is_requested(), ..UnitsReport::default() };
        for entry in self.entries.iter().filter(|entry| entry.is_wanted()) {
            let name = || entry.name().to_owned();
            match &entry.outcome {
                None => {}
                Some(Outcome::Read) => report.read += 1,
                Some(Outcome::Blinded(why)) => report.blinded.push((name(), why.clone())),
                Some(Outcome::Failed(why)) => report.failed.push((name(), why.clone())),
            }
        }
        report
    }

    /// Takes what the units say until all of them have ended.
    pub(super) fn take_all(&mut self, inbox: &Receiver<(usize, Message)>) -> Result<(), ReadError> {
        loop {
            let idle = self.queue.idle();
            let message = match idle {
                Some(_) => inbox.try_recv().map_err(|error| error == TryRecvError::Disconnected),
                None => {
                    inbox.recv_timeout(COMMIT_CHECK).map_err(|error| error == RecvTimeoutError::Disconnected)
                }
            };
            match (message, idle) {
                (Ok((unit, message)), _) => self.take(unit, message)?,
                (Err(true), _) => return Ok(()),
                (Err(false), Some(pause)) => self.wait(pause),
                (Err(false), None) => {}
            }
            let urged = self.settings.urge.take();
            if urged || self.is_due() {
                self.commit()?;
            }
            if urged {
                let now = self.settings.clock.elapsed();
                self.entries.iter_mut().for_each(|entry| entry.alarm(now));
                self.queue.hasten();
            }
        }
    }

    /// Waits while no unit is being read, by the clock, until one is due or a commit is.
    fn wait(&self, pause: Duration) {
        let pause = self
            .commit_due()
            .map_or(pause, |due| pause.min(due.saturating_sub(self.settings.clock.elapsed())));
        let asked = || self.stop.is_requested() || self.settings.urge.is_requested();
        pause::pause(&*self.settings.clock, pause, &asked);
        self.queue.wake();
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
                self.entries[unit].ledger.list(count);
                Ok(())
            }
            Message::Unchanged(count) => {
                // By itself this is no reason for a commit; the next one counts it.
                self.entries[unit].ledger.account(count);
                self.sink.enumerated(count)?;
                Ok(self.sink.unchanged(count)?)
            }
            Message::Removed { stream, key } => {
                self.changed(unit, 0);
                Ok(self.sink.removed(stream, key)?)
            }
            Message::Unreadable { stream, key, reason } => {
                self.account(unit, 1, 0)?;
                Ok(self.sink.unreadable(stream, key, reason)?)
            }
            Message::Event(event) => self.event(unit, *event),
            Message::Plan(plan) => self.plan(plan),
            Message::Advance(position) => self.advance(unit, position),
            Message::Ended { ended, begun } => self.end(unit, ended, begun),
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

    fn event(&mut self, unit: usize, event: Event) -> Result<(), ReadError> {
        if event.severity == Severity::Destructive {
            self.entries[unit].hurry(self.settings.clock.elapsed());
        }
        self.changed(unit, 0);
        Ok(self.sink.event(event)?)
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
        let entry = &mut self.entries[unit];
        if entry.is_wanted() && entry.position.as_ref() != Some(&position) {
            entry.position = Some(position.clone());
            self.moved.insert(unit, position);
            self.since.get_or_insert_with(|| self.settings.clock.elapsed());
        }
        Ok(())
    }

    fn balance(&mut self, unit: usize) -> Result<(), ReadError> {
        self.entries[unit].ledger.close().map_err(|(listed, accounted)| ReadError::Source {
            message: format!(
                "{} listed {listed} items and accounted for {accounted}: the connector lost some",
                self.entries[unit].name()
            ),
            hint: None,
            transient: false,
            source: None,
        })
    }

    fn end(&mut self, unit: usize, ended: Result<(), UnitError>, begun: Duration) -> Result<(), ReadError> {
        let name = self.entries[unit].name().to_owned();
        self.progress.advance(1);
        let outcome = match ended {
            Ok(()) => {
                self.balance(unit)?;
                Some(Outcome::Read)
            }
            Err(UnitError::Blinded { detail, hint }) => Some(Outcome::Blinded(
                hint.map_or_else(|| detail.clone(), |hint| format!("{detail}: {hint}")),
            )),
            Err(UnitError::Failed { detail }) => Some(Outcome::Failed(detail)),
            Err(UnitError::Stopped) => None,
            Err(UnitError::Source(error)) => return Err(error),
        };
        let entry = &mut self.entries[unit];
        (entry.ledger, entry.queued) = (UnitLedger::default(), false);
        // Of one that is no longer there nothing is said.
        if !entry.is_wanted() {
            entry.presence = Presence::Gone;
            self.queue.ended();
            return Ok(());
        }
        match &outcome {
            Some(Outcome::Read) => self.clear(name)?,
            Some(Outcome::Blinded(why)) => {
                self.tell(&name, why, UnreadableReason::Blinded { detail: why.clone() })?;
            }
            Some(Outcome::Failed(why)) => {
                self.tell(&name, why, UnreadableReason::Failed { detail: why.clone() })?;
            }
            None => {}
        }
        self.entries[unit].outcome = outcome;
        self.again(unit, begun);
        self.queue.ended();
        Ok(())
    }

    /// Lets a unit that was read wait for its next turn.
    fn again(&mut self, unit: usize, begun: Duration) {
        if !self.repeats {
            return;
        }
        let (turn, due) = self.entries[unit].next(begun, self.settings.clock.elapsed());
        if self.spoke.contains(&unit) {
            self.held.insert(unit, (turn, due));
        } else {
            self.add(unit, turn, due);
        }
    }

    /// Notes that a unit was not read, once for each reason: a read that goes on would otherwise commit it every time.
    fn tell(&mut self, name: &str, detail: &str, reason: UnreadableReason) -> Result<(), SinkError> {
        if self.told.get(name).is_some_and(|told| told == detail) {
            return Ok(());
        }
        self.told.insert(name.to_owned(), detail.to_owned());
        self.sink.enumerated(1)?;
        self.sink.unreadable(self.blinded.clone(), name.to_owned(), reason)?;
        self.count(0);
        Ok(())
    }

    /// Takes back that a unit was not read, if that was said, by this run or an earlier one.
    fn clear(&mut self, name: String) -> Result<(), SinkError> {
        if self.told.get(&name).is_some_and(String::is_empty) {
            return Ok(());
        }
        // What this run told may not be in a commit yet.
        if self.told.contains_key(&name) || self.sink.known(&self.blinded, &name)?.is_some() {
            self.count(0);
            self.sink.removed(self.blinded.clone(), name.clone())?;
        }
        self.told.insert(name, String::new());
        Ok(())
    }

    fn account(&mut self, unit: usize, count: u64, bytes: u64) -> Result<(), SinkError> {
        self.entries[unit].ledger.account(count);
        self.changed(unit, bytes);
        self.sink.enumerated(count)
    }

    fn changed(&mut self, unit: usize, bytes: u64) {
        self.spoke.insert(unit);
        self.count(bytes);
    }

    fn count(&mut self, bytes: u64) {
        self.changes += 1;
        self.bytes += bytes;
        self.since.get_or_insert_with(|| self.settings.clock.elapsed());
    }

    fn is_due(&self) -> bool {
        let settings = self.settings;
        self.changes >= settings.commit_changes
            || self.bytes >= settings.commit_bytes
            || self.commit_due().is_some_and(|due| due <= settings.clock.elapsed())
    }

    /// Returns when the next commit is due: soon where a unit waits for it that was read before.
    fn commit_due(&self) -> Option<Duration> {
        let UnitSettings { commit_after, commit_rest, .. } = self.settings;
        let late = self.since?.saturating_add(*commit_after);
        let rest = |turn: &Turn| if *turn == Turn::Urgent { *commit_rest / 2 } else { *commit_rest };
        let Some(rest) = self.held.values().map(|(turn, _)| rest(turn)).min() else { return Some(late) };
        Some(self.committed.map_or(Duration::ZERO, |committed| committed.saturating_add(rest)).min(late))
    }

    /// Commits what there is, with how far the units came.
    pub(super) fn commit(&mut self) -> Result<(), ReadError> {
        let mut is_empty = self.changes == 0;
        for (unit, position) in std::mem::take(&mut self.moved) {
            let key = self.entries[unit].name().to_owned();
            let item = Item { stream: self.positions.clone(), key, attributes: position };
            self.sink.enumerated(1)?;
            self.sink.upsert_bytes(item, Layout::Small, &[])?;
            is_empty = false;
        }
        (self.changes, self.bytes, self.since) = (0, 0, None);
        if !is_empty {
            self.sink.checkpoint(&Cursor(CURSOR.to_owned()))?;
            self.committed = Some(self.settings.clock.elapsed());
        }
        self.spoke.clear();
        for (unit, (turn, due)) in std::mem::take(&mut self.held) {
            self.add(unit, turn, due);
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
