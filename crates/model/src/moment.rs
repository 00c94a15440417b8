use std::fmt;

use serde::{Deserialize, Serialize};

/// A point in time: microseconds since 1970-01-01T00:00:00Z.
///
/// Microseconds, because that is what PostgreSQL commit records carry; more would be invented.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(i64);

/// A text that is not an RFC 3339 time.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{text:?} is not an RFC 3339 time such as 2026-04-25T14:00:09Z")]
pub struct MomentParseError {
    text: String,
    #[source]
    source: jiff::Error,
}

impl Moment {
    /// Makes a moment from microseconds since the Unix epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Returns the microseconds since the Unix epoch.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Returns the moment this many microseconds later, at most the last one that can be expressed.
    #[must_use]
    pub const fn plus_micros(self, micros: i64) -> Self {
        Self(self.0.saturating_add(micros))
    }

    /// Returns how many microseconds `earlier` lies before this moment; negative when it lies after.
    pub const fn micros_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(timestamp) => write!(f, "{timestamp:.6}"),
            Err(_) => write!(f, "{}us", self.0),
        }
    }
}

impl std::str::FromStr for Moment {
    type Err = MomentParseError;

    fn from_str(text: &str) -> Result<Self, MomentParseError> {
        text.parse::<jiff::Timestamp>()
            .map(|timestamp| Self(timestamp.as_microsecond()))
            .map_err(|source| MomentParseError { text: text.to_owned(), source })
    }
}

impl Serialize for Moment {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_moment_round_trip_to_the_microsecond() {
        let moment: Moment = "2026-04-25T14:00:09.000001Z".parse().unwrap();
        assert_eq!(moment.to_string(), "2026-04-25T14:00:09.000001Z");
        assert_eq!(moment.to_string().parse::<Moment>().unwrap(), moment);
        assert_eq!("2026-04-25T16:00:09.000001+02:00".parse::<Moment>().unwrap(), moment);
    }

    #[test]
    fn a_text_that_is_no_time_is_refused_with_the_text() {
        let error = "yesterday".parse::<Moment>().unwrap_err();
        assert!(error.to_string().contains("\"yesterday\""));
    }
}
