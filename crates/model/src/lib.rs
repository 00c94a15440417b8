//! The vocabulary that every other crate speaks: names, moments, items, changes, events.
//!
//! Nothing here does IO, reads a clock or knows a vendor. `GLOSSARY.md` holds the same words in prose.

mod event;
mod item;
mod moment;
mod name;
mod redacted;
mod zeros;

pub use event::{Actor, Attribution, Effect, Event, Severity, Stage, Verb};
pub use item::{Completeness, Item, Layout, Ledger, UnreadableReason};
pub use moment::{Moment, MomentParseError};
pub use name::{NameError, SourceName, StreamName};
pub use redacted::Redacted;
pub use zeros::is_zero;
