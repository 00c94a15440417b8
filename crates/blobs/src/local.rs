mod reaper;

use std::{
    collections::HashSet,
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use model::Moment;
use ports::{Blob, BlobError, BlobName, BlobStore, files, files::FileError};
use rustix::fs::{FlockOperation, Mode, XattrFlags};

pub use self::reaper::LocalReaper;
use crate::{
    protection::{self, Protection, ProtectionReport},
    sealer::SealerClient,
};

/// A store in a folder of this machine.
///
/// A new object is written to an unnamed file, synced, and only then linked under its name, so that a name never shows
/// half an object and never changes owner. The lock date is kept in the extended attribute `user.unwipe.locked_until`; where
/// the file system has none, or the object is immutable, in a hidden record beside the object. The later date counts.
#[derive(Debug)]
pub struct LocalStore {
    root: PathBuf,
    protection: Protection,
    known_folders: Mutex<HashSet<PathBuf>>,
}

/// The extended attribute that holds the lock date in microseconds since 1970.
const LOCK_ATTRIBUTE: &str = "user.unwipe.locked_until";

const DRAFT_MODE: u32 = 0o600;
const OBJECT_MODE: Mode = Mode::from_raw_mode(0o444);

impl LocalStore {
    /// Opens or makes the folder.
    pub fn open(root: &Path, protection: Protection) -> Result<Self, FileError> {
        if !matches!(protection, Protection::Sealer(_)) {
            files::create_folder(root)?;
        }
        Ok(Self { root: root.to_owned(), protection, known_folders: Mutex::new(HashSet::new()) })
    }

    /// Returns the folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Finds out, by trying, what guards the objects from this process.
    pub fn measure(&self) -> Result<ProtectionReport, FileError> {
        let manifest = self.root.join("vault.json");
        protection::measure(&self.root, manifest.exists().then_some(manifest.as_path()))
    }

    fn path(&self, name: &BlobName) -> PathBuf {
        self.root.join(name.as_str())
    }

    fn ensure_folder(&self, folder: &Path) -> io::Result<()> {
        let known = |folders: &Mutex<HashSet<PathBuf>>| {
            folders.lock().unwrap_or_else(PoisonError::into_inner).contains(folder)
        };
        if folder == self.root || known(&self.known_folders) {
            return Ok(());
        }
        if let Some(parent) = folder.parent() {
            self.ensure_folder(parent)?;
            match fs::create_dir(folder) {
                Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
                _ => File::open(parent)?.sync_all()?,
            }
        }
        self.known_folders.lock().unwrap_or_else(PoisonError::into_inner).insert(folder.to_owned());
        Ok(())
    }

    fn write_new(&self, path: &Path, content: &[u8], locked_until: Moment) -> io::Result<()> {
        let folder = path.parent().unwrap_or(&self.root);
        self.ensure_folder(folder)?;
        files::create_new_with(path, DRAFT_MODE, |file| fill(file, path, content, locked_until))
    }

    fn collect(&self, folder: &Path, prefix: &str, found: &mut Vec<Blob>) -> io::Result<()> {
        let entries = match fs::read_dir(folder) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other?,
        };
        for entry in entries {
            let entry = entry?;
            let path = entry.path();
            let relative = path.strip_prefix(&self.root).ok().and_then(Path::to_str);
            let Some(Ok(name)) = relative.map(BlobName::new) else { continue };
            if entry.file_type()?.is_dir() {
                let inside = format!("{name}/");
                if inside.starts_with(prefix) || prefix.starts_with(&inside) {
                    self.collect(&path, prefix, found)?;
                }
            } else if name.as_str().starts_with(prefix) {
                let size_bytes = entry.metadata()?.len();
                found.push(match self.protection {
                    // The date beside the file is the first one; the sealer tells the one in force, one by one.
                    Protection::Sealer(_) => Blob { name, size_bytes, locked_until: None },
                    Protection::Plain | Protection::Immutable => blob(name, &path, size_bytes),
                });
            }
        }
        Ok(())
    }
}

impl BlobStore for LocalStore {
    fn create(&self, name: &BlobName, content: &[u8], locked_until: Moment) -> Result<(), BlobError> {
        let path = self.path(name);
        if let Protection::Sealer(socket) = &self.protection {
            return SealerClient::new(socket).seal(name, content, locked_until);
        }
        self.write_new(&path, content, locked_until).map_err(|e| answer("create", name, e))?;
        if self.protection == Protection::Immutable {
            protection::set_immutable(&path, true)
                .map_err(|e| BlobError::Refused { name: name.clone(), source: e.source })?;
        }
        Ok(())
    }

    fn read(&self, name: &BlobName) -> Result<Vec<u8>, BlobError> {
        fs::read(self.path(name)).map_err(|e| answer("read", name, e))
    }

    fn read_range(&self, name: &BlobName, offset: u64, length: u64) -> Result<Vec<u8>, BlobError> {
        let read = || -> io::Result<Vec<u8>> {
            let mut file = File::open(self.path(name))?;
            let available = file.metadata()?.len().saturating_sub(offset);
            file.seek(SeekFrom::Start(offset))?;
            let length = length.min(available);
            let mut content = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
            file.take(length).read_to_end(&mut content)?;
            Ok(content)
        };
        read().map_err(|e| answer("read", name, e))
    }

    fn head(&self, name: &BlobName) -> Result<Blob, BlobError> {
        let path = self.path(name);
        let metadata = fs::metadata(&path).map_err(|e| answer("head", name, e))?;
        if let Protection::Sealer(socket) = &self.protection {
            // What stands in the file's attributes is its first lock; later ones only the sealer knows.
            let locked_until = SealerClient::new(socket).lock(name)?;
            return Ok(Blob { name: name.clone(), size_bytes: metadata.len(), locked_until });
        }
        Ok(blob(name.clone(), &path, metadata.len()))
    }

    fn list(&self, prefix: &str) -> Result<Vec<Blob>, BlobError> {
        let mut found = Vec::new();
        self.collect(&self.root, prefix, &mut found).map_err(|source| BlobError::Unavailable {
            operation: "list",
            name: prefix.to_owned(),
            source,
        })?;
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    fn extend_lock(&self, name: &BlobName, locked_until: Moment) -> Result<(), BlobError> {
        let path = self.path(name);
        let _alone = claim(&path).map_err(|e| answer("extend lock", name, e))?;
        if let Protection::Sealer(socket) = &self.protection {
            return SealerClient::new(socket).extend(name, locked_until);
        }
        if self.protection == Protection::Immutable {
            // Also seals what a crash left between its creation and its flag.
            protection::set_immutable(&path, true).map_err(|e| answer("seal", name, e.source))?;
        }
        if lock_date(&path).is_some_and(|lock| lock >= locked_until) {
            return Ok(());
        }
        if set_attribute_date(&path, locked_until).is_ok() {
            return Ok(());
        }
        // The flag of an immutable object is never taken off to note a date: that would open a gap.
        files::replace(&record_path(&path), locked_until.as_micros().to_string().as_bytes())
            .map_err(|e| answer("extend lock", name, e.source))
    }
}

/// Makes sure that nobody extends the lock of an object while another one reaps it. Fails when it is gone.
fn claim(path: &Path) -> io::Result<File> {
    let file = File::open(path)?;
    rustix::fs::flock(&file, FlockOperation::LockExclusive)?;
    // Whoever held it before us may have removed the name.
    if rustix::fs::fstat(&file)?.st_nlink == 0 {
        return Err(io::ErrorKind::NotFound.into());
    }
    Ok(file)
}

fn fill(mut file: &File, path: &Path, content: &[u8], locked_until: Moment) -> io::Result<()> {
    file.write_all(content)?;
    let date = locked_until.as_micros().to_string();
    let attribute = rustix::fs::fsetxattr(file, LOCK_ATTRIBUTE, date.as_bytes(), XattrFlags::empty());
    if attribute.is_err() {
        files::replace(&record_path(path), date.as_bytes()).map_err(|e| e.source)?;
    }
    // Only now: an owner who is not root may set attributes on writable files alone.
    match rustix::fs::fchmod(file, OBJECT_MODE) {
        // The file systems of removable disks (FAT, exFAT) know neither attributes nor modes.
        Err(rustix::io::Errno::PERM | rustix::io::Errno::OPNOTSUPP) if attribute.is_err() => {}
        other => other?,
    }
    Ok(())
}

fn blob(name: BlobName, path: &Path, size_bytes: u64) -> Blob {
    Blob { name, size_bytes, locked_until: lock_date(path) }
}

fn lock_date(path: &Path) -> Option<Moment> {
    attribute_date(path).max(record_date(path))
}

fn record_path(path: &Path) -> PathBuf {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    path.with_file_name(format!(".{name}.lock"))
}

fn record_date(path: &Path) -> Option<Moment> {
    parse_date(&fs::read(record_path(path)).ok()?)
}

fn attribute_date(path: &Path) -> Option<Moment> {
    let mut buffer = [0; 32];
    let length = rustix::fs::getxattr(path, LOCK_ATTRIBUTE, &mut buffer).ok()?;
    parse_date(buffer.get(..length)?)
}

fn parse_date(text: &[u8]) -> Option<Moment> {
    std::str::from_utf8(text).ok()?.trim().parse().ok().map(Moment::from_micros)
}

fn set_attribute_date(path: &Path, date: Moment) -> io::Result<()> {
    let text = date.as_micros().to_string();
    rustix::fs::setxattr(path, LOCK_ATTRIBUTE, text.as_bytes(), XattrFlags::empty())?;
    File::open(path)?.sync_all()
}

fn answer(operation: &'static str, name: &BlobName, source: io::Error) -> BlobError {
    let name = name.clone();
    match source.kind() {
        io::ErrorKind::NotFound => BlobError::Missing { name },
        io::ErrorKind::AlreadyExists => BlobError::Exists { name },
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            BlobError::Refused { name, source }
        }
        _ if files::is_full(&source) => BlobError::Full { name, source },
        _ => BlobError::Unavailable { operation, name: name.to_string(), source },
    }
}
