use super::*;

/// Puts the digest of the text under it, as the server does.
pub(crate) fn signed(text: &str) -> String {
    let digest = digest::digest(&digest::SHA256, text.as_bytes());
    let hex = hex_of(digest.as_ref());
    format!("{text}\"Manifest-Checksum\": \"{hex}\"}}\n")
}

const HEAD: &str = "{ \"PostgreSQL-Backup-Manifest-Version\": 1,\n\"Files\": [\n";

fn manifest(entry: &str) -> String {
    signed(&format!("{HEAD}{entry}],\n\"WAL-Ranges\": [],\n"))
}

#[test]
fn files_are_read_with_their_checksums() {
    let text = manifest(
        r#"{ "Path": "base/1/1", "Size": 9, "Checksum-Algorithm": "CRC32C", "Checksum": "839206e3" },
           { "Encoded-Path": "c3a9", "Size": 0 }"#,
    );
    let manifest = Manifest::parse(text.as_bytes()).unwrap();
    let mut summer = Summer::for_checksum(manifest.files["base/1/1"].checksum.as_ref());
    // The check value of CRC-32C is E3069283; a server writes it as its memory holds it.
    summer.update(b"1234");
    summer.update(b"56789");
    assert_eq!(summer.finish(), Some(Checksum::Crc32c(0xE306_9283)));
    assert_eq!(manifest.files["base/1/1"].checksum, Some(Checksum::Crc32c(0xE306_9283)));
    assert_eq!(manifest.files["é"], ManifestFile { size_bytes: 0, checksum: None });
}

#[test]
fn one_changed_byte_is_noticed() {
    let text = manifest(r#"{ "Path": "base/1/1", "Size": 9 }"#);
    assert!(Manifest::parse(text.as_bytes()).is_ok());
    let changed = text.replace("\"Size\": 9", "\"Size\": 8");
    assert!(matches!(Manifest::parse(changed.as_bytes()), Err(ManifestError::Damaged)));
    assert!(matches!(Manifest::parse(&text.as_bytes()[..40]), Err(ManifestError::Damaged)));
}

#[test]
fn what_cannot_be_checked_is_refused() {
    for entry in [
        r#"{ "Path": "a", "Size": 9, "Checksum-Algorithm": "MD5", "Checksum": "00" }"#,
        r#"{ "Path": "a", "Size": 9, "Checksum-Algorithm": "CRC32C", "Checksum": "0" }"#,
        r#"{ "Path": "a", "Size": 9, "Checksum-Algorithm": "CRC32C" }"#,
        r#"{ "Size": 9 }"#,
    ] {
        assert!(Manifest::parse(manifest(entry).as_bytes()).is_err(), "{entry}");
    }
}
