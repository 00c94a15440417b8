//! The simulator over HTTP, as its callers see it.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests stop where they fail")]

mod batches;
mod directory;
mod faults;
mod support;
mod tokens;
