//! The simulator over HTTP, as its callers see it.

#![expect(clippy::unwrap_used, reason = "tests stop where they fail")]

mod batches;
mod directory;
mod drive;
mod drive_changes;
mod drive_content;
mod drive_sharing;
mod drive_writing;
mod faults;
mod gmail;
mod history;
mod support;
mod tokens;
mod uploads;
