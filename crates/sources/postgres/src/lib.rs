//! Reads a production PostgreSQL cluster with a role that has `REPLICATION` and nothing else.
//!
//! [`ClusterReader`] copies the cluster once (`BASE_BACKUP`), then follows its log over a physical slot. What
//! arrives is durable in the sink before it is acknowledged, and parsed after that: commits become events that name
//! tables, counts and, where a [`witness`], the server's own log or [`activity`] sampling tells it, the actor.

pub mod activity;
mod archive;
mod base;
pub mod check;
mod chronicle;
mod events;
mod failure;
mod follow;
pub mod fuzzing;
mod glimpse;
pub mod layout;
mod manifest;
mod names;
mod path;
mod reader;
mod scan;
mod server_log;
pub mod settings;
pub mod slot;
pub mod succession;
mod timeline;
pub mod transactions;
pub mod witness;

pub use reader::ClusterReader;
pub use settings::{ClusterSettings, SlotNameError};
