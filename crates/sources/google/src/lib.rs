//! Reads a Google Workspace domain with a service account that may only read: the directory, each user's mailbox and
//! files, and the shared drives.
//!
//! Each mailbox and each drive is a unit with a history of its own. What a lost feed, a refusal or an empty answer does not show is
//! never taken for deleted: `docs/decisions/0060` says how a connector of this kind works.

mod check;
mod directory;
pub mod drive;
mod failure;
pub mod gmail;
mod reader;
mod records;
mod rounds;
mod user;

pub use reader::{GoogleReader, GoogleSettings, Part};
pub use records::RecordAttributes;
