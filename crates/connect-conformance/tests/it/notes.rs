//! A small fictitious service, with a connector that reads it and one that writes to it: the worked example of
//! `docs/guide/writing-a-connector.md`, held to the whole specification.

mod api;
mod drill;
mod drilled;
mod plan;
mod reader;
mod service;
mod subject;
mod unit;
mod writer;

use std::sync::Arc;

use connect_conformance::{Drillable, Furnishing, Restorable, Subject};

pub(crate) use drill::NotesGround;
pub(crate) use drilled::NotesDrills;
pub(crate) use service::KEY;
pub(crate) use subject::NotesSubject;

pub(crate) fn reading(furnishing: &Furnishing) -> Arc<dyn Subject> {
    Arc::new(NotesSubject::start(furnishing))
}

pub(crate) fn restoring(furnishing: &Furnishing) -> Arc<dyn Restorable> {
    Arc::new(NotesSubject::start(furnishing))
}

pub(crate) fn drilling(furnishing: &Furnishing) -> Arc<dyn Drillable> {
    Arc::new(NotesDrills::start(furnishing))
}

connect_conformance::reading_tests!(reading);
connect_conformance::restoring_tests!(restoring);
connect_conformance::drilling_tests!(drilling);
