//! Bringing a Workspace domain back, in a simulated one over HTTP.

#![expect(clippy::unwrap_used, reason = "tests stop where they fail")]

mod calendar;
mod conformance;
mod contacts;
#[path = "../../../google/tests/it/domain.rs"]
#[allow(dead_code, reason = "the tests of the reader use all of it")]
mod domain;
mod drive;
#[path = "../../../google/tests/it/drives.rs"]
#[allow(dead_code, reason = "the tests of the reader use all of it")]
mod drives;
mod export;
mod mail;
mod memberships;
mod stage;
mod subjects;
