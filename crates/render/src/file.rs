//! Files: text is shown, anything else is named.

use std::borrow::Cow;

use serde_json::Value;

use crate::{
    Stored,
    document::{Document, Limits, Note},
};

/// So much of a file tells whether it is text.
const LOOKED_AT: usize = 8 << 10;

/// Beginnings of files that are no text, and what they are.
const BEGINNINGS: [(&[u8], &str); 14] = [
    (b"%PDF-", "PDF"),
    (b"\x89PNG\r\n", "PNG picture"),
    (b"\xff\xd8\xff", "JPEG picture"),
    (b"GIF8", "GIF picture"),
    (b"PK\x03\x04", "ZIP archive, or a document of an office program"),
    (b"\x1f\x8b", "gzip archive"),
    (b"7z\xbc\xaf\x27\x1c", "7-Zip archive"),
    (b"(\xb5/\xfd", "zstd archive"),
    (b"\xd0\xcf\x11\xe0", "document of an old office program"),
    (b"\x7fELF", "program"),
    (b"MZ", "Windows program"),
    (b"SQLite format 3\0", "SQLite database"),
    (b"RIFF", "sound or video"),
    (b"OggS", "sound or video"),
];

/// Shows a file's content.
pub(crate) fn fill(document: &mut Document, stored: &Stored<'_>, content: &[u8], limits: &Limits) {
    document.field("Size", &size(stored.size_bytes));
    let Some(text) = text_of(content) else {
        document.field("Content", kind_of(content).unwrap_or("binary"));
        if let Some(claimed) = claimed(stored.attributes) {
            document.field("Claimed type", &claimed);
        }
        document.notes.push(Note::Binary);
        return;
    };
    if content.is_empty() {
        return;
    }
    if text.contains(char::REPLACEMENT_CHARACTER) {
        document.notes.push(Note::NotAllText);
    }
    document.text(text.strip_suffix('\n').unwrap_or(&text), limits);
}

/// Returns a content as text, if it is mostly that.
fn text_of(content: &[u8]) -> Option<Cow<'_, str>> {
    match content {
        [0xef, 0xbb, 0xbf, rest @ ..] => return Some(String::from_utf8_lossy(rest)),
        [0xff, 0xfe, rest @ ..] => return utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => return utf16(rest, u16::from_be_bytes),
        _ => {}
    }
    let beginning = &content[..content.len().min(LOOKED_AT)];
    if kind_of(content).is_some_and(|_| !beginning.is_ascii()) || beginning.contains(&0) {
        return None;
    }
    // The cut may have parted a character: that is one run, whatever else there is.
    let damaged: usize = beginning.utf8_chunks().map(|chunk| chunk.invalid().len()).sum();
    (damaged <= 3 + beginning.len() / 20).then(|| String::from_utf8_lossy(content))
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Option<Cow<'static, str>> {
    let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]])).collect();
    let text = String::from_utf16_lossy(&units);
    (!text.contains('\0')).then_some(Cow::Owned(text))
}

fn kind_of(content: &[u8]) -> Option<&'static str> {
    BEGINNINGS.iter().find(|(beginning, _)| content.starts_with(beginning)).map(|(_, kind)| *kind)
}

/// Returns the media type that the source tells.
fn claimed(attributes: &str) -> Option<String> {
    let attributes: Value = serde_json::from_str(attributes).ok()?;
    let claimed = attributes["export"].as_str().or_else(|| attributes["mimeType"].as_str())?;
    Some(claimed.to_owned())
}

/// Writes a number of bytes for people.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    let mut unit = None;
    for name in UNITS {
        if value < 1024.0 {
            break;
        }
        (value, unit) = (value / 1024.0, Some(name));
    }
    match unit {
        None if bytes == 1 => "1 byte".to_owned(),
        None => format!("{bytes} bytes"),
        Some(unit) => format!("{value:.1} {unit} ({bytes} bytes)"),
    }
}
