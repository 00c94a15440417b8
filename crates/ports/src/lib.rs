//! The doors through which time, chance and storage enter.
//!
//! Logic takes these traits; only the adapters here (and in `blobs`) touch the outside world. `clippy.toml`
//! forbids the direct calls everywhere else, so that a seed reproduces a run.

pub mod blob;
pub mod clock;
pub mod files;
pub mod random;
pub mod span;

pub use blob::{Blob, BlobError, BlobName, BlobStore, ForeignKind, ForeignObject, LapsedBlobs, LapsedProof};
pub use clock::{Boot, Clock, ManualClock, SystemClock, TimeError, TimeSource};
pub use random::{Random, SeededRandom, SystemRandom};
pub use span::Tracing;
