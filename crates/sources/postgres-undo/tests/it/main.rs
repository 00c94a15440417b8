//! Undo on real servers.
#![expect(clippy::expect_used, reason = "a test has nobody to hand an error to")]

mod deletes;
mod story;
