//! Where a walk stands: which listings hold what is in the vault, and up to which path.

use connect::Cursor;
use serde::{Deserialize, Serialize};

/// One listing, as far as the vault holds what it lists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Known {
    /// The run that wrote it, which is in its file's name.
    pub(crate) run: String,
    /// How much of the file counts.
    pub(crate) bytes: u64,
    /// The BLAKE3 hash of that much.
    pub(crate) hash: String,
    /// The last path that it covers, as a key; a complete one has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) after: Option<String>,
}

/// The listings that together say what is known, the newest first; each later one speaks of what lies behind the
/// earlier one's last path.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Position {
    pub(crate) listings: Vec<Known>,
}

impl Position {
    /// Reads a cursor; one that is not understood means that nothing is known.
    pub(crate) fn of(cursor: Option<&Cursor>) -> Self {
        cursor.and_then(|cursor| serde_json::from_str(&cursor.0).ok()).unwrap_or_default()
    }

    pub(crate) fn to_cursor(&self) -> Cursor {
        Cursor(serde_json::to_string(self).unwrap_or_default())
    }
}
