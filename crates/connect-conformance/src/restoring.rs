//! The checks of writers.

pub(crate) mod apply;
pub(crate) mod broken;
pub(crate) mod owner;
pub(crate) mod plans;
pub(crate) mod stage;
