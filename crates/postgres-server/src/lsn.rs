//! Log sequence numbers as text.

/// Writes a log sequence number the way PostgreSQL does: `16/B374D848`.
pub fn to_text(lsn: u64) -> String {
    format!("{:X}/{:X}", lsn >> 32, lsn & 0xFFFF_FFFF)
}

/// Reads a log sequence number such as `16/B374D848`.
pub fn parse(text: &str) -> Option<u64> {
    let (high, low) = text.split_once('/')?;
    let half = |digits: &str| {
        let plain = (1..=8).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit());
        if plain { u64::from_str_radix(digits, 16).ok() } else { None }
    };
    Some(half(high)? << 32 | half(low)?)
}

/// Returns the name of the WAL file that holds an address.
pub fn segment_name(timeline: u32, lsn: u64, segment_bytes: u32) -> String {
    let segment_bytes = u64::from(segment_bytes.max(1));
    let per_id = 0x1_0000_0000 / segment_bytes;
    let number = lsn / segment_bytes;
    format!("{timeline:08X}{:08X}{:08X}", number / per_id, number % per_id)
}

/// Reads the timeline and the first address from the name of a WAL file; anything else gives nothing.
pub fn parse_segment_name(name: &str, segment_bytes: u32) -> Option<(u32, u64)> {
    let plain = name.len() == 24 && name.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_lowercase());
    if !plain {
        return None;
    }
    let part = |range: std::ops::Range<usize>| u32::from_str_radix(name.get(range)?, 16).ok();
    let offset = u64::from(part(16..24)?) * u64::from(segment_bytes);
    Some((part(0..8)?, (u64::from(part(8..16)?) << 32).checked_add(offset)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_number_agree() {
        for (text, lsn) in [("0/0", 0), ("16/B374D848", 0x16_B374_D848), ("FFFFFFFF/FFFFFFFF", u64::MAX)] {
            assert_eq!(parse(text), Some(lsn));
            assert_eq!(to_text(lsn), text);
        }
        for bad in ["", "/", "1", "1/", "/1", "1/2/3", "+1/2", "1/-2", "123456789/0", "g/0"] {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn segment_names_hold_their_address() {
        let size = 16 << 20;
        assert_eq!(segment_name(1, 0x3_0500_0028, size), "000000010000000300000005");
        assert_eq!(parse_segment_name("000000010000000300000005", size), Some((1, 0x3_0500_0000)));
        assert_eq!(parse_segment_name("00000001000000030000000g", size), None);
        assert_eq!(parse_segment_name("00000002.history", size), None);
    }
}
