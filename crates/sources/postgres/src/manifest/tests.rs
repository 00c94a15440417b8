use super::*;

fn manifest(files: &str) -> Vec<u8> {
    let body = format!(
        "{{ \"PostgreSQL-Backup-Manifest-Version\": 1,\n\"Files\": [\n{files}\n],\n\"WAL-Ranges\": [\n\
         {{ \"Timeline\": 1, \"Start-LSN\": \"0/2000028\", \"End-LSN\": \"1/2000138\" }}\n],\n"
    );
    let digest = ring::digest::digest(&ring::digest::SHA256, body.as_bytes());
    let hex = digest.as_ref().iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    format!("{body}\"Manifest-Checksum\": \"{hex}\"}}\n").into_bytes()
}

fn received(files: &[(&str, &[u8])]) -> BTreeMap<String, Received> {
    let one = |(path, bytes): &(&str, &[u8])| {
        let file = Received { size_bytes: bytes.len() as u64, crc32c: crc32c::crc32c(bytes) };
        ((*path).to_owned(), file)
    };
    files.iter().map(one).collect()
}

/// The checksum of `123456789` is the published check value of CRC-32C, 0xE3069283.
const ONE_FILE: &str = "{ \"Path\": \"global/1262\", \"Size\": 9, \"Last-Modified\": \"2026-01-01 00:00:00 GMT\", \
                        \"Checksum-Algorithm\": \"CRC32C\", \"Checksum\": \"839206e3\" }";

#[test]
fn what_came_as_listed_is_good() {
    let manifest = Manifest::parse(&manifest(ONE_FILE)).unwrap();
    manifest.verify(&received(&[("global/1262", b"123456789")])).unwrap();
    assert_eq!(
        manifest.wal_ranges,
        [WalRange { timeline: 1, start_lsn: 0x200_0028, end_lsn: 0x1_0200_0138 }]
    );
}

#[test]
fn each_difference_names_its_file() {
    let manifest = Manifest::parse(&manifest(ONE_FILE)).unwrap();
    let verify = |files: &[(&str, &[u8])]| manifest.verify(&received(files)).unwrap_err();
    assert!(matches!(verify(&[]), ManifestError::Missing { path } if path == "global/1262"));
    assert!(matches!(verify(&[("global/1262", b"12345678")]), ManifestError::Size { .. }));
    assert!(matches!(verify(&[("global/1262", b"123456780")]), ManifestError::Checksum { .. }));
    let extra = verify(&[("global/1262", b"123456789"), ("base/5/1", b"")]);
    assert!(matches!(extra, ManifestError::Unlisted { path } if path == "base/5/1"));
}

#[test]
fn a_manifest_with_a_changed_byte_is_refused() {
    let mut bytes = manifest(ONE_FILE);
    let nine = bytes.windows(3).position(|w| w == b" 9,").unwrap();
    bytes[nine + 1] = b'8';
    assert!(matches!(Manifest::parse(&bytes), Err(ManifestError::Altered)));
}

#[test]
fn a_path_that_is_not_utf8_is_read_from_its_hexadecimal_form() {
    let file = "{ \"Encoded-Path\": \"636fff\", \"Size\": 0 }";
    let manifest = Manifest::parse(&manifest(file)).unwrap();
    assert!(manifest.files.contains_key("co\u{fffd}"));
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_the_parser_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
        drop(Manifest::parse(&bytes));
    }
}
