//! A small world in which a vault lives through years of bad luck, all of it drawn from one seed.
//!
//! [`World`] holds a vault in a store with locks, hosts whose clocks lie, a store that fails at chosen calls, and a rogue
//! with every credential. [`action`]s are drawn from the seed; [`mod@reference`] remembers, simply and in memory, what must be
//! restorable; [`invariants`] compares the two. [`runner`] runs seeds and shortens what fails, [`sweep`] injects every fault
//! at every single call, and [`crash`] rebuilds what a disk could look like after a power cut at every sync.

pub mod action;
mod bytes;
pub mod clock;
mod commit;
pub mod crash;
pub mod invariants;
mod keeper;
mod known;
mod mirror;
pub mod reference;
mod rogue;
pub mod runner;
pub mod sweep;
mod trace;
mod world;

pub use trace::Trace;
pub use world::{Violation, World};
