//! Records of a csvlog: fields parted by commas, quotes doubled, statements with line breaks in quotes.

/// Bytes of a record that is still read; a longer one is passed over.
const RECORD_BYTES_MAX: usize = 8 << 20;

/// What a cut made of the bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// A record's fields.
    Record(Vec<String>),
    /// Something that is no record.
    Garbage,
}

/// Cuts a file that grows into records; what is not complete waits for its rest.
#[derive(Debug, Default)]
pub(super) struct Cutter {
    rest: Vec<u8>,
    quoted: bool,
    too_long: bool,
    /// Set where a beginning is to be looked for: in the middle of a file, or behind garbage.
    lost: bool,
}

impl Cutter {
    /// Makes a cutter that begins in the middle of a file.
    pub(super) fn in_the_middle() -> Self {
        Self { lost: true, ..Self::default() }
    }

    /// Takes bytes, and gives the records that they complete.
    pub(super) fn feed(&mut self, bytes: &[u8], give: &mut dyn FnMut(Cut)) {
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            if self.rest.len() + piece.len() > RECORD_BYTES_MAX {
                self.too_long = true;
                self.rest.clear();
            }
            self.quoted ^= opens_quote(piece);
            if !self.too_long {
                self.rest.extend_from_slice(piece);
            }
            if piece.ends_with(b"\n") {
                self.end_line(give);
            }
        }
    }

    fn end_line(&mut self, give: &mut dyn FnMut(Cut)) {
        if self.lost {
            // Whether the place is quoted is not known. A statement cannot imitate this: its quotes are doubled.
            if !self.too_long && is_beginning(&self.rest) {
                self.lost = false;
                self.quoted = opens_quote(&self.rest);
            } else {
                self.rest.clear();
                (self.quoted, self.too_long) = (false, false);
                return;
            }
        }
        if self.quoted {
            return;
        }
        let too_long = std::mem::take(&mut self.too_long);
        let record = std::mem::take(&mut self.rest);
        match fields(record.trim_ascii_end()) {
            _ if too_long => give(Cut::Garbage),
            Some(fields) => give(Cut::Record(fields)),
            None => {
                self.lost = true;
                give(Cut::Garbage);
            }
        }
    }
}

/// Returns whether a quote is open at the end of bytes that began outside of one.
fn opens_quote(bytes: &[u8]) -> bool {
    bytes.iter().fold(false, |open, &byte| open ^ (byte == b'"'))
}

/// Returns whether a line begins as a session's record does: `2026-01-31 12:00:00.000 UTC,"`.
fn is_beginning(line: &[u8]) -> bool {
    let Some(comma) = line.iter().position(|&byte| byte == b',') else { return false };
    let is_time = |byte: &u8| byte.is_ascii_digit() || b"-: .".contains(byte);
    comma >= 24
        && line[..23].iter().all(is_time)
        && line.get(comma + 1) == Some(&b'"')
        && line.get(comma + 2) != Some(&b'"')
}

/// Returns the fields of one record; nothing when a quote stands where none may.
pub(super) fn fields(record: &[u8]) -> Option<Vec<String>> {
    let mut fields = Vec::new();
    let mut bytes = record.iter().copied().peekable();
    loop {
        let mut field = Vec::new();
        if bytes.next_if_eq(&b'"').is_some() {
            loop {
                match bytes.next()? {
                    b'"' if bytes.next_if_eq(&b'"').is_some() => field.push(b'"'),
                    b'"' => break,
                    byte => field.push(byte),
                }
            }
        } else {
            while let Some(byte) = bytes.next_if(|&byte| byte != b',') {
                if byte == b'"' {
                    return None;
                }
                field.push(byte);
            }
        }
        fields.push(String::from_utf8_lossy(&field).into_owned());
        match bytes.next() {
            None => return Some(fields),
            Some(b',') => {}
            Some(_) => return None,
        }
    }
}
