//! Entry for fuzzing: any bytes, as a `backup_manifest` whose own checksum is right.

use std::collections::BTreeMap;

use ring::digest;

use crate::manifest::Manifest;

/// Reads bytes as a manifest, as they are and with the checksum that they should have; must never panic.
pub fn manifest(data: &[u8]) {
    for bytes in [data.to_vec(), with_checksum(data)] {
        if let Ok(manifest) = Manifest::parse(&bytes) {
            drop(manifest.verify(&BTreeMap::new()));
        }
    }
}

/// Ends a manifest's lines with the line that holds their digest; fuzzers of other readers of manifests need it too.
pub fn with_checksum(lines: &[u8]) -> Vec<u8> {
    let digest = digest::digest(&digest::SHA256, lines);
    let hex: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    [lines, format!("\"Manifest-Checksum\": \"{hex}\"}}\n").as_bytes()].concat()
}
