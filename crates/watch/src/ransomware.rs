//! Ransomware, seen by comparing a new version of a file with what is remembered of the one before.
//!
//! Looking at one version alone cannot tell ciphertext from what is compressed. Beside the previous version it can: what
//! was a document, is all new and has no form any more, was encrypted. A [`Sketch`] is what is remembered of a version, in
//! a kilobyte; [`compare`] judges two of them; [`Campaign`] judges the run of judgements.

mod campaign;
mod chunks;
mod compare;
mod inflated;
mod kind;
mod names;
mod sketch;
mod sketcher;
mod structure;
mod uniform;

pub use campaign::{Alarm, AlarmCause, Campaign, Changed};
pub use compare::{Names, Verdict, Why, compare};
pub use kind::Kind;
pub use names::{is_ransom_note, new_extension};
pub use sketch::{Sketch, SketchError};
pub use sketcher::Sketcher;
pub use structure::Structure;

#[cfg(test)]
mod tests;
