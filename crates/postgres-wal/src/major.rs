//! The major versions whose log can be read.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A PostgreSQL major version whose log this crate reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
#[expect(missing_docs, reason = "each name is its own description")]
pub enum Major {
    V13,
    V14,
    V15,
    V16,
    V17,
    V18,
}

/// A major version, or a page magic, that this crate does not know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("PostgreSQL {major} is not supported (13 to 18 are)")]
pub struct UnsupportedMajor {
    major: u32,
}

impl Major {
    /// Every supported version, oldest first.
    pub const ALL: [Self; 6] = [Self::V13, Self::V14, Self::V15, Self::V16, Self::V17, Self::V18];

    /// The version as a number, such as 17.
    pub fn number(self) -> u32 {
        match self {
            Self::V13 => 13,
            Self::V14 => 14,
            Self::V15 => 15,
            Self::V16 => 16,
            Self::V17 => 17,
            Self::V18 => 18,
        }
    }

    /// The version with this number.
    pub fn from_number(major: u32) -> Result<Self, UnsupportedMajor> {
        Self::ALL.into_iter().find(|known| known.number() == major).ok_or(UnsupportedMajor { major })
    }

    /// The magic number that begins each of its log pages.
    pub fn page_magic(self) -> u16 {
        match self {
            Self::V13 => 0xD106,
            Self::V14 => 0xD10D,
            Self::V15 => 0xD110,
            Self::V16 => 0xD113,
            Self::V17 => 0xD116,
            Self::V18 => 0xD118,
        }
    }

    /// The version whose log pages begin with this magic number.
    pub fn from_page_magic(magic: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.page_magic() == magic)
    }
}

impl fmt::Display for Major {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.number().fmt(formatter)
    }
}

impl TryFrom<u32> for Major {
    type Error = UnsupportedMajor;

    fn try_from(major: u32) -> Result<Self, UnsupportedMajor> {
        Self::from_number(major)
    }
}

impl From<Major> for u32 {
    fn from(major: Major) -> Self {
        major.number()
    }
}
