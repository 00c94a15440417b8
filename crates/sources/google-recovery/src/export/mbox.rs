//! One file with many messages, as mboxrd has it: a line that begins with `From `, with any number of `>` before it,
//! gets one more `>`, so that it can be taken off again.

use std::io::{self, Write};

use base64_simd::STANDARD;
use connect::{StoredBody, StoredError};
use jiff::{Timestamp, tz::TimeZone};

const FROM: &[u8] = b"From ";
/// An encoded word has at most 75 characters; so many bytes of text fit into one.
const ENCODED_BYTES_MAX: usize = 42;

pub(super) struct Mbox {
    out: Box<dyn Write + Send>,
}

impl Mbox {
    pub(super) fn new(out: impl Write + Send + 'static) -> Self {
        Self { out: Box::new(out) }
    }

    /// Appends a message; returns the bytes of its text.
    pub(super) fn message(
        &mut self,
        received_ms: i64,
        labels: &[&str],
        body: &mut dyn StoredBody,
        failed: &dyn Fn(io::Error) -> StoredError,
    ) -> Result<u64, StoredError> {
        let received = Timestamp::from_millisecond(received_ms).unwrap_or(Timestamp::UNIX_EPOCH);
        let date = received.to_zoned(TimeZone::UTC).strftime("%a %b %e %H:%M:%S %Y").to_string();
        write!(self.out, "From MAILER-DAEMON {date}\nX-Gmail-Labels: {}\n", encoded(labels))
            .map_err(failed)?;
        let mut quoting = Quoting::default();
        let mut bytes = 0;
        while let Some(portion) = body.next_portion()? {
            bytes += portion.len() as u64;
            quoting.write(portion, &mut self.out).map_err(failed)?;
        }
        quoting.end(&mut self.out).map_err(failed)?;
        Ok(bytes)
    }

    pub(super) fn finish(mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Quotes lines across the portions in which they come.
struct Quoting {
    /// The beginning of a line as long as it may still be one that is quoted.
    pending: Vec<u8>,
    /// Whether what comes next is at the beginning of a line.
    is_open: bool,
    /// The last byte that was written.
    last: u8,
}

impl Default for Quoting {
    fn default() -> Self {
        Self { pending: Vec::new(), is_open: true, last: b'\n' }
    }
}

impl Quoting {
    fn write(&mut self, portion: &[u8], out: &mut dyn Write) -> io::Result<()> {
        let mut plain_from = 0;
        for (index, &byte) in portion.iter().enumerate() {
            if self.is_open {
                if self.pending.is_empty() {
                    out.write_all(&portion[plain_from..index])?;
                }
                plain_from = index + 1;
                self.pending.push(byte);
                match beginning(&self.pending) {
                    Beginning::Undecided => {}
                    Beginning::From => {
                        out.write_all(b">")?;
                        self.settle(out)?;
                    }
                    Beginning::Other => self.settle(out)?,
                }
            } else if byte == b'\n' {
                self.is_open = true;
            }
            self.last = byte;
        }
        out.write_all(&portion[plain_from..])
    }

    /// Writes what was held back; the line goes on, unless this was all of it.
    fn settle(&mut self, out: &mut dyn Write) -> io::Result<()> {
        self.is_open = self.pending.last() == Some(&b'\n');
        out.write_all(&self.pending)?;
        self.pending.clear();
        Ok(())
    }

    /// Ends the message with an empty line.
    fn end(mut self, out: &mut dyn Write) -> io::Result<()> {
        self.settle(out)?;
        out.write_all(if self.last == b'\n' { b"\n" } else { b"\n\n" })
    }
}

enum Beginning {
    Undecided,
    From,
    Other,
}

fn beginning(line: &[u8]) -> Beginning {
    let quotes = line.iter().take_while(|&&byte| byte == b'>').count();
    let rest = &line[quotes..];
    if rest.starts_with(FROM) {
        Beginning::From
    } else if FROM.starts_with(rest) {
        Beginning::Undecided
    } else {
        Beginning::Other
    }
}

/// Writes labels as the value of a header: plain where they are, encoded words where they are not.
fn encoded(labels: &[&str]) -> String {
    let words: Vec<String> = labels.iter().map(|label| encode(label)).collect();
    words.join(",\n ")
}

fn encode(label: &str) -> String {
    let is_plain = |c: char| c.is_ascii_graphic() && !matches!(c, ',' | '"' | '=' | '?');
    if label.chars().all(|c| is_plain(c) || c == ' ') {
        return label.to_owned();
    }
    let mut words = Vec::new();
    let mut rest = label;
    while !rest.is_empty() {
        let end = rest
            .char_indices()
            .map(|(index, c)| index + c.len_utf8())
            .take_while(|&end| end <= ENCODED_BYTES_MAX);
        let (word, after) = rest.split_at(end.last().unwrap_or(rest.len()));
        words.push(format!("=?UTF-8?B?{}?=", STANDARD.encode_to_string(word)));
        rest = after;
    }
    words.join("\n ")
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    struct Portions(Vec<Vec<u8>>, Vec<u8>);

    impl StoredBody for Portions {
        fn next_portion(&mut self) -> Result<Option<&[u8]>, StoredError> {
            if self.0.is_empty() {
                return Ok(None);
            }
            self.1 = self.0.remove(0);
            Ok(Some(&self.1))
        }
    }

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(buffer);
            Ok(buffer.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn written(text: &[u8], portion_bytes: usize) -> Vec<u8> {
        let out = Shared::default();
        let mut mbox = Mbox::new(out.clone());
        let portions = text.chunks(portion_bytes.max(1)).map(<[u8]>::to_vec).collect();
        let bytes = mbox
            .message(
                1_717_171_717_000,
                &["INBOX", "Projekte/\u{dc}bersicht"],
                &mut Portions(portions, Vec::new()),
                &|source| StoredError::Write { what: String::new(), source },
            )
            .unwrap();
        assert_eq!(bytes, text.len() as u64);
        mbox.finish().unwrap();
        std::mem::take(&mut *out.0.lock().unwrap())
    }

    /// Reads the first message back: takes off what quoting put on.
    fn unquoted(mbox: &[u8]) -> Vec<u8> {
        let body = mbox.split(|&byte| byte == b'\n').skip(3).collect::<Vec<_>>();
        let line = |line: &&[u8]| {
            let quotes = line.iter().take_while(|&&byte| byte == b'>').count();
            let is_quoted = quotes > 0 && line[quotes..].starts_with(FROM);
            if is_quoted { line[1..].to_vec() } else { line.to_vec() }
        };
        let mut text = body.iter().map(line).collect::<Vec<_>>().join(&b'\n');
        text.pop();
        text
    }

    #[test]
    fn a_message_begins_with_its_date_and_labels() {
        let text = String::from_utf8(written(b"Subject: x\r\n\r\nbody\r\n", 1000)).unwrap();
        assert!(
            text.starts_with(
                "From MAILER-DAEMON Fri May 31 16:08:37 2024\nX-Gmail-Labels: INBOX,\n =?UTF-8?B?"
            ),
            "{text}"
        );
        assert!(text.ends_with("body\r\n\n"));
    }

    #[test]
    fn lines_are_quoted_wherever_a_portion_ends_and_can_be_read_back() {
        let texts: [&[u8]; 6] = [
            b"From me\nto you\n>From them\n>>From all\nFrom",
            b"From ",
            b"\n\nFrom x\n",
            b"no line end",
            b">\n>F\nFro\nFrom\nFromage\n From y\n",
            b"",
        ];
        for text in texts {
            for portion_bytes in 1..12 {
                let mbox = written(text, portion_bytes);
                let body = unquoted(&mbox);
                let expected = if text.ends_with(b"\n") || text.is_empty() {
                    text.to_vec()
                } else {
                    [text, b"\n"].concat()
                };
                assert_eq!(body, expected, "{:?} in {portion_bytes}", String::from_utf8_lossy(text));
                let lines = mbox.split(|&byte| byte == b'\n').skip(1);
                assert_eq!(lines.filter(|line| line.starts_with(FROM)).count(), 0);
            }
        }
    }
}
