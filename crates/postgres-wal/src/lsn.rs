//! Positions in the log: [`Lsn`], [`Timeline`] and [`SegmentSize`].

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A byte position in the write-ahead log, shown as PostgreSQL shows it (`0/5F3C9850`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lsn(pub u64);

impl Lsn {
    /// The number of the segment that holds this position.
    pub fn segment_number(self, size: SegmentSize) -> u64 {
        self.0 / size.bytes()
    }

    /// The position's distance from the start of its segment.
    pub fn segment_offset(self, size: SegmentSize) -> u64 {
        self.0 % size.bytes()
    }

    /// The first position of the segment that holds this position.
    #[must_use]
    pub fn segment_start(self, size: SegmentSize) -> Self {
        Self(self.0 - self.segment_offset(size))
    }

    /// The name of the segment file that holds this position, such as `000000010000000000000001`.
    pub fn segment_file_name(self, timeline: Timeline, size: SegmentSize) -> String {
        let number = self.segment_number(size);
        let per_id = (1_u64 << 32) / size.bytes();
        format!("{:08X}{:08X}{:08X}", timeline.0, number / per_id, number % per_id)
    }

    /// A text of fixed width that sorts as the positions do.
    pub fn sortable(self) -> String {
        format!("{:016X}", self.0)
    }

    /// The position `bytes` later, or the last one there can be.
    #[must_use]
    pub fn advanced(self, bytes: u64) -> Self {
        Self(self.0.saturating_add(bytes))
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:X}/{:X}", self.0 >> 32, self.0 & 0xFFFF_FFFF)
    }
}

/// A text that is not a log position.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a log position: {text:?} (expected two hexadecimal numbers, such as 0/5F3C9850)")]
pub struct InvalidLsn {
    text: String,
}

impl FromStr for Lsn {
    type Err = InvalidLsn;

    fn from_str(text: &str) -> Result<Self, InvalidLsn> {
        let half = |digits: &str| {
            let valid =
                (1..=8).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
            valid.then(|| u64::from_str_radix(digits, 16).ok()).flatten()
        };
        text.split_once('/')
            .and_then(|(high, low)| Some(Self((half(high)? << 32) | half(low)?)))
            .ok_or_else(|| InvalidLsn { text: text.chars().take(64).collect() })
    }
}

impl Serialize for Lsn {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Lsn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// One branch of a cluster's history; a promotion or a recovery to an earlier moment begins a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Timeline(pub u32);

impl fmt::Display for Timeline {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// The size of a cluster's segment files: a power of two from 1 MiB to 1 GiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct SegmentSize(u64);

/// A segment size that PostgreSQL does not allow.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{bytes} bytes is not a segment size (a power of two from 1 MiB to 1 GiB)")]
pub struct InvalidSegmentSize {
    bytes: u64,
}

impl SegmentSize {
    /// What `initdb` chooses unless told otherwise: 16 MiB.
    pub const DEFAULT: Self = Self(16 << 20);

    /// Checks a size in bytes.
    pub fn new(bytes: u64) -> Result<Self, InvalidSegmentSize> {
        let allowed = bytes.is_power_of_two() && (1 << 20..=1 << 30).contains(&bytes);
        allowed.then_some(Self(bytes)).ok_or(InvalidSegmentSize { bytes })
    }

    /// The size in bytes.
    pub fn bytes(self) -> u64 {
        self.0
    }
}

impl TryFrom<u64> for SegmentSize {
    type Error = InvalidSegmentSize;

    fn try_from(bytes: u64) -> Result<Self, InvalidSegmentSize> {
        Self::new(bytes)
    }
}

impl From<SegmentSize> for u64 {
    fn from(size: SegmentSize) -> Self {
        size.0
    }
}

#[cfg(test)]
mod tests;
