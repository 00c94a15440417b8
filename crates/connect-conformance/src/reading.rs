//! The checks of readers.

pub(crate) mod absent;
pub(crate) mod capture;
pub(crate) mod cost;
pub(crate) mod faults;
pub(crate) mod feed;
pub(crate) mod kills;
pub(crate) mod lost;
pub(crate) mod positions;
pub(crate) mod secrets;
