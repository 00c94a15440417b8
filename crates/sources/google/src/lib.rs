//! Reads a Google Workspace domain with a service account that may only read: the directory, and each user's mailbox.
//!
//! Each mailbox is a unit with a history of its own. What a lost feed, a refusal or an empty answer does not show is
//! never taken for deleted: `docs/decisions/0060` says how a connector of this kind works.

mod check;
mod directory;
mod failure;
pub mod gmail;
mod reader;
mod records;
mod rounds;
mod user;

pub use reader::{GoogleReader, GoogleSettings, Part};
pub use records::RecordAttributes;
