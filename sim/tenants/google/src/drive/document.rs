//! What is in a file of an editor: a text, and the formats into which it is written and from which it is read.

use std::{io::Write, sync::Arc};

use flate2::{Compression, Crc, write::ZlibEncoder};
use serde_json::{Value, json};

use super::{
    blob::WORDS,
    kind::{CSV, DOCX, HTML, Kind, MARKDOWN, PDF, PLAIN, PNG, PPTX, SVG, TSV, XLSX},
    office,
};
use crate::text;

/// The text of a document, written by somebody or drawn from a number whenever it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Document {
    Written(Arc<str>),
    /// So many lines (of a presentation: slides) from a key, and all of them again so many times.
    Drawn {
        key: u64,
        lines: u64,
        times: u64,
    },
}

impl Document {
    /// Returns the text.
    pub(crate) fn text(&self, kind: Kind) -> String {
        match self {
            Self::Written(text) => text.to_string(),
            Self::Drawn { key, lines, times: 1 } => drawn(kind, *key, *lines),
            Self::Drawn { key, lines, times } => {
                let once = drawn(kind, *key, *lines) + separator(kind);
                once.repeat(usize::try_from(*times).unwrap_or(1))
            }
        }
    }

    /// Returns how many bytes the text has, without making all of it.
    pub(crate) fn length(&self, kind: Kind) -> u64 {
        match self {
            Self::Written(text) => text.len() as u64,
            Self::Drawn { key, lines, times } => {
                let once = drawn(kind, *key, *lines).len() as u64;
                if *times == 1 { once } else { (once + separator(kind).len() as u64) * times }
            }
        }
    }
}

fn drawn(kind: Kind, key: u64, lines: u64) -> String {
    let number = |at: u64| text::mixed(key.wrapping_add(text::mixed(at)));
    let words = |at: u64, count: u64| -> String {
        let each: Vec<&str> =
            (0..count).map(|word| WORDS[(text::mixed(number(at) ^ word) % 32) as usize]).collect();
        each.join(" ")
    };
    let made: Vec<String> = (0..lines)
        .map(|at| match kind {
            Kind::Spreadsheet if at == 0 => "Item\tQuantity\tPrice\tNote".to_owned(),
            Kind::Spreadsheet => {
                let drawn = number(at);
                format!(
                    "{}\t{}\t{}.{:02}\t{}",
                    words(at, 2),
                    drawn % 90,
                    drawn % 4000,
                    drawn % 100,
                    words(at + lines, 3)
                )
            }
            Kind::Presentation => {
                format!("{}\n{}\n{}", words(at, 3), words(at + lines, 7), words(at + 2 * lines, 6))
            }
            Kind::Script => format!("function step{at}() {{ Logger.log({}); }}", number(at) % 1000),
            _ if at == 0 => words(0, 4),
            _ => format!("{}.", words(at, 6 + number(at) % 14)),
        })
        .collect();
    made.join(separator(kind))
}

const fn separator(kind: Kind) -> &'static str {
    if matches!(kind, Kind::Presentation) { "\n\n" } else { "\n" }
}

/// Writes a text in a format. `None` when this kind has no such format.
pub(crate) fn export(kind: Kind, text: &str, format: &str) -> Option<Vec<u8>> {
    kind.exports().iter().find(|(own, _)| *own == format)?;
    Some(match format {
        DOCX => office::docx(text),
        XLSX => office::xlsx(text),
        PPTX => office::pptx(text),
        PLAIN => format!("\u{feff}{}", text.replace('\n', "\r\n")).into_bytes(),
        HTML => html(text).into_bytes(),
        MARKDOWN | TSV => text.as_bytes().to_vec(),
        CSV => csv(text).into_bytes(),
        SVG => svg(text).into_bytes(),
        PNG => png(text)?,
        PDF => pdf(text),
        _ => script(text).to_string().into_bytes(),
    })
}

/// Reads a text from a format. `None` when this kind cannot be made from it, or the bytes are not what they claim.
pub(crate) fn import(kind: Kind, format: &str, bytes: &[u8]) -> Option<String> {
    let format = format.split(';').next().unwrap_or_default().trim();
    kind.imports().iter().find(|own| **own == format)?;
    let plain = || {
        let text = std::str::from_utf8(bytes).ok()?;
        Some(text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n"))
    };
    match format {
        DOCX => office::from_docx(bytes),
        XLSX => office::from_xlsx(bytes),
        PPTX => office::from_pptx(bytes),
        HTML => Some(from_html(&plain()?)),
        CSV => Some(from_csv(&plain()?)),
        PLAIN | MARKDOWN | TSV => plain(),
        _ => from_script(&plain()?),
    }
}

fn html(text: &str) -> String {
    let lines: String = text.split('\n').map(|line| format!("<p>{}</p>", office::escaped(line))).collect();
    format!("<html><head><meta charset=\"utf-8\"></head><body>{lines}</body></html>")
}

fn from_html(html: &str) -> String {
    let body =
        html.split_once("<body").and_then(|(_, rest)| rest.split_once('>')).map_or(html, |(_, body)| body);
    let mut lines = Vec::new();
    for paragraph in body.split("</p>") {
        let mut line = String::new();
        for piece in paragraph.split('<') {
            line.push_str(piece.split_once('>').map_or(piece, |(_, text)| text));
        }
        lines.push(office::unescaped(&line));
    }
    // What follows the last paragraph is the end of the page.
    if lines.len() > 1 {
        lines.pop();
    }
    lines.join("\n")
}

fn csv(text: &str) -> String {
    let cell = |cell: &str| {
        if cell.contains([',', '"', '\r']) {
            format!("\"{}\"", cell.replace('"', "\"\""))
        } else {
            cell.to_owned()
        }
    };
    let rows: Vec<String> =
        text.split('\n').map(|row| row.split('\t').map(cell).collect::<Vec<_>>().join(",")).collect();
    rows.join("\r\n")
}

fn from_csv(csv: &str) -> String {
    let mut out = String::with_capacity(csv.len());
    let mut quoted = false;
    let mut letters = csv.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                out.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => out.push('\t'),
            // A cell of our sheets has one line.
            '\n' | '\t' if quoted => out.push(' '),
            letter => out.push(letter),
        }
    }
    out
}

fn svg(text: &str) -> String {
    let lines: String = text
        .split('\n')
        .enumerate()
        .map(|(at, line)| format!("<text x=\"20\" y=\"{}\">{}</text>", 30 + 20 * at, office::escaped(line)))
        .collect();
    format!("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"960\" height=\"720\">{lines}</svg>")
}

/// A picture of 64 by 64 grey dots that stand for the text, which it also carries.
fn png(text: &str) -> Option<Vec<u8>> {
    const SIDE: u32 = 64;
    let key = text::drawn(text.as_bytes());
    let mut rows = Vec::new();
    for y in 0..SIDE {
        rows.push(0);
        rows.extend((0..SIDE).map(|x| text::mixed(key ^ u64::from(x / 8) ^ (u64::from(y / 8) << 32)) as u8));
    }
    let mut packer = ZlibEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(&rows).ok()?;
    let mut head = Vec::new();
    head.extend_from_slice(&SIDE.to_be_bytes());
    head.extend_from_slice(&SIDE.to_be_bytes());
    head.extend_from_slice(&[8, 0, 0, 0, 0]);
    let mut words = b"Description\0\0\0\0\0".to_vec();
    words.extend_from_slice(text.as_bytes());
    let mut out = b"\x89PNG\r\n\x1a\n".to_vec();
    let chunks = [(b"IHDR", head), (b"iTXt", words), (b"IDAT", packer.finish().ok()?), (b"IEND", Vec::new())];
    for (name, content) in chunks {
        out.extend_from_slice(&(content.len() as u32).to_be_bytes());
        let mut crc = Crc::new();
        crc.update(name);
        crc.update(&content);
        out.extend_from_slice(name);
        out.extend_from_slice(&content);
        out.extend_from_slice(&crc.sum().to_be_bytes());
    }
    Some(out)
}

/// Pages of fifty lines in Helvetica; letters that it does not have become question marks.
fn pdf(text: &str) -> Vec<u8> {
    const LINES: usize = 50;
    let lines: Vec<&str> = text.split('\n').collect();
    let pages: Vec<&[&str]> = lines.chunks(LINES).collect();
    let kids: String = (0..pages.len()).map(|page| format!("{} 0 R ", 4 + 2 * page)).collect();
    let mut objects = vec![
        b"<< /Type /Catalog /Pages 2 0 R >>".to_vec(),
        format!("<< /Type /Pages /Kids [{kids}] /Count {} >>", pages.len()).into_bytes(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>".to_vec(),
    ];
    for (number, page) in pages.iter().enumerate() {
        let mut content = b"BT /F1 11 Tf 14 TL 56 786 Td\n".to_vec();
        for line in *page {
            content.push(b'(');
            for letter in line.chars() {
                match u8::try_from(u32::from(letter)) {
                    Ok(byte @ (b'(' | b')' | b'\\')) => content.extend_from_slice(&[b'\\', byte]),
                    Ok(byte) if byte >= 0x20 => content.push(byte),
                    _ => content.push(b'?'),
                }
            }
            content.extend_from_slice(b") Tj T*\n");
        }
        content.extend_from_slice(b"ET");
        objects.push(
            format!(
                "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << /Font << /F1 3 0 R >> >> \
                 /Contents {} 0 R >>",
                5 + 2 * number
            )
            .into_bytes(),
        );
        let mut stream = format!("<< /Length {} >>\nstream\n", content.len()).into_bytes();
        stream.extend_from_slice(&content);
        stream.extend_from_slice(b"\nendstream");
        objects.push(stream);
    }
    assembled(&objects)
}

fn assembled(objects: &[Vec<u8>]) -> Vec<u8> {
    let mut out = b"%PDF-1.4\n".to_vec();
    let mut table = String::new();
    for (number, object) in objects.iter().enumerate() {
        table.push_str(&format!("{:010} 00000 n \n", out.len()));
        out.extend_from_slice(format!("{} 0 obj\n", number + 1).as_bytes());
        out.extend_from_slice(object);
        out.extend_from_slice(b"\nendobj\n");
    }
    let (at, count) = (out.len(), objects.len() + 1);
    let end = format!(
        "xref\n0 {count}\n0000000000 65535 f \n{table}trailer\n<< /Size {count} /Root 1 0 R >>\nstartxref\n{at}\n%%EOF\n"
    );
    out.extend_from_slice(end.as_bytes());
    out
}

fn script(text: &str) -> Value {
    json!({ "files": [{ "id": "code", "name": "Code", "type": "server_js", "source": text }] })
}

fn from_script(json: &str) -> Option<String> {
    let value: Value = serde_json::from_str(json).ok()?;
    Some(value["files"][0]["source"].as_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_exported_and_imported_keeps_its_text() {
        for kind in Kind::edited() {
            let document = Document::Drawn { key: 5, lines: 6, times: 2 };
            let text = document.text(kind);
            assert_eq!(document.length(kind), text.len() as u64);
            for format in
                kind.imports().iter().filter(|format| kind.exports().iter().any(|(own, _)| own == *format))
            {
                let exported = export(kind, &text, format).unwrap();
                let back = import(kind, format, &exported).unwrap();
                assert_eq!(back, text, "{format}");
                assert_eq!(export(kind, &back, format).unwrap(), exported);
            }
            for (format, _) in kind.exports() {
                assert!(!export(kind, &text, format).unwrap().is_empty());
            }
        }
        assert_eq!(export(Kind::Form, "x", PDF), None);
        assert_eq!(import(Kind::Document, XLSX, b""), None);
        assert_eq!(import(Kind::Document, DOCX, b"no archive"), None);
    }

    #[test]
    fn a_page_description_says_where_its_objects_are() {
        let pdf = pdf("a (b)\nсловo");
        let text = String::from_utf8_lossy(&pdf).into_owned();
        let at: usize = text.rsplit("startxref\n").next().unwrap().lines().next().unwrap().parse().unwrap();
        assert!(text[at..].starts_with("xref\n0 6\n"));
        for (number, line) in text[at..].lines().skip(3).take(5).enumerate() {
            let place: usize = line[..10].parse().unwrap();
            assert!(text[place..].starts_with(&format!("{} 0 obj", number + 1)));
        }
        assert!(text.contains("(a \\(b\\)) Tj"));
    }
}
