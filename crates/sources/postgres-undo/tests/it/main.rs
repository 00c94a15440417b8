//! Undo on real servers.
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test has nobody to hand an error to")]

mod actors;
mod changes;
mod deletes;
mod drops;
mod histories;
mod measure;
mod rights;
mod selections;
mod story;
