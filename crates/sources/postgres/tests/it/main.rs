//! Tests on real servers: everything that a reader does and suffers.

mod faults;
mod follow;
mod sink;
mod world;
