//! Brings a stored folder tree back into a new folder, whatever the stored names say.
//!
//! Nothing is ever created outside of the new folder: each path is taken apart, every part is opened without following
//! links, and a name that could lead elsewhere is refused. The folder gets its own name only when all is there.

mod folders;
mod tree;

pub use tree::{RestoreError, RestoreOptions, Restored, restore_tree};
