//! Small damage by chance, so that known good bytes become bytes that are nearly good.

use ports::SeededRandom;

/// Values at which lengths and counts go wrong.
const EDGES: [u64; 10] =
    [0, 1, 0x7F, 0x80, 0xFF, 0xFFFF, 0x7FFF_FFFF, 0xFFFF_FFFF, 0x7FFF_FFFF_FFFF_FFFF, 0xFFFF_FFFF_FFFF_FFFF];

/// Changes bytes in one to four places; `other` lends pieces.
pub fn mutate(bytes: &[u8], other: &[u8], random: &SeededRandom) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..=random.below(3) {
        mutate_once(&mut bytes, other, random);
    }
    bytes
}

fn mutate_once(bytes: &mut Vec<u8>, other: &[u8], random: &SeededRandom) {
    let at = random.below(bytes.len() as u64 + 1) as usize;
    let length = random.below(1 << random.below(9)) as usize;
    let end = (at + length).min(bytes.len());
    match random.below(9) {
        0 => bytes.truncate(at),
        1 => drop(bytes.drain(at..end)),
        2 => {
            let piece = bytes[at..end].to_vec();
            bytes.splice(at..at, piece);
        }
        3 => {
            let from = random.below(other.len() as u64 + 1) as usize;
            let piece = &other[from..(from + length).min(other.len())];
            bytes.splice(at..end, piece.iter().copied());
        }
        4 => {
            let edge = EDGES[random.below(EDGES.len() as u64) as usize].to_le_bytes();
            let width = 1 << random.below(4);
            bytes.splice(at..(at + width).min(bytes.len()), edge[..width].iter().copied());
        }
        5 => {
            // A varint at its limits.
            let count = random.below(10) as usize;
            let mut varint = vec![0xFF; count];
            varint.push(random.below(0x80) as u8);
            bytes.splice(at..(at + 1).min(bytes.len()), varint);
        }
        6 => bytes.insert(at, random.below(256) as u8),
        _ => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << random.below(8);
            }
        }
    }
}
