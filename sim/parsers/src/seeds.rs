//! Bytes that the parsers accept, made from the test vectors.

use vault::{Change, Commit, VaultReader};

use crate::objects::{reader, vectors};

fn each_commit<T>(read: impl Fn(&VaultReader, &Commit) -> Vec<T>) -> Vec<T> {
    let Some(reader) = reader() else { return Vec::new() };
    let mut found = Vec::new();
    for source in reader.vault().sources().unwrap_or_default() {
        let Ok(commits) = reader.vault().commits(&source) else { continue };
        found.extend(commits.flatten().flat_map(|commit| read(&reader, &commit)));
    }
    found
}

fn stored(prefix: &str) -> Vec<Vec<u8>> {
    let objects = vectors().map(|vectors| vectors.objects).unwrap_or_default();
    let wanted = objects.into_iter().filter(|(name, _)| name.as_str().starts_with(prefix));
    wanted.map(|(_, content)| content).collect()
}

pub(crate) fn commits() -> Vec<Vec<u8>> {
    let split =
        each_commit(|reader, commit| vault::fuzzing::raw_commit(reader, commit).into_iter().collect());
    [stored("log/"), split].concat()
}

pub(crate) fn change_blocks() -> Vec<Vec<u8>> {
    each_commit(|reader, commit| vault::fuzzing::raw_blocks(reader, commit).unwrap_or_default())
}

pub(crate) fn contents() -> Vec<Vec<u8>> {
    each_commit(|reader, commit| {
        let changes = reader.body(commit).map(|body| body.changes).unwrap_or_default();
        let content = |change| match change {
            Change::Upsert { content, .. } => content.to_bytes().ok(),
            _ => None,
        };
        changes.into_iter().filter_map(content).collect()
    })
}

pub(crate) fn packs() -> Vec<Vec<u8>> {
    let indexes = each_commit(|reader, commit| {
        let packs = commit.envelope.packs.iter();
        packs.filter_map(|pack| vault::fuzzing::raw_index(reader, &pack.id).ok()).collect()
    });
    [stored("data/"), indexes].concat()
}

pub(crate) fn sealed_blocks() -> Vec<Vec<u8>> {
    let raw = b"some text, some text, some text, some text";
    let plain = [&[0][..], &(raw.len() as u32).to_le_bytes(), raw].concat();
    // One zstd frame that holds a single raw block, as RFC 8878 describes it.
    let frame = [&[0x28, 0xB5, 0x2F, 0xFD, 0x20, 5, 0x29, 0, 0][..], b"12345"].concat();
    let compressed = [&[1][..], &5_u32.to_le_bytes(), &frame].concat();
    vec![plain, compressed]
}

pub(crate) fn journals() -> Vec<Vec<u8>> {
    let record = |offset: u64| {
        let plain = [&[5][..], b"wal/1", &offset.to_le_bytes(), b"bytes of a log"].concat();
        [&[plain.len() as u8][..], &plain].concat()
    };
    vec![[record(0), record(14)].concat()]
}

pub(crate) fn retention() -> Vec<Vec<u8>> {
    vec![vault::fuzzing::retention_seed()]
}

pub(crate) fn memories() -> Vec<Vec<u8>> {
    [
        r#"{"now":"2026-04-25T14:00:09.000001Z","anchor":"2026-04-25T14:00:09.000001Z","credited_micros":5,"boot":"b","boot_running_micros":5,"frozen":{"since":"2026-04-25T14:00:09Z","told":"2026-04-25T14:00:09Z","reason":"r"}}"#,
        r#"{"entries":3,"heads":{"shop":{"1":"2026-04-25T14:00:09.000001Z","4":"2026-04-26T14:00:09.000001Z"}}}"#,
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

pub(crate) fn manifests() -> Vec<Vec<u8>> {
    stored("vault.json")
}

pub(crate) fn key_files() -> Vec<Vec<u8>> {
    let key = vectors().map(|vectors| vectors.key.to_text().as_bytes().to_vec());
    let capture = r#"{"format":"unwipe-capture-key","version":1,"vault":"00112233445566778899aabbccddeeff","fingerprint":"F","data_recipient":"F","chunk_key":"F","signing_seed":"F","journal_key":"F"}"#;
    let capture = capture.replace('F', &"01".repeat(32));
    key.into_iter().chain([capture.into_bytes()]).collect()
}

pub(crate) fn plans() -> Vec<Vec<u8>> {
    vec![include_bytes!("../seeds/plan.json").to_vec()]
}

pub(crate) fn documents() -> Vec<Vec<u8>> {
    [
        r#"{"at":"2026-04-25T14:00:09.000001Z","position":"0/1A2B3C8","transaction":"812","scope":"shop","effects":[{"verb":"delete","target":"public.bookings","rows":12}],"severity":"destructive","actor":{"name":"agent"},"attribution":"witnessed","statement":"DELETE FROM bookings"}"#,
        r#"{"reason":"denied","detail":"permission denied"}"#,
        r#"{"kind":"link","to":"/srv/space","mode":511}"#,
        r#"{"timeline":1,"start_lsn":16777216,"end_lsn":33554432}"#,
        "00000001000000000000002A",
        "postgresql://a:b@[::1]:5432/shop?sslmode=require&options=-c%20x%3D1",
        "2026-04-25T14:00:09.000001Z",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    [&[tag][..], &(body.len() as u32 + 4).to_be_bytes(), body].concat()
}

/// A transaction told in parts, with a savepoint taken back, and one told as a whole.
pub(crate) fn logical() -> Vec<Vec<u8>> {
    let framed = |messages: &[&[u8]]| {
        messages
            .iter()
            .flat_map(|message| [&[message.len() as u8][..], message].concat())
            .collect::<Vec<u8>>()
    };
    let streamed = framed(&[
        b"S\0\0\0\x07\x01",
        b"R\0\0\0\x07\0\0\0\x09public\0bookings\0d\0\0",
        b"D\0\0\0\x08\0\0\0\x09K\0\0",
        b"U\0\0\0\x07\0\0\0\x09N\0\0",
        b"T\0\0\0\x07\0\0\0\x01\0\0\0\0\x09",
        b"E",
        b"A\0\0\0\x07\0\0\0\x08",
        &[&b"c\0\0\0\x07\0"[..], &[0; 24]].concat(),
    ]);
    let whole = framed(&[
        &[&b"B"[..], &[0; 16], &[0, 0, 0, 7]].concat(),
        b"R\0\0\0\x09public\0bookings\0d\0\0",
        b"I\0\0\0\x09N\0\0",
        b"D\0\0\0\x09K\0\0",
        &[&b"C\0"[..], &[0; 24]].concat(),
    ]);
    vec![streamed, whole]
}

pub(crate) fn wire() -> Vec<Vec<u8>> {
    let ready = message(b'Z', b"I");
    let row_description = message(b'T', b"\0\x01one\0\0\0\0\0\0\0\0\0\0\x19\xFF\xFF\xFF\xFF\xFF\xFF\0\0");
    let data_row = message(b'D', b"\0\x01\0\0\0\x011");
    let complete = message(b'C', b"SELECT 1\0");
    let error = message(b'E', b"SERROR\0C42P01\0Mno such table\0Fx.c\0L1\0Rf\0\0");
    let version = message(b'S', b"server_version\x0017.2\0");
    let offer = message(b'R', b"\0\0\0\x0ASCRAM-SHA-256\0\0");
    let wal = [&[b'w'][..], &[0; 24], b"log"].concat();
    let keepalive = [&[b'k'][..], &[0; 16], &[1]].concat();
    let start = message(b'T', b"\0\x02recptr\0\0\0\0\0\0\0\0\0\0\x19\xFF\xFF\xFF\xFF\xFF\xFF\0\0tli\0\0\0\0\0\0\0\0\0\0\x17\0\x04\xFF\xFF\xFF\xFF\0\0");
    let position = message(b'D', b"\0\x02\0\0\0\x090/2000028\0\0\0\x011");
    vec![
        [vec![0], message(b'R', &[0; 4]), version, message(b'K', &[0; 8]), ready.clone()].concat(),
        [vec![0], offer, message(b'R', b"\0\0\0\x0Br=x,s=AAAA,i=4096"), ready.clone()].concat(),
        [vec![1], row_description.clone(), data_row.clone(), complete.clone(), ready.clone()].concat(),
        [vec![1], error, ready.clone()].concat(),
        [
            vec![2],
            message(b'1', b""),
            message(b'2', b""),
            row_description,
            data_row,
            complete.clone(),
            ready.clone(),
        ]
        .concat(),
        [
            vec![3],
            message(b'W', b"\0\0\0"),
            message(b'd', &wal),
            message(b'd', &keepalive),
            message(b'c', b""),
        ]
        .concat(),
        [
            vec![4],
            start,
            position,
            complete,
            message(b'H', b"\0\0\0"),
            message(b'd', b"nbase.tar\0\0"),
            ready,
        ]
        .concat(),
    ]
}

pub(crate) fn archives() -> Vec<Vec<u8>> {
    let mut header = [0_u8; 512];
    let mut put = |at: usize, text: &[u8]| header[at..at + text.len()].copy_from_slice(text);
    put(0, b"base/1/1259");
    put(100, b"0000600\0");
    put(108, b"0000000\x000000000\0");
    put(124, b"00000000005\0");
    put(136, b"00000000000\0");
    put(148, b"        0");
    put(257, b"ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    let sum = sum - u32::from(b'0') + u32::from(b'0');
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut block = [0; 512];
    block[..5].copy_from_slice(b"bytes");
    vec![[&[3][..], &header, &block, &[0; 1024]].concat()]
}

pub(crate) fn backup_manifests() -> Vec<Vec<u8>> {
    let lines = r#"{ "PostgreSQL-Backup-Manifest-Version": 2,
"System-Identifier": 7400000000000000000,
"Files": [
{ "Path": "base/1/1259", "Size": 8192, "Last-Modified": "2026-04-25 14:00:09 GMT", "Checksum-Algorithm": "CRC32C", "Checksum": "0a1b2c3d" },
{ "Encoded-Path": "666f6f", "Size": 0, "Last-Modified": "2026-04-25 14:00:09 GMT", "Checksum-Algorithm": "SHA256", "Checksum": "00" }
],
"WAL-Ranges": [
{ "Timeline": 1, "Start-LSN": "0/2000028", "End-LSN": "0/2000100" }
],
"#;
    vec![lines.as_bytes().to_vec()]
}

pub(crate) fn control_files() -> Vec<Vec<u8>> {
    // System identifier, version of the file, version of the catalog, state; the rest is zeros.
    let mut file = [0_u8; 8192];
    file[..8].copy_from_slice(&7_400_000_000_000_000_000_u64.to_le_bytes());
    file[8..12].copy_from_slice(&1700_u32.to_le_bytes());
    file[12..16].copy_from_slice(&202_406_281_u32.to_le_bytes());
    vec![file[..512].to_vec(), file.to_vec()]
}

pub(crate) fn wal() -> Vec<Vec<u8>> {
    // A page header of major 17 with nothing behind it; the crate's own tests hold real logs.
    let mut page = vec![0_u8; 8192];
    page[..2].copy_from_slice(&0xD116_u16.to_le_bytes());
    page[2] = 2;
    page[4..8].copy_from_slice(&1_u32.to_le_bytes());
    page[24..32].copy_from_slice(&7_u64.to_le_bytes());
    page[32..36].copy_from_slice(&(16_u32 << 20).to_le_bytes());
    page[36..40].copy_from_slice(&8192_u32.to_le_bytes());
    vec![[&[4][..], &page].concat()]
}

pub(crate) fn heads() -> Vec<Vec<u8>> {
    // Vault, number, previous, vault time, first leaf, and one leaf, no edge and one source.
    let leaf = [&[4][..], b"shop", &[1], &[5; 32]].concat();
    let body = [&[7; 16][..], &[1], &[0; 32], &[0; 8], &[0, 1], &leaf, &[0, 1], &leaf].concat();
    let length = (body.len() as u32).to_le_bytes();
    let header = [&b"UNWHEAD\0"[..], &[1, 0, 0, 0], &length, &body, &[0; 64]].concat();
    let stored = stored("heads/");
    stored.into_iter().chain([header.clone(), [&[7; 16][..], &header].concat()]).collect()
}

/// Files in which programs keep what lets them in.
pub(crate) fn credentials() -> Vec<Vec<u8>> {
    [
        "export DATABASE_URL=\"postgresql://app:pw-of-app@db:5432/shop\"\nAWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE\n\
         AWS_SECRET_ACCESS_KEY='wJalrXUtnFEMI'\nPGPASSFILE=/x\n",
        "db:5432:shop:app:p\\:a\\\\ss\n",
        "[default]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = one\n",
        "{\"a\": {\"type\": \"service_account\", \"client_email\": \"a@b\", \"private_key\": \"-----BEGIN PRIVATE KEY-----\"}}",
        "apiVersion: v1\nusers:\n- name: admin\n  user:\n    token: abcdefgh\n    client-key-data: |\n      LS0t\n",
        "-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\nAGE-SECRET-KEY-1QQQQ",
    ]
    .iter()
    .map(|text| text.as_bytes().to_vec())
    .collect()
}
