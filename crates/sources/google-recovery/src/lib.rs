//! Brings a Google Workspace domain back: plans what is undone, applies approved plans with an identity that may write,
//! and writes mail to files that any program reads.
//!
//! A plan compares three states of each item: before the window that is undone, after it, and now. What somebody changed
//! after the window stays as it is and is listed.

mod error;
pub mod export;
pub mod mail;

pub use error::PlanningError;
