//! Tests on real servers: everything that a reader does and suffers.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test that goes wrong should stop, and real servers take real time"
)]

mod events;
mod faults;
mod follow;
mod glimpse;
mod majors;
mod server_log;
mod sink;
mod witness;
mod world;
