//! Containment of a simulated domain.

mod accounts;
mod consents;
mod domain;
