//! Recovery on real servers.

#![expect(clippy::unwrap_used, reason = "a test's helpers fail by panicking, as tests do")]

mod drill;
mod faults;
mod moments;
mod restore;
mod shadow;
mod store;
