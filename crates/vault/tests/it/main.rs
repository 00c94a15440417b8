//! The vault against stores that work, fail and lie.

mod damage;
mod faults;
mod keys;
mod locks;
mod measurement;
mod round_trip;
mod support;
mod vectors;
