//! Files: durable writes, and errors that name the path.

mod new;

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

pub use self::new::{create_new, create_new_with};

/// A file operation that failed, with the path and what was tried.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} {}", path.display())]
pub struct FileError {
    /// What was tried, as a verb: `read`, `write`, `create`.
    pub operation: &'static str,
    /// The path concerned.
    pub path: PathBuf,
    /// The system's answer.
    #[source]
    pub source: io::Error,
}

impl FileError {
    /// Wraps the system's answer.
    pub fn new(operation: &'static str, path: &Path, source: io::Error) -> Self {
        Self { operation, path: path.to_owned(), source }
    }

    /// Returns whether the disk or a quota is full.
    pub fn is_full(&self) -> bool {
        is_full(&self.source)
    }
}

/// Returns whether an error means that the disk or a quota is full.
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Reads a whole file.
pub fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    fs::read(path).map_err(|e| FileError::new("read", path, e))
}

/// Reads a whole text file.
pub fn read_text(path: &Path) -> Result<String, FileError> {
    fs::read_to_string(path).map_err(|e| FileError::new("read", path, e))
}

/// Creates a folder with its parents, and makes those that are new durable: a synced file in a folder that a power cut
/// takes away would be no more durable than the folder.
pub fn create_folder(path: &Path) -> Result<(), FileError> {
    let missing: Vec<&Path> =
        path.ancestors().take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists()).collect();
    fs::create_dir_all(path).map_err(|e| FileError::new("create folder", path, e))?;
    for folder in missing.into_iter().rev() {
        sync_folder(folder_of(folder))?;
    }
    Ok(())
}

/// Makes a file the sign that one process alone does something; `None` when another process holds it.
///
/// It is free again when the returned file is closed, also when the process is killed.
pub fn claim(path: &Path) -> Result<Option<File>, FileError> {
    let opened = OpenOptions::new().create(true).truncate(false).write(true).open(path);
    let file = opened.map_err(|e| FileError::new("open", path, e))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(fs::TryLockError::WouldBlock) => Ok(None),
        Err(fs::TryLockError::Error(e)) => Err(FileError::new("claim", path, e)),
    }
}

/// Returns the folder of a file: of a plain name, the current one.
fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes the entries of a folder durable.
pub fn sync_folder(path: &Path) -> Result<(), FileError> {
    File::open(path).and_then(|folder| folder.sync_all()).map_err(|e| FileError::new("sync folder", path, e))
}

/// Replaces a file's content as one step: a reader sees the old or the new content, also after a power cut. Of several
/// that replace it at once, in this process or others, each does so in whole.
#[expect(clippy::disallowed_methods, reason = "this is the function that syncs the folder too")]
pub fn replace(path: &Path, content: &[u8]) -> Result<(), FileError> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(".draft");
    let draft = PathBuf::from(draft);
    let write = || -> io::Result<File> {
        let mut file = own_draft(&draft)?;
        // What a killed process left of its own.
        if file.metadata()?.len() > 0 {
            file.set_len(0)?;
        }
        file.write_all(content)?;
        file.sync_all()?;
        Ok(file)
    };
    // The lock lasts until the draft has its new name.
    let _locked = write().map_err(|e| FileError::new("write", &draft, e))?;
    fs::rename(&draft, path).map_err(|e| FileError::new("replace", path, e))?;
    sync_folder(folder_of(path))
}

/// Opens a draft that nobody else is writing. Whoever waited for it finds it renamed by then: what was opened is the file
/// itself, which must not be touched, and the draft is another one.
fn own_draft(path: &Path) -> io::Result<File> {
    loop {
        let file = File::options().create(true).truncate(false).write(true).open(path)?;
        file.lock()?;
        let (opened, named) = (file.metadata()?, fs::metadata(path));
        match named {
            Ok(named) if (named.dev(), named.ino()) == (opened.dev(), opened.ino()) => return Ok(file),
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
}

/// The file that marks a folder as one that unwipe made and may remove.
pub const SCRATCH_MARK: &str = ".unwipe-scratch";

/// Creates a folder that [`remove_scratch`] may later remove; it must be new or empty.
pub fn create_scratch(path: &Path) -> Result<(), FileError> {
    create_folder(path)?;
    let mut entries = fs::read_dir(path).map_err(|e| FileError::new("list", path, e))?;
    if entries.next().is_some() {
        let source = io::Error::new(io::ErrorKind::DirectoryNotEmpty, "the folder is not empty");
        return Err(FileError::new("use as scratch", path, source));
    }
    create_new(&path.join(SCRATCH_MARK), b"", 0o600)
}

/// Removes a folder made by [`create_scratch`], and nothing else.
#[expect(clippy::disallowed_methods, reason = "the mark shows that unwipe itself made this folder")]
pub fn remove_scratch(path: &Path) -> Result<(), FileError> {
    if !path.join(SCRATCH_MARK).is_file() {
        let source = io::Error::new(io::ErrorKind::PermissionDenied, "the folder has no scratch mark");
        return Err(FileError::new("remove", path, source));
    }
    fs::remove_dir_all(path).map_err(|e| FileError::new("remove", path, e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_marked_folders_are_removed() {
        let root = tempfile::tempdir().unwrap();
        let (mine, foreign) = (root.path().join("mine"), root.path().join("foreign"));
        create_scratch(&mine).unwrap();
        create_folder(&foreign).unwrap();
        remove_scratch(&mine).unwrap();
        assert!(remove_scratch(&foreign).is_err());
        assert!(foreign.is_dir() && !mine.exists());
    }

    #[test]
    fn a_scratch_folder_must_be_empty() {
        let root = tempfile::tempdir().unwrap();
        create_new(&root.path().join("precious"), b"x", 0o600).unwrap();
        assert!(create_scratch(root.path()).is_err());
    }

    #[test]
    fn replace_leaves_no_draft() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("state");
        replace(&path, b"1").unwrap();
        replace(&path, b"2").unwrap();
        assert_eq!(read(&path).unwrap(), b"2");
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
    }

    #[test]
    fn several_replace_a_file_at_once_and_each_in_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        std::thread::scope(|scope| {
            for writer in 0..6_u8 {
                let path = &path;
                scope.spawn(move || {
                    for round in 0..40 {
                        let content = vec![b'a' + writer; 10 + 997 * (usize::from(writer) + round) % 5000];
                        replace(path, &content).unwrap();
                        let seen = read(path).unwrap();
                        assert!(seen.iter().all(|byte| *byte == seen[0]), "two contents in one file");
                    }
                });
            }
        });
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "a draft was left");
    }
}
