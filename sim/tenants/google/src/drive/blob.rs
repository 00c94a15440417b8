//! Content of binary files: kept as it was uploaded, or drawn from a number whenever it is read.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use bytes::Bytes;
use md5::{Digest, Md5};
use ring::digest;

use crate::{stream::Source, text};

/// What drawn content looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Lines of words.
    Text,
    /// Bytes that no compressor makes smaller, after a head as files of a kind have it.
    Noise(&'static [u8]),
}

/// Content with its checksums, which are made when somebody first asks for them.
pub(crate) struct Blob {
    body: Body,
    sums: OnceLock<Sums>,
}

enum Body {
    Drawn { key: u64, length: u64, look: Look },
    Kept { parts: Vec<Bytes>, length: u64 },
}

/// Checksums in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sums {
    pub(crate) md5: String,
    pub(crate) sha1: String,
    pub(crate) sha256: String,
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blob").field("length", &self.length()).finish_non_exhaustive()
    }
}

const STEP: usize = 256 << 10;
const LINE: u64 = 64;

impl Blob {
    /// Content that is drawn from a key; it takes no memory, whatever its length.
    pub(crate) fn drawn(key: u64, length: u64, look: Look) -> Arc<Self> {
        Arc::new(Self { body: Body::Drawn { key, length, look }, sums: OnceLock::new() })
    }

    /// Content that was uploaded, in the pieces in which it came.
    pub(crate) fn kept(parts: Vec<Bytes>) -> Arc<Self> {
        let length = parts.iter().map(|part| part.len() as u64).sum();
        Arc::new(Self { body: Body::Kept { parts, length }, sums: OnceLock::new() })
    }

    /// Returns the checksums. The first time this reads all of the content.
    pub(crate) fn sums(&self) -> &Sums {
        self.sums.get_or_init(|| {
            let mut md5 = Md5::new();
            let mut sha1 = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
            let mut sha256 = digest::Context::new(&digest::SHA256);
            let mut buffer = vec![0; STEP];
            let mut at = 0;
            while at < self.length() {
                let length = usize::try_from(self.length() - at).map_or(STEP, |left| left.min(STEP));
                self.read(at, &mut buffer[..length]);
                md5.update(&buffer[..length]);
                sha1.update(&buffer[..length]);
                sha256.update(&buffer[..length]);
                at += length as u64;
            }
            Sums {
                md5: hex(&md5.finalize()),
                sha1: hex(sha1.finish().as_ref()),
                sha256: hex(sha256.finish().as_ref()),
            }
        })
    }

    /// Returns all of it in one piece; for content that is converted.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; usize::try_from(self.length()).unwrap_or(0)];
        self.read(0, &mut bytes);
        bytes
    }
}

impl Source for Blob {
    fn length(&self) -> u64 {
        match &self.body {
            Body::Drawn { length, .. } | Body::Kept { length, .. } => *length,
        }
    }

    fn read(&self, offset: u64, buffer: &mut [u8]) {
        match &self.body {
            Body::Drawn { key, look: Look::Text, .. } => read_lines(*key, offset, buffer),
            Body::Drawn { key, look: Look::Noise(head), .. } => read_noise(*key, head, offset, buffer),
            Body::Kept { parts, .. } => read_parts(parts, offset, buffer),
        }
    }
}

fn read_noise(key: u64, head: &[u8], offset: u64, buffer: &mut [u8]) {
    let mut filled = 0;
    while filled < buffer.len() {
        let at = offset + filled as u64;
        let block = text::mixed(key.wrapping_add(text::mixed(at / 8))).to_le_bytes();
        let from = &block[(at % 8) as usize..];
        let length = from.len().min(buffer.len() - filled);
        buffer[filled..filled + length].copy_from_slice(&from[..length]);
        filled += length;
    }
    for (at, byte) in head.iter().enumerate().skip(usize::try_from(offset).unwrap_or(usize::MAX)) {
        if let Some(place) = buffer.get_mut(at - offset as usize) {
            *place = *byte;
        }
    }
}

fn read_lines(key: u64, offset: u64, buffer: &mut [u8]) {
    let mut filled = 0;
    while filled < buffer.len() {
        let at = offset + filled as u64;
        let line = line(key, at / LINE);
        let from = &line[(at % LINE) as usize..];
        let length = from.len().min(buffer.len() - filled);
        buffer[filled..filled + length].copy_from_slice(&from[..length]);
        filled += length;
    }
}

/// Words of lines, in English because the company writes so.
pub(crate) const WORDS: [&str; 32] = [
    "budget", "plan", "review", "quarter", "customer", "launch", "the", "and", "of", "for", "with", "margin",
    "team", "draft", "price", "contract", "notes", "risk", "schedule", "report", "sales", "design", "open",
    "final", "to", "in", "goal", "north", "supplier", "invoice", "meeting", "next",
];

fn line(key: u64, number: u64) -> [u8; LINE as usize] {
    let mut line = [b' '; LINE as usize];
    let last = line.len() - 1;
    let mut drawn = text::mixed(key.wrapping_add(text::mixed(number)));
    let mut at = 0;
    loop {
        let word = WORDS[(drawn % 32) as usize].as_bytes();
        if at + word.len() > last {
            break;
        }
        line[at..at + word.len()].copy_from_slice(word);
        at += word.len() + 1;
        drawn = text::mixed(drawn);
    }
    line[last] = b'\n';
    line
}

fn read_parts(parts: &[Bytes], offset: u64, buffer: &mut [u8]) {
    let (mut skipped, mut filled) = (0_u64, 0);
    for part in parts {
        let end = skipped + part.len() as u64;
        let at = offset + filled as u64;
        if filled < buffer.len() && at < end {
            let from = &part[(at - skipped) as usize..];
            let length = from.len().min(buffer.len() - filled);
            buffer[filled..filled + length].copy_from_slice(&from[..length]);
            filled += length;
        }
        skipped = end;
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_the_same_wherever_reading_begins() {
        let parts = vec![Bytes::from_static(b"one "), Bytes::new(), Bytes::from_static(b"two three")];
        for blob in [
            Blob::drawn(7, 1000, Look::Noise(b"%PDF-1.7\n")),
            Blob::drawn(7, 1000, Look::Text),
            Blob::kept(parts),
        ] {
            let whole = blob.bytes();
            assert_eq!(whole.len() as u64, blob.length());
            for start in 0..whole.len().min(200) {
                for length in [1, 7, 64, 100] {
                    let end = whole.len().min(start + length);
                    let mut some = vec![0; end - start];
                    blob.read(start as u64, &mut some);
                    assert_eq!(some, whole[start..end], "{start} {length}");
                }
            }
        }
        assert!(Blob::drawn(7, 20, Look::Noise(b"%PDF-1.7\n")).bytes().starts_with(b"%PDF-1.7\n"));
        assert_ne!(Blob::drawn(7, 100, Look::Text).bytes(), Blob::drawn(8, 100, Look::Text).bytes());
    }

    #[test]
    fn checksums_are_those_of_the_content() {
        let sums = Blob::kept(vec![Bytes::from_static(b"a"), Bytes::from_static(b"bc")]).sums().clone();
        assert_eq!(sums.md5, "900150983cd24fb0d6963f7d28e17f72");
        assert_eq!(sums.sha1, "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(sums.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn five_gigabytes_take_no_memory_and_can_be_read_at_their_end() {
        let blob = Blob::drawn(1, 5 << 30, Look::Noise(b""));
        let mut end = [0; 16];
        blob.read((5 << 30) - 16, &mut end);
        assert_ne!(end, [0; 16]);
    }
}
