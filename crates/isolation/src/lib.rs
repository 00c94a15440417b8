//! The negative proof: which credentials production has, and that none of them reaches the vault.
//!
//! Everything here is free of networks and terminals. [`scan`] reads files and environments and finds credentials in
//! them; [`own`] tells whether one of them is a secret of the vault's; [`access`], [`system`] and [`hosts`] say from
//! facts who may do what to files, who listens where, which names are the same machine. [`judge`] turns what was seen
//! and what probes answered into findings. What speaks to a database, a bucket, a vault's server or Google stands behind
//! the result types of [`trial`], and is done by the binary. Nothing returned here shows a secret.

pub mod access;
pub mod aws;
pub mod credential;
pub mod hosts;
pub mod judge;
pub mod own;
mod parse;
pub mod scan;
pub mod system;
pub mod trial;

pub use credential::{Credential, Kind};
pub use parse::{Recognised, recognise, recognise_environment};
