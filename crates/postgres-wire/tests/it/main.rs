//! The client against real servers of every available major version, and against hostile ones.

#![expect(clippy::unwrap_used, reason = "a test's helpers fail by panicking, as tests do")]
#![expect(clippy::disallowed_methods, reason = "a test's own small files need no durability")]

mod authentication;
mod backup;
mod hostile;
mod privileges;
mod replication;
mod sql;
mod support;
