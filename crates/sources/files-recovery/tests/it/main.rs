//! Trees on a real file system, through a real vault and back.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test that goes wrong should stop, and its trees are its own"
)]

mod damage;
mod encrypted;
mod hostile;
mod round_trip;
mod world;
