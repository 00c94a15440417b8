//! Unpacking that a hostile server cannot turn into memory or time.

use std::{
    cell::Cell,
    io::{self, Read},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use flate2::read::MultiGzDecoder;

use crate::transport::TransportError;

/// Below this size no ratio is judged: a page of blanks packs very well and harms nobody.
const JUDGED_BYTES: u64 = 1 << 20;

/// A compressed body, unpacked while it is read, within a size and a ratio.
pub(super) struct Inflated<R> {
    decoder: MultiGzDecoder<Counted<R>>,
    packed: Arc<AtomicU64>,
    unpacked: u64,
    unpacked_max: u64,
    ratio_max: u64,
    ended: Cell<bool>,
}

impl<R: Read> Inflated<R> {
    pub(super) fn new(reader: R, unpacked_max: u64, ratio_max: u64) -> Self {
        let packed = Arc::new(AtomicU64::new(0));
        let decoder = MultiGzDecoder::new(Counted { reader, count: Arc::clone(&packed) });
        Self { decoder, packed, unpacked: 0, unpacked_max, ratio_max, ended: Cell::new(false) }
    }
}

impl<R: Read> Read for Inflated<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.ended.get() || buffer.is_empty() {
            return Ok(0);
        }
        let count = self.decoder.read(buffer).map_err(name)?;
        if count == 0 {
            self.ended.set(true);
            return Ok(0);
        }
        self.unpacked += count as u64;
        let by_ratio = self.packed.load(Ordering::Relaxed).saturating_mul(self.ratio_max).max(JUDGED_BYTES);
        if self.unpacked > self.unpacked_max {
            return Err(
                TransportError::TooLarge { what: "the unpacked body", limit: self.unpacked_max }.into_io()
            );
        }
        if self.unpacked > by_ratio {
            return Err(TransportError::TooLarge { what: "the unpacked body", limit: by_ratio }.into_io());
        }
        Ok(count)
    }
}

/// A packing that ends early or fails its sum was broken on its way.
fn name(error: io::Error) -> io::Error {
    match error.downcast::<TransportError>() {
        Ok(known) => known.into_io(),
        Err(error) => TransportError::broken(error).into_io(),
    }
}

struct Counted<R> {
    reader: R,
    count: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.count.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn pack(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn unpack(packed: &[u8], max: u64, ratio: u64) -> Result<Vec<u8>, TransportError> {
        let mut bytes = Vec::new();
        Inflated::new(packed, max, ratio).read_to_end(&mut bytes).map_err(TransportError::of)?;
        Ok(bytes)
    }

    #[test]
    fn what_is_within_the_limits_comes_back() {
        let text: Vec<u8> = (0..300_000u32).flat_map(u32::to_le_bytes).collect();
        assert_eq!(unpack(&pack(&text), 2 << 20, 10).unwrap(), text);
        assert_eq!(unpack(&pack(b""), 10, 1).unwrap(), b"");
    }

    #[test]
    fn every_cut_is_an_error() {
        let packed = pack(b"the quick brown fox jumps over the lazy dog");
        for length in 0..packed.len() {
            let error = unpack(&packed[..length], 1000, 100).unwrap_err();
            assert!(matches!(error, TransportError::Broken { .. }), "cut at {length}: {error}");
        }
    }

    #[test]
    fn a_bomb_is_an_error_by_its_size_and_by_its_ratio() {
        let bomb = pack(&vec![0; 8 << 20]);
        assert!(matches!(
            unpack(&bomb, 1 << 20, u64::MAX),
            Err(TransportError::TooLarge { limit: 1_048_576, .. })
        ));
        assert!(matches!(unpack(&bomb, u64::MAX, 50), Err(TransportError::TooLarge { .. })));
        assert_eq!(unpack(&bomb, u64::MAX, 2000).unwrap().len(), 8 << 20);
    }

    #[test]
    fn a_changed_byte_is_an_error() {
        let mut packed = pack(b"the quick brown fox jumps over the lazy dog");
        let sum = packed.len() - 6;
        packed[sum] ^= 1;
        assert!(unpack(&packed, 1000, 100).is_err());
    }
}
