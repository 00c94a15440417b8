//! A small fictitious service, with a connector that reads it and one that writes to it: the worked example of
//! `docs/guide/writing-a-connector.md`, held to the whole specification.

mod api;
mod plan;
mod reader;
mod service;
mod subject;
mod unit;
mod writer;

use std::sync::Arc;

use connect_conformance::{Furnishing, Restorable, Subject};

pub(crate) use service::KEY;
pub(crate) use subject::NotesSubject;

pub(crate) fn reading(furnishing: &Furnishing) -> Arc<dyn Subject> {
    Arc::new(NotesSubject::start(furnishing))
}

pub(crate) fn restoring(furnishing: &Furnishing) -> Arc<dyn Restorable> {
    Arc::new(NotesSubject::start(furnishing))
}

connect_conformance::reading_tests!(reading);
connect_conformance::restoring_tests!(restoring);
