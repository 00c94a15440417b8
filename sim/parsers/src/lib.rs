//! Every parser of stored or foreign bytes as a function of bytes, with the beginnings of a corpus.
//!
//! `fuzz/` runs the same functions under libFuzzer; the tests of this crate run them on the seeds, on what fuzzing has
//! found before (`fuzz/regressions`), and on some thousand mutations of both, so that a regression shows in seconds.

mod google;
pub mod mutation;
mod objects;
mod seeds;
mod targets;

use std::path::PathBuf;

pub use targets::TARGETS;

/// One parser.
#[derive(Clone, Copy)]
pub struct Target {
    /// Its name, which is also that of the program in `fuzz/fuzz_targets`.
    pub name: &'static str,
    /// Reads any bytes; it panics when the parser does what it must not.
    pub run: fn(&[u8]),
    /// Makes bytes that the parser accepts, from the test vectors of the format.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// Runs the target of this name; called by the programs in `fuzz/fuzz_targets`.
pub fn run(name: &str, data: &[u8]) {
    if let Some(target) = TARGETS.iter().find(|target| target.name == name) {
        (target.run)(data);
    }
}

/// Returns the repository's folder.
pub fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[cfg(test)]
mod tests;
