//! The reader of a Workspace domain, against a simulated one over HTTP.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests stop where they fail")]

mod audit;
mod calendar;
mod conformance;
mod contacts;
mod directory;
mod domain;
mod drive;
mod drive_trouble;
mod drives;
mod mail;
mod quiet;
mod subjects;
mod trouble;
