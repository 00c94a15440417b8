//! What can be chosen about contacts.

use std::time::Duration;

/// How contacts behave where the vendor's documents leave it open.
#[derive(Debug, Clone)]
pub struct PeopleSettings {
    /// How long sync tokens are good, counted from the full list that began their row.
    pub sync_lifetime: Duration,
    /// The status of the refusal of an expired sync token: 400, or 410 as it was once.
    pub expired_code: u16,
    /// How long a change takes until a list since a sync token shows it.
    pub sync_lag: Duration,
    /// How many full lists that ask for a sync token a user may begin in a minute; more are refused with 429.
    pub full_syncs_per_minute: Option<u32>,
    /// How long a deleted contact is remembered for lists since a sync token.
    pub deleted_kept: Duration,
}

impl Default for PeopleSettings {
    fn default() -> Self {
        Self {
            sync_lifetime: Duration::from_hours(7 * 24),
            expired_code: 400,
            sync_lag: Duration::ZERO,
            full_syncs_per_minute: None,
            deleted_kept: Duration::from_hours(30 * 24),
        }
    }
}
