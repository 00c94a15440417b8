//! What a look at all calendars of a user brought.

use std::collections::BTreeMap;

use google_api::ApiError;

/// The answer of one call.
pub(super) type Answer = Result<Vec<u8>, ApiError>;

/// The answers of the first request of a read.
pub(super) struct Look {
    /// Of the list of calendars: all of it, or its changes.
    pub(super) list: Option<Answer>,
    /// Of the changes of events, by calendar.
    pub(super) events: BTreeMap<String, Answer>,
    /// Of the settings, in a round.
    pub(super) settings: Option<Answer>,
    /// Of each calendar that the user owns, in a round.
    pub(super) calendars: BTreeMap<String, Answer>,
}

/// Where reading a calendar's events came.
pub(super) enum Followed {
    /// To a token; without one it must be listed again.
    To(Option<String>),
    /// The calendar is gone.
    Gone,
}
