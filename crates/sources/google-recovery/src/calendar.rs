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
mod whole;

pub(crate) use anew::{OF_KINDS, copied_id, copied_occurrence_id};
pub(crate) use event::{ATTENDEES, canonical, fields_of};
pub(crate) use promise::promises;
pub(crate) use step::CalendarStep;
