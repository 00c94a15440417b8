//! Stores that keep a vault's objects: a local folder, memory, one with locks of its own clock, and one that fails on
//! purpose.
//!
//! None of them can replace or delete an object: `ports::BlobStore` has no such call.

mod fault;
mod local;
mod memory;
mod protection;
mod worm;

pub use fault::{Fault, FaultCall, FaultStore};
pub use local::LocalStore;
pub use memory::MemoryStore;
pub use protection::{Protection, ProtectionReport};
pub use worm::{Attempt, Deed, WormStore};
