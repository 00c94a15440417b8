//! Sees a wipe while it happens: what sources tell becomes incidents, and incidents become alarms and containment.
//!
//! Everything here is a pure function of what was observed and of the times that came with it: no clock, no network, no
//! file. Who feeds it, who is told and who carries out an action are for the caller.

pub mod containment;
mod observation;
pub mod ransomware;

pub use observation::{Observation, Reach};
