//! Commits: a signed envelope that anybody can check, and a sealed body (format §7).

mod body;
mod envelope;

pub(crate) use body::{BlockBuilder, EncodeError, OpenBlock, check_change, split_blocks};
pub use body::{Change, ChangeBlock, CommitBody, FieldTooLong};
pub(crate) use envelope::assemble;
pub use envelope::{Commit, CommitError, Envelope, InlineBody, PackEntry};

#[cfg(test)]
mod tests;
