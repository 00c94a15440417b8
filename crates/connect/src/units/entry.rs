use std::time::Duration;

use super::{Planned, ledger::UnitLedger, queue::Turn};

/// A unit in which much is being destroyed is looked at more often for so long.
const URGENT: Duration = Duration::from_mins(1);
/// A read that took longer than its period is followed by the next one after this part of the period.
const REST_PART: u32 = 10;

/// How a read of a unit ended.
#[derive(Debug)]
pub(super) enum Outcome {
    Read,
    Blinded(String),
    Failed(String),
}

/// Whether a unit is still to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    /// The newest plan has it.
    Wanted,
    /// The newest plan does not have it, and a thread is still reading it.
    Leaving,
    /// The newest plan does not have it.
    Gone,
}

/// What the thread that stores remembers of a unit.
pub(super) struct Entry<'u> {
    pub(super) planned: Planned<'u>,
    /// How far it came, as it said last.
    pub(super) position: Option<String>,
    pub(super) ledger: UnitLedger,
    pub(super) outcome: Option<Outcome>,
    pub(super) presence: Presence,
    /// Whether it is in the queue, or was taken from it and has not ended.
    pub(super) queued: bool,
    was_read: bool,
    urgent_until: Option<Duration>,
}

impl<'u> Entry<'u> {
    pub(super) fn new(planned: Planned<'u>) -> Self {
        Self {
            planned,
            position: None,
            ledger: UnitLedger::default(),
            outcome: None,
            presence: Presence::Wanted,
            queued: false,
            was_read: false,
            urgent_until: None,
        }
    }

    pub(super) fn name(&self) -> &str {
        self.planned.unit.name()
    }

    /// Tells whether the newest plan has it.
    pub(super) fn is_wanted(&self) -> bool {
        self.presence == Presence::Wanted
    }

    /// Begins anew from a position.
    pub(super) fn restart(&mut self, position: Option<String>) {
        self.position = position;
        (self.presence, self.was_read) = (Presence::Wanted, false);
    }

    /// Takes the news that much is being destroyed in it.
    pub(super) const fn hurry(&mut self, now: Duration) {
        if self.planned.urgent.is_some() {
            self.urgent_until = Some(now.saturating_add(URGENT));
        }
    }

    /// Takes the news that somebody asks for haste.
    pub(super) const fn alarm(&mut self, now: Duration) {
        if self.planned.names_actors {
            self.hurry(now);
        }
    }

    /// Says when it is to be read again after a read that began at some time and has just ended.
    pub(super) fn next(&mut self, begun: Duration, now: Duration) -> (Turn, Duration) {
        let Planned { every, first, urgent, .. } = self.planned;
        let period = if self.was_read { every } else { first };
        self.was_read = true;
        let due = begun.saturating_add(period).max(now.saturating_add(every / REST_PART));
        let hurries = self.urgent_until.is_some_and(|until| now < until);
        match urgent.filter(|_| hurries) {
            Some(pause) => (Turn::Urgent, due.min(now.saturating_add(pause))),
            None => (Turn::Again, due),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::units::{Unit, UnitError, UnitSink};

    struct Nothing;

    impl Unit for Nothing {
        fn name(&self) -> &'static str {
            "nothing"
        }

        fn read(&self, _position: Option<&str>, _sink: &mut UnitSink<'_>) -> Result<(), UnitError> {
            Ok(())
        }
    }

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    fn entry(urgent: Option<Duration>) -> Entry<'static> {
        let unit = Arc::new(Nothing);
        Entry::new(Planned { unit, every: seconds(60), first: seconds(7), urgent, names_actors: false })
    }

    #[test]
    fn a_period_counts_from_the_beginning_of_a_read_and_leaves_some_rest() {
        let mut entry = entry(None);
        assert_eq!(entry.next(seconds(100), seconds(100)), (Turn::Again, seconds(107)));
        assert_eq!(entry.next(seconds(107), seconds(110)), (Turn::Again, seconds(167)));
        assert_eq!(entry.next(seconds(167), seconds(500)), (Turn::Again, seconds(506)));
    }

    #[test]
    fn where_much_is_destroyed_it_is_looked_again_soon_for_a_minute() {
        let mut entry = entry(Some(seconds(1)));
        entry.hurry(seconds(10));
        assert_eq!(entry.next(seconds(10), seconds(11)), (Turn::Urgent, seconds(12)));
        assert_eq!(entry.next(seconds(69), seconds(69)), (Turn::Urgent, seconds(70)));
        assert_eq!(entry.next(seconds(70), seconds(71)), (Turn::Again, seconds(130)));
        entry.hurry(seconds(130));
        assert_eq!(entry.next(seconds(130), seconds(131)), (Turn::Urgent, seconds(132)));
    }

    #[test]
    fn an_alarm_hurries_what_says_who_it_was() {
        let mut entry = entry(Some(seconds(1)));
        entry.alarm(seconds(10));
        assert_eq!(entry.next(seconds(10), seconds(11)), (Turn::Again, seconds(17)));
        entry.planned.names_actors = true;
        entry.alarm(seconds(20));
        assert_eq!(entry.next(seconds(20), seconds(21)), (Turn::Urgent, seconds(22)));
    }

    #[test]
    fn a_unit_that_is_not_to_be_hurried_waits_for_its_time() {
        let mut entry = entry(None);
        entry.hurry(seconds(10));
        assert_eq!(entry.next(seconds(10), seconds(11)), (Turn::Again, seconds(17)));
    }
}
