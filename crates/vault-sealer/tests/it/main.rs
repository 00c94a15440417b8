//! The sealer on the real file system of this machine, against root without the one capability.

#![expect(clippy::unwrap_used, reason = "a test that goes wrong should stop")]

mod attacks;
mod seal;
mod support;
