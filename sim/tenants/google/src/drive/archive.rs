//! Archives as the formats of offices are: written without compression, read with or without.

use std::io::Read;

use flate2::{Crc, read::DeflateDecoder};

/// More than this is not unpacked.
const UNPACKED_MAX: u64 = 256 << 20;
const LOCAL: u32 = 0x0403_4b50;
const CENTRAL: u32 = 0x0201_4b50;
const END: u32 = 0x0605_4b50;

/// Makes an archive of named contents; the same contents make the same bytes.
pub(crate) fn write(entries: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut directory = Vec::new();
    for (name, content) in entries {
        let at = out.len() as u32;
        let mut crc = Crc::new();
        crc.update(content);
        out.extend_from_slice(&LOCAL.to_le_bytes());
        let mut common = Vec::new();
        // Version 2.0, names in UTF-8, stored, 1 January 1980.
        for number in [20_u16, 0x0800, 0, 0, 0x21] {
            common.extend_from_slice(&number.to_le_bytes());
        }
        for number in [crc.sum(), content.len() as u32, content.len() as u32] {
            common.extend_from_slice(&number.to_le_bytes());
        }
        common.extend_from_slice(&(name.len() as u16).to_le_bytes());
        common.extend_from_slice(&0_u16.to_le_bytes());
        out.extend_from_slice(&common);
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(content);
        directory.extend_from_slice(&CENTRAL.to_le_bytes());
        directory.extend_from_slice(&20_u16.to_le_bytes());
        directory.extend_from_slice(&common);
        // No comment, the first disk, no attributes.
        directory.extend_from_slice(&[0; 10]);
        directory.extend_from_slice(&at.to_le_bytes());
        directory.extend_from_slice(name.as_bytes());
    }
    let at = out.len() as u32;
    out.extend_from_slice(&directory);
    out.extend_from_slice(&END.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    for _ in 0..2 {
        out.extend_from_slice(&(entries.len() as u16).to_le_bytes());
    }
    out.extend_from_slice(&(directory.len() as u32).to_le_bytes());
    out.extend_from_slice(&at.to_le_bytes());
    out.extend_from_slice(&[0; 2]);
    out
}

/// Reads an archive: names with contents, in the order of its directory. `None` when it is none, or is broken.
pub(crate) fn read(bytes: &[u8]) -> Option<Vec<(String, Vec<u8>)>> {
    let end = bytes.windows(4).rposition(|window| window == END.to_le_bytes())?;
    let count = u16_at(bytes, end + 10)?;
    let mut at = u32_at(bytes, end + 16)? as usize;
    let mut left = UNPACKED_MAX;
    let mut entries = Vec::new();
    for _ in 0..count {
        if u32_at(bytes, at)? != CENTRAL {
            return None;
        }
        let packed = u32_at(bytes, at + 20)? as usize;
        let [name, extra, comment] = [28, 30, 32].map(|place| u16_at(bytes, at + place));
        let (name, extra, comment) = (usize::from(name?), usize::from(extra?), usize::from(comment?));
        let local = u32_at(bytes, at + 42)? as usize;
        let own = String::from_utf8_lossy(bytes.get(at + 46..at + 46 + name)?).into_owned();
        let start =
            local + 30 + usize::from(u16_at(bytes, local + 26)?) + usize::from(u16_at(bytes, local + 28)?);
        let content =
            unpacked(u16_at(bytes, at + 10)?, bytes.get(start..start.checked_add(packed)?)?, &mut left)?;
        let mut crc = Crc::new();
        crc.update(&content);
        if crc.sum() != u32_at(bytes, at + 16)? {
            return None;
        }
        entries.push((own, content));
        at += 46 + name + extra + comment;
    }
    Some(entries)
}

fn unpacked(way: u16, packed: &[u8], left: &mut u64) -> Option<Vec<u8>> {
    let content = match way {
        0 => packed.to_vec(),
        8 => {
            let mut content = Vec::new();
            DeflateDecoder::new(packed).take(*left + 1).read_to_end(&mut content).ok()?;
            content
        }
        _ => return None,
    };
    *left = left.checked_sub(content.len() as u64)?;
    Some(content)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_what_is_broken_is_not() {
        let entries = vec![("a/b.xml".to_owned(), b"<a/>".to_vec()), ("ü".to_owned(), Vec::new())];
        let archive = write(&entries);
        assert_eq!(read(&archive), Some(entries));
        assert_eq!(read(b"PK"), None);
        let mut spoilt = archive.clone();
        spoilt[37] ^= 1;
        assert_eq!(read(&spoilt), None);
        for length in 0..archive.len() {
            read(&archive[..length]);
        }
    }
}
