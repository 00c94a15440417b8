//! Prints how fast storing and reading are; run with `--release -- --ignored --nocapture bench`.
