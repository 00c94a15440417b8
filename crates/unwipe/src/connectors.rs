//! The connectors that this binary knows; nothing below it names one.

pub(crate) mod containment;
pub(crate) mod files;
pub(crate) mod google;
pub(crate) mod postgres;
pub(crate) mod recovery;
pub(crate) mod rolled;
pub(crate) mod selector;
pub(crate) mod succession;
