//! Following the files of a log folder as they grow, are renamed, emptied or replaced.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::SystemTime,
};

use connect::Stop;

use super::{
    csv::{Cut, Cutter},
    line::{Line, LineReader, Unused},
};

/// Files that are followed: the newest.
const FILES_MAX: usize = 4;
/// Bytes of a file that are read from its end, where more is there at the beginning.
const BACKLOG_BYTES_MAX: u64 = 64 << 20;
/// Bytes that are read at a time.
const CHUNK_BYTES: usize = 256 << 10;
/// Bytes before the place that was read up to, by which a file is known again.
const MARK_BYTES: usize = 512;
/// Bytes of a line of JSON that is still read; a longer one is passed over.
const LINE_BYTES_MAX: usize = 8 << 20;

/// What stands in the way of reading; told to a person once.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// The folder cannot be listed.
    #[error("the log folder {} cannot be read: {source}", path.display())]
    Folder { path: PathBuf, source: io::Error },
    /// There is nothing in it that we can read.
    #[error("the log folder {} holds no file that ends in .csv or .json", path.display())]
    Empty { path: PathBuf },
    /// A file cannot be read.
    #[error("the server's log {} cannot be read: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    /// A file holds something else.
    #[error("{} holds lines that are no csvlog or jsonlog; they are passed over", path.display())]
    Lines { path: PathBuf },
}

/// How a file's bytes are cut into lines.
#[derive(Debug)]
enum Format {
    Csv(Cutter),
    Json { rest: Vec<u8>, lost: bool },
}

/// A file that is followed.
#[derive(Debug)]
struct Followed {
    file: File,
    inode: (u64, u64),
    offset: u64,
    /// The last bytes before the offset.
    mark: Vec<u8>,
    format: Format,
}

/// The files of one folder.
#[derive(Debug)]
pub(super) struct Files {
    folder: PathBuf,
    followed: HashMap<PathBuf, Followed>,
    reader: LineReader,
}

impl Files {
    pub(super) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), followed: HashMap::new(), reader: LineReader::default() }
    }

    /// Returns the newest file, if all that would be followed can be opened.
    pub(super) fn look(&self) -> Result<PathBuf, Trouble> {
        let folder = || self.folder.clone();
        let mut paths = newest(&self.folder).map_err(|source| Trouble::Folder { path: folder(), source })?;
        for path in &paths {
            File::open(path).map_err(|source| Trouble::File { path: path.clone(), source })?;
        }
        paths.pop().ok_or_else(|| Trouble::Empty { path: folder() })
    }

    /// Reads what was added since the last pass.
    pub(super) fn pass(&mut self, stop: &Stop, take: &mut dyn FnMut(Line)) -> Result<(), Vec<Trouble>> {
        let mut troubles = Vec::new();
        // What was renamed or removed meanwhile is read to its end first.
        let Self { followed, reader, .. } = self;
        for (path, file) in followed.iter_mut() {
            trouble_of(path, file.read(reader, stop, take), &mut troubles);
        }
        match newest(&self.folder) {
            Ok(paths) if paths.is_empty() => {
                troubles.push(Trouble::Empty { path: self.folder.clone() });
            }
            Ok(paths) => {
                self.followed.retain(|path, _| paths.contains(path));
                for path in paths {
                    let result = self.follow(&path, stop, take);
                    trouble_of(&path, result, &mut troubles);
                }
            }
            Err(source) => troubles.push(Trouble::Folder { path: self.folder.clone(), source }),
        }
        if troubles.is_empty() { Ok(()) } else { Err(troubles) }
    }

    /// Follows the file that has a name now.
    fn follow(&mut self, path: &Path, stop: &Stop, take: &mut dyn FnMut(Line)) -> io::Result<bool> {
        let metadata = fs::metadata(path)?;
        let inode = (metadata.dev(), metadata.ino());
        if self.followed.get(path).is_some_and(|known| known.inode == inode) {
            return Ok(true);
        }
        let file = File::open(path)?;
        let format = if has_ending(path, "csv") {
            Format::Csv(Cutter::default())
        } else {
            Format::Json { rest: Vec::new(), lost: false }
        };
        let mut next = Followed { file, inode, offset: 0, mark: Vec::new(), format };
        match self.followed.remove(path) {
            // A copy that was replaced by a longer one goes on where the old one ended.
            Some(old) if next.begins_like(&old)? => {
                (next.offset, next.mark, next.format) = (old.offset, old.mark, old.format);
            }
            _ => next.skip_backlog(metadata.len()),
        }
        let result = next.read(&mut self.reader, stop, take);
        self.followed.insert(path.to_owned(), next);
        result
    }
}

impl Followed {
    /// Reads to the end of what is there; returns whether all of it was a log.
    fn read(&mut self, reader: &mut LineReader, stop: &Stop, take: &mut dyn FnMut(Line)) -> io::Result<bool> {
        let length = self.file.metadata()?.len();
        if length < self.offset || !self.has_mark(&self.mark, self.offset)? {
            // Emptied, and written anew under the same name.
            self.begin_again();
        }
        if length == self.offset {
            return Ok(true);
        }
        self.file.seek(SeekFrom::Start(self.offset))?;
        let mut chunk = vec![0; CHUNK_BYTES];
        let mut all_good = true;
        while !stop.is_requested() {
            let count = self.file.read(&mut chunk)?;
            if count == 0 {
                break;
            }
            let bytes = &chunk[..count];
            self.offset += count as u64;
            self.mark.extend_from_slice(&bytes[count.saturating_sub(MARK_BYTES)..]);
            self.mark.drain(..self.mark.len().saturating_sub(MARK_BYTES));
            all_good &= self.format.feed(bytes, reader, take);
        }
        Ok(all_good)
    }

    fn begin_again(&mut self) {
        (self.offset, self.mark) = (0, Vec::new());
        self.format = match self.format {
            Format::Csv(_) => Format::Csv(Cutter::default()),
            Format::Json { .. } => Format::Json { rest: Vec::new(), lost: false },
        };
    }

    /// Begins near the end of a long file.
    fn skip_backlog(&mut self, length: u64) {
        if length <= BACKLOG_BYTES_MAX {
            return;
        }
        self.offset = length - BACKLOG_BYTES_MAX;
        self.format = match self.format {
            Format::Csv(_) => Format::Csv(Cutter::in_the_middle()),
            Format::Json { .. } => Format::Json { rest: Vec::new(), lost: true },
        };
    }

    fn begins_like(&self, old: &Self) -> io::Result<bool> {
        Ok(self.file.metadata()?.len() >= old.offset && self.has_mark(&old.mark, old.offset)?)
    }

    /// Returns whether the bytes before a place are these.
    fn has_mark(&self, mark: &[u8], offset: u64) -> io::Result<bool> {
        let mut found = vec![0; mark.len()];
        let mut file = &self.file;
        file.seek(SeekFrom::Start(offset - mark.len() as u64))?;
        match file.read_exact(&mut found) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            result => result.map(|()| found == mark),
        }
    }
}

impl Format {
    /// Takes bytes; returns whether all that they completed were lines of a log.
    fn feed(&mut self, bytes: &[u8], reader: &mut LineReader, take: &mut dyn FnMut(Line)) -> bool {
        let mut all_good = true;
        let mut judge = |line: Result<Line, Unused>| match line {
            Ok(line) => take(line),
            Err(Unused::NoSession) => {}
            Err(Unused::NotALine) => all_good = false,
        };
        match self {
            Self::Csv(cutter) => cutter.feed(bytes, &mut |cut| {
                judge(match cut {
                    Cut::Record(fields) => reader.csv(&fields),
                    Cut::Garbage => Err(Unused::NotALine),
                });
            }),
            Self::Json { rest, lost } => {
                for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
                    rest.extend_from_slice(piece);
                    if piece.ends_with(b"\n") {
                        if !std::mem::take(lost) {
                            judge(reader.json(rest));
                        }
                        rest.clear();
                    } else if rest.len() > LINE_BYTES_MAX {
                        rest.clear();
                        *lost = true;
                    }
                }
            }
        }
        all_good
    }
}

fn trouble_of(path: &Path, result: io::Result<bool>, troubles: &mut Vec<Trouble>) {
    match result {
        Ok(true) => {}
        Ok(false) => troubles.push(Trouble::Lines { path: path.to_owned() }),
        // It was renamed or removed between two looks, as old logs are.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(source) => troubles.push(Trouble::File { path: path.to_owned(), source }),
    }
}

/// Returns the newest logs of a folder, oldest first.
fn newest(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found: Vec<(SystemTime, PathBuf)> = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if !(has_ending(&path, "csv") || has_ending(&path, "json")) {
            continue;
        }
        let Ok(metadata) = fs::metadata(&path) else { continue };
        if metadata.is_file() {
            found.push((metadata.modified()?, path));
        }
    }
    found.sort();
    found.drain(..found.len().saturating_sub(FILES_MAX));
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

fn has_ending(path: &Path, ending: &str) -> bool {
    path.extension().is_some_and(|found| found == ending)
}
