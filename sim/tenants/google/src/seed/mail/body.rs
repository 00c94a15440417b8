//! Bodies of messages: text, HTML, attachments, and what is broken.

use super::{Correspondence, Oddity, kind, pick};
use crate::text::{base64url, mixed};

const SENTENCES: &[&str] = &[
    "Thanks for the quick answer.",
    "I have put the numbers into the sheet, please check column D.",
    "Could we move the call to Thursday afternoon?",
    "Die Unterlagen liegen im gemeinsamen Ordner; bitte bis Freitag prüfen.",
    "The supplier confirmed the new date, but not the price.",
    "Nous avons bien reçu votre commande, la livraison est prévue pour mardi.",
    "I would rather wait until the audit is through.",
    "Please find the signed version attached.",
    "There are three open points: the warranty, the delivery, and who pays for the crane.",
    "明日の会議は十時からです。",
    "Let me know if anything is unclear.",
    "> I would rather wait until the audit is through.",
    "From what I hear the customer is happy with it.",
    "It costs 1,200 € a month, or 13,000 € a year if we pay in advance.",
    "Best regards",
    "As discussed, the access for the contractors ends on the 31st.",
];

const NAMES: &[&str] = &[
    "invoice.pdf",
    "minutes.docx",
    "photo.jpg",
    "Übersicht 2026.xlsx",
    "signed contract (final).pdf",
    "logs.txt",
];

const LINE: usize = 76;

impl Correspondence {
    /// Returns the wanted size in bytes: median about 6 KB, one in twenty above 100 KB, one in three hundred some MB.
    fn size(&self, number: u32) -> usize {
        let drawn = self.draw(kind::SIZE, number);
        let within = |least: u64, most: u64| (least + (drawn >> 16) % (most - least)) as usize;
        match drawn % 300 {
            0 => within(1 << 20, 4 << 20),
            1..=15 => within(100 << 10, 600 << 10),
            16..=100 => within(10 << 10, 60 << 10),
            101..=220 => within(3 << 10, 9 << 10),
            _ => within(400, 3 << 10),
        }
    }

    /// Writes the headers of the body's format, and the body.
    pub(super) fn write_body(&self, number: u32, raw: &mut Vec<u8>) {
        let drawn = self.draw(kind::BODY, number);
        let size = self.size(number);
        if self.oddity(number) == Oddity::Broken {
            return self.write_broken(number, raw);
        }
        // What is written as text and as HTML is written twice, and its special letters take three bytes each.
        let twice = drawn % 10 > 5;
        let prose = self.prose(
            number,
            if size > 20 << 10 {
                3 << 10
            } else if twice {
                size * 2 / 5
            } else {
                size * 4 / 5
            },
        );
        let boundary = format!("=_{:016x}", mixed(drawn));
        match drawn % 10 {
            _ if size > 20 << 10 => {
                push(raw, &format!("Content-Type: multipart/mixed; boundary=\"{boundary}\"\r\n\r\n"));
                push(raw, &format!("--{boundary}\r\n"));
                write_alternative(raw, &prose, &format!("{boundary}.a"));
                push(raw, &format!("\r\n--{boundary}\r\n"));
                self.write_attachment(number, size - (8 << 10), raw);
                push(raw, &format!("\r\n--{boundary}--\r\n"));
            }
            0..=3 => {
                push(
                    raw,
                    "Content-Type: text/plain; charset=\"UTF-8\"\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n",
                );
                raw.extend_from_slice(&quoted_printable(&prose));
            }
            4 => {
                push(
                    raw,
                    "Content-Type: text/html; charset=UTF-8\r\nContent-Transfer-Encoding: base64\r\n\r\n",
                );
                write_base64(raw, html(&prose).as_bytes());
            }
            5 => {
                push(
                    raw,
                    "Content-Type: text/plain; charset=UTF-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n",
                );
                raw.extend_from_slice(prose.as_bytes());
            }
            _ => write_alternative(raw, &prose, &boundary),
        }
    }

    /// Writes sentences, line by line, until there are so many bytes.
    fn prose(&self, number: u32, bytes: usize) -> String {
        let mut drawn = self.draw(kind::BODY, number);
        let mut prose = format!("Hello {},\r\n\r\n", self.owner.0);
        while prose.len() < bytes {
            drawn = mixed(drawn);
            prose.push_str(pick(SENTENCES, drawn));
            prose.push_str(if (drawn >> 32).is_multiple_of(5) { "\r\n\r\n" } else { "\r\n" });
        }
        prose
    }

    fn write_attachment(&self, number: u32, size: usize, raw: &mut Vec<u8>) {
        let mut drawn = self.draw(kind::SIZE, number);
        let name = pick(NAMES, drawn >> 4);
        let kind = match name.rsplit_once('.').map_or("", |(_, extension)| extension) {
            "pdf" => "application/pdf",
            "jpg" => "image/jpeg",
            "txt" => "text/plain; charset=us-ascii",
            "docx" => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            _ => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        };
        let shown = super::head::encoded(name);
        push(raw, &format!("Content-Type: {kind};\r\n name=\"{shown}\"\r\n"));
        push(raw, &format!("Content-Disposition: attachment;\r\n filename=\"{shown}\"\r\n"));
        push(raw, "Content-Transfer-Encoding: base64\r\n\r\n");
        // Base64 makes four letters of three bytes, and lines have ends.
        let mut bytes = Vec::with_capacity(size);
        while bytes.len() < size * 72 / 100 {
            drawn = mixed(drawn);
            bytes.extend_from_slice(&drawn.to_le_bytes());
        }
        write_base64(raw, &bytes);
    }

    fn write_broken(&self, number: u32, raw: &mut Vec<u8>) {
        let prose = self.prose(number, 2 << 10);
        match number % 3 {
            0 => {
                push(
                    raw,
                    "Content-Type: multipart/mixed; boundary=never\r\n\r\n--never\r\nContent-Type: text/plain\r\n\r\n",
                );
                push(raw, &prose);
                push(
                    raw,
                    "\r\n--never\r\nContent-Type: application/pdf; name=\"cut.pdf\"\r\nContent-Transfer-Encoding: base64\r\n\r\nJVBERi0xLjQK",
                );
            }
            1 => {
                // It says UTF-8 and is Latin-1, with a bare line feed and a zero byte.
                push(raw, "Content-Type: text/plain; charset=UTF-8\r\nX-Odd Header: yes\r\n\r\n");
                raw.extend_from_slice(b"Gr\xfc\xdfe aus M\xfcnchen\nno carriage return\x00\r\n");
                push(raw, &prose);
            }
            _ => {
                push(
                    raw,
                    "Content-Type: text/plain; charset=\"x-unknown\"\r\nContent-Transfer-Encoding: base64\r\n\r\n",
                );
                push(raw, "SGVsbG8gd29ybGQ*this is no base64\r\n");
                push(raw, &prose);
            }
        }
    }
}

fn push(raw: &mut Vec<u8>, text: &str) {
    raw.extend_from_slice(text.as_bytes());
}

fn html(prose: &str) -> String {
    let escaped = prose.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    format!("<html><body><p>{}</p></body></html>\r\n", escaped.replace("\r\n", "<br>\r\n"))
}

/// Writes text and HTML as alternatives, with the header that says so.
fn write_alternative(raw: &mut Vec<u8>, prose: &str, boundary: &str) {
    push(raw, &format!("Content-Type: multipart/alternative;\r\n boundary=\"{boundary}\"\r\n\r\n"));
    for (kind, text) in [("plain", prose.to_owned()), ("html", html(prose))] {
        push(raw, &format!("--{boundary}\r\nContent-Type: text/{kind}; charset=UTF-8\r\n"));
        push(raw, "Content-Transfer-Encoding: quoted-printable\r\n\r\n");
        raw.extend_from_slice(&quoted_printable(&text));
        push(raw, "\r\n");
    }
    push(raw, &format!("--{boundary}--\r\n"));
}

fn write_base64(raw: &mut Vec<u8>, bytes: &[u8]) {
    // Three bytes are four letters, so that whole lines have no padding.
    for piece in bytes.chunks(LINE / 4 * 3) {
        let line = base64url(piece);
        raw.extend(line.bytes().map(|letter| match letter {
            b'-' => b'+',
            b'_' => b'/',
            letter => letter,
        }));
        raw.extend_from_slice(b"\r\n");
    }
}

fn quoted_printable(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + text.len() / 8);
    for line in text.split("\r\n") {
        let mut length = 0;
        let bytes = line.as_bytes();
        for (at, byte) in bytes.iter().enumerate() {
            let last = at + 1 == bytes.len();
            let plain = matches!(byte, b'!'..=b'<' | b'>'..=b'~') || (*byte == b' ' && !last);
            if length + 3 >= LINE {
                out.extend_from_slice(b"=\r\n");
                length = 0;
            }
            if plain {
                out.push(*byte);
                length += 1;
            } else {
                out.extend_from_slice(format!("={byte:02X}").as_bytes());
                length += 3;
            }
        }
        out.extend_from_slice(b"\r\n");
    }
    // The last line's end was put there by splitting.
    out.truncate(out.len() - 2);
    out
}
