//! Cutting a multipart body at its boundaries.

/// The longest boundary that the standard allows.
const BOUNDARY_MAX: usize = 70;

/// What stands between two boundaries.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part<'a> {
    pub(super) bytes: &'a [u8],
    /// Whether a boundary follows; without one the part may be cut.
    pub(super) closed: bool,
}

/// Returns the boundary that a content type names.
pub(super) fn boundary(kind: &str) -> Option<String> {
    let (kind, mut rest) = kind.split_once(';')?;
    if !kind.trim().to_ascii_lowercase().starts_with("multipart/") {
        return None;
    }
    loop {
        let (name, value) = rest.split_once('=')?;
        let value = value.trim_start();
        let (text, after) = if let Some(quoted) = value.strip_prefix('"') {
            quoted.split_once('"')?
        } else {
            let end = value.find(';').unwrap_or(value.len());
            value.split_at(end)
        };
        if name.trim().eq_ignore_ascii_case("boundary") {
            let text = text.trim_end();
            let fits = !text.is_empty() && text.len() <= BOUNDARY_MAX;
            return fits.then(|| text.to_owned());
        }
        rest = after.split_once(';')?.1;
    }
}

/// Returns the parts of a body. What stands before the first boundary and after the closing one is none.
pub(super) fn split<'a>(body: &'a [u8], boundary: &str) -> Split<'a> {
    let delimiter = format!("--{boundary}").into_bytes();
    let mut split = Split { rest: Some(body), delimiter };
    split.rest = split.locate(body).and_then(|found| (!found.closing).then_some(&body[found.after..]));
    split
}

pub(super) struct Split<'a> {
    /// What follows a boundary; absent: nothing more comes.
    rest: Option<&'a [u8]>,
    delimiter: Vec<u8>,
}

struct Found {
    /// Where the part before it ends.
    before: usize,
    /// Where the next part begins.
    after: usize,
    closing: bool,
}

impl Split<'_> {
    /// Finds the next boundary that begins a line and fills it.
    fn locate(&self, bytes: &[u8]) -> Option<Found> {
        let mut from = 0;
        while let Some(offset) = position(&bytes[from..], &self.delimiter) {
            let start = from + offset;
            let end = start + self.delimiter.len();
            let begins_line = start == 0 || bytes[start - 1] == b'\n';
            if begins_line && let Some((length, closing)) = line_end(&bytes[end..]) {
                let before = bytes[..start]
                    .strip_suffix(b"\n")
                    .map_or(start, |before| before.strip_suffix(b"\r").unwrap_or(before).len());
                return Some(Found { before, after: end + length, closing });
            }
            from = start + 1;
        }
        None
    }
}

/// Returns the length of the rest of a boundary's line, and whether it is the closing one.
fn line_end(bytes: &[u8]) -> Option<(usize, bool)> {
    let closing = bytes.starts_with(b"--");
    let start = if closing { 2 } else { 0 };
    let blanks = bytes[start..].iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    let at = start + blanks;
    match &bytes[at..] {
        [b'\r', b'\n', ..] => Some((at + 2, closing)),
        [b'\n', ..] => Some((at + 1, closing)),
        [] if closing => Some((at, true)),
        _ => None,
    }
}

fn position(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    memchr::memmem::find(bytes, needle)
}

impl<'a> Iterator for Split<'a> {
    type Item = Part<'a>;

    fn next(&mut self) -> Option<Part<'a>> {
        let rest = self.rest.take()?;
        match self.locate(rest) {
            Some(found) => {
                self.rest = (!found.closing).then_some(&rest[found.after..]);
                Some(Part { bytes: &rest[..found.before], closed: true })
            }
            None => Some(Part { bytes: rest, closed: false }),
        }
    }
}
