//! Calendars: which events, calendars and rights are set back, which are made again, and doing so.

mod anew;
mod calendars;
mod decide;
mod desk;
mod event;
mod occurrences;
mod plan;
mod promise;
mod returning;
mod setting;
mod sharing;
mod step;
mod verify;

pub(crate) use promise::promises;
pub(crate) use step::CalendarStep;
