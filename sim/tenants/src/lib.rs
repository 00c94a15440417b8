//! The simulated world that rehearsals run on.
//!
//! [`railway`] is a *simulator* of Railway's GraphQL API on loopback, [`agent`] holds scripted rogue agents (data,
//! no intelligence) and the attacks that they run with everything they hold, and [`rental`] makes databases of
//! believable content, writes to them, and witnesses every acknowledged write from outside.

pub mod agent;
pub mod railway;
pub mod rental;
