//! Writing a drive to a tree of files.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use connect::{Progress, StoredBody, StoredError, StoredItem, StoredItems};
use jiff::Timestamp;
use model::StreamName;
use ports::files::{self, FileError};
use serde::Serialize;
use source_google::drive::{FILE_PREFIX, FileAttributes, FileKind, METADATA_PREFIX};

use super::{
    ExportError, create, lock,
    names::{Entry, ending, places},
};

/// The name of the list of everything.
pub(super) const INDEX: &str = "index.jsonl";

/// Which drive, as of when.
#[derive(Debug, Clone)]
pub struct DriveSelection {
    /// The stream that holds it.
    pub stream: StreamName,
    /// The commit.
    pub at: u64,
}

/// What was written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ExportedFiles {
    /// How many files with content.
    pub files: u64,
    /// How many folders.
    pub folders: u64,
    /// How many shortcuts, which are lines of the list and no files.
    pub shortcuts: u64,
    /// How many files whose content could not be read when they were captured.
    pub unreadable: u64,
    /// Bytes of the contents.
    pub bytes: u64,
}

/// A line of the list.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed<'a> {
    id: &'a str,
    /// Where it is; nothing where there is no file.
    path: Option<&'a str>,
    /// Where what a shortcut leads to is.
    #[serde(skip_serializing_if = "Option::is_none")]
    leads_to: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unreadable: Option<&'a str>,
    #[serde(flatten)]
    attributes: &'a FileAttributes,
}

struct Exporting<'a> {
    folder: &'a Path,
    places: HashMap<&'a str, String>,
    index: Mutex<BufWriter<File>>,
    index_path: PathBuf,
    /// Files of which it is told why they are not there.
    told: Mutex<HashSet<String>>,
    done: Mutex<ExportedFiles>,
}

/// Writes a drive into a folder, which must be new or empty: a tree of files, and `index.jsonl`, which has what is known of
/// each file, its id and its place. No content is ever in memory whole.
pub fn export_files(
    stored: &dyn StoredItems,
    selection: &DriveSelection,
    folder: &Path,
    progress: &dyn Progress,
) -> Result<ExportedFiles, ExportError> {
    let DriveSelection { stream, at } = selection;
    files::create_folder(folder)?;
    let entries = Mutex::new(BTreeMap::new());
    stored.each(
        stream,
        *at,
        &|item, _| {
            if let Some((id, attributes)) = file(item, FILE_PREFIX) {
                lock(&entries).insert(id.to_owned(), entry(&attributes));
            }
            Ok(())
        },
        &connect::Silent,
    )?;
    let entries = entries.into_inner().unwrap_or_else(PoisonError::into_inner);
    let index_path = folder.join(INDEX);
    let exporting = Exporting {
        folder,
        places: places(&entries),
        index: Mutex::new(BufWriter::new(create(&index_path)?)),
        index_path,
        told: Mutex::default(),
        done: Mutex::default(),
    };
    exporting.make_folders(&entries)?;
    progress.phase("writing files", None);
    stored.each(stream, *at, &|item, body| exporting.take(item, body), progress)?;
    let unread = stored.unread(stream, *at, u32::MAX)?;
    exporting.finish(&unread)
}

/// Returns the id of a file with its attributes.
fn file<'i>(item: &'i StoredItem, prefix: &str) -> Option<(&'i str, FileAttributes)> {
    let id = item.item.key.strip_prefix(prefix)?;
    Some((id, FileAttributes::of_text(&item.item.attributes).unwrap_or_default()))
}

fn entry(attributes: &FileAttributes) -> Entry {
    Entry {
        name: attributes.name.clone(),
        ending: attributes
            .export
            .as_deref()
            .filter(|_| attributes.kind() == FileKind::Editor)
            .and_then(ending),
        parent: attributes.parents.first().cloned(),
        is_folder: attributes.kind() == FileKind::Folder,
        is_trashed: attributes.explicitly_trashed,
    }
}

impl Exporting<'_> {
    fn make_folders(&self, entries: &BTreeMap<String, Entry>) -> Result<(), FileError> {
        for (id, place) in &self.places {
            let Some(entry) = entries.get(*id) else { continue };
            let path = self.folder.join(place);
            let path = if entry.is_folder { Some(path.as_path()) } else { path.parent() };
            if let Some(path) = path {
                std::fs::create_dir_all(path).map_err(|error| FileError::new("create", path, error))?;
            }
        }
        Ok(())
    }

    fn take(&self, item: &StoredItem, body: &mut dyn StoredBody) -> Result<(), StoredError> {
        if let Some((id, attributes)) = file(item, METADATA_PREFIX) {
            let Some(reason) = &attributes.withheld else { return Ok(()) };
            lock(&self.told).insert(id.to_owned());
            return self.list(id, None, &attributes, Some(reason));
        }
        let Some((id, attributes)) = file(item, FILE_PREFIX) else { return Ok(()) };
        let Some(place) = self.places.get(id) else { return Ok(()) };
        match attributes.kind() {
            FileKind::Folder => lock(&self.done).folders += 1,
            FileKind::Shortcut => {
                lock(&self.done).shortcuts += 1;
                return self.list(id, None, &attributes, None);
            }
            FileKind::Binary | FileKind::Editor => {
                let failed = |source| StoredError::Write { what: item.item.key.clone(), source };
                let bytes = write(&self.folder.join(place), &attributes, body, &failed)?;
                let mut done = lock(&self.done);
                done.files += 1;
                done.bytes += bytes;
            }
        }
        self.list(id, Some(place), &attributes, None)
    }

    fn list(
        &self,
        id: &str,
        path: Option<&str>,
        attributes: &FileAttributes,
        unreadable: Option<&str>,
    ) -> Result<(), StoredError> {
        let target = attributes.shortcut_details.as_ref().map(|target| target.target_id.as_str());
        let leads_to = target.and_then(|target| self.places.get(target)).map(String::as_str);
        let mut line =
            serde_json::to_vec(&Listed { id, path, leads_to, unreadable, attributes }).unwrap_or_default();
        line.push(b'\n');
        let failed = |source| StoredError::Write { what: INDEX.to_owned(), source };
        lock(&self.index).write_all(&line).map_err(failed)
    }

    /// Lists what could not be read, and ends the list.
    fn finish(self, unread: &[String]) -> Result<ExportedFiles, ExportError> {
        for id in unread.iter().filter_map(|key| key.strip_prefix(FILE_PREFIX)) {
            lock(&self.done).unreadable += 1;
            if lock(&self.told).contains(id) {
                continue;
            }
            let reason = "it could not be read when it was captured";
            self.list(id, None, &FileAttributes::default(), Some(reason))?;
        }
        let failed = |error: std::io::Error| FileError::new("write", &self.index_path, error);
        let index = self.index.into_inner().unwrap_or_else(PoisonError::into_inner);
        index.into_inner().map_err(|error| failed(error.into_error()))?.sync_all().map_err(failed)?;
        Ok(self.done.into_inner().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Writes a content into a file whose time is that of the last change.
fn write(
    path: &Path,
    attributes: &FileAttributes,
    body: &mut dyn StoredBody,
    failed: &dyn Fn(std::io::Error) -> StoredError,
) -> Result<u64, StoredError> {
    let mut file = File::create_new(path).map_err(failed)?;
    let mut bytes = 0;
    while let Some(portion) = body.next_portion()? {
        file.write_all(portion).map_err(failed)?;
        bytes += portion.len() as u64;
    }
    // Whoever may write can set the time of a change to anything: one that no file system takes is left out.
    if let Ok(time) = attributes.modified_time.parse::<Timestamp>()
        && let Ok(since_ms) = u64::try_from(time.as_millisecond())
    {
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_millis(since_ms)).ok();
    }
    Ok(bytes)
}
