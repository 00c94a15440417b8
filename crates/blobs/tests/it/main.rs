//! One contract for all stores, and what a local store resists.

mod contract;
mod immutable;
