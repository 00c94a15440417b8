//! Content by number, so that the reference need not keep it.

use ports::{Random, SeededRandom};
use vault::Layout;

/// How many different contents there are: few, so that they repeat and are found again.
pub(crate) const CONTENTS: u64 = 48;

/// Returns how a content is stored.
pub(crate) const fn layout(number: u64) -> Layout {
    match number % 6 {
        0 => Layout::Pages { page_bytes: 8192 },
        1 => Layout::Blocks { block_bytes: 4096 },
        2 => Layout::Stream,
        _ => Layout::Small,
    }
}

/// Returns the bytes of a content.
pub(crate) fn content(number: u64) -> Vec<u8> {
    let random = SeededRandom::new(number.wrapping_mul(0x1234_5678_9ABC_DEF1) ^ 0xC0);
    match number % 6 {
        // Neighbours share most of their pages, as a table does before and after some work.
        0 => (0..=random.below(5)).flat_map(|page| block(number / 12 * 100 + page, 8192)).collect(),
        1 => (0..random.below(8)).flat_map(|page| block(number / 12 * 100 + page, 4096)).collect(),
        2 => block(number, 3000 + random.below(20_000) as usize),
        3 => vec![0; random.below(10_000) as usize],
        _ => block(number, random.below(900) as usize),
    }
}

fn block(number: u64, length: usize) -> Vec<u8> {
    let random = SeededRandom::new(number);
    let mut bytes = vec![0; length];
    // Half of it repeats, so that compression has something to do.
    random.fill(&mut bytes[..length / 2]);
    bytes
}
