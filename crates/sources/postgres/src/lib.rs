//! Reads a production PostgreSQL cluster with a role that has `REPLICATION` and nothing else.

pub mod layout;
