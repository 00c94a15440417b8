use std::fmt::{self, Write};

/// What happened, line by line; equal for equal seeds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trace {
    text: String,
}

impl Trace {
    /// Adds a line.
    pub fn note(&mut self, line: impl fmt::Display) {
        // Writing to a string cannot fail.
        writeln!(self.text, "{line}").ok();
    }

    /// Returns all lines.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns a short digest of all lines.
    pub fn digest(&self) -> String {
        blake3::hash(self.text.as_bytes()).to_hex()[..16].to_owned()
    }
}
