//! The suite, held against a connector that keeps every rule and against ones that do not.

#![expect(clippy::unwrap_used, reason = "tests stop where they fail")]

mod documents;
mod flaws;
mod notes;
