//! Stops whoever destroys in a Google Workspace domain: takes a user's consent away from a program, suspends an account.
//!
//! It acts with a service account of its own, in the name of an administrator, with two scopes, by which no mail and no
//! file can be read. What a service account does by domain-wide delegation no API ends: that a person does, and is told
//! how.

mod accounts;
mod consents;
mod container;
mod failure;

pub use accounts::SuspendedAccount;
pub use consents::{Consent, ProgramConsents};
pub use container::{ContainmentSettings, DomainContainer};
