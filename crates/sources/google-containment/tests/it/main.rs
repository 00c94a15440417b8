//! Containment of a simulated domain.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests stop where they fail")]

mod accounts;
mod consents;
mod domain;
