//! Spans of time, amounts of space and windows of a day, as people write them.

use std::{fmt, str::FromStr};

use model::Moment;
use serde::{Deserialize, Serialize};

const DAY_S: i64 = 86_400;

/// A text that is no such quantity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// No span of time.
    #[error("{text:?} is no span of time: write 90s, 30m, 2h, 7d")]
    Span {
        /// What was written.
        text: String,
    },
    /// No amount of space.
    #[error("{text:?} is no amount of space: write 500MB, 50GB, 2TB")]
    Space {
        /// What was written.
        text: String,
    },
    /// No window of a day.
    #[error("{text:?} is no window of a day: write 22:00-05:00, in UTC")]
    Window {
        /// What was written.
        text: String,
    },
}

/// A span of time in seconds, written `7d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Span(pub u64);

impl Span {
    /// Returns it in microseconds, as moments count.
    pub fn as_micros(self) -> i64 {
        i64::try_from(self.0).unwrap_or(i64::MAX).saturating_mul(1_000_000)
    }
}

/// The letters of spans with their seconds, the longest first.
const SPANS: [(&str, u64); 4] = [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];

impl FromStr for Span {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        quantity(text, &SPANS).map(Self).ok_or_else(|| UnitError::Span { text: text.to_owned() })
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        written(self.0, &SPANS, f)
    }
}

/// An amount of space in bytes, written `50GB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Space(pub u64);

const SPACES: [(&str, u64); 5] =
    [("TB", 1_000_000_000_000), ("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000), ("B", 1)];

impl FromStr for Space {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        quantity(text, &SPACES).map(Self).ok_or_else(|| UnitError::Space { text: text.to_owned() })
    }
}

impl fmt::Display for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        written(self.0, &SPACES, f)
    }
}

fn quantity(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let number: u64 = text[..text.len() - digits.len()].parse().ok()?;
    let (_, unit) = units.iter().find(|(name, _)| *name == digits)?;
    number.checked_mul(*unit).filter(|&value| value > 0)
}

fn written(value: u64, units: &[(&str, u64)], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let fits = units.iter().find(|(_, unit)| value.is_multiple_of(*unit) && value >= *unit);
    let (name, unit) = fits.copied().unwrap_or(("", 1));
    write!(f, "{}{name}", value / unit)
}

/// The part of each day in which drills may begin, in UTC: `22:00-05:00`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DailyWindow {
    /// The first minute of the day.
    from: u32,
    /// The minute after the last one; less than `from` where it reaches over midnight.
    until: u32,
}

impl DailyWindow {
    /// Returns the first time from `at` on that lies in the window.
    pub fn next_from(self, at: Moment) -> Moment {
        let seconds = at.as_micros().div_euclid(1_000_000);
        let of_day = seconds.rem_euclid(DAY_S);
        let (from, until) = (i64::from(self.from) * 60, i64::from(self.until) * 60);
        let inside =
            if from < until { (from..until).contains(&of_day) } else { of_day >= from || of_day < until };
        if inside {
            return at;
        }
        let midnight = seconds - of_day;
        let begin = if of_day < from { midnight + from } else { midnight + DAY_S + from };
        Moment::from_micros(begin.saturating_mul(1_000_000))
    }
}

impl FromStr for DailyWindow {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let minute = |text: &str| {
            let (hours, minutes) = text.split_once(':').filter(|(h, m)| h.len() == 2 && m.len() == 2)?;
            let (hours, minutes): (u32, u32) = (hours.parse().ok()?, minutes.parse().ok()?);
            (hours < 24 && minutes < 60).then_some(hours * 60 + minutes)
        };
        text.split_once('-')
            .and_then(|(from, until)| Some(Self { from: minute(from)?, until: minute(until)? }))
            .filter(|window| window.from != window.until)
            .ok_or_else(|| UnitError::Window { text: text.to_owned() })
    }
}

impl fmt::Display for DailyWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, until) = (self.from, self.until);
        write!(f, "{:02}:{:02}-{:02}:{:02}", from / 60, from % 60, until / 60, until % 60)
    }
}

macro_rules! as_text {
    ($($name:ty),*) => {$(
        impl TryFrom<String> for $name {
            type Error = UnitError;

            fn try_from(text: String) -> Result<Self, UnitError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.to_string()
            }
        }
    )*};
}

as_text!(Span, Space, DailyWindow);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn quantities_are_read_as_people_write_them() {
        assert_eq!("7d".parse(), Ok(Span(7 * 86_400)));
        assert_eq!("90m".parse::<Span>().unwrap().to_string(), "90m");
        assert_eq!("50GB".parse(), Ok(Space(50_000_000_000)));
        for refused in ["", "7", "d", "-1d", "0h", "7w", "1.5h", "99999999999999999999d", "７d"] {
            assert!(refused.parse::<Span>().is_err(), "{refused}");
        }
        for refused in ["50", "GB", "50gb", "0GB", "50 GB"] {
            assert!(refused.parse::<Space>().is_err(), "{refused}");
        }
        for refused in ["22:00", "25:00-26:00", "1:00-2:00", "05:00-05:00", "22:00-05:61"] {
            assert!(refused.parse::<DailyWindow>().is_err(), "{refused}");
        }
    }

    #[test]
    fn a_window_over_midnight_is_one_window() {
        let window: DailyWindow = "22:00-05:00".parse().unwrap();
        let next = |at: &str| window.next_from(at.parse().unwrap()).to_string();
        assert_eq!(next("2026-11-26T23:30:00Z"), "2026-11-26T23:30:00.000000Z");
        assert_eq!(next("2026-11-26T04:59:59Z"), "2026-11-26T04:59:59.000000Z");
        assert_eq!(next("2026-11-26T05:00:00Z"), "2026-11-26T22:00:00.000000Z");
        let noon: DailyWindow = "12:00-13:00".parse().unwrap();
        assert_eq!(
            noon.next_from("2026-11-26T13:00:00Z".parse().unwrap()).to_string(),
            "2026-11-27T12:00:00.000000Z"
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(seconds in 1_u64..1 << 40) {
            prop_assert_eq!(Span(seconds).to_string().parse(), Ok(Span(seconds)));
            prop_assert_eq!(Space(seconds).to_string().parse(), Ok(Space(seconds)));
        }

        #[test]
        fn the_next_time_in_a_window_is_within_a_day(from in 0_u32..1440, until in 0_u32..1440, at in 0_i64..1 << 50) {
            prop_assume!(from != until);
            let (window, at) = (DailyWindow { from, until }, Moment::from_micros(at));
            let next = window.next_from(at);
            prop_assert!(next >= at && next.micros_since(at) <= DAY_S * 1_000_000);
            prop_assert_eq!(window.next_from(next), next);
        }
    }
}
