//! Contacts: who is set back, who is made again, with groups and photos, and doing so.

mod book;
mod create;
mod groups;
mod person;
mod photos;
mod plan;
mod promise;
mod step;
mod update;

pub(crate) use groups::is_system;
pub(crate) use person::{MEMBERSHIPS, fields_of, mark_of};
pub(crate) use promise::promises;
pub(crate) use step::ContactsStep;
