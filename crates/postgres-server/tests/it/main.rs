//! Tests against real servers of every major version installed.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "clippy knows test functions, but not their helpers"
)]

mod clone;
mod lifecycle;
mod primary;
mod recovery;
mod shadow;
