//! Stops whoever wipes a PostgreSQL database, under a role of its own that can do nothing else.
//!
//! [`install`] puts into a database, with an administrator's credential, what refuses `DROP` and `TRUNCATE` and what may
//! end sessions and bar logins; [`ClusterContainer`] uses the latter as role `unwipe_guard`. Which roles may be contained
//! is decided inside the database, so a stolen credential of the guard can only lock out those. [`Pulse`] keeps an idle
//! server from sitting on its log. [`logical`] is for servers whose log cannot be read as such.

mod container;
mod evidence;
pub mod install;
pub mod logical;
mod numbers;
mod pulse;
mod sessions;

pub use container::ClusterContainer;
pub use install::{Policy, PolicyError};
pub use pulse::Pulse;

/// The schema that holds everything that is installed.
pub const SCHEMA: &str = "unwipe_guard";
/// The role as which the guard logs in.
pub const ROLE: &str = "unwipe_guard";
