//! Looks into what is compressed: behind a header that was kept, ciphertext is no deflated data.

use flate2::{Crc, Decompress, FlushDecompress, Status};

use super::{kind::Kind, structure::Structure};

/// So much is unpacked of one file at most: enough for a verdict, and no bomb costs more.
const UNPACKED_MAX: u64 = 768 << 10;

/// Tells whether the beginning of such a file is worth keeping.
pub(super) const fn is_looked_into(kind: Kind) -> bool {
    matches!(kind, Kind::Zip | Kind::Pdf | Kind::Gzip)
}

/// Unpacks what lies in the beginning of a file; `whole` says that there is no more.
pub(super) fn look(kind: Kind, begin: &[u8], whole: bool) -> Structure {
    let mut looked = Looked { left: UNPACKED_MAX, seen: false };
    let sound = match kind {
        Kind::Gzip => gzip(begin, whole, &mut looked),
        Kind::Zip => zip(begin, &mut looked),
        Kind::Pdf => pdf(begin, &mut looked),
        _ => return Structure::Unknown,
    };
    match (sound, looked.seen) {
        (false, _) => Structure::Broken,
        (true, true) => Structure::Sound,
        (true, false) => Structure::Unknown,
    }
}

/// What may still be unpacked, and whether anything was.
struct Looked {
    left: u64,
    seen: bool,
}

/// How a deflated stream goes on.
enum Stream {
    /// It is not one.
    Broken,
    /// It ended after so many bytes; the checksum and length of what was in it.
    Ended { taken: usize, sum: u32, length: u32 },
    /// It does not end in these bytes, or was not looked at to its end.
    Open,
}

impl Looked {
    fn unpack(&mut self, bytes: &[u8], with_header: bool) -> Stream {
        let mut unpacker = Decompress::new(with_header);
        let mut out = [0; 16 << 10];
        let mut sum = Crc::new();
        self.seen = true;
        loop {
            let (taken, made) = (unpacker.total_in(), unpacker.total_out());
            let rest = bytes.get(taken as usize..).unwrap_or_default();
            let status = unpacker.decompress(rest, &mut out, FlushDecompress::None);
            let produced = unpacker.total_out() - made;
            if !with_header {
                sum.update(&out[..produced as usize]);
            }
            match status {
                Err(_) => return Stream::Broken,
                Ok(Status::StreamEnd) => {
                    let taken = unpacker.total_in() as usize;
                    return Stream::Ended { taken, sum: sum.sum(), length: unpacker.total_out() as u32 };
                }
                Ok(_) if produced == 0 && unpacker.total_in() == taken => return Stream::Open,
                Ok(_) if produced >= self.left => {
                    self.left = 0;
                    return Stream::Open;
                }
                Ok(_) => self.left -= produced,
            }
        }
    }
}

fn gzip(bytes: &[u8], whole: bool, looked: &mut Looked) -> bool {
    const EXTRA: u8 = 4;
    const NAME: u8 = 8;
    const COMMENT: u8 = 16;
    const CHECK: u8 = 2;
    let (Some(&flags), Some(mut rest)) = (bytes.get(3), bytes.get(10..)) else { return false };
    if flags & 0xe0 != 0 {
        return false;
    }
    if flags & EXTRA != 0 {
        let Some((length, after)) = rest.split_first_chunk::<2>() else { return !whole };
        rest = after.get(usize::from(u16::from_le_bytes(*length))..).unwrap_or_default();
    }
    for flag in [NAME, COMMENT] {
        if flags & flag != 0 {
            let end = rest.iter().position(|byte| *byte == 0).unwrap_or(rest.len());
            rest = rest.get(end + 1..).unwrap_or_default();
        }
    }
    if flags & CHECK != 0 {
        rest = rest.get(2..).unwrap_or_default();
    }
    match looked.unpack(rest, false) {
        Stream::Broken => false,
        Stream::Ended { taken, sum, length } => {
            let told: Vec<u8> = [sum.to_le_bytes(), length.to_le_bytes()].concat();
            match rest.get(taken..taken + 8) {
                Some(trailer) => trailer == told,
                None => !whole,
            }
        }
        Stream::Open => !whole || looked.left == 0,
    }
}

/// Members whose lengths stand before them are looked into one after the other.
fn zip(bytes: &[u8], looked: &mut Looked) -> bool {
    const ENCRYPTED: u16 = 1;
    const DEFLATED: u16 = 8;
    let mut rest = bytes;
    while rest.starts_with(b"PK\x03\x04") && rest.len() >= 30 && looked.left > 0 {
        let half = |at: usize| u16::from_le_bytes([rest[at], rest[at + 1]]);
        let stored = u32::from_le_bytes([rest[18], rest[19], rest[20], rest[21]]) as usize;
        let told = u32::from_le_bytes([rest[14], rest[15], rest[16], rest[17]]);
        let start = 30 + usize::from(half(26)) + usize::from(half(28));
        let Some(data) = rest.get(start..) else { break };
        if half(6) & ENCRYPTED != 0 {
            break;
        }
        let mut length = stored;
        if half(8) == DEFLATED {
            let bounded = if stored == 0 { data } else { &data[..data.len().min(stored)] };
            match looked.unpack(bounded, false) {
                Stream::Broken => return false,
                Stream::Ended { taken, .. } if stored == 0 => {
                    // What could not be told before the data follows it, mostly with a mark of its own.
                    let after = &data[taken..];
                    let mark = if after.starts_with(b"PK\x07\x08") { 16 } else { 12 };
                    length = taken + mark;
                }
                Stream::Ended { taken, sum, .. } if taken != stored || sum != told => return false,
                Stream::Ended { .. } => {}
                Stream::Open => break,
            }
        }
        let Some(after) = data.get(length..) else { break };
        rest = after;
    }
    true
}

/// Streams whose only filter is the usual one.
fn pdf(bytes: &[u8], looked: &mut Looked) -> bool {
    const DICTIONARY_BYTES: usize = 300;
    let mut at = 0;
    while let Some(found) = find(&bytes[at..], b"stream") {
        let start = at + found;
        at = start + 6;
        let Some([b'\r', b'\n', data @ ..] | [b'\n', data @ ..]) = bytes.get(at..) else { continue };
        let before = &bytes[start.saturating_sub(DICTIONARY_BYTES)..start];
        let dictionary =
            before.windows(3).rposition(|word| word == b"obj").map_or(before, |obj| &before[obj..]);
        let plain = find(dictionary, b"/FlateDecode").is_some()
            && ["/ASCII", "/LZW", "/DCT", "/Crypt", "/JPX", "/JBIG", "/CCITT", "/RunLength"]
                .iter()
                .all(|other| find(dictionary, other.as_bytes()).is_none());
        if !plain || looked.left == 0 {
            continue;
        }
        match looked.unpack(data, true) {
            Stream::Broken => return false,
            Stream::Ended { taken, .. } => at = bytes.len() - data.len() + taken,
            Stream::Open => break,
        }
    }
    true
}

fn find(bytes: &[u8], word: &[u8]) -> Option<usize> {
    bytes.windows(word.len()).position(|window| window == word)
}
