//! Tests against real servers of every major version installed.

mod clone;
mod lifecycle;
mod primary;
mod recovery;
mod shadow;
