//! A new base from the shadow: production is not read again.
//!
//! A server that was stopped cleanly while it replayed needs no `backup_label`: its control file says from where WAL
//! must be replayed (the redo position of its last restart point) and up to where (the minimum recovery point).

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use connect::{SinkError, Stored, StoredError, StoredItem};
use model::{Item, Layout, Moment, NameError};
use ports::files::{FileError, SCRATCH_MARK};
use postgres_server::control_file::{ControlFile, ControlFileError, State};
use ring::digest;
use serde_json::json;
use source_postgres::layout::{self, Base, BaseKind, FileKind};

use crate::{
    history::{HistoryError, KnownBase},
    manifest::hex_of,
};

/// Folders whose content belongs to one run of a server.
const EMPTIED: &[&str] = &[
    "pg_dynshmem",
    "pg_notify",
    "pg_replslot",
    "pg_serial",
    "pg_snapshots",
    "pg_stat_tmp",
    "pg_subtrans",
    "pg_wal",
];

/// Files that belong to one run of a server, or to the recovery that led here.
const LEFT_OUT: &[&str] = &[
    "postmaster.pid",
    "postmaster.opts",
    "recovery.signal",
    "standby.signal",
    "backup_label",
    "backup_label.old",
    "tablespace_map",
    "tablespace_map.old",
    "backup_manifest",
    "current_logfiles",
    SCRATCH_MARK,
];

/// What the private server changed; the previous base has it as production did.
const CARRIED_OVER: &str = "postgresql.auto.conf";

/// Why a rolled base could not be made.
#[derive(Debug, thiserror::Error)]
pub enum RolledError {
    /// The data directory is not that of a server stopped cleanly while it replayed.
    #[error("{} was not stopped cleanly during replay: its state is {state:?}", directory.display())]
    NotStopped {
        /// The directory.
        directory: PathBuf,
        /// The state found.
        state: State,
    },
    /// Replay has not come further than the previous base.
    #[error("the shadow has not moved since the previous base")]
    NotMoved,
    /// The shadow is of another cluster than the previous base.
    #[error("the shadow is of another cluster than the previous base")]
    OtherCluster,
    /// The control file cannot be used.
    #[error("the shadow's control file cannot be used")]
    ControlFile(#[from] ControlFileError),
    /// The previous base cannot be read.
    #[error("the previous base cannot be read")]
    Stored(#[from] StoredError),
    /// A description in the previous base cannot be read.
    #[error("the previous base cannot be understood")]
    History(#[from] HistoryError),
    /// A description cannot be written.
    #[error("the description of {key} cannot be written")]
    Describe {
        /// The entry.
        key: String,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// The sink did not take an entry.
    #[error("the rolled base was not stored")]
    Sink(#[from] SinkError),
    /// The name of a stream is not allowed.
    #[error("the stream has no valid name")]
    Name(#[from] NameError),
    /// A file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Takes the entries of a base. Unchanged pages need not be stored again: `earlier` is the same file in the base before.
pub trait PageStore {
    /// Takes an entry with its content.
    fn store(
        &mut self,
        item: Item,
        layout: Layout,
        body: &mut dyn Read,
        earlier: Option<&StoredItem>,
    ) -> Result<(), SinkError>;
}

/// A base made of a generation of the shadow.
#[derive(Debug, Clone)]
pub struct RolledBase {
    directory: PathBuf,
    /// What will be written about it; files and bytes are counted while it is stored.
    pub base: Base,
    previous: KnownBase,
}

impl RolledBase {
    /// Examines the directory of a generation. `finished_at` is when that generation was finished.
    pub fn of(directory: &Path, previous: &KnownBase, finished_at: Moment) -> Result<Self, RolledError> {
        let control = ControlFile::read(directory)?;
        if control.state != State::ShutDownInRecovery {
            return Err(RolledError::NotStopped { directory: directory.to_owned(), state: control.state });
        }
        if control.system_identifier != previous.base.system_identifier {
            return Err(RolledError::OtherCluster);
        }
        // A base is known by where it starts, so one that starts where another does would replace it.
        if control.redo <= previous.base.start_lsn {
            return Err(RolledError::NotMoved);
        }
        let base = Base {
            kind: BaseKind::Rolled,
            tablespaces: tablespaces(directory, &previous.base)?,
            timeline: control.timeline,
            start_lsn: control.redo,
            end_lsn: control.consistent_from(),
            started_at: finished_at,
            finished_at,
            files: 0,
            bytes: 0,
            ..previous.base.clone()
        };
        Ok(Self { directory: directory.to_owned(), base, previous: previous.clone() })
    }

    /// Hands all entries to the sink, and last the description with its manifest. Returns the finished description.
    pub fn store(mut self, stored: &dyn Stored, sink: &mut dyn PageStore) -> Result<Base, RolledError> {
        let before = stored.items(&layout::base_files_stream(self.previous.base.start_lsn)?)?;
        let earlier = |key: &str| {
            let found = before.binary_search_by(|item| item.item.key.as_str().cmp(key)).ok();
            found.and_then(|index| before.get(index))
        };
        let stream = layout::base_files_stream(self.base.start_lsn)?;
        let mut manifest = ManifestText::default();
        for entry in entries(&self.directory)? {
            let key = entry.key;
            let kind = if entry.folder { FileKind::Folder } else { FileKind::File };
            let attributes = describe(&key, &layout::File { kind, mode: entry.mode })?;
            let item = Item { stream: stream.clone(), key: key.clone(), attributes };
            if entry.folder {
                sink.store(item, Layout::Small, &mut io::empty(), None)?;
                continue;
            }
            let carried = if key == CARRIED_OVER { earlier(&key) } else { None };
            let source: Box<dyn Read> = match carried {
                Some(item) => {
                    let mut content = Vec::new();
                    stored.read(item, &mut content)?;
                    Box::new(io::Cursor::new(content))
                }
                None => {
                    Box::new(File::open(&entry.path).map_err(|e| FileError::new("open", &entry.path, e))?)
                }
            };
            let mut body = Summed { source, size_bytes: 0, crc32c: 0 };
            let before = earlier(&key);
            sink.store(item, layout::content_layout(&key, entry.size_bytes), &mut body, before)?;
            // A sink that takes only part of a body would leave a manifest that fits nothing.
            io::copy(&mut body, &mut io::sink()).map_err(|e| FileError::new("read", &entry.path, e))?;
            manifest.add(&key, body.size_bytes, body.crc32c);
            self.base.files += 1;
            self.base.bytes += body.size_bytes;
        }
        let manifest = manifest.finish(&self.base);
        let key = layout::lsn_key(self.base.start_lsn);
        let attributes = describe(&key, &self.base)?;
        let item = Item { stream: layout::bases_stream()?, key, attributes };
        sink.store(item, Layout::Blocks, &mut manifest.as_bytes(), Some(&self.previous.item))?;
        Ok(self.base)
    }
}

/// Lists the tablespaces that are there now: some may have come or gone since the previous base.
fn tablespaces(directory: &Path, previous: &Base) -> Result<BTreeMap<u32, String>, FileError> {
    let folder = directory.join("pg_tblspc");
    let listed = folder.read_dir().map_err(|e| FileError::new("list", &folder, e))?;
    let mut found = BTreeMap::new();
    for entry in listed {
        let entry = entry.map_err(|e| FileError::new("list", &folder, e))?;
        let Some(oid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let place = previous.tablespaces.get(&oid).cloned();
        let link = || fs::read_link(entry.path()).map(|to| to.display().to_string()).unwrap_or_default();
        found.insert(oid, place.unwrap_or_else(link));
    }
    Ok(found)
}

fn describe<T: serde::Serialize>(key: &str, value: &T) -> Result<String, RolledError> {
    serde_json::to_string(value).map_err(|source| RolledError::Describe { key: key.to_owned(), source })
}

struct Entry {
    key: String,
    path: PathBuf,
    folder: bool,
    mode: u32,
    size_bytes: u64,
}

/// Lists what a base backup of the directory would hold, in key order.
fn entries(directory: &Path) -> Result<Vec<Entry>, FileError> {
    let mut found = Vec::new();
    let mut pending = vec![String::new()];
    while let Some(prefix) = pending.pop() {
        let folder = directory.join(&prefix);
        let listed = folder.read_dir().map_err(|e| FileError::new("list", &folder, e))?;
        for entry in listed {
            let entry = entry.map_err(|e| FileError::new("list", &folder, e))?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}/{name}") };
            let temporary = name.starts_with("pgsql_tmp") || name.starts_with("pg_internal.init");
            if temporary || LEFT_OUT.contains(&key.as_str()) {
                continue;
            }
            let path = entry.path();
            let metadata = fs::metadata(&path).map_err(|e| FileError::new("inspect", &path, e))?;
            let mode = metadata.permissions().mode() & 0o777;
            let folder = metadata.is_dir();
            if folder && !EMPTIED.contains(&key.as_str()) {
                pending.push(key.clone());
            }
            if folder || metadata.is_file() {
                found.push(Entry { key, path, folder, mode, size_bytes: metadata.len() });
            }
        }
    }
    found.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(found)
}

/// Sums up what is read.
struct Summed<'a> {
    source: Box<dyn Read + 'a>,
    size_bytes: u64,
    crc32c: u32,
}

impl Read for Summed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        self.crc32c = crc32c::crc32c_append(self.crc32c, &buffer[..count]);
        self.size_bytes += count as u64;
        Ok(count)
    }
}

/// A manifest in the form in which the server writes it, so that restoring checks both kinds of bases alike.
#[derive(Default)]
struct ManifestText {
    lines: Vec<String>,
}

impl ManifestText {
    fn add(&mut self, path: &str, size_bytes: u64, crc32c: u32) {
        let checksum = hex_of(&crc32c.to_le_bytes());
        let entry = json!({
            "Path": path, "Size": size_bytes, "Checksum-Algorithm": "CRC32C", "Checksum": checksum,
        });
        self.lines.push(entry.to_string());
    }

    fn finish(self, base: &Base) -> String {
        let range = json!({
            "Timeline": base.timeline,
            "Start-LSN": postgres_server::lsn::to_text(base.start_lsn),
            "End-LSN": postgres_server::lsn::to_text(base.end_lsn),
        });
        let covered = format!(
            "{{ \"PostgreSQL-Backup-Manifest-Version\": 1,\n\"Files\": [\n{}\n],\n\"WAL-Ranges\": [\n{range}\n],\n",
            self.lines.join(",\n")
        );
        let digest = digest::digest(&digest::SHA256, covered.as_bytes());
        let hex = hex_of(digest.as_ref());
        format!("{covered}\"Manifest-Checksum\": \"{hex}\"}}\n")
    }
}
