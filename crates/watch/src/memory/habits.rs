//! What is usual for a target.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::DAY;

/// So many days are looked back.
const DAYS: usize = 14;
/// On so many of them it must have been done.
const DAYS_MIN: usize = 3;

/// How much was done to a target on each of the last days.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Habit {
    days: VecDeque<(i64, u64)>,
}

impl Habit {
    /// Adds so many at a time.
    pub(crate) fn add(&mut self, at: i64, count: u64) {
        let day = at.div_euclid(DAY);
        let place = self.days.partition_point(|(other, _)| *other < day);
        match self.days.get_mut(place) {
            Some((other, sum)) if *other == day => *sum = sum.saturating_add(count),
            _ => self.days.insert(place, (day, count)),
        }
        let newest = self.days.back().map_or(day, |(day, _)| *day);
        while self.days.front().is_some_and(|(day, _)| newest - day > DAYS as i64) {
            self.days.pop_front();
        }
    }

    /// Tells whether as much was done on days before as on the day of this moment, give or take a half.
    pub(crate) fn is_usual(&self, at: i64) -> bool {
        let today = at.div_euclid(DAY);
        let now = self.days.iter().find(|(day, _)| *day == today).map_or(0, |(_, count)| *count);
        let mut before: Vec<u64> =
            self.days.iter().filter(|(day, _)| *day < today).map(|(_, count)| *count).collect();
        if before.len() < DAYS_MIN {
            return false;
        }
        before.sort_unstable();
        let middle = before[before.len() / 2];
        now <= middle.saturating_add(middle / 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_days_make_a_habit_and_half_as_much_again_breaks_it() {
        let mut habit = Habit::default();
        for day in 0..5 {
            habit.add(day * DAY, 1000);
            assert_eq!(habit.is_usual(day * DAY), day >= 3, "day {day}");
        }
        habit.add(5 * DAY, 1500);
        assert!(habit.is_usual(5 * DAY));
        habit.add(5 * DAY + 1, 1);
        assert!(!habit.is_usual(5 * DAY + 1));
        assert!(habit.days.len() <= DAYS + 1);
    }
}
