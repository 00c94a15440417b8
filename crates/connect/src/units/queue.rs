use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use ports::Clock;

use super::Unit;
use crate::Stop;

/// How often whoever waits for a unit looks whether the run is to end.
const CHECK: Duration = Duration::from_millis(100);

/// Why a unit is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// It was not read in this run; this may take hours.
    First,
    /// It was read, and it is time to look again.
    Again,
    /// It was just seen that much is being destroyed in it.
    Urgent,
}

/// Which units a thread takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    /// Whichever has been due longest.
    Any,
    /// Those that were read before, the urgent ones first: many that are read for the first time do not hold them up.
    Quick,
}

/// A unit to be read now.
pub(super) struct Job<'u> {
    pub(super) number: usize,
    pub(super) unit: Arc<dyn Unit + 'u>,
    pub(super) position: Option<String>,
}

/// The units that wait until it is time to read them.
pub(super) struct Queue<'u> {
    state: Mutex<State<'u>>,
    changed: Condvar,
    clock: Arc<dyn Clock>,
    /// Whether units come again; otherwise it ends with the last one.
    repeats: bool,
}

#[derive(Default)]
struct State<'u> {
    waiting: BTreeMap<usize, Waiting<'u>>,
    /// When those that wait are due, for each turn apart.
    due: [BTreeSet<(Duration, usize)>; 3],
    busy: usize,
    closed: bool,
}

struct Waiting<'u> {
    turn: Turn,
    due: Duration,
    job: Job<'u>,
}

impl<'u> State<'u> {
    fn earliest(&self, turn: Turn) -> Option<(Duration, usize)> {
        self.due[turn as usize].first().copied()
    }

    /// Returns what a lane would take next, and when it is due.
    fn next(&self, lane: Lane, now: Duration) -> Option<(Duration, usize)> {
        let (urgent, again) = (self.earliest(Turn::Urgent), self.earliest(Turn::Again));
        match lane {
            Lane::Quick if urgent.is_some_and(|(due, _)| due <= now) => urgent,
            Lane::Quick => urgent.into_iter().chain(again).min(),
            Lane::Any => urgent.into_iter().chain(again).chain(self.earliest(Turn::First)).min(),
        }
    }

    fn remove(&mut self, number: usize) -> Option<Job<'u>> {
        let Waiting { turn, due, job } = self.waiting.remove(&number)?;
        self.due[turn as usize].remove(&(due, number));
        Some(job)
    }
}

impl<'u> Queue<'u> {
    pub(super) fn new(clock: Arc<dyn Clock>, repeats: bool) -> Self {
        Self { state: Mutex::default(), changed: Condvar::new(), clock, repeats }
    }

    /// Lets a unit wait until it is due.
    pub(super) fn add(&self, turn: Turn, due: Duration, job: Job<'u>) {
        let mut state = self.lock();
        let number = job.number;
        state.remove(number);
        state.due[turn as usize].insert((due, number));
        state.waiting.insert(number, Waiting { turn, due, job });
        drop(state);
        self.changed.notify_one();
    }

    /// Puts another object in the place of a unit that waits.
    pub(super) fn replace(&self, number: usize, unit: &Arc<dyn Unit + 'u>) {
        if let Some(waiting) = self.lock().waiting.get_mut(&number) {
            waiting.job.unit = Arc::clone(unit);
        }
    }

    /// Makes every unit due that was read before.
    pub(super) fn hasten(&self) {
        let mut state = self.lock();
        let now = self.clock.elapsed();
        for (_, number) in std::mem::take(&mut state.due[Turn::Again as usize]) {
            if let Some(waiting) = state.waiting.get_mut(&number) {
                waiting.due = waiting.due.min(now);
                let due = waiting.due;
                state.due[Turn::Again as usize].insert((due, number));
            }
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Takes back a unit; returns whether it waited.
    pub(super) fn remove(&self, number: usize) -> bool {
        self.lock().remove(number).is_some()
    }

    /// Waits for a unit that is due; `None` once nothing more comes or the run is to end.
    pub(super) fn take(&self, lane: Lane, stop: &Stop) -> Option<Job<'u>> {
        let mut state = self.lock();
        loop {
            if state.closed || stop.is_requested() {
                return None;
            }
            let now = self.clock.elapsed();
            let pause = match state.next(lane, now) {
                Some((due, number)) if due <= now => {
                    state.busy += 1;
                    return state.remove(number);
                }
                Some((due, _)) => due.saturating_sub(now).min(CHECK),
                None => CHECK,
            };
            let waited = self.changed.wait_timeout(state, pause);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Takes the news that a unit which was taken was read, or failed.
    pub(super) fn ended(&self) {
        let mut state = self.lock();
        state.busy = state.busy.saturating_sub(1);
        drop(state);
        self.close_when_done();
    }

    /// Sends everybody away when nothing more comes.
    pub(super) fn close_when_done(&self) {
        let state = self.lock();
        let done = !self.repeats && state.busy == 0 && state.waiting.is_empty();
        drop(state);
        if done {
            self.close();
        }
    }

    /// Returns how long nothing happens by itself: until the first unit is due, if no unit is being read and it is still
    /// open; `None` otherwise.
    pub(super) fn idle(&self) -> Option<Duration> {
        let state = self.lock();
        if state.busy > 0 || state.closed {
            return None;
        }
        let now = self.clock.elapsed();
        let pause = state.next(Lane::Any, now).map_or(CHECK, |(due, _)| due.saturating_sub(now));
        (!pause.is_zero()).then_some(pause)
    }

    /// Lets everybody look again what is due.
    pub(super) fn wake(&self) {
        self.changed.notify_all();
    }

    /// Sends everybody away who waits, now and later.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State<'u>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use model::Moment;
    use ports::ManualClock;

    use super::*;
    use crate::units::{UnitError, UnitSink};

    struct Nothing;

    impl Unit for Nothing {
        fn name(&self) -> &'static str {
            "nothing"
        }

        fn read(&self, _position: Option<&str>, _sink: &mut UnitSink<'_>) -> Result<(), UnitError> {
            Ok(())
        }
    }

    fn queue() -> (Arc<ManualClock>, Queue<'static>) {
        let clock = Arc::new(ManualClock::new(Moment::from_micros(0)));
        clock.advance_micros(60_000_000);
        (Arc::clone(&clock), Queue::new(clock, true))
    }

    fn add(queue: &Queue<'_>, number: usize, turn: Turn, seconds: u64) {
        let job = Job { number, unit: Arc::new(Nothing), position: None };
        queue.add(turn, Duration::from_secs(seconds), job);
    }

    fn take(queue: &Queue<'_>, lane: Lane) -> usize {
        queue.take(lane, &Stop::default()).unwrap().number
    }

    #[test]
    fn whatever_has_been_due_longest_is_taken_first() {
        let (_, queue) = queue();
        add(&queue, 1, Turn::Again, 30);
        add(&queue, 2, Turn::First, 20);
        add(&queue, 3, Turn::Urgent, 40);
        add(&queue, 4, Turn::Again, 10);
        assert_eq!([(); 4].map(|()| take(&queue, Lane::Any)), [4, 2, 1, 3]);
        assert_eq!(queue.idle(), None, "four are being read");
    }

    #[test]
    fn the_quick_lane_leaves_first_reads_to_others_and_takes_urgent_units_first() {
        let (_, queue) = queue();
        add(&queue, 1, Turn::First, 0);
        add(&queue, 2, Turn::Again, 10);
        add(&queue, 3, Turn::Urgent, 59);
        add(&queue, 4, Turn::Urgent, 99);
        assert_eq!([(); 2].map(|()| take(&queue, Lane::Quick)), [3, 2]);
        let state = queue.lock();
        assert_eq!(state.next(Lane::Quick, Duration::from_mins(1)), Some((Duration::from_secs(99), 4)));
        assert_eq!(state.next(Lane::Any, Duration::from_mins(1)), Some((Duration::ZERO, 1)));
    }

    #[test]
    fn in_haste_whatever_was_read_before_is_due() {
        let (_, queue) = queue();
        add(&queue, 1, Turn::Again, 3600);
        add(&queue, 2, Turn::Again, 30);
        add(&queue, 3, Turn::First, 3600);
        queue.hasten();
        assert_eq!([(); 2].map(|()| take(&queue, Lane::Any)), [2, 1]);
        assert_eq!(queue.lock().next(Lane::Any, Duration::ZERO), Some((Duration::from_hours(1), 3)));
    }

    #[test]
    fn what_waits_can_be_taken_back_and_is_waited_for_no_longer() {
        let (_, queue) = queue();
        add(&queue, 1, Turn::Again, 61);
        add(&queue, 2, Turn::Again, 75);
        assert_eq!(queue.idle(), Some(Duration::from_secs(1)));
        assert!(queue.remove(1) && !queue.remove(1));
        assert_eq!(queue.idle(), Some(Duration::from_secs(15)));
        add(&queue, 2, Turn::Urgent, 60);
        assert_eq!(queue.idle(), None, "it is due");
        assert_eq!(take(&queue, Lane::Quick), 2);
        queue.close();
        assert!(queue.take(Lane::Any, &Stop::default()).is_none());
    }
}
