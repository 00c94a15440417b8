//! Stores that keep a vault's objects: a local folder, another host, memory, and one that fails on purpose.
//!
//! None of them can replace or delete an object: `ports::BlobStore` has no such call.

mod fault;
mod local;
mod memory;
mod protection;
pub mod remote;
pub mod sealer;

pub use fault::{Fault, FaultCall, FaultStore};
pub use local::LocalStore;
pub use memory::MemoryStore;
pub use protection::{Protection, ProtectionReport};
pub use remote::{RemoteError, RemoteReaper, RemoteSettings, RemoteStore};
pub use sealer::{SealerClient, SealerReaper};
