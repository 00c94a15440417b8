//! What a script did, call by call, for whoever witnesses it.

use std::time::Duration;

use model::Moment;
use ports::Clock;
use serde::Serialize;

/// One call that was answered, and what it concerned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Deed {
    /// When it was made.
    pub at: Moment,
    /// The method or statement, in a few words.
    pub call: String,
    /// The ids of the items that it concerned; none for a statement, which concerns rows.
    pub items: Vec<String>,
    /// How many items or rows it concerned.
    pub count: u64,
}

/// Everything that a script did, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Deeds {
    /// The calls that were answered.
    pub deeds: Vec<Deed>,
    /// What refused the call that ended it early, if one did: its token was taken away, its session ended.
    pub ended_by: Option<String>,
}

impl Deeds {
    /// Returns how many items or rows were concerned by calls of this name.
    pub fn count(&self, call: &str) -> u64 {
        self.deeds.iter().filter(|deed| deed.call == call).map(|deed| deed.count).sum()
    }

    /// Returns the ids of all items that calls of this name concerned, in order.
    pub fn items(&self, call: &str) -> Vec<&str> {
        let deeds = self.deeds.iter().filter(|deed| deed.call == call);
        deeds.flat_map(|deed| deed.items.iter().map(String::as_str)).collect()
    }

    /// Returns when the first and the last call were made.
    pub fn span(&self) -> Option<(Moment, Moment)> {
        Some((self.deeds.first()?.at, self.deeds.last()?.at))
    }
}

/// Makes calls one after the other, no faster than told, and notes them.
pub(super) struct Pace<'a> {
    clock: &'a dyn Clock,
    interval: Duration,
    begun: Duration,
    made: u32,
    deeds: Deeds,
}

impl<'a> Pace<'a> {
    /// Makes one call in each interval; a slow answer is caught up with.
    pub(super) fn new(clock: &'a dyn Clock, interval: Duration) -> Self {
        Self { clock, interval, begun: clock.elapsed(), made: 0, deeds: Deeds::default() }
    }

    /// Waits until the next call is due.
    pub(super) fn wait(&mut self) {
        let due = self.begun.saturating_add(self.interval.saturating_mul(self.made));
        self.clock.sleep(due.saturating_sub(self.clock.elapsed()));
        self.made += 1;
    }

    /// Makes a call now; its result, or nothing when it was refused and the script ends.
    pub(super) fn call<T, E: std::fmt::Display>(
        &mut self,
        name: &str,
        items: &[String],
        call: impl FnOnce() -> Result<T, E>,
        count: impl FnOnce(&T) -> u64,
    ) -> Option<T> {
        let at = self.clock.now();
        match call() {
            Ok(answer) => {
                let count = count(&answer);
                self.deeds.deeds.push(Deed { at, call: name.to_owned(), items: items.to_vec(), count });
                Some(answer)
            }
            Err(error) => {
                self.deeds.ended_by = Some(error.to_string());
                None
            }
        }
    }

    /// Returns what was done.
    pub(super) fn end(self) -> Deeds {
        self.deeds
    }
}

/// Returns the interval of so many calls in a second.
pub(super) fn interval(per_second: f64) -> Duration {
    if per_second > 0.0 { Duration::from_secs_f64(1.0 / per_second) } else { Duration::ZERO }
}
