//! Counts over a short time, over a day, beyond the usual, and along a sequence.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::{DAY, HOUR};
use crate::rules::{Drift, Sequence};

/// A window has so many parts; what falls out of it does so a part at a time.
const PARTS: i64 = 64;

/// How many there were within the last seconds.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Window {
    parts: VecDeque<(i64, u64)>,
    sum: u64,
}

impl Window {
    /// Adds so many at a time, and returns how many there are in the window that ends with the newest of all, and since
    /// when. What is older than that window does not count.
    pub(crate) fn add(&mut self, at: i64, count: u64, length: i64) -> (u64, i64) {
        let width = (length / PARTS).max(1);
        let part = at.div_euclid(width);
        let place = self.parts.partition_point(|(other, _)| *other < part);
        match self.parts.get_mut(place) {
            Some((other, sum)) if *other == part => *sum = sum.saturating_add(count),
            _ => self.parts.insert(place, (part, count)),
        }
        self.sum = self.sum.saturating_add(count);
        let newest = self.parts.back().map_or(part, |(part, _)| *part);
        while let Some((part, count)) = self.parts.front().copied()
            && newest - part > PARTS
        {
            self.sum = self.sum.saturating_sub(count);
            self.parts.pop_front();
        }
        (self.sum, self.parts.front().map_or(at, |(part, _)| part * width))
    }
}

/// How many there were in each of the last 24 hours.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Day {
    hours: VecDeque<(i64, u64)>,
}

impl Day {
    /// Adds so many at a time, and returns how many there were within the last day, and since when.
    pub(crate) fn add(&mut self, at: i64, count: u64) -> (u64, i64) {
        let hour = at.div_euclid(HOUR);
        let place = self.hours.partition_point(|(other, _)| *other < hour);
        match self.hours.get_mut(place) {
            Some((other, sum)) if *other == hour => *sum = sum.saturating_add(count),
            _ => self.hours.insert(place, (hour, count)),
        }
        let newest = self.hours.back().map_or(hour, |(hour, _)| *hour);
        while self.hours.front().is_some_and(|(hour, _)| newest - hour >= 24) {
            self.hours.pop_front();
        }
        let sum = self.hours.iter().fold(0_u64, |sum, (_, count)| sum.saturating_add(*count));
        (sum, self.hours.front().map_or(at, |(hour, _)| hour * HOUR))
    }
}

/// What goes beyond the usual, added up (CUSUM) over hours and over days.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Slope {
    hour: i64,
    in_hour: u64,
    beyond_hours: f64,
    day: i64,
    in_day: u64,
    beyond_days: f64,
    /// The mean of a day, as far as it is known; what goes beyond the usual does not become usual.
    mean: f64,
    since: Option<i64>,
}

/// Too many for too long.
pub(crate) struct Beyond {
    /// So many beyond the usual.
    pub(crate) excess: u64,
    /// The usual.
    pub(crate) usual: u64,
    /// Of an hour, otherwise of a day.
    pub(crate) hourly: bool,
    /// Since when.
    pub(crate) since: i64,
}

/// The mean of a day follows what is seen slowly.
const LEARNT: f64 = 0.1;
/// Days are uneven: so much more than the mean is still usual.
const UNEVEN: f64 = 1.5;

impl Slope {
    /// Adds so many at a time; tells when it is too much.
    pub(crate) fn add(&mut self, at: i64, count: u64, drift: &Drift) -> Option<Beyond> {
        let (hour, day) = (at.div_euclid(HOUR), at.div_euclid(DAY));
        if self.since.is_none() {
            (self.hour, self.day, self.since) = (hour, day, Some(at));
        }
        let usual_day = self.usual_day(drift);
        let usual_hour = (usual_day / 24.0).max(drift.hour_usual as f64);
        if hour > self.hour {
            let empty = (hour - self.hour - 1) as f64;
            let after = self.beyond_hours + self.in_hour as f64 - usual_hour;
            self.beyond_hours = (after.max(0.0) - empty * usual_hour).max(0.0);
            (self.hour, self.in_hour) = (hour, 0);
        }
        if day > self.day {
            self.end_days(day, usual_day);
        }
        if self.beyond_hours == 0.0 && self.beyond_days == 0.0 && self.in_hour == 0 {
            self.since = Some(at);
        }
        self.in_hour = self.in_hour.saturating_add(count);
        self.in_day = self.in_day.saturating_add(count);
        let since = self.since.unwrap_or(at);
        let beyond = |excess: f64, usual: f64, limit: u64, hourly: bool| {
            (excess > limit as f64).then_some(Beyond {
                excess: excess as u64,
                usual: usual as u64,
                hourly,
                since,
            })
        };
        let hours = self.beyond_hours + self.in_hour as f64 - usual_hour;
        let days = self.beyond_days + self.in_day as f64 - usual_day;
        beyond(hours, usual_hour, drift.hour_limit, true)
            .or_else(|| beyond(days, usual_day, drift.day_limit, false))
    }

    fn usual_day(&self, drift: &Drift) -> f64 {
        (self.mean * UNEVEN).max(drift.day_usual as f64)
    }

    fn end_days(&mut self, day: i64, usual: f64) {
        let empty = (day - self.day - 1) as f64;
        let today = self.in_day as f64;
        self.beyond_days = ((self.beyond_days + today - usual).max(0.0) - empty * usual).max(0.0);
        self.mean += LEARNT * (today.min(usual) - self.mean);
        self.mean *= (1.0 - LEARNT).powf(empty);
        (self.day, self.in_day) = (day, 0);
    }
}

/// How far somebody has come along a sequence.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Steps {
    step: usize,
    count: u64,
    started: i64,
    ended: Option<i64>,
}

impl Steps {
    /// Returns the step that is waited for.
    pub(crate) const fn step(&self) -> usize {
        self.step
    }

    /// Adds so many of the step that is waited for; returns since when, at the end of the sequence.
    pub(crate) fn add(&mut self, at: i64, count: u64, sequence: &Sequence) -> Option<i64> {
        if self.step == 0 && self.count == 0 {
            self.started = at;
        }
        self.count = self.count.saturating_add(count);
        if self.count < sequence.steps.get(self.step).map_or(u64::MAX, |step| step.count) {
            return None;
        }
        (self.step, self.count) = (self.step + 1, 0);
        if self.step < sequence.steps.len() {
            return None;
        }
        self.step = 0;
        let before = self.ended.replace(at);
        let known = sequence.first_in_days.zip(before);
        let is_first = known.is_none_or(|(days, before)| at - before > i64::from(days) * DAY);
        is_first.then_some(self.started)
    }

    /// Begins anew where it has taken too long.
    pub(crate) fn expire(&mut self, at: i64, sequence: &Sequence) {
        if at - self.started > i64::from(sequence.seconds) * super::SECOND {
            (self.step, self.count) = (0, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::SECOND, *};

    #[test]
    fn a_window_counts_what_is_in_it() {
        let mut window = Window::default();
        for second in 0..9 {
            assert_eq!(window.add(second * SECOND, 1, 10 * SECOND).0, second as u64 + 1);
        }
        assert_eq!(window.add(9 * SECOND, 1, 10 * SECOND).0, 10);
        assert!(window.add(30 * SECOND, 1, 10 * SECOND).0 == 1);
        // What comes late counts where it belongs.
        assert_eq!(window.add(29 * SECOND, 1, 10 * SECOND).0, 2);
        assert_eq!(window.add(SECOND, 100, 10 * SECOND).0, 2);
        let sum = (0..10_000).map(|n| window.add(40 * SECOND + n, 1, 10 * SECOND).0).max();
        assert_eq!(sum, Some(10_001));
        assert!(window.parts.len() < 70);
    }

    #[test]
    fn a_day_has_24_hours() {
        let mut day = Day::default();
        for hour in 0..48 {
            assert_eq!(day.add(hour * HOUR, 1).0, (hour as u64 + 1).min(24));
        }
    }

    const DRIFT: Drift = Drift { hour_usual: 10, hour_limit: 300, day_usual: 120, day_limit: 300 };

    #[test]
    fn what_goes_beyond_the_usual_adds_up_and_what_stays_below_is_taken_off() {
        let mut slow = Slope::default();
        let first = (0..24 * 60)
            .find(|&minute| minute % 2 == 0 && slow.add(minute * 60 * SECOND, 1, &DRIFT).is_some());
        assert!(first.is_some_and(|minute| minute < 18 * 60), "{first:?}");
        let mut usual = Slope::default();
        for day in 0..60 {
            assert!(usual.add(day * DAY, 110, &DRIFT).is_none());
        }
    }

    #[test]
    fn a_busy_mailbox_is_learnt_and_a_slow_rise_is_not() {
        let mut rising = Slope::default();
        let found = (0..60).find(|&day| rising.add(day * DAY, 100 + 20 * day as u64, &DRIFT).is_some());
        assert!(found.is_some(), "a rise by twenty a day went unnoticed for 60 days");
    }
}
