//! The simulator over HTTP, as its callers see it.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests stop where they fail")]

mod batches;
mod calendars;
mod contacts;
mod directory;
mod events;
mod faults;
mod guests;
mod reports;
mod series;
mod support;
mod tokens;
