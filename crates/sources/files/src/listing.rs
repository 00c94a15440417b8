//! The listing: every path with a fingerprint of what `stat` says of it, in the order of the walk.
//!
//! A file is a run of records: `shared varint ‖ rest length varint ‖ rest ‖ fingerprint 16`, where `shared` counts the
//! bytes that the path has in common with the one before it.

use std::{
    cmp::Ordering,
    fs::File,
    io::{self, BufReader, BufWriter, Read, Write},
    path::{Path, PathBuf},
};

use crate::cursor::{Known, Position};

/// What `stat` says of an entry, condensed. All zeros: read it again next time.
pub(crate) type Fingerprint = [u8; 16];

/// A fingerprint that no entry has.
pub(crate) const UNSETTLED: Fingerprint = [0; 16];

const BUFFER_BYTES: usize = 256 << 10;
const PATH_BYTES_MAX: u64 = 1 << 20;
const PREFIX: &str = "listing-";

/// Compares paths in the order of the walk: a folder's content comes before its next neighbour.
pub(crate) fn walk_order(a: &[u8], b: &[u8]) -> Ordering {
    let shared = shared_length(a, b);
    let rank = |byte: &u8| if *byte == b'/' { 0 } else { *byte };
    match (a.get(shared), b.get(shared)) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Less,
        (Some(_), None) => Ordering::Greater,
        (Some(a), Some(b)) => rank(a).cmp(&rank(b)),
    }
}

fn shared_length(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// Writes a listing.
pub(crate) struct ListingWriter {
    run: String,
    file: BufWriter<File>,
    hasher: blake3::Hasher,
    bytes: u64,
    last: Vec<u8>,
    record: Vec<u8>,
}

impl ListingWriter {
    pub(crate) fn create(folder: &Path, run: String) -> io::Result<Self> {
        let file = File::create_new(folder.join(format!("{PREFIX}{run}")))?;
        Ok(Self {
            run,
            file: BufWriter::with_capacity(BUFFER_BYTES, file),
            hasher: blake3::Hasher::new(),
            bytes: 0,
            last: Vec::new(),
            record: Vec::new(),
        })
    }

    pub(crate) fn push(&mut self, path: &[u8], fingerprint: &Fingerprint) -> io::Result<()> {
        let shared = shared_length(&self.last, path);
        self.record.clear();
        varint(&mut self.record, shared as u64);
        varint(&mut self.record, (path.len() - shared) as u64);
        self.record.extend_from_slice(&path[shared..]);
        self.record.extend_from_slice(fingerprint);
        self.last.truncate(shared);
        self.last.extend_from_slice(&path[shared..]);
        self.hasher.update(&self.record);
        self.bytes += self.record.len() as u64;
        self.file.write_all(&self.record)
    }

    /// Returns what a commit says of the listing so far. It is a cache, so it is not synced: after a power cut its hash
    /// does not fit, and everything is read again.
    pub(crate) fn mark(&mut self, after: Option<String>) -> io::Result<Known> {
        self.file.flush()?;
        let hash = self.hasher.finalize().to_hex().to_string();
        Ok(Known { run: self.run.clone(), bytes: self.bytes, hash, after })
    }
}

fn varint(to: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        to.push(value as u8 | 0x80);
        value >>= 7;
    }
    to.push(value as u8);
}

/// As much of a listing's file as counts, and the last path that it covers.
type OpenListing = (io::Take<BufReader<File>>, Option<Vec<u8>>);

/// What is known of the tree, in the order of the walk.
#[derive(Default)]
pub(crate) struct KnownEntries {
    listings: std::vec::IntoIter<OpenListing>,
    open: Option<OpenListing>,
    /// What an earlier listing covers already.
    covered: Option<Vec<u8>>,
    path: Vec<u8>,
    fingerprint: Fingerprint,
    present: bool,
}

impl KnownEntries {
    /// Opens the listings of a position; `None` as soon as one of them is not as its commit says.
    pub(crate) fn open(folder: &Path, position: &Position) -> Option<Self> {
        if position.listings.is_empty() {
            return None;
        }
        let mut listings = Vec::new();
        for known in &position.listings {
            let after = match &known.after {
                Some(key) => Some(crate::bytes_of_key(key)?),
                None => None,
            };
            listings.push((open_checked(&path_of(folder, &known.run)?, known)?, after));
        }
        let mut entries = Self { listings: listings.into_iter(), ..Self::default() };
        entries.advance().ok()?;
        Some(entries)
    }

    /// Returns the next entry.
    pub(crate) fn peek(&self) -> Option<(&[u8], &Fingerprint)> {
        self.present.then_some((self.path.as_slice(), &self.fingerprint))
    }

    /// Goes on to the next entry.
    pub(crate) fn advance(&mut self) -> io::Result<()> {
        loop {
            if self.open.is_none() {
                self.open = self.listings.next();
                self.path.clear();
            }
            let Some((file, after)) = &mut self.open else {
                self.present = false;
                return Ok(());
            };
            if let Some(shared) = read_varint(file)? {
                let rest = read_varint(file)?.filter(|rest| *rest <= PATH_BYTES_MAX).ok_or_else(broken)?;
                let kept =
                    usize::try_from(shared).ok().filter(|n| *n <= self.path.len()).ok_or_else(broken)?;
                self.path.truncate(kept);
                if file.by_ref().take(rest).read_to_end(&mut self.path)? as u64 != rest {
                    return Err(broken());
                }
                file.read_exact(&mut self.fingerprint)?;
                let covered = self.covered.as_ref();
                if covered.is_none_or(|covered| walk_order(&self.path, covered) == Ordering::Greater) {
                    self.present = true;
                    return Ok(());
                }
            } else {
                self.covered = after.take();
                self.open = None;
                if self.covered.is_none() {
                    // A complete listing has the last word.
                    self.listings = Vec::new().into_iter();
                }
            }
        }
    }
}

fn broken() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the listing is damaged")
}

fn read_varint(from: &mut impl Read) -> io::Result<Option<u64>> {
    let (mut value, mut shift) = (0_u64, 0);
    let mut byte = [0];
    loop {
        if from.read(&mut byte)? == 0 {
            return if shift == 0 { Ok(None) } else { Err(broken()) };
        }
        value |= u64::from(byte[0] & 0x7F) << shift;
        if byte[0] < 0x80 {
            return Ok(Some(value));
        }
        shift += 7;
        if shift > 56 {
            return Err(broken());
        }
    }
}

fn path_of(folder: &Path, run: &str) -> Option<PathBuf> {
    let plain = !run.is_empty() && run.bytes().all(|byte| byte.is_ascii_hexdigit());
    plain.then(|| folder.join(format!("{PREFIX}{run}")))
}

fn open_checked(path: &Path, known: &Known) -> Option<io::Take<BufReader<File>>> {
    let mut hasher = blake3::Hasher::new();
    let mut file = File::open(path).ok()?.take(known.bytes);
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut length = 0;
    loop {
        let count = file.read(&mut buffer).ok()?;
        if count == 0 {
            break;
        }
        hasher.update(&buffer[..count]);
        length += count as u64;
    }
    let right = length == known.bytes && hasher.finalize().to_hex().as_str() == known.hash;
    let file = right.then(|| File::open(path).ok())??;
    Some(BufReader::with_capacity(BUFFER_BYTES, file).take(known.bytes))
}

/// Removes listings that no commit speaks of.
pub(crate) fn tidy(folder: &Path, kept: &Position) -> io::Result<()> {
    for entry in folder.read_dir()? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(run) = name.to_str().and_then(|name| name.strip_prefix(PREFIX)) else { continue };
        if !kept.listings.iter().any(|known| known.run == run) {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, run: &str, paths: &[&str], after: Option<&str>) -> Known {
        let mut writer = ListingWriter::create(folder, run.to_owned()).unwrap();
        for path in paths {
            writer.push(path.as_bytes(), &[run.as_bytes()[0]; 16]).unwrap();
        }
        writer.mark(after.map(str::to_owned)).unwrap()
    }

    fn all(folder: &Path, position: &Position) -> Option<Vec<(String, u8)>> {
        let mut entries = KnownEntries::open(folder, position)?;
        let mut found = Vec::new();
        while let Some((path, fingerprint)) = entries.peek() {
            found.push((String::from_utf8(path.to_vec()).unwrap(), fingerprint[0]));
            entries.advance().unwrap();
        }
        Some(found)
    }

    #[test]
    fn a_folder_comes_before_its_neighbours_with_longer_names() {
        let mut paths = ["a.b", "a/z", "a", "a/z/1", "a-b", "b", "a/y"];
        paths.sort_by(|a, b| walk_order(a.as_bytes(), b.as_bytes()));
        assert_eq!(paths, ["a", "a/y", "a/z", "a/z/1", "a-b", "a.b", "b"]);
    }

    #[test]
    fn a_newer_listing_speaks_first_and_an_older_one_of_the_rest() {
        let folder = tempfile::tempdir().unwrap();
        let old = write(folder.path(), "a1", &["a", "b", "b/x", "c", "d"], None);
        let newer = write(folder.path(), "b1", &["a", "aa", "b"], Some("b"));
        let position = Position { listings: vec![newer, old.clone()] };
        let expected = [("a", b'b'), ("aa", b'b'), ("b", b'b'), ("b/x", b'a'), ("c", b'a'), ("d", b'a')];
        let expected: Vec<_> = expected.iter().map(|(path, run)| ((*path).to_owned(), *run)).collect();
        assert_eq!(all(folder.path(), &position), Some(expected));
        tidy(folder.path(), &Position { listings: vec![old] }).unwrap();
        assert_eq!(all(folder.path(), &position), None);
    }

    #[test]
    fn a_damaged_listing_is_not_believed() {
        let folder = tempfile::tempdir().unwrap();
        let known = write(folder.path(), "c1", &["a", "b"], None);
        let path = folder.path().join("listing-c1");
        let mut bytes = ports::files::read(&path).unwrap();
        bytes[5] ^= 1;
        ports::files::replace(&path, &bytes).unwrap();
        assert_eq!(all(folder.path(), &Position { listings: vec![known.clone()] }), None);
        let outside = Known { run: "../x".to_owned(), ..known };
        assert_eq!(all(folder.path(), &Position { listings: vec![outside] }), None);
    }
}
