//! The simulator over HTTP, as its callers see it.

#![expect(clippy::unwrap_used, reason = "tests stop where they fail")]

mod batches;
mod calendars;
mod contacts;
mod directory;
mod drive;
mod drive_changes;
mod drive_content;
mod drive_sharing;
mod drive_writing;
mod events;
mod faults;
mod gmail;
mod guests;
mod history;
mod reports;
mod series;
mod support;
mod tokens;
mod uploads;
mod wipes;
