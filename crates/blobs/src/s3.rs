//! A bucket with Object Lock.
//!
//! The store's client has a closed list of verbs: nothing in it deletes, shortens a lock or configures the bucket. What
//! deletes is in two modules with credentials of their own: [`S3Reaper`], for what has lapsed, and [`attest`], which
//! attacks throw-away objects to learn what the bucket really enforces.

pub mod attest;
mod caller;
mod client;
mod connection;
mod encoding;
mod listing;
mod outcome;
mod reaper;
mod settings;
mod signature;
mod store;

pub use caller::{Caller, CallerAnswer, StsSettings, caller};
pub use client::LockMode;
pub use reaper::{ReaperCredential, S3Reaper};
pub use settings::{Addressing, Patience, S3Credential, S3Settings, SettingsError};
pub use store::S3Store;
