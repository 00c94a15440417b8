//! Reads a Google Workspace domain with a service account that may only read: the directory, each user's mailbox, files,
//! calendars and contacts, the shared drives, and what the audit log says that was done.
//!
//! Each of these is a unit with a feed of its own. What a lost feed, a refusal or an empty answer does not show is
//! never taken for deleted: `docs/decisions/0060` says how a connector of this kind works.

mod agenda;
pub mod audit;
pub mod calendar;
mod check;
pub mod contacts;
mod directory;
pub mod drive;
mod failure;
mod feed;
pub mod fuzzing;
pub mod gmail;
mod losses;
mod reader;
mod records;
mod retries;
mod rounds;
mod user;

pub use reader::{GoogleReader, GoogleSettings, Part};
pub use records::RecordAttributes;
