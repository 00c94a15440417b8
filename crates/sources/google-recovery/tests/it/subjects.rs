//! What the conformance suite is told of a domain: the same as by the reader's tests.

#[path = "../../../google/tests/it/subjects/mail.rs"]
pub(crate) mod mail;
#[path = "../../../google/tests/it/subjects/shared.rs"]
pub(crate) mod shared;
