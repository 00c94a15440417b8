//! Runs of base64 in lines, as mail carries attachments: found in text, decoded, and written again byte for byte
//! (format §6).

use base64_simd::STANDARD;

use crate::encoding::{DecodeError, Decoder, Encoder};

/// How a base64 text is cut into lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineShape {
    /// Characters in a line; a multiple of 4.
    pub width: u16,
    /// What follows each line.
    pub ending: LineEnding,
}

/// What follows a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineEnding {
    /// A line feed.
    Lf,
    /// A carriage return and a line feed.
    CrLf,
}

/// A run of base64 text in a longer text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Where it begins.
    pub start: usize,
    /// How many bytes of text it has.
    pub length: usize,
    /// How many bytes it decodes to.
    pub decoded_length: usize,
    /// How it is cut into lines.
    pub shape: LineShape,
}

/// The longest line.
const WIDTH_MAX: u16 = 1024;
/// The shortest line of a run that is worth looking for; hashes and keys have shorter ones.
const WIDTH_MIN_SOUGHT: usize = 48;
/// The largest decoded piece: what a block may hold.
pub(crate) const DECODED_BYTES_MAX: u64 = crate::seal::BLOCK_BYTES_MAX as u64;
/// A piece decodes to about this much at most; longer runs are cut at the ends of lines, always at the same places.
const DECODED_BYTES_TARGET: usize = 1 << 20;
/// A run is looked for at every so many bytes, so none that has twice as many is overlooked.
const STRIDE: usize = 512;
const RUN_BYTES_MIN: usize = 2 * STRIDE;

impl LineEnding {
    const fn text(self) -> &'static [u8] {
        match self {
            Self::Lf => b"\n",
            Self::CrLf => b"\r\n",
        }
    }
}

impl LineShape {
    /// Returns the bytes of a full line with its ending.
    fn line_bytes(self) -> u64 {
        u64::from(self.width) + self.ending.text().len() as u64
    }

    /// Returns how long the text of so many decoded bytes is.
    pub fn text_length(self, decoded_length: u64) -> u64 {
        let characters = decoded_length.div_ceil(3) * 4;
        characters + characters.div_ceil(u64::from(self.width)) * self.ending.text().len() as u64
    }

    pub(crate) fn encode(self, to: &mut Encoder) {
        to.varint(u64::from(self.width)).u8(match self.ending {
            LineEnding::Lf => 0,
            LineEnding::CrLf => 1,
        });
    }

    pub(crate) fn decode(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let width = u16::try_from(from.varint()?).map_err(|_| from.range())?;
        let ending = match from.u8()? {
            0 => LineEnding::Lf,
            1 => LineEnding::CrLf,
            _ => return Err(from.range()),
        };
        if width == 0 || width > WIDTH_MAX || !width.is_multiple_of(4) {
            return Err(from.range());
        }
        Ok(Self { width, ending })
    }

    /// Appends a part of the text of decoded bytes: `length` bytes from `skip` on.
    pub fn write(self, decoded: &[u8], skip: u64, length: u64, to: &mut Vec<u8>) {
        let line_bytes = self.line_bytes();
        let decoded_per_line = usize::from(self.width) / 4 * 3;
        // Only the lines that are asked for are encoded.
        let first = (skip / line_bytes) as usize;
        let last = ((skip + length).div_ceil(line_bytes) as usize).max(first);
        let asked = decoded.len().min(first * decoded_per_line)..decoded.len().min(last * decoded_per_line);
        let characters = STANDARD.encode_to_string(&decoded[asked]);
        let start = to.len();
        to.reserve((last - first) * line_bytes as usize);
        for line in characters.as_bytes().chunks(usize::from(self.width)) {
            to.extend_from_slice(line);
            to.extend_from_slice(self.ending.text());
        }
        let before = (skip - first as u64 * line_bytes) as usize;
        to.drain(start..(start + before).min(to.len()));
        to.truncate(start + length as usize);
    }
}

/// Finds the runs of base64 in a text, in order. Each is a whole number of lines.
pub fn find_runs(text: &[u8]) -> Vec<Run> {
    let mut runs = Vec::new();
    let (mut position, mut floor) = (STRIDE, 0);
    while position < text.len() {
        match run_around(text, position, floor) {
            Some((start, shape, end)) => {
                cut(text, start, end, shape, &mut runs);
                floor = end;
                position = (end + STRIDE).max(position + STRIDE);
            }
            None => position += STRIDE,
        }
    }
    runs
}

/// Decodes runs, in buffers that are used again.
#[derive(Debug, Default)]
pub struct RunDecoder {
    /// The characters of all lines, then what they decode to.
    decoded: Vec<u8>,
    encoded: Vec<u8>,
}

impl RunDecoder {
    /// Decodes a run; `None` unless encoding it again gives the same text.
    pub fn decode(&mut self, text: &[u8], run: &Run) -> Option<&[u8]> {
        let text = text.get(run.start..run.start + run.length)?;
        let Self { decoded, encoded } = self;
        let lines = || text.chunks(run.shape.line_bytes() as usize);
        decoded.clear();
        for line in lines() {
            let line = line.strip_suffix(run.shape.ending.text())?;
            if line.is_empty() {
                return None;
            }
            decoded.extend_from_slice(line);
        }
        let decoded = STANDARD.decode_inplace(decoded).ok()?;
        encoded.clear();
        STANDARD.encode_append(&*decoded, encoded);
        // The lines are of the shape, as was seen above, so the text comes back where its characters do.
        let mut again = encoded.chunks(usize::from(run.shape.width));
        let same = lines().all(|line| line.strip_suffix(run.shape.ending.text()) == again.next());
        (same && again.next().is_none() && decoded.len() == run.decoded_length).then_some(&*decoded)
    }
}

/// Looks whether a place lies in a run, and how far that goes to both sides.
fn run_around(text: &[u8], position: usize, floor: usize) -> Option<(usize, LineShape, usize)> {
    // Most text is told from base64 by its first few bytes.
    let probe = text.get(position..(position + 8).min(text.len()))?;
    if !probe.iter().all(|byte| is_base64(*byte) || matches!(byte, b'\r' | b'\n')) {
        return None;
    }
    let limit = usize::from(WIDTH_MAX) + 2;
    let line_end = |from: usize| {
        let window = text.get(from..(from + limit).min(text.len()))?;
        window.iter().position(|byte| *byte == b'\n').map(|at| from + at)
    };
    let first = line_end(position)?;
    let second = line_end(first + 1)?;
    let crlf = text.get(second.checked_sub(1)?) == Some(&b'\r');
    let ending = if crlf { LineEnding::CrLf } else { LineEnding::Lf };
    let width = second - first - ending.text().len();
    if width < WIDTH_MIN_SOUGHT || width > usize::from(WIDTH_MAX) || !width.is_multiple_of(4) {
        return None;
    }
    let shape = LineShape { width: width as u16, ending };
    let line_bytes = shape.line_bytes() as usize;
    let is_full = |line: &[u8]| {
        line.len() == line_bytes
            && line.ends_with(ending.text())
            && line[width - 1] != b'='
            && STANDARD.check(&line[..width]).is_ok()
    };
    let mut end = first + 1;
    let mut start = end;
    while start >= floor + line_bytes && is_full(&text[start - line_bytes..start]) {
        start -= line_bytes;
    }
    while text.get(end..end + line_bytes).is_some_and(is_full) {
        end += line_bytes;
    }
    if let Some(last) = last_line(text, end, shape) {
        end += last;
    }
    (end - start >= RUN_BYTES_MIN).then_some((start, shape, end))
}

/// Returns the length of a shorter or padded line at a place, ending included.
fn last_line(text: &[u8], start: usize, shape: LineShape) -> Option<usize> {
    let window = text.get(start..(start + shape.line_bytes() as usize).min(text.len()))?;
    let length = window.iter().position(|byte| *byte == b'\n')? + 1;
    let line = window[..length].strip_suffix(shape.ending.text())?;
    let padding = line.iter().rev().take_while(|byte| **byte == b'=').count();
    let sound = !line.is_empty()
        && line.len().is_multiple_of(4)
        && padding <= 2
        && line[..line.len() - padding].iter().all(|byte| is_base64(*byte));
    sound.then_some(length)
}

/// Cuts a run into pieces of whole lines.
fn cut(text: &[u8], start: usize, end: usize, shape: LineShape, runs: &mut Vec<Run>) {
    let line_bytes = shape.line_bytes() as usize;
    let piece_bytes = (DECODED_BYTES_TARGET / (usize::from(shape.width) / 4 * 3)).max(1) * line_bytes;
    let mut at = start;
    while at < end {
        let length = piece_bytes.min(end - at);
        let piece = &text[at..at + length];
        let full_lines = length / line_bytes;
        let rest = length % line_bytes;
        let ending = shape.ending.text().len();
        let characters = full_lines * usize::from(shape.width) + rest.saturating_sub(ending);
        let body = piece.strip_suffix(shape.ending.text()).unwrap_or(piece);
        let padding = body.iter().rev().take_while(|byte| **byte == b'=').count();
        let decoded_length = (characters / 4 * 3).saturating_sub(padding);
        if decoded_length > 0 {
            runs.push(Run { start: at, length, decoded_length, shape });
        }
        at += length;
    }
}

const fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/'
}

#[cfg(test)]
mod tests;
