//! What the conformance suite is told of each part of a domain.

pub(crate) mod drive;
pub(crate) mod mail;
pub(crate) mod shared;
