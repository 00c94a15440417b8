//! The vault against stores that work, fail and lie.

#![expect(clippy::unwrap_used, reason = "a test stops at the first thing that goes wrong")]

mod damage;
mod faults;
mod keys;
mod locks;
mod measurement;
mod mirror;
mod retention;
mod round_trip;
mod support;
mod vectors;
