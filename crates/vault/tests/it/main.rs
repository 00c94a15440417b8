//! The vault against stores that work, fail and lie.

mod bench;
mod round_trip;
mod support;
