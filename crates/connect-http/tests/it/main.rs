//! The transport and what is built on it, against a server that answers as badly as it is told.

#![expect(clippy::unwrap_used, reason = "a test's helpers fail by panicking, as tests do")]

mod broken;
mod faults;
mod server;
mod tls;
