//! Recovery on real servers.

mod drill;
mod faults;
mod moments;
mod restore;
mod shadow;
mod store;
