//! Kinds that are chains of blocks with their lengths.

use flate2::Crc;

use super::{End, Follow, Step, Structure, sound_if};

fn is_code(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| (b' '..=b'~').contains(byte) || *byte == 0xa9)
}

fn big(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn little(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// PNG: after eight bytes, blocks of length, name, data and a checksum.
#[derive(Default)]
pub(super) struct Png {
    begun: bool,
    last: bool,
    sum: Crc,
}

impl Follow for Png {
    fn first(&self) -> usize {
        8 + 8
    }

    fn look(&mut self, bytes: &[u8]) -> Step {
        let header = if self.begun {
            let (sum, header) = bytes.split_at(4);
            if big(sum) != u64::from(self.sum.sum()) {
                return Step::Broken;
            }
            if self.last {
                return Step::End;
            }
            header
        } else {
            self.begun = true;
            &bytes[8..]
        };
        let (length, name) = header.split_at(4);
        if !name.iter().all(u8::is_ascii_alphabetic) {
            return Step::Broken;
        }
        self.last = name == b"IEND";
        self.sum.reset();
        self.sum.update(name);
        Step::Pass(big(length), if self.last { 4 } else { 4 + 8 })
    }

    fn passing(&mut self, bytes: &[u8]) {
        self.sum.update(bytes);
    }

    fn judge(&self, end: &End<'_>) -> Structure {
        sound_if(end.ended)
    }
}

/// MP4: boxes of length, name and content.
#[derive(Default)]
pub(super) struct Mp4 {
    long: bool,
}

impl Follow for Mp4 {
    fn first(&self) -> usize {
        8
    }

    fn look(&mut self, bytes: &[u8]) -> Step {
        if std::mem::take(&mut self.long) {
            return big(bytes).checked_sub(16).map_or(Step::Broken, |rest| Step::Pass(rest, 8));
        }
        let (length, name) = bytes.split_at(4);
        if !is_code(name) {
            return Step::Broken;
        }
        match big(length) {
            0 => Step::End,
            1 => {
                self.long = true;
                Step::Take(8)
            }
            length => length.checked_sub(8).map_or(Step::Broken, |rest| Step::Pass(rest, 8)),
        }
    }

    fn judge(&self, end: &End<'_>) -> Structure {
        sound_if(end.ended || end.between)
    }
}

/// RIFF: a length and a form, then chunks of name, length and data.
#[derive(Default)]
pub(super) struct Riff {
    left: Option<u64>,
    last: bool,
}

impl Follow for Riff {
    fn first(&self) -> usize {
        12
    }

    fn look(&mut self, bytes: &[u8]) -> Step {
        if self.last {
            return Step::End;
        }
        let Some(left) = &mut self.left else {
            self.left = little(&bytes[4..8]).checked_sub(4);
            return if self.left.is_some() { Step::Take(8) } else { Step::Broken };
        };
        let (name, length) = bytes.split_at(4);
        let padded = little(length).next_multiple_of(2);
        if !is_code(name) {
            return Step::Broken;
        }
        *left = left.saturating_sub(8 + padded);
        if *left == 0 {
            // The byte of padding at the end is often left away.
            self.last = true;
            return Step::Pass(little(length), 1);
        }
        Step::Pass(padded, 8)
    }

    fn judge(&self, end: &End<'_>) -> Structure {
        sound_if(end.ended || end.between)
    }
}

/// Ogg: pages with a table of lengths.
#[derive(Default)]
pub(super) struct Ogg {
    table: bool,
}

impl Follow for Ogg {
    fn first(&self) -> usize {
        27
    }

    fn look(&mut self, bytes: &[u8]) -> Step {
        if std::mem::take(&mut self.table) {
            return Step::Pass(bytes.iter().map(|length| u64::from(*length)).sum(), 27);
        }
        if !bytes.starts_with(b"OggS") {
            return Step::Broken;
        }
        match bytes[26] {
            0 => Step::Take(27),
            segments => {
                self.table = true;
                Step::Take(usize::from(segments))
            }
        }
    }

    fn judge(&self, end: &End<'_>) -> Structure {
        sound_if(end.between)
    }
}

/// Tar: a header of 512 bytes, then data in whole blocks.
pub(super) struct Tar;

impl Follow for Tar {
    fn first(&self) -> usize {
        512
    }

    fn look(&mut self, bytes: &[u8]) -> Step {
        if bytes.iter().all(|byte| *byte == 0) {
            return Step::End;
        }
        if bytes[257..262] != *b"ustar" {
            return Step::Broken;
        }
        let field = &bytes[124..136];
        let length = if field[0] & 0x80 == 0 {
            let digits: String = field.iter().map(|byte| char::from(*byte)).collect();
            let digits = digits.trim_matches(['\0', ' ']);
            match u64::from_str_radix(digits, 8) {
                Ok(length) => length,
                Err(_) if digits.is_empty() => 0,
                Err(_) => return Step::Broken,
            }
        } else {
            big(&field[4..])
        };
        // Links and folders tell a length and have no data.
        let has_data = matches!(bytes[156], b'0' | 0 | b'7' | b'x' | b'g' | b'L' | b'K' | b'S');
        Step::Pass(if has_data { length.next_multiple_of(512) } else { 0 }, 512)
    }

    fn judge(&self, end: &End<'_>) -> Structure {
        sound_if(end.ended || end.between)
    }
}

/// SQLite: pages, most of which begin with one of a few bytes.
#[derive(Default)]
pub(super) struct Sqlite {
    page_bytes: u64,
    pages: u64,
    strange: u64,
}

/// A page may also begin with the number of another, which is small.
const FIRST_BYTES: [u8; 5] = [0, 2, 5, 10, 13];

impl Follow for Sqlite {
    fn first(&self) -> usize {
        100
    }

    fn look(&mut self, bytes: &[u8]) -> Step {
        if self.page_bytes == 0 {
            self.page_bytes = match big(&bytes[16..18]) {
                1 => 65_536,
                size if size >= 512 && size.is_power_of_two() => size,
                _ => return Step::Broken,
            };
            return Step::Pass(self.page_bytes - 100, 1);
        }
        self.pages += 1;
        self.strange += u64::from(!FIRST_BYTES.contains(&bytes[0]));
        Step::Pass(self.page_bytes - 1, 1)
    }

    fn judge(&self, end: &End<'_>) -> Structure {
        sound_if(end.between && self.strange * 5 <= self.pages)
    }
}

/// PDF: what is inside is looked at elsewhere; here, its end.
pub(super) struct Pdf;

impl Follow for Pdf {
    fn first(&self) -> usize {
        5
    }

    fn look(&mut self, _bytes: &[u8]) -> Step {
        Step::End
    }

    fn judge(&self, end: &End<'_>) -> Structure {
        sound_if(end.tail.windows(5).any(|five| five == b"%%EOF"))
    }
}

/// Gzip: what is inside is looked at elsewhere; here, the length that it tells at its end.
pub(super) struct Gzip;

/// Nothing is compressed to a smaller share than this.
const RATIO_MAX: u64 = 1032;

impl Follow for Gzip {
    fn first(&self) -> usize {
        3
    }

    fn look(&mut self, _bytes: &[u8]) -> Step {
        Step::End
    }

    fn judge(&self, end: &End<'_>) -> Structure {
        let Some(told) = end.tail.last_chunk::<4>() else { return Structure::Broken };
        sound_if(little(told) <= (end.length + 1024) * RATIO_MAX)
    }
}
