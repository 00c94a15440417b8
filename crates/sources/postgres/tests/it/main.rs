//! Tests on real servers: everything that a reader does and suffers.

mod events;
mod faults;
mod follow;
mod sink;
mod witness;
mod world;
