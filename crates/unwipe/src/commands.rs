//! One module for each verb.

pub(crate) mod apply;
pub(crate) mod approve;
pub(crate) mod capture;
pub(crate) mod doctor;
pub(crate) mod drill;
pub(crate) mod export;
pub(crate) mod files;
pub(crate) mod guard;
pub(crate) mod head;
pub(crate) mod init;
pub(crate) mod keys;
pub(crate) mod log;
pub(crate) mod mirror;
pub(crate) mod protect;
pub(crate) mod reference;
pub(crate) mod retention;
pub(crate) mod rewind;
pub(crate) mod serve;
pub(crate) mod shadow;
pub(crate) mod show;
pub(crate) mod siege;
pub(crate) mod sources;
pub(crate) mod timeline;
pub(crate) mod vault;
pub(crate) mod verify;
pub(crate) mod witness;
