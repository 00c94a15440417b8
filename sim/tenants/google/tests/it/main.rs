//! The simulator over HTTP, as its callers see it.

#![expect(clippy::unwrap_used, reason = "tests stop where they fail")]

mod batches;
mod directory;
mod faults;
mod gmail;
mod history;
mod support;
mod tokens;
mod uploads;
