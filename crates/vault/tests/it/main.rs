//! The vault against stores that work, fail and lie.

#![expect(clippy::unwrap_used, reason = "a test stops at the first thing that goes wrong")]

mod auditor;
mod bucket;
mod damage;
mod faults;
mod heads;
mod keys;
mod locks;
mod measurement;
mod mirror;
mod owner;
mod retention;
mod round_trip;
mod support;
mod vectors;
