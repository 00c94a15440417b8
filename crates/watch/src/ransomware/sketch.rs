//! What is remembered of one version of a file.

use super::{chunks::SAMPLE_MAX, kind::Kind, structure::Structure};

/// What is remembered of one version of a file: enough to tell whether the next one was edited or encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sketch {
    /// How many bytes it has.
    pub length: u64,
    /// What it is, by its first bytes.
    pub kind: Kind,
    /// Whether it is put together as its kind asks for.
    pub structure: Structure,
    /// Whether it is random bytes written as letters.
    pub armoured: bool,
    /// How many pieces it was cut into.
    pub pieces: u64,
    /// How many of them are uniform.
    pub uniform_pieces: u64,
    /// How uneven its first bytes are: chi-square against even ones.
    pub head: u16,
    /// How uneven its last bytes are.
    pub tail: u16,
    /// How uneven everything behind the first 4 KiB is, taken together.
    pub body: u16,
    /// The smallest hashes of its pieces, in order, each once; the lowest bit says whether the piece is uniform.
    pub sample: Vec<u64>,
}

/// Why stored bytes are no sketch: they are damaged, or of another version. What they told is lost; nothing else is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the stored sketch of a file cannot be read")]
pub struct SketchError;

const VERSION: u8 = 1;
const FIXED_BYTES: usize = 4 + 3 * 8 + 3 * 2;

impl Sketch {
    /// Returns it as bytes, fewer than 1,100.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(FIXED_BYTES + self.sample.len() * 8);
        bytes.extend([VERSION, self.kind as u8, self.structure as u8, u8::from(self.armoured)]);
        for number in [self.length, self.pieces, self.uniform_pieces] {
            bytes.extend(number.to_le_bytes());
        }
        for number in [self.head, self.tail, self.body] {
            bytes.extend(number.to_le_bytes());
        }
        for hash in &self.sample {
            bytes.extend(hash.to_le_bytes());
        }
        bytes
    }

    /// Reads what [`Self::to_bytes`] returned.
    pub fn of_bytes(bytes: &[u8]) -> Result<Self, SketchError> {
        let (fixed, sample) = bytes.split_at_checked(FIXED_BYTES).ok_or(SketchError)?;
        let (&[version, kind, structure, armoured], numbers) =
            fixed.split_first_chunk().ok_or(SketchError)?;
        if version != VERSION || sample.len() % 8 != 0 || sample.len() > SAMPLE_MAX * 8 {
            return Err(SketchError);
        }
        let (wide, narrow) = numbers.split_at(24);
        let wide: Vec<u64> = words(wide);
        let narrow: Vec<u16> =
            narrow.chunks_exact(2).map(|two| u16::from_le_bytes([two[0], two[1]])).collect();
        let sample = words(sample);
        if !sample.is_sorted_by(|a, b| a < b) {
            return Err(SketchError);
        }
        Ok(Self {
            length: wide[0],
            kind: Kind::of_number(kind),
            structure: Structure::of_number(structure),
            armoured: armoured == 1,
            pieces: wide[1],
            uniform_pieces: wide[2],
            head: narrow[0],
            tail: narrow[1],
            body: narrow[2],
            sample,
        })
    }

    /// Returns the share of pieces that are uniform.
    pub fn uniform_share(&self) -> f64 {
        self.uniform_pieces as f64 / self.pieces.max(1) as f64
    }

    /// Whether the sample is all that there is.
    pub(super) fn is_whole(&self) -> bool {
        self.sample.len() < SAMPLE_MAX
    }
}

fn words(bytes: &[u8]) -> Vec<u64> {
    bytes.as_chunks::<8>().0.iter().map(|eight| u64::from_le_bytes(*eight)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{
        super::tests::{noise, sketch},
        *,
    };

    #[test]
    fn what_is_stored_is_small_and_read_as_it_was() {
        for bytes in [0, 10, 3000, 3 << 20] {
            let sketch = sketch(&noise(bytes, 9));
            let stored = sketch.to_bytes();
            assert!(stored.len() < 1500);
            assert_eq!(Sketch::of_bytes(&stored), Ok(sketch));
        }
    }

    proptest! {
        #[test]
        fn damage_is_an_error_or_another_sketch(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(sketch) = Sketch::of_bytes(&bytes) {
                prop_assert_eq!(sketch.sample.len(), (bytes.len() - FIXED_BYTES) / 8);
            }
        }
    }
}
