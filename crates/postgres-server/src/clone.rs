//! Copies of data directories: by shared blocks where the file system can, else byte by byte.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use ports::{
    Clock,
    files::{self, FileError, SCRATCH_MARK},
};
use rustix::io::Errno;

/// Deeper than any data directory; a limit so that a circle of links ends.
const DEPTH_MAX: usize = 32;

/// Why a data directory could not be cloned.
#[derive(Debug, thiserror::Error)]
pub enum CloneError {
    /// A server works on the source, so that its files do not fit together.
    #[error("a server with process id {pid} works on {}", path.display())]
    InUse {
        /// The source.
        path: PathBuf,
        /// The server.
        pid: i32,
    },
    /// The destination holds something already.
    #[error("{} is not empty", path.display())]
    NotEmpty {
        /// The destination.
        path: PathBuf,
    },
    /// Folders lie in each other without end.
    #[error("{} lies too deep: its links form a circle", path.display())]
    Circle {
        /// Where the limit was reached.
        path: PathBuf,
    },
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
}

/// How a data directory is cloned.
#[derive(Debug, Clone, Copy)]
pub struct CloneOptions {
    /// How many threads copy.
    pub threads: usize,
    /// Whether WAL files stay behind; the clone then needs them from elsewhere.
    pub without_wal: bool,
    /// Whether blocks may be shared with the source.
    pub reflink: bool,
}

impl Default for CloneOptions {
    fn default() -> Self {
        Self { threads: 4, without_wal: false, reflink: true }
    }
}

/// What was cloned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CloneReport {
    /// Regular files made.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Whether all files share their blocks with the source.
    pub reflinked: bool,
    /// How long it took.
    pub elapsed: Duration,
}

/// Clones the data directory of a stopped server into a new or empty folder.
///
/// Links become what they point to, tablespaces too: a clone that shares anything writable with its source would
/// destroy it. `progress` hears the bytes done so far, from several threads.
pub fn clone_directory(
    from: &Path,
    to: &Path,
    options: CloneOptions,
    clock: &dyn Clock,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<CloneReport, CloneError> {
    let start = clock.elapsed();
    if let Some(pid) = crate::server::leftover(from) {
        return Err(CloneError::InUse { path: from.to_owned(), pid });
    }
    files::create_folder(to)?;
    let occupied = list(to)?.iter().any(|entry| entry.file_name().is_some_and(|name| name != SCRATCH_MARK));
    if occupied {
        return Err(CloneError::NotEmpty { path: to.to_owned() });
    }
    let mut plan = Plan { without_wal: options.without_wal, files: Vec::new() };
    plan.folder(from, to, 0)?;
    let work = Work {
        files: plan.files,
        next: AtomicUsize::new(0),
        bytes: AtomicU64::new(0),
        reflink: AtomicBool::new(options.reflink),
        progress,
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..options.threads.max(1)).map(|_| scope.spawn(|| work.run())).collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })?;
    Ok(CloneReport {
        files: work.files.len() as u64,
        bytes: work.bytes.into_inner(),
        reflinked: work.reflink.into_inner(),
        elapsed: clock.elapsed().saturating_sub(start),
    })
}

/// Makes everything on a folder's file system durable, which is quicker than file by file.
pub fn sync_file_system(folder: &Path) -> Result<(), FileError> {
    let failed = |e| FileError::new("sync", folder, e);
    let handle = File::open(folder).map_err(failed)?;
    rustix::fs::syncfs(&handle).map_err(|e| failed(e.into()))
}

struct Plan {
    without_wal: bool,
    files: Vec<(PathBuf, PathBuf)>,
}

impl Plan {
    fn folder(&mut self, from: &Path, to: &Path, depth: usize) -> Result<(), CloneError> {
        if depth > DEPTH_MAX {
            return Err(CloneError::Circle { path: from.to_owned() });
        }
        files::create_folder(to)?;
        let metadata = inspect(from)?;
        fs::set_permissions(to, metadata.permissions())
            .map_err(|e| FileError::new("change the mode of", to, e))?;
        give(to, &metadata)?;
        let wal = self.without_wal && depth == 1 && from.file_name().is_some_and(|name| name == "pg_wal");
        for path in list(from)? {
            let Some(name) = path.file_name() else { continue };
            let of_a_server = depth == 0 && (name == "postmaster.pid" || name == "postmaster.opts");
            if of_a_server || name == SCRATCH_MARK {
                continue;
            }
            let metadata = inspect(&path)?;
            if metadata.is_dir() {
                self.folder(&path, &to.join(name), depth + 1)?;
            } else if metadata.is_file() && !wal {
                self.files.push((path.clone(), to.join(name)));
            }
        }
        Ok(())
    }
}

struct Work<'a> {
    files: Vec<(PathBuf, PathBuf)>,
    next: AtomicUsize,
    bytes: AtomicU64,
    reflink: AtomicBool,
    progress: &'a (dyn Fn(u64) + Sync),
}

impl Work<'_> {
    fn run(&self) -> Result<(), CloneError> {
        while let Some((from, to)) = self.files.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            let bytes = self.file(from, to)?;
            (self.progress)(self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes);
        }
        Ok(())
    }

    fn file(&self, from: &Path, to: &Path) -> Result<u64, FileError> {
        let mut source = File::open(from).map_err(|e| FileError::new("open", from, e))?;
        let metadata = source.metadata().map_err(|e| FileError::new("inspect", from, e))?;
        let mode = metadata.permissions().mode();
        let mut copy = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(to)
            .map_err(|e| FileError::new("create", to, e))?;
        give(to, &metadata)?;
        if self.reflink.load(Ordering::Relaxed) {
            match rustix::fs::ioctl_ficlone(&copy, &source) {
                Ok(()) => return Ok(metadata.len()),
                // The file system cannot share, or the two folders lie on different ones.
                Err(Errno::OPNOTSUPP | Errno::XDEV | Errno::INVAL | Errno::NOTTY | Errno::NOSYS) => {
                    self.reflink.store(false, Ordering::Relaxed);
                }
                Err(error) => return Err(FileError::new("clone", from, error.into())),
            }
        }
        io::copy(&mut source, &mut copy).map_err(|e| FileError::new("copy", from, e))
    }
}

fn inspect(path: &Path) -> Result<fs::Metadata, FileError> {
    fs::metadata(path).map_err(|e| FileError::new("inspect", path, e))
}

fn list(folder: &Path) -> Result<Vec<PathBuf>, FileError> {
    let failed = |e| FileError::new("list", folder, e);
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .map_err(failed)?
        .map(|entry| entry.map(|entry| entry.path()).map_err(failed))
        .collect::<Result<_, _>>()?;
    paths.sort();
    Ok(paths)
}

/// Gives a new file the owner of its source. Only root may give files away; others own the source themselves.
fn give(path: &Path, source: &fs::Metadata) -> Result<(), FileError> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    std::os::unix::fs::lchown(path, Some(source.uid()), Some(source.gid()))
        .map_err(|e| FileError::new("change the owner of", path, e))
}
