use super::*;

/// Bytes that are the same each time and have no pattern.
pub(super) fn noise(bytes: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut all = Vec::with_capacity(bytes + 8);
    while all.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        all.extend(state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_be_bytes());
    }
    all.truncate(bytes);
    all
}

pub(super) fn sketch(bytes: &[u8]) -> Sketch {
    let mut sketcher = Sketcher::new();
    sketcher.push(bytes);
    sketcher.finish()
}
