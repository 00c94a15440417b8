//! One contract for all stores, and what a local store resists.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test stops at the first thing that goes wrong"
)]

mod attest;
mod bucket;
mod contract;
mod immutable;
mod judge;
mod liars;
mod reaper;
mod tls;
