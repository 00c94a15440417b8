//! The door for digests: which one a service wants is its connector's business.

/// Sums up bytes.
pub trait Digest {
    /// Adds bytes.
    fn update(&mut self, bytes: &[u8]);

    /// Returns the value over all bytes so far.
    fn value(&self) -> Vec<u8>;
}
