use proptest::prelude::*;

use super::*;

/// Writes a header as PostgreSQL does.
fn header(name: &str, kind: u8, size: u64, target: &str) -> [u8; BLOCK_BYTES] {
    let mut block = [0_u8; BLOCK_BYTES];
    block[..name.len()].copy_from_slice(name.as_bytes());
    block[100..108].copy_from_slice(b"0000600 ");
    if size < 1 << 33 {
        block[124..136].copy_from_slice(format!("{size:011o} ").as_bytes());
    } else {
        block[124] = 0x80;
        block[128..136].copy_from_slice(&size.to_be_bytes());
    }
    block[136..148].copy_from_slice(b"15000000000 ");
    block[156] = kind;
    block[157..157 + target.len()].copy_from_slice(target.as_bytes());
    block[257..265].copy_from_slice(b"ustar\x0000");
    seal(&mut block);
    block
}

fn seal(block: &mut [u8; BLOCK_BYTES]) {
    block[148..156].copy_from_slice(b"        ");
    let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

fn archive(files: &[(String, Vec<u8>)], terminated: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, content) in files {
        bytes.extend_from_slice(&header(name, b'0', content.len() as u64, ""));
        bytes.extend_from_slice(content);
        bytes.resize(bytes.len().next_multiple_of(BLOCK_BYTES), 0);
    }
    if terminated {
        bytes.resize(bytes.len() + 2 * BLOCK_BYTES, 0);
    }
    bytes
}

/// Parses pieces of the given lengths, in turn, and returns the files.
fn parse(bytes: &[u8], lengths: &[usize]) -> Result<Vec<(String, Vec<u8>)>, TarError> {
    let mut parser = TarParser::new();
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    let (mut rest, mut turn) = (bytes, 0);
    while !rest.is_empty() {
        let length = lengths.get(turn % lengths.len().max(1)).copied().unwrap_or(1).clamp(1, rest.len());
        turn += 1;
        let (mut piece, after) = rest.split_at(length);
        rest = after;
        while let Some(event) = parser.advance(&mut piece)? {
            match event {
                TarEvent::Entry(entry) => {
                    files.push((entry.path.to_string_lossy().into_owned(), Vec::new()));
                }
                TarEvent::Data(data) => files.last_mut().unwrap().1.extend_from_slice(data),
                TarEvent::EntryEnd => {}
            }
        }
    }
    parser.finish()?;
    Ok(files)
}

fn first(bytes: &[u8]) -> Result<Entry, TarError> {
    let mut piece = bytes;
    match TarParser::new().advance(&mut piece)? {
        Some(TarEvent::Entry(entry)) => Ok(entry),
        other => panic!("{other:?}"),
    }
}

#[test]
fn files_directories_and_links_are_told_apart() {
    let file = first(&header("base/1/1259", b'0', 8192, "")).unwrap();
    assert_eq!((file.size, file.mode, file.kind), (8192, 0o600, EntryKind::File));
    assert_eq!(file.modified_seconds, 0o15_000_000_000);
    let directory = first(&header("./pg_wal/", b'5', 0, "")).unwrap();
    assert_eq!((directory.path, directory.kind), (PathBuf::from("pg_wal"), EntryKind::Directory));
    let link = first(&header("pg_tblspc/16384", b'2', 0, "/srv/space")).unwrap();
    assert_eq!(link.kind, EntryKind::Symlink { target: "/srv/space".into() });
}

#[test]
fn sizes_from_8_gib_on_are_read() {
    for size in [(1 << 33) - 1, 1 << 33, (1 << 33) + 511, 1 << 40, i64::MAX as u64] {
        assert_eq!(first(&header("big", b'0', size, "")).unwrap().size, size);
    }
    let mut block = header("big", b'0', 1 << 33, "");
    block[125] = 1;
    seal(&mut block);
    assert!(matches!(first(&block), Err(TarError::Field { field: "size", .. })));
}

#[test]
fn paths_that_lead_out_are_refused() {
    for path in ["/etc/passwd", "../x", "base/../../x", "..", "", "./", "/"] {
        assert!(matches!(first(&header(path, b'0', 0, "")), Err(TarError::Path { .. })), "{path}");
    }
}

#[test]
fn a_prefix_is_part_of_the_path() {
    let mut block = header("name", b'0', 0, "");
    block[345..349].copy_from_slice(b"long");
    seal(&mut block);
    assert_eq!(first(&block).unwrap().path, PathBuf::from("long/name"));
    block[345..349].copy_from_slice(b"/etc");
    seal(&mut block);
    assert!(matches!(first(&block), Err(TarError::Path { .. })));
}

#[test]
fn damage_is_found() {
    let mut block = header("name", b'0', 0, "");
    block[5] ^= 1;
    assert!(matches!(first(&block), Err(TarError::Checksum { offset: 0 })));
    assert!(matches!(first(&header("x", b'L', 0, "")), Err(TarError::Kind { kind: 'L' })));
    assert!(matches!(first(&header("x", b'5', 7, "")), Err(TarError::Field { field: "size", .. })));
    let whole = archive(&[("a".into(), vec![1; 700])], true);
    assert_eq!(parse(&whole[..600], &[512]), Err(TarError::Truncated));
    assert_eq!(parse(&whole[..1200], &[512]), Err(TarError::Truncated));
    assert_eq!(parse(&[whole.clone(), whole].concat(), &[512]), Err(TarError::Trailing));
}

/// Feeds foreign bytes; whatever they are, the parser must neither panic nor lend more than it was given.
fn fuzz_one(bytes: &[u8]) {
    let mut parser = TarParser::new();
    let mut lent = 0;
    for mut piece in bytes.chunks(77) {
        while let Ok(Some(event)) = parser.advance(&mut piece) {
            if let TarEvent::Data(data) = event {
                lent += data.len();
            }
        }
    }
    assert!(lent <= bytes.len());
    parser.finish().ok();
}

proptest! {
    #[test]
    fn any_cut_gives_the_same_files(
        contents in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..1500), 0..5),
        lengths in prop::collection::vec(1_usize..1200, 1..6),
        terminated: bool,
    ) {
        let files: Vec<_> = contents.into_iter().enumerate().map(|(n, bytes)| (format!("f/{n}"), bytes)).collect();
        prop_assert_eq!(parse(&archive(&files, terminated), &lengths).unwrap(), files);
    }

    #[test]
    fn foreign_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..4000)) {
        fuzz_one(&bytes);
    }

    #[test]
    fn sealed_nonsense_never_panics(mut block in prop::collection::vec(any::<u8>(), BLOCK_BYTES), tail: Vec<u8>) {
        let block: &mut [u8; BLOCK_BYTES] = block.as_mut_slice().try_into().unwrap();
        seal(block);
        fuzz_one(&[&block[..], &tail].concat());
    }
}
