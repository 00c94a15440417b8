//! Brings a Google Workspace domain back: plans what is undone, applies approved plans with an identity that may write,
//! and writes what is stored to files that any program reads.
//!
//! A plan compares three states of each item: before the window that is undone, after it, and now. What somebody changed
//! after the window stays as it is and is listed. [`Planner`] has a call for each kind of thing; each kind is a module
//! with its decisions, its steps, and what they promise.

mod calendar;
mod contacts;
mod drive;
mod error;
pub mod export;
mod fields;
mod journal;
mod mail;
mod memberships;
mod parallel;
mod planner;
mod promise;
mod request;
pub mod sandbox;
mod step;
mod writer;

pub use drive::known_organizer;
pub use error::PlanningError;
pub use mail::known_history;
pub use planner::Planner;
pub use promise::promises;
pub use request::{Destination, Heading, Request, Selection, Window};
pub use sandbox::Sandbox;
pub use writer::GoogleWriter;
