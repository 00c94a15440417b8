//! Lines of iCalendar and vCard: named, escaped, folded.

use std::io::{self, Write};

/// A line is folded after so many bytes.
const FOLDED_AT: usize = 75;

/// Writes lines, each ended by CR and LF, folded so that no reader trips over them.
pub(super) struct Lines<W> {
    out: W,
    bytes: u64,
}

impl<W: Write> Lines<W> {
    pub(super) const fn new(out: W) -> Self {
        Self { out, bytes: 0 }
    }

    /// Writes a line whose value is written as it is: a date, an address, a rule.
    pub(super) fn raw(&mut self, name: &str, value: &str) -> io::Result<()> {
        self.line(&format!("{}:{}", plain(name), plain(value)))
    }

    /// Writes a line whose value is a text.
    pub(super) fn text(&mut self, name: &str, value: &str) -> io::Result<()> {
        self.line(&format!("{}:{}", plain(name), escaped(value)))
    }

    /// Writes a line that is there when there is something to say.
    pub(super) fn some_text(&mut self, name: &str, value: Option<&str>) -> io::Result<()> {
        match value.filter(|value| !value.is_empty()) {
            Some(value) => self.text(name, value),
            None => Ok(()),
        }
    }

    fn line(&mut self, line: &str) -> io::Result<()> {
        let (mut rest, mut room) = (line, FOLDED_AT);
        while rest.len() > room {
            let mut at = room;
            while !rest.is_char_boundary(at) {
                at -= 1;
            }
            self.write(&rest.as_bytes()[..at])?;
            self.write(b"\r\n ")?;
            rest = &rest[at..];
            // The space at the beginning counts.
            room = FOLDED_AT - 1;
        }
        self.write(rest.as_bytes())?;
        self.write(b"\r\n")
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.bytes += bytes.len() as u64;
        self.out.write_all(bytes)
    }

    /// Returns where it wrote, and how much.
    pub(super) fn finish(self) -> (W, u64) {
        (self.out, self.bytes)
    }
}

/// Makes a text one line: the characters that have a meaning are marked, and control characters go.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' | ',' | ';' => {
                escaped.push('\\');
                escaped.push(letter);
            }
            '\r' if letters.peek() == Some(&'\n') => {}
            '\r' | '\n' => escaped.push_str("\\n"),
            '\t' => escaped.push('\t'),
            letter if letter.is_control() => {}
            letter => escaped.push(letter),
        }
    }
    escaped
}

/// Leaves out of a value that is written as it is what would end its line.
fn plain(value: &str) -> String {
    value.chars().filter(|letter| !letter.is_control()).collect()
}

/// Makes a parameter's value of a text: in quotes, which it cannot hold.
pub(super) fn quoted(text: &str) -> String {
    let fits = |letter: &char| !letter.is_control() && *letter != '"';
    format!("\"{}\"", text.chars().filter(fits).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_folded_between_letters() {
        let mut lines = Lines::new(Vec::new());
        let text = "\u{1f389}".repeat(60);
        lines.text("SUMMARY", &text).unwrap();
        let (out, bytes) = lines.finish();
        assert_eq!(out.len() as u64, bytes);
        let written = String::from_utf8(out).unwrap();
        assert!(written.split("\r\n").all(|line| line.len() <= 75), "{written}");
        assert_eq!(written.replace("\r\n ", ""), format!("SUMMARY:{text}\r\n"));
    }

    #[test]
    fn a_text_cannot_end_its_line() {
        assert_eq!(escaped("a\r\nATTENDEE:x;y,z\\\u{7}"), "a\\nATTENDEE:x\\;y\\,z\\\\");
        let mut lines = Lines::new(Vec::new());
        lines.raw("UID", "x\r\nBEGIN:VALARM").unwrap();
        lines.raw("X\r\nY", "z").unwrap();
        assert_eq!(lines.finish().0, b"UID:xBEGIN:VALARM\r\nXY:z\r\n");
        assert_eq!(quoted("A \"B\"\n"), "\"A B\"");
    }
}
