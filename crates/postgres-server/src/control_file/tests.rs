use std::path::Path;

use super::*;

/// A control file of the given layout with a few fields set and a checksum that fits.
fn sample(version: u32) -> Vec<u8> {
    let mut bytes = vec![0; 8192];
    let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
    put(0, &7_000_000_000_000_000_001_u64.to_le_bytes());
    put(8, &version.to_le_bytes());
    put(16, &6_u32.to_le_bytes());
    put(40, &0x16_0000_0028_u64.to_le_bytes());
    put(228, &(16_u32 << 20).to_le_bytes());
    let at = if version == 1800 { 292 } else { 288 };
    let checksum = crc32c::crc32c(&bytes[..at]);
    bytes[at..at + 4].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

#[test]
fn each_layout_is_read() {
    for version in [1300, 1700, 1800] {
        let control = ControlFile::parse(&sample(version), Path::new("pg_control")).unwrap();
        assert_eq!(control.state, State::InProduction);
        assert_eq!(control.redo, 0x16_0000_0028);
    }
}

#[test]
fn every_flipped_bit_is_noticed() {
    let good = sample(1700);
    for at in 0..292 {
        let mut bad = good.clone();
        bad[at] ^= 1;
        assert!(ControlFile::parse(&bad, Path::new("pg_control")).is_err(), "byte {at}");
    }
}

#[test]
fn short_and_foreign_files_are_refused() {
    let path = Path::new("pg_control");
    assert!(matches!(ControlFile::parse(&[], path), Err(ControlFileError::Short { length: 0, .. })));
    assert!(matches!(ControlFile::parse(&sample(1700)[..511], path), Err(ControlFileError::Short { .. })));
    assert!(matches!(
        ControlFile::parse(&sample(1201), path),
        Err(ControlFileError::Version { version: 1201, .. })
    ));
}
