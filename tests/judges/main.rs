//! Judges: what clients and servers of others think of the simulated Workspace domain, and of its connector.
//!
//! Google's client for Python and a client of others drive the simulator; a server of others is read with our reader. What is exported
//! is read by others' parsers.
//! `tools/install_python` and `tools/install_node` bring them.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a judge that cannot work should stop, and real processes take real time"
)]

mod agents;
mod clients;
mod domain;
mod emulate;
mod exports;
mod tools;
