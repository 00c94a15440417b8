//! The checks of drills.

pub(crate) mod finding;
pub(crate) mod ground;
mod stage;
