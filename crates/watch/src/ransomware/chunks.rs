//! Cuts content where the content says, so that an insertion moves no later cut, and keeps a sample of the pieces.

use super::uniform::{Histogram, is_uniform};

/// No piece is shorter, but the last.
const BYTES_MIN: usize = 2 << 10;
/// No piece is longer.
const BYTES_MAX: usize = 16 << 10;
/// One position in 2,048 is a cut: with the shortest piece before it, pieces are of 4 KiB on average.
const CUT: u64 = ((1 << 11) - 1) << 53;
/// Only so many bytes back decide about a cut.
const REACH: usize = 64;
/// Content waits here until there is enough to cut; moving what remains is then rare.
const HELD_MAX: usize = 64 << 10;
/// So many pieces are remembered: those whose hashes are the smallest.
pub(super) const SAMPLE_MAX: usize = 128;
/// Of what comes before this nothing goes into the sum over all content: what keeps a header keeps as much.
const HEAD_BYTES: u64 = 4 << 10;

/// With fewer bytes behind the head it counts as well.
const BODY_BYTES_MIN: u64 = 1 << 10;

/// Random numbers for each byte, the same on every machine.
const GEAR: [u64; 256] = {
    let mut table = [0; 256];
    let (mut index, mut state) = (0, 0x756e_7769_7065_2135_u64);
    while index < 256 {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = state;
        word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        table[index] = word ^ word >> 31;
        index += 1;
    }
    table
};

/// What is remembered of the pieces.
pub(super) struct Pieces {
    held: Vec<u8>,
    position: u64,
    sample: Sample,
    pub(super) count: u64,
    pub(super) uniform: u64,
    /// The bytes at the beginning of each piece, behind the head.
    pub(super) body: Histogram,
    /// The same of the head alone, for content that has no more.
    head: Histogram,
}

/// The smallest hashes that were seen, each once.
struct Sample {
    hashes: Vec<u64>,
    limit: u64,
}

impl Pieces {
    pub(super) fn new() -> Self {
        Self {
            held: Vec::new(),
            position: 0,
            sample: Sample { hashes: Vec::new(), limit: u64::MAX },
            count: 0,
            uniform: 0,
            body: Histogram::new(),
            head: Histogram::new(),
        }
    }

    /// Begins anew; what was allocated stays.
    pub(super) fn clear(&mut self) {
        self.held.clear();
        self.position = 0;
        self.sample.hashes.clear();
        self.sample.limit = u64::MAX;
        self.count = 0;
        self.uniform = 0;
        self.body = Histogram::new();
        self.head = Histogram::new();
    }

    pub(super) fn push(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(HELD_MAX + BYTES_MAX - self.held.len()));
            self.held.extend_from_slice(now);
            bytes = later;
            if self.held.len() >= HELD_MAX {
                self.cut(BYTES_MAX);
            }
        }
    }

    /// Returns the remembered hashes in order; the lowest bit of each says whether the piece is uniform.
    pub(super) fn finish(&mut self) -> Vec<u64> {
        self.cut(1);
        if self.body.total() < BODY_BYTES_MIN {
            self.body.add(&self.head);
        }
        self.sample.settle();
        self.sample.hashes.clone()
    }

    /// Cuts pieces off as long as at least so many bytes are there.
    fn cut(&mut self, at_least: usize) {
        let held = std::mem::take(&mut self.held);
        let mut rest = held.as_slice();
        while rest.len() >= at_least {
            let (piece, after) = rest.split_at(length_of_first(rest));
            self.take(piece);
            rest = after;
        }
        let kept = rest.len();
        let start = held.len() - kept;
        self.held = held;
        self.held.copy_within(start.., 0);
        self.held.truncate(kept);
    }

    fn take(&mut self, piece: &[u8]) {
        // Its beginning stands for all of it: encryption does not know where our cuts are.
        let counts = Histogram::of(&piece[..piece.len().min(BYTES_MIN)]);
        let uniform = is_uniform(counts.chi_square());
        if self.position >= HEAD_BYTES {
            self.body.add(&counts);
        } else {
            self.head.add(&counts);
        }
        self.sample.add(hash(piece) & !1 | u64::from(uniform));
        self.count += 1;
        self.uniform += u64::from(uniform);
        self.position += piece.len() as u64;
    }
}

impl Sample {
    fn add(&mut self, hash: u64) {
        if hash < self.limit {
            self.hashes.push(hash);
            if self.hashes.len() >= SAMPLE_MAX * 8 {
                self.settle();
            }
        }
    }

    fn settle(&mut self) {
        self.hashes.sort_unstable();
        self.hashes.dedup();
        if self.hashes.len() >= SAMPLE_MAX {
            self.hashes.truncate(SAMPLE_MAX);
            self.limit = self.hashes[SAMPLE_MAX - 1];
        }
    }
}

fn length_of_first(bytes: &[u8]) -> usize {
    if bytes.len() <= BYTES_MIN {
        return bytes.len();
    }
    let end = bytes.len().min(BYTES_MAX);
    let mut state = 0_u64;
    for byte in &bytes[BYTES_MIN - REACH..BYTES_MIN] {
        state = (state << 1).wrapping_add(GEAR[usize::from(*byte)]);
    }
    for (index, byte) in bytes[BYTES_MIN..end].iter().enumerate() {
        state = (state << 1).wrapping_add(GEAR[usize::from(*byte)]);
        if state & CUT == 0 {
            return BYTES_MIN + index + 1;
        }
    }
    end
}

/// Hashes a piece; fast, and no protection against somebody who makes pieces to collide: that would hide a change only
/// from this comparison.
fn hash(piece: &[u8]) -> u64 {
    let mut lanes = [GEAR[0] ^ piece.len() as u64, GEAR[1], GEAR[2], GEAR[3]];
    let mut blocks = piece.chunks_exact(64);
    for block in &mut blocks {
        for (lane, pair) in lanes.iter_mut().zip(block.chunks_exact(16)) {
            *lane = mix(*lane ^ word(&pair[..8]), GEAR[4] ^ word(&pair[8..]));
        }
    }
    let mut state = lanes[0] ^ lanes[1].rotate_left(17) ^ lanes[2].rotate_left(31) ^ lanes[3].rotate_left(47);
    for part in blocks.remainder().chunks(8) {
        state = mix(state ^ word(part), GEAR[5]);
    }
    mix(state, GEAR[6])
}

fn word(bytes: &[u8]) -> u64 {
    match bytes.try_into() {
        Ok(eight) => u64::from_le_bytes(eight),
        Err(_) => bytes.iter().fold(bytes.len() as u64, |word, byte| word << 8 | u64::from(*byte)),
    }
}

fn mix(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::{super::tests::noise, *};

    fn all(bytes: &[u8], step: usize) -> (Vec<u64>, u64) {
        let mut pieces = Pieces::new();
        bytes.chunks(step).for_each(|part| pieces.push(part));
        let count = pieces.count;
        (pieces.finish(), count.max(pieces.count))
    }

    #[test]
    fn the_pieces_do_not_depend_on_how_the_content_comes() {
        let bytes = noise(300_000, 1);
        let (whole, count) = all(&bytes, bytes.len());
        assert!((55..100).contains(&count), "{count}");
        for step in [1, 777, 70_000] {
            assert_eq!(all(&bytes, step), (whole.clone(), count));
        }
        assert_eq!(all(&[], 1), (Vec::new(), 0));
    }

    #[test]
    fn an_insertion_changes_the_pieces_around_it_alone() {
        let bytes = noise(400_000, 2);
        let mut edited = bytes.clone();
        edited.splice(200_000..200_000, *b"a few more bytes");
        let (before, _) = all(&bytes, 4096);
        let (after, _) = all(&edited, 4096);
        let new = after.iter().filter(|hash| before.binary_search(hash).is_err()).count();
        assert!((1..5).contains(&new), "{new}");
    }

    #[test]
    fn of_large_content_a_bounded_sample_is_kept() {
        let (sample, count) = all(&noise(4 << 20, 3), 10_000);
        assert!(count > 700);
        assert_eq!(sample.len(), SAMPLE_MAX);
        assert!(sample.is_sorted() && sample.iter().all(|hash| hash & 1 == 1), "noise is uniform");
    }
}
