//! What can be chosen about calendars.

use std::time::Duration;

/// How calendars behave where the vendor's documents leave it open.
#[derive(Debug, Clone)]
pub struct CalendarSettings {
    /// How long a sync token is good.
    pub sync_lifetime: Duration,
    /// Whether a change of who may see a calendar makes its sync tokens worthless.
    pub sharing_expires_tokens: bool,
    /// How long a deleted event is remembered: it is listed and can be brought back.
    pub deleted_kept: Duration,
    /// Whether lists show of deleted events only what is guaranteed. A single one that is asked for shows everything.
    pub bare_deleted: bool,
    /// One in so many pages of events is empty and leads on.
    pub empty_page_one_in: Option<u64>,
    /// Whether people outside of the domain get a mail although `sendUpdates=none` was said.
    pub stray_mails: bool,
    /// Addresses of users for whom the service is turned off.
    pub turned_off: Vec<String>,
    /// How long a channel lives that says nothing of it.
    pub channel_lifetime: Duration,
}

impl Default for CalendarSettings {
    fn default() -> Self {
        let day = Duration::from_hours(24);
        Self {
            sync_lifetime: 28 * day,
            sharing_expires_tokens: true,
            deleted_kept: 30 * day,
            bare_deleted: true,
            empty_page_one_in: None,
            stray_mails: false,
            turned_off: Vec::new(),
            channel_lifetime: 7 * day,
        }
    }
}
