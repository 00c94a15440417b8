//! Stores that keep a vault's objects: a local folder, a bucket with Object Lock, another host, memory, one with locks of its
//! own clock, and one that fails on purpose.
//!
//! None of them can replace or delete an object: `ports::BlobStore` has no such call. A reaper is a type of its own.

mod fault;
mod local;
mod memory;
mod protection;
pub mod remote;
pub mod s3;
pub mod sealer;
mod worm;

pub use fault::{Fault, FaultCall, FaultStore};
pub use local::{LocalReaper, LocalStore};
pub use memory::{MemoryReaper, MemoryStore};
pub use protection::{Protection, ProtectionReport};
pub use remote::{RemoteError, RemoteSettings, RemoteStore};
pub use sealer::{SealerClient, SealerReaper};
pub use worm::{Attempt, Deed, WormStore};
