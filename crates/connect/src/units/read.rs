use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        mpsc::{SyncSender, sync_channel},
    },
    time::Duration,
};

use super::{
    Planned, Unit, UnitError, UnitSettings, UnitSink, UnitsReport,
    budget::Budget,
    queue::{Lane, Queue},
    sink::Message,
    storing::Storing,
};
use crate::{ChangeSink, Progress, ReadError, Stop};

/// How many messages may wait for the thread that stores.
const WAITING_MESSAGES: usize = 256;
/// One in so many threads reads nothing for the first time, beside those that read anything.
const QUICK_SHARE: usize = 4;

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

    /// Reads units once, several at a time, and commits what they say together with how far they came.
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
        let plan = units.iter().map(|unit| Planned::once(Arc::new(Borrowed(&**unit)))).collect();
        self.run(plan, false, sink, stop, progress)
    }

    /// Reads what a plan names, and what a unit adds to it by [`UnitSink::plan`], each once.
    pub fn read_plan(
        &mut self,
        plan: Vec<Planned<'static>>,
        sink: &mut dyn ChangeSink,
        stop: &Stop,
        progress: &dyn Progress,
    ) -> Result<UnitsReport, ReadError> {
        self.run(plan, false, sink, stop, progress)
    }

    /// Reads what a plan names again and again, each unit as soon as it is due and whatever the others do, until asked to
    /// end. A unit that was read while others are read for the first time is not held up by them.
    ///
    /// The report tells of the last look at each unit.
    pub fn follow(
        &mut self,
        plan: Vec<Planned<'static>>,
        sink: &mut dyn ChangeSink,
        stop: &Stop,
        progress: &dyn Progress,
    ) -> Result<UnitsReport, ReadError> {
        self.run(plan, true, sink, stop, progress)
    }

    fn run(
        &mut self,
        plan: Vec<Planned<'_>>,
        repeats: bool,
        sink: &mut dyn ChangeSink,
        stop: &Stop,
        progress: &dyn Progress,
    ) -> Result<UnitsReport, ReadError> {
        let settings = self.settings.clone();
        let budget = Budget::new(settings.waiting_bytes);
        let queue = Queue::new(Arc::clone(&settings.clock), repeats);
        let mut storing =
            Storing::new(&settings, &mut self.told, (sink, progress, stop), (&queue, &budget), repeats)?;
        storing.plan(plan)?;
        queue.close_when_done();
        let threads = settings.threads.max(1);
        let quick = if repeats { threads.div_ceil(QUICK_SHARE) } else { 0 };
        let lanes = std::iter::repeat_n(Lane::Any, threads).chain(std::iter::repeat_n(Lane::Quick, quick));
        std::thread::scope(|scope| {
            let (outbox, inbox) = sync_channel(WAITING_MESSAGES);
            for lane in lanes {
                let (outbox, budget, queue, clock) = (outbox.clone(), &budget, &queue, &*settings.clock);
                scope.spawn(move || {
                    let _ending = Ending(queue);
                    work(queue, lane, &outbox, budget, stop, &|| clock.elapsed());
                });
            }
            drop(outbox);
            let stored = storing.take_all(&inbox);
            // Whatever the threads still want to say, nobody listens: they end.
            drop(inbox);
            budget.close();
            queue.close();
            let committed = if stored.is_ok() { storing.commit() } else { Ok(()) };
            stored.and(committed)
        })?;
        Ok(storing.report())
    }
}

/// Ends the others when a thread breaks: nobody would know that what it read has ended.
struct Ending<'a, 'u>(&'a Queue<'u>);

impl Drop for Ending<'_, '_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.close();
        }
    }
}

fn work(
    queue: &Queue<'_>,
    lane: Lane,
    outbox: &SyncSender<(usize, Message)>,
    budget: &Budget,
    stop: &Stop,
    now: &dyn Fn() -> Duration,
) {
    while let Some(job) = queue.take(lane, stop) {
        let begun = now();
        let mut sink = UnitSink::new(job.number, outbox.clone(), budget, stop);
        let ended = job.unit.read(job.position.as_deref(), &mut sink);
        if sink.say(Message::Ended { ended, begun }).is_err() {
            return;
        }
    }
}

/// A unit that belongs to somebody else.
struct Borrowed<'u>(&'u dyn Unit);

impl Unit for Borrowed<'_> {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn read(&self, position: Option<&str>, sink: &mut UnitSink<'_>) -> Result<(), UnitError> {
        self.0.read(position, sink)
    }
}
