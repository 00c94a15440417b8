//! Buckets for tests: a real S3 server with Object Lock, and a simulator that stands before it and lies.
//!
//! The server is the program `s3lockd`, which `tools/install_s3` builds; it runs as a process of its own.

#![expect(clippy::expect_used, reason = "a test stops at the first thing that goes wrong")]

mod http;
mod liar;
mod server;

pub use liar::{Liar, Lie};
pub use server::{LockServer, Planted};
