//! Reads real logs: committed ones, and those of servers started here.

#![expect(clippy::unwrap_used, reason = "a failed test is a panic, in its helpers too")]

mod cases;
mod fixtures;
mod log;
mod properties;
mod real_servers;
