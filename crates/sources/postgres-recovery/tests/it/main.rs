//! Recovery on real servers.

mod restore;
mod store;
