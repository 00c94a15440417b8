//! Undo on real servers.
#![expect(clippy::expect_used, reason = "a test has nobody to hand an error to")]

mod changes;
mod deletes;
mod drops;
mod histories;
mod measure;
mod rights;
mod selections;
mod story;
