//! The client against real servers of every available major version, and against hostile ones.

mod authentication;
mod backup;
mod hostile;
mod privileges;
mod replication;
mod sql;
mod support;
