use vault::ChunkId;

/// Says of most unknown chunks that they are unknown, without asking the file: a Bloom filter of 10 bits for each chunk.
pub(super) struct Filter {
    words: Vec<u64>,
    room: u64,
    count: u64,
}

const BITS_PER_CHUNK: u64 = 10;
const PROBES: u32 = 5;
const ROOM_MIN: u64 = 1 << 16;

impl Filter {
    /// Makes a filter with room for twice what is known.
    pub(super) fn with_room_for(count: u64) -> Self {
        let room = (count * 2).max(ROOM_MIN);
        let words = (room * BITS_PER_CHUNK).div_ceil(64) as usize;
        Self { words: vec![0; words], room, count: 0 }
    }

    pub(super) fn insert(&mut self, id: &ChunkId) {
        self.count += 1;
        for bit in bits(id, self.words.len()) {
            self.words[bit / 64] |= 1 << (bit % 64);
        }
    }

    pub(super) fn may_hold(&self, id: &ChunkId) -> bool {
        bits(id, self.words.len()).all(|bit| self.words[bit / 64] & 1 << (bit % 64) != 0)
    }

    /// Returns whether it says too often that it cannot tell.
    pub(super) const fn is_full(&self) -> bool {
        self.count > self.room
    }
}

/// Ids are keyed hashes, so their own bytes are as good as any hash of them.
fn bits(id: &ChunkId, words: usize) -> impl Iterator<Item = usize> {
    let (first, second) = id.0.split_at(8);
    let number = |half: &[u8]| half.iter().fold(0_u64, |all, byte| all << 8 | u64::from(*byte));
    let (start, step) = (number(first), number(second) | 1);
    (0..u64::from(PROBES)).map(move |probe| {
        let mixed = start.wrapping_add(probe.wrapping_mul(step));
        ((u128::from(mixed) * (words as u128 * 64)) >> 64) as usize
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u64) -> ChunkId {
        let mut bytes = [0; 16];
        let mixed = |seed: u64| {
            (number ^ seed)
                .wrapping_add(1)
                .wrapping_mul(0x9E37_79B9_7F4A_7C15)
                .rotate_left(29)
                .wrapping_mul(0xBF58_476D_1CE4_E5B9)
        };
        bytes[..8].copy_from_slice(&mixed(0).to_le_bytes());
        bytes[8..].copy_from_slice(&mixed(77 << 40).to_le_bytes());
        ChunkId(bytes)
    }

    #[test]
    fn what_was_inserted_is_found_and_little_else() {
        let mut filter = Filter::with_room_for(50_000);
        (0..100_000).for_each(|number| filter.insert(&id(number)));
        assert!(!filter.is_full());
        assert!((0..100_000).all(|number| filter.may_hold(&id(number))));
        let wrong = (100_000..200_000).filter(|number| filter.may_hold(&id(*number))).count();
        assert!(wrong < 3000, "{wrong} of 100,000");
        filter.insert(&id(1 << 40));
        assert!(filter.is_full());
    }
}
