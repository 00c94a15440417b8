//! Tests on real servers: what the guard stops, what it refuses, what it must not do, and that it leaves no trace.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test that goes wrong should stop, and real servers take real time"
)]

mod contain;
mod install;
mod logical;
mod refuse;
mod world;
