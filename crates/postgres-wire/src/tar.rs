//! The archives inside of a base backup, parsed as they arrive.
//!
//! PostgreSQL writes POSIX ustar with plain files, directories and the symbolic links of tablespaces; files of
//! 8 GiB and more have their size in base 256. Libraries for tar want to pull from a reader; here pieces of any
//! length are pushed in, and file contents are lent out of them without a copy. Anything else than what
//! PostgreSQL writes is refused, and so is every path that would lead out of the target directory.

use std::{
    ffi::OsStr,
    os::unix::ffi::OsStrExt,
    path::{Component, Path, PathBuf},
};

#[cfg(test)]
mod tests;

const BLOCK_BYTES: usize = 512;

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryKind {
    /// A plain file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link; where it points is the server's business and not checked. Never follow it.
    Symlink {
        /// Where it points.
        target: PathBuf,
    },
}

/// One file, directory or link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The path below the target directory: relative, of plain names only.
    pub path: PathBuf,
    /// What it is.
    pub kind: EntryKind,
    /// The content's length; zero unless it is a file.
    pub size: u64,
    /// Permission bits.
    pub mode: u32,
    /// Seconds since 1970-01-01.
    pub modified_seconds: u64,
}

/// A step through an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TarEvent<'a> {
    /// An entry begins.
    Entry(Entry),
    /// A piece of the entry's content.
    Data(&'a [u8]),
    /// The entry is complete.
    EntryEnd,
}

/// An archive that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TarError {
    /// A header's checksum is wrong.
    #[error("the archive is damaged: a header at byte {offset} has a wrong checksum")]
    Checksum {
        /// Where the header begins.
        offset: u64,
    },
    /// A header's field is not readable.
    #[error("the archive is damaged: the {field} of the header at byte {offset} is not valid")]
    Field {
        /// Which field.
        field: &'static str,
        /// Where the header begins.
        offset: u64,
    },
    /// A kind of entry that PostgreSQL does not write.
    #[error("the archive holds an entry of type {kind:?}, which PostgreSQL does not write")]
    Kind {
        /// The type flag.
        kind: char,
    },
    /// A path that leads elsewhere.
    #[error("the archive holds the path {path:?}, which leads out of the target")]
    Path {
        /// The path.
        path: PathBuf,
    },
    /// Data after the end.
    #[error("the archive goes on after its end")]
    Trailing,
    /// The data ends too early.
    #[error("the archive ends in the middle of an entry")]
    Truncated,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Header,
    Data {
        left: u64,
        padding: u16,
    },
    /// The entry's end is still to be told.
    End {
        padding: u16,
    },
    Padding {
        left: u16,
    },
    /// One block of zeros was seen; the second makes the end.
    Terminating,
    Terminated,
}

/// A parser into which an archive is pushed.
///
/// ```ignore
/// let mut rest = piece;
/// while let Some(event) = parser.advance(&mut rest)? { ... }
/// ```
#[derive(Debug)]
pub struct TarParser {
    state: State,
    header: [u8; BLOCK_BYTES],
    filled: usize,
    offset: u64,
}

impl Default for TarParser {
    fn default() -> Self {
        Self::new()
    }
}

impl TarParser {
    /// Makes a parser at the beginning of an archive.
    pub const fn new() -> Self {
        Self { state: State::Header, header: [0; BLOCK_BYTES], filled: 0, offset: 0 }
    }

    /// Takes bytes off the front of `piece` up to the next event; nothing when the piece is used up.
    pub fn advance<'a>(&mut self, piece: &mut &'a [u8]) -> Result<Option<TarEvent<'a>>, TarError> {
        loop {
            match self.state {
                State::End { padding } => {
                    self.state = if padding == 0 { State::Header } else { State::Padding { left: padding } };
                    return Ok(Some(TarEvent::EntryEnd));
                }
                _ if piece.is_empty() => return Ok(None),
                State::Header | State::Terminating => {
                    if let Some(entry) = self.take_header(piece)? {
                        return Ok(Some(TarEvent::Entry(entry)));
                    }
                }
                State::Data { left, padding } => {
                    let count = piece.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                    let data = self.take(piece, count);
                    let left = left - count as u64;
                    self.state =
                        if left == 0 { State::End { padding } } else { State::Data { left, padding } };
                    return Ok(Some(TarEvent::Data(data)));
                }
                State::Padding { left } => {
                    let count = piece.len().min(usize::from(left));
                    self.take(piece, count);
                    let left = left - count as u16;
                    self.state = if left == 0 { State::Header } else { State::Padding { left } };
                }
                State::Terminated => {
                    // Writers fill up to a record of 10 KiB; only zeros may follow.
                    if piece.iter().any(|&byte| byte != 0) {
                        return Err(TarError::Trailing);
                    }
                    let count = piece.len();
                    self.take(piece, count);
                }
            }
        }
    }

    /// Confirms that the archive is complete. Servers before 15 send no blocks of zeros at the end.
    pub fn finish(&self) -> Result<(), TarError> {
        match self.state {
            State::Header | State::Terminating if self.filled == 0 => Ok(()),
            State::Terminated => Ok(()),
            _ => Err(TarError::Truncated),
        }
    }

    fn take<'a>(&mut self, piece: &mut &'a [u8], count: usize) -> &'a [u8] {
        let (front, rest) = piece.split_at(count);
        *piece = rest;
        self.offset += count as u64;
        front
    }

    fn take_header(&mut self, piece: &mut &[u8]) -> Result<Option<Entry>, TarError> {
        let count = piece.len().min(BLOCK_BYTES - self.filled);
        let front = self.take(piece, count);
        self.header[self.filled..self.filled + count].copy_from_slice(front);
        self.filled += count;
        if self.filled < BLOCK_BYTES {
            return Ok(None);
        }
        self.filled = 0;
        if self.header.iter().all(|&byte| byte == 0) {
            self.state =
                if self.state == State::Terminating { State::Terminated } else { State::Terminating };
            return Ok(None);
        }
        if self.state == State::Terminating {
            return Err(TarError::Trailing);
        }
        let header = Header { bytes: &self.header, offset: self.offset - BLOCK_BYTES as u64 };
        let entry = header.read()?;
        let padding = (BLOCK_BYTES as u64 - entry.size % BLOCK_BYTES as u64) % BLOCK_BYTES as u64;
        let padding = padding as u16;
        self.state =
            if entry.size == 0 { State::End { padding } } else { State::Data { left: entry.size, padding } };
        Ok(Some(entry))
    }
}

struct Header<'a> {
    bytes: &'a [u8; BLOCK_BYTES],
    offset: u64,
}

impl Header<'_> {
    fn read(&self) -> Result<Entry, TarError> {
        self.check()?;
        let path = self.path()?;
        let kind = match self.bytes[156] {
            b'0' | 0 => EntryKind::File,
            b'5' => EntryKind::Directory,
            b'2' => EntryKind::Symlink { target: PathBuf::from(OsStr::from_bytes(self.text(157, 100))) },
            other => return Err(TarError::Kind { kind: char::from(other) }),
        };
        let size = self.number(124, 12, "size")?;
        if kind != EntryKind::File && size != 0 {
            return Err(self.field("size"));
        }
        Ok(Entry {
            path,
            kind,
            size,
            mode: (self.number(100, 8, "mode")? & 0o7777) as u32,
            modified_seconds: self.number(136, 12, "time")?,
        })
    }

    /// The checksum is the sum of all bytes, with its own field taken as blanks.
    fn check(&self) -> Result<(), TarError> {
        let sum = |bytes: &[u8]| bytes.iter().map(|&byte| u64::from(byte)).sum::<u64>();
        let expected = sum(&self.bytes[..148]) + 8 * u64::from(b' ') + sum(&self.bytes[156..]);
        let stated = self.number(148, 8, "checksum")?;
        if stated == expected { Ok(()) } else { Err(TarError::Checksum { offset: self.offset }) }
    }

    fn path(&self) -> Result<PathBuf, TarError> {
        let mut path = PathBuf::new();
        if &self.bytes[257..262] == b"ustar" {
            path.push(OsStr::from_bytes(self.text(345, 155)));
        }
        path.push(OsStr::from_bytes(self.text(0, 100)));
        clean(&path).ok_or(TarError::Path { path })
    }

    fn text(&self, start: usize, length: usize) -> &[u8] {
        let field = &self.bytes[start..start + length];
        field.split(|&byte| byte == 0).next().unwrap_or_default()
    }

    /// Reads octal digits, or base 256 where the first bit is set (files of 8 GiB and more).
    fn number(&self, start: usize, length: usize, name: &'static str) -> Result<u64, TarError> {
        let field = &self.bytes[start..start + length];
        if field[0] & 0x80 != 0 {
            let (high, low) = field.split_at(length - length.min(8));
            // All bits above 63 must be zero, apart from the mark itself.
            let high_is_zero =
                high.iter().enumerate().all(|(at, &byte)| byte == 0 || (at == 0 && byte == 0x80));
            let mut value = low.iter().fold(0_u64, |value, &byte| (value << 8) | u64::from(byte));
            if high.is_empty() {
                value &= !(0x80 << (8 * (length - 1)));
            }
            return if high_is_zero && i64::try_from(value).is_ok() {
                Ok(value)
            } else {
                Err(self.field(name))
            };
        }
        let text = std::str::from_utf8(field).map_err(|_| self.field(name))?;
        let digits = text.trim_matches(|c| c == ' ' || c == '\0');
        if digits.is_empty() {
            return Ok(0);
        }
        if !digits.bytes().all(|byte| (b'0'..=b'7').contains(&byte)) {
            return Err(self.field(name));
        }
        u64::from_str_radix(digits, 8).map_err(|_| self.field(name))
    }

    const fn field(&self, field: &'static str) -> TarError {
        TarError::Field { field, offset: self.offset }
    }
}

/// Returns the path if it is relative and stays below where it starts; `./` in front is dropped.
fn clean(path: &Path) -> Option<PathBuf> {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => clean.push(name),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    (clean != Path::new("")).then_some(clean)
}
