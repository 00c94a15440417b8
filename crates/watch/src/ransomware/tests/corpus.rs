//! Files to try detection on: made ones, the same on each machine, and what the machine has.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use flate2::{Compression, Crc, write::DeflateEncoder, write::GzEncoder, write::ZlibEncoder};

use super::{super::*, noise};

/// A file with edits of it.
pub(super) struct Sample {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) structure: Structure,
    pub(super) content: Vec<u8>,
    pub(super) edits: Vec<Vec<u8>>,
}

/// Words in no order, which compress like text.
fn text(words: usize, seed: u64) -> Vec<u8> {
    const WORDS: &[&str] = &[
        "the", "invoice", "of", "March", "was", "paid", "late", "by", "customer", "4711", "and", "we",
        "sent", "a", "reminder", "to", "their", "office", "in", "Köln", "before", "anybody", "noticed",
        "that", "terms",
    ];
    let mut all = String::new();
    for (number, byte) in noise(words, seed).into_iter().enumerate() {
        all.push_str(WORDS[usize::from(byte) % WORDS.len()]);
        all.push(if number % 13 == 12 { '\n' } else { ' ' });
    }
    all.into_bytes()
}

fn deflate(bytes: &[u8], level: u32) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::new(level));
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zlib(bytes: &[u8], level: u32) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::new(level));
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn gzip(bytes: &[u8], level: u32) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(level));
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn sum(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum()
}

/// Packs members; `streamed` tells lengths behind them, as programs do that cannot go back.
fn zip(members: &[Vec<u8>], level: u32, streamed: bool) -> Vec<u8> {
    let (mut archive, mut directory) = (Vec::new(), Vec::new());
    for (number, member) in members.iter().enumerate() {
        let (data, offset, name) = (deflate(member, level), archive.len() as u32, format!("m{number}.xml"));
        let numbers = [sum(member), data.len() as u32, member.len() as u32];
        let numbers: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        let flags = if streamed { 8_u16 } else { 0 };
        let common = |numbers: &[u8]| {
            let mut head =
                [20_u16, flags, 8, 0, 0].iter().flat_map(|half| half.to_le_bytes()).collect::<Vec<u8>>();
            head.extend(numbers);
            head.extend((name.len() as u16).to_le_bytes());
            head.extend([0, 0]);
            head
        };
        archive.extend(b"PK\x03\x04");
        archive.extend(common(if streamed { &[0; 12] } else { &numbers }));
        archive.extend(name.as_bytes());
        archive.extend(&data);
        if streamed {
            archive.extend(b"PK\x07\x08");
            archive.extend(&numbers);
        }
        directory.extend(b"PK\x01\x02\x14\0");
        directory.extend(common(&numbers));
        directory.extend([0; 10]);
        directory.extend(offset.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let start = archive.len() as u32;
    archive.extend(&directory);
    archive.extend(b"PK\x05\x06\0\0\0\0");
    archive.extend([members.len() as u16; 2].iter().flat_map(|count| count.to_le_bytes()));
    archive.extend((directory.len() as u32).to_le_bytes());
    archive.extend(start.to_le_bytes());
    archive.extend([0, 0]);
    archive
}

fn png(pixels: &[u8], level: u32) -> Vec<u8> {
    let mut picture = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut block = |name: &[u8], data: &[u8]| {
        picture.extend((data.len() as u32).to_be_bytes());
        let start = picture.len();
        picture.extend(name);
        picture.extend(data);
        let sum = sum(&picture[start..]);
        picture.extend(sum.to_be_bytes());
    };
    block(b"IHDR", &[0, 0, 1, 0, 0, 0, 1, 0, 8, 0, 0, 0, 0]);
    for part in zlib(pixels, level).chunks(8192) {
        block(b"IDAT", part);
    }
    block(b"IEND", &[]);
    picture
}

/// The shape of a JPEG: coded data is noise in which 255 is followed by 0.
fn jpeg(bytes: usize, seed: u64) -> Vec<u8> {
    let mut picture = vec![0xff, 0xd8, 0xff, 0xe0, 0, 16];
    picture.extend(b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0");
    picture.extend([0xff, 0xdb, 0, 67]);
    picture.extend([7; 65]);
    picture.extend([0xff, 0xda, 0, 8, 1, 1, 0, 0, 63, 0]);
    for byte in noise(bytes, seed) {
        picture.push(byte);
        if byte == 0xff {
            picture.push(0);
        }
    }
    picture.extend([0xff, 0xd9]);
    picture
}

fn pdf(pages: usize, seed: u64, level: u32) -> Vec<u8> {
    let mut document = b"%PDF-1.7\n".to_vec();
    for page in 0..pages {
        let data = zlib(&text(600, seed + page as u64), level);
        write!(document, "{} 0 obj\n<< /Filter /FlateDecode /Length {} >>\nstream\n", page + 1, data.len())
            .unwrap();
        document.extend(&data);
        document.extend(b"\nendstream\nendobj\n");
    }
    write!(document, "xref\n0 1\ntrailer\n<< /Size {pages} >>\nstartxref\n9\n%%EOF\n").unwrap();
    document
}

fn tar(members: &[Vec<u8>]) -> Vec<u8> {
    let mut archive = Vec::new();
    for (number, member) in members.iter().enumerate() {
        let mut header = vec![0; 512];
        header[..2].copy_from_slice(format!("f{}", number % 10).as_bytes());
        header[124..135].copy_from_slice(format!("{:011o}", member.len()).as_bytes());
        header[156] = b'0';
        header[257..262].copy_from_slice(b"ustar");
        archive.extend(header);
        archive.extend(member);
        archive.resize(archive.len().next_multiple_of(512), 0);
    }
    archive.resize(archive.len() + 1024, 0);
    archive
}

fn sqlite(pages: usize, seed: u64) -> Vec<u8> {
    let mut database = b"SQLite format 3\0\x10\0".to_vec();
    database.resize(4096, 0);
    for page in 0..pages {
        database.push(13);
        // Compressed values inside are as even as they like.
        let rows =
            if page % 2 == 0 { text(500, seed + page as u64) } else { noise(4095, seed + page as u64) };
        database.extend(&rows[..rows.len().min(4095)]);
        database.resize((page + 2) * 4096, 0);
    }
    database
}

/// Files of many kinds, each with edits of it.
pub(super) fn made() -> Vec<Sample> {
    let (words, others) = (text(8000, 1), text(9000, 2));
    let parts: Vec<Vec<u8>> = (0..12).map(|number| text(2000, 10 + number)).collect();
    let mut changed = parts.clone();
    changed[3] = text(2500, 77);
    let pixels: Vec<u8> = noise(90_000, 4).iter().map(|byte| byte & 31).collect();
    let program =
        [b"\x7fELF\x02\x01\x01\0".as_slice(), &words.iter().map(|byte| byte ^ 0x40).collect::<Vec<u8>>()]
            .concat();
    let sample = |name: &str, kind, structure, content: Vec<u8>, edits: Vec<Vec<u8>>| Sample {
        name: name.to_owned(),
        kind,
        structure,
        content,
        edits,
    };
    let (none, sound) = (Structure::Unknown, Structure::Sound);
    let appended = [words.as_slice(), &others].concat();
    vec![
        sample("text", Kind::Text, none, words.clone(), vec![others.clone(), appended, gzip(&words, 6)]),
        sample(
            "zip",
            Kind::Zip,
            sound,
            zip(&parts, 6, false),
            vec![zip(&parts, 9, false), zip(&changed, 1, true)],
        ),
        sample("streamed zip", Kind::Zip, sound, zip(&parts, 6, true), vec![zip(&changed, 6, true)]),
        sample(
            "zip of one",
            Kind::Zip,
            sound,
            zip(std::slice::from_ref(&others), 6, false),
            vec![zip(std::slice::from_ref(&words), 6, false)],
        ),
        sample("gzip", Kind::Gzip, sound, gzip(&others, 9), vec![gzip(&others, 1), gzip(&words, 6)]),
        sample("png", Kind::Png, sound, png(&pixels, 6), vec![png(&pixels[1..], 9), jpeg(40_000, 6)]),
        sample("jpeg", Kind::Jpeg, sound, jpeg(60_000, 5), vec![jpeg(50_000, 6), png(&pixels, 6)]),
        sample("pdf", Kind::Pdf, sound, pdf(12, 30, 6), vec![pdf(13, 60, 9), pdf(12, 30, 1)]),
        sample("tar", Kind::Tar, sound, tar(&parts), vec![tar(&changed), tar(&[gzip(&others, 6)])]),
        sample("sqlite", Kind::Sqlite, sound, sqlite(20, 50), vec![sqlite(30, 50), sqlite(20, 90)]),
        sample(
            "program",
            Kind::Program,
            none,
            program.clone(),
            vec![[program.as_slice(), &[0; 900]].concat()],
        ),
        sample("small text", Kind::Text, none, text(900, 8), vec![text(700, 9)]),
    ]
}

/// Files that this machine has, so many at most, the same ones each time.
pub(super) fn machine(limit: usize) -> Vec<Sample> {
    let mut paths = Vec::new();
    for root in ["/usr/share", "/usr/lib"] {
        collect(Path::new(root), &mut paths, 40_000);
    }
    paths.sort();
    let step = (paths.len() / limit).max(1);
    let contents = paths.iter().step_by(step).filter_map(|path| {
        let content = fs::read(path).ok()?;
        Some(Sample {
            name: path.display().to_string(),
            kind: Kind::Unknown,
            structure: Structure::Unknown,
            content,
            edits: Vec::new(),
        })
    });
    contents.take(limit).collect()
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>, limit: usize) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let (Ok(kind), path) = (entry.file_type(), entry.path()) else { continue };
        if paths.len() >= limit {
            return;
        }
        if kind.is_dir() {
            collect(&path, paths, limit);
        } else if kind.is_file() && entry.metadata().is_ok_and(|data| (4096..200_000).contains(&data.len())) {
            paths.push(path);
        }
    }
}
