//! The files of a base: written as they come, compared with the manifest on the way.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Component, Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use connect::{Progress, Stored, StoredItem};
use ports::files::FileError;
use source_postgres::layout::{self, FileKind};

use super::RestoreError;
use crate::{
    history::{self, KnownBase},
    manifest::{Manifest, ManifestFile, Summer},
};

/// Folders without which a server does not start; a base need not list empty ones.
const FOLDERS: &[&str] = &[
    "base",
    "global",
    "pg_commit_ts",
    "pg_dynshmem",
    "pg_logical",
    "pg_logical/mappings",
    "pg_logical/snapshots",
    "pg_multixact",
    "pg_multixact/members",
    "pg_multixact/offsets",
    "pg_notify",
    "pg_replslot",
    "pg_serial",
    "pg_snapshots",
    "pg_stat",
    "pg_stat_tmp",
    "pg_subtrans",
    "pg_tblspc",
    "pg_twophase",
    "pg_wal",
    "pg_wal/archive_status",
    "pg_xact",
];

/// What belongs to the run of the server that was copied, and would mislead the one that is started here.
///
/// `tablespace_map` would point the tablespaces back to where production has them.
const LEFT_OUT: &[&str] = &[
    "tablespace_map",
    "postmaster.pid",
    "postmaster.opts",
    "recovery.signal",
    "standby.signal",
    "recovery.conf",
];

/// Bytes that are gathered before they go to the system; pages come one by one.
const BUFFER_BYTES: usize = 256 << 10;

/// A file of a base that is not what its manifest says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileFault {
    /// The path in the data directory.
    pub path: String,
    /// What is wrong.
    pub fault: String,
}

/// What was written.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub(super) files: u64,
    pub(super) bytes: u64,
    pub(super) links_left_out: Vec<String>,
}

/// Where the entries of a base go.
pub(super) struct Places<'a> {
    pub(super) directory: &'a Path,
    pub(super) tablespaces: &'a BTreeMap<u32, PathBuf>,
}

impl Places<'_> {
    /// Returns where an entry goes. A path that could leave the directory is refused.
    fn path_of(&self, key: &str) -> Result<PathBuf, RestoreError> {
        let refused = || RestoreError::Path { path: key.to_owned() };
        let relative = Path::new(key);
        let plain = relative.components().all(|c| matches!(c, Component::Normal(_)));
        if key.is_empty() || key.contains('\0') || !plain {
            return Err(refused());
        }
        if let Some((oid, rest)) = tablespace_of(key) {
            let place = self.tablespaces.get(&oid).ok_or_else(refused)?;
            return Ok(if rest.is_empty() { place.clone() } else { place.join(rest) });
        }
        Ok(self.directory.join(relative))
    }
}

/// Splits `pg_tblspc/16385/rest` into the tablespace and the rest.
fn tablespace_of(key: &str) -> Option<(u32, &str)> {
    let inside = key.strip_prefix("pg_tblspc/")?;
    let (oid, rest) = inside.split_once('/').unwrap_or((inside, ""));
    Some((oid.parse().ok()?, rest))
}

/// Writes all entries of a base and compares every file with the manifest.
pub(super) fn write_base(
    stored: &dyn Stored,
    known: &KnownBase,
    places: &Places<'_>,
    progress: &dyn Progress,
) -> Result<Written, RestoreError> {
    let manifest = read_manifest(stored, known)?;
    let items = stored.items(&layout::base_files_stream(known.base.start_lsn)?)?;
    let mut written = Written::default();
    let mut files = Vec::new();
    let mut modes = BTreeMap::new();
    for folder in FOLDERS {
        make_folder(&places.directory.join(folder), 0o700)?;
    }
    for item in items {
        let key = item.item.key.as_str();
        let file: layout::File = history::attributes(&item)?;
        let mode = file.mode & 0o777;
        match file.kind {
            FileKind::File => {
                let path = places.path_of(key)?;
                if let Some(parent) = path.parent() {
                    make_folder(parent, 0o700)?;
                }
                modes.insert(key.to_owned(), mode);
                files.push(item);
            }
            FileKind::Folder => make_folder(&places.path_of(key)?, if mode == 0 { 0o700 } else { mode })?,
            FileKind::Link { .. } if tablespace_of(key).is_some() => {}
            // The WAL folder of production may be a link; here it is a folder.
            FileKind::Link { .. } if key == "pg_wal" => {}
            FileKind::Link { .. } => written.links_left_out.push(key.to_owned()),
        }
    }
    progress.phase("files of the base", Some(files.iter().map(|item| item.size_bytes).sum()));
    let check = Arc::new(Check::new(manifest));
    write_files(stored, &files, &modes, places, &check, progress)?;
    written.files = files.len() as u64;
    written.bytes = files.iter().map(|item| item.size_bytes).sum();
    check.finish(&files)?;
    Ok(written)
}

/// Reads and checks the manifest of a base.
pub(crate) fn read_manifest(stored: &dyn Stored, known: &KnownBase) -> Result<Manifest, RestoreError> {
    let mut content = Vec::new();
    stored.read(&known.item, &mut content)?;
    Ok(Manifest::parse(&content)?)
}

fn write_files(
    stored: &dyn Stored,
    files: &[StoredItem],
    modes: &BTreeMap<String, u32>,
    places: &Places<'_>,
    check: &Arc<Check>,
    progress: &dyn Progress,
) -> Result<(), RestoreError> {
    let open = |item: &StoredItem| -> io::Result<Box<dyn Write + Send>> {
        let key = &item.item.key;
        let place = if LEFT_OUT.contains(&key.as_str()) {
            Place::Nowhere
        } else {
            let path = places.path_of(key).map_err(io::Error::other)?;
            let mode = modes.get(key).copied().unwrap_or(0o600);
            Place::File(OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?)
        };
        Ok(Box::new(CheckedWriter::new(place, key, check)))
    };
    stored.read_many(files, &open, progress)?;
    Ok(())
}

fn make_folder(path: &Path, mode: u32) -> Result<(), RestoreError> {
    if path.is_dir() {
        return Ok(());
    }
    let made = DirBuilder::new().recursive(true).mode(mode).create(path);
    made.map_err(|e| FileError::new("create folder", path, e))?;
    Ok(())
}

/// Makes the links of the tablespaces and the folders that they point to.
pub(super) fn link_tablespaces(places: &Places<'_>) -> Result<(), RestoreError> {
    for (oid, place) in places.tablespaces {
        make_folder(place, 0o700)?;
        let mode = fs::Permissions::from_mode(0o700);
        fs::set_permissions(place, mode).map_err(|e| FileError::new("change the mode of", place, e))?;
        let link = places.directory.join("pg_tblspc").join(oid.to_string());
        make_folder(&places.directory.join("pg_tblspc"), 0o700)?;
        std::os::unix::fs::symlink(place, &link).map_err(|e| FileError::new("link", &link, e))?;
    }
    Ok(())
}

/// Compares what passes with the manifest.
struct Check {
    manifest: Manifest,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    whole: BTreeSet<String>,
    faults: Vec<FileFault>,
}

impl Check {
    fn new(manifest: Manifest) -> Self {
        Self { manifest, seen: Mutex::default() }
    }

    fn record(&self, path: &str, size_bytes: u64, summer: Summer) {
        let fault = match self.manifest.files.get(path) {
            Some(expected) => fault_of(expected, size_bytes, summer),
            None => Some("the manifest does not know it".to_owned()),
        };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match fault {
            None => drop(seen.whole.insert(path.to_owned())),
            Some(fault) => seen.faults.push(FileFault { path: path.to_owned(), fault }),
        }
    }

    /// Ends the comparison: every file of the manifest was written, and every written one is what it must be.
    fn finish(&self, files: &[StoredItem]) -> Result<(), RestoreError> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let mut faults = std::mem::take(&mut seen.faults);
        let known: BTreeSet<&str> = faults.iter().map(|fault| fault.path.as_str()).collect();
        let listed = self.manifest.files.keys().map(String::as_str);
        let stored = files.iter().map(|item| item.item.key.as_str());
        let missing: BTreeSet<&str> = listed
            .chain(stored)
            .filter(|path| !seen.whole.contains(*path) && !known.contains(path))
            .collect();
        let missing = missing
            .into_iter()
            .map(|path| FileFault { path: path.to_owned(), fault: "the base does not hold it".to_owned() });
        let missing: Vec<_> = missing.collect();
        faults.extend(missing);
        faults.sort_by(|a, b| a.path.cmp(&b.path));
        if faults.is_empty() { Ok(()) } else { Err(RestoreError::Faults { faults }) }
    }
}

fn fault_of(expected: &ManifestFile, size_bytes: u64, summer: Summer) -> Option<String> {
    if size_bytes != expected.size_bytes {
        return Some(format!("it has {size_bytes} bytes, the manifest says {}", expected.size_bytes));
    }
    (summer.finish() != expected.checksum).then(|| "its checksum is not that of the manifest".to_owned())
}

enum Place {
    File(File),
    Nowhere,
}

/// Writes one file in large portions and sums it up; what it saw is recorded when it is dropped.
struct CheckedWriter {
    place: Place,
    path: String,
    buffer: Vec<u8>,
    size_bytes: u64,
    summer: Option<Summer>,
    check: Arc<Check>,
    failed: bool,
}

impl CheckedWriter {
    fn new(place: Place, path: &str, check: &Arc<Check>) -> Self {
        let expected = check.manifest.files.get(path).and_then(|file| file.checksum.as_ref());
        Self {
            place,
            path: path.to_owned(),
            buffer: Vec::new(),
            size_bytes: 0,
            summer: Some(Summer::for_checksum(expected)),
            check: Arc::clone(check),
            failed: false,
        }
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Some(summer) = &mut self.summer {
            summer.update(bytes);
        }
        self.size_bytes += bytes.len() as u64;
        let Place::File(file) = &mut self.place else { return Ok(()) };
        let result = file.write_all(bytes);
        self.failed |= result.is_err();
        result
    }
}

impl Write for CheckedWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.buffer.len() + bytes.len() > BUFFER_BYTES {
            self.flush()?;
        }
        if bytes.len() >= BUFFER_BYTES {
            self.put(bytes)?;
        } else {
            self.buffer.extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let buffer = std::mem::take(&mut self.buffer);
        let result = self.put(&buffer);
        self.buffer = buffer;
        self.buffer.clear();
        result
    }
}

impl Drop for CheckedWriter {
    fn drop(&mut self) {
        // A failed write is not recorded as whole, so the file is reported even if nobody asked for the flush.
        let flushed = self.flush();
        if let (Ok(()), false, Some(summer)) = (flushed, self.failed, self.summer.take()) {
            self.check.record(&self.path, self.size_bytes, summer);
        }
    }
}
