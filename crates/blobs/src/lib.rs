//! Stores that keep a vault's objects: a local folder, a bucket with Object Lock, memory, and one that
//! fails on purpose.
//!
//! None of them can replace or delete an object: `ports::BlobStore` has no such call.

mod fault;
mod local;
mod memory;
mod protection;
pub mod s3;

pub use fault::{Fault, FaultCall, FaultStore};
pub use local::LocalStore;
pub use memory::MemoryStore;
pub use protection::{Protection, ProtectionReport};
