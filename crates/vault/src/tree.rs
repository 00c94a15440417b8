//! The Merkle tree over all commits, its signed heads, and what proves that nothing was taken back (format §10).
//!
//! The commits of all sources stand in one tree as RFC 6962 defines it. A *tree head* is an object `heads/<n>` that
//! appends commits to the tree of its predecessor and carries a *checkpoint*: size and root, signed in the form that
//! C2SP calls a signed note. Whoever keeps a checkpoint elsewhere can tell a vault that was rolled back or forked.

mod advance;
mod checkpoint;
mod compare;
mod edge;
mod head;
mod heads;
mod merkle;
mod note;
mod proof;

pub use advance::{Advance, HEAD_INTERVAL};
pub use checkpoint::{Checkpoint, CheckpointError, SignedCheckpoint, origin};
pub use compare::{Comparison, Standing};
pub use edge::Edge;
pub use head::{Covered, HeadError, Leaf, TreeHead};
pub use heads::CosignatureError;
pub use merkle::{Tree, empty_root, leaf_hash, node_hash, verify_consistency, verify_inclusion};
pub use note::{Algorithm, Note, NoteError, NoteSignature, NoteSigner, VerifierKey, VerifierKeyError};
pub use proof::{AddCheckpoint, InclusionProof, ProofError};

pub(crate) use advance::{OWN_COMMITS_MAX, TreeState};

#[cfg(test)]
mod tests;
