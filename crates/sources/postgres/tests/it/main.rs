//! Tests on real servers: everything that a reader does and suffers.

#![expect(missing_docs, reason = "a test binary")]

mod follow;
mod sink;
mod world;
