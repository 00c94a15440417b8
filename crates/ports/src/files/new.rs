//! A new file, of which nobody ever sees a part.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    os::fd::AsRawFd as _,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use rustix::{
    fs::{AtFlags, CWD, Mode, OFlags, RenameFlags},
    io::Errno,
};

use super::{FileError, folder_of};

/// Creates a file that must not exist, with the given Unix mode, and makes it durable. Where that fails, also because the
/// disk is full or the process is killed, there is no file of this name: half a key would be taken for a key.
pub fn create_new(path: &Path, content: &[u8], mode: u32) -> Result<(), FileError> {
    create_new_with(path, mode, |mut file| file.write_all(content))
        .map_err(|e| FileError::new("create", path, e))
}

/// Like [`create_new`], for a file that is filled by a function and may be given attributes by it.
pub fn create_new_with(path: &Path, mode: u32, fill: impl FnOnce(&File) -> io::Result<()>) -> io::Result<()> {
    if path.symlink_metadata().is_ok() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    let folder = folder_of(path);
    let mode = Mode::from_raw_mode(mode);
    match rustix::fs::open(folder, OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC, mode) {
        Ok(unnamed) => {
            let file = File::from(unnamed);
            fill(&file)?;
            file.sync_all()?;
            let descriptor = format!("/proc/self/fd/{}", file.as_raw_fd());
            rustix::fs::linkat(CWD, descriptor.as_str(), CWD, path, AtFlags::SYMLINK_FOLLOW)?;
        }
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => through_draft(folder, path, mode, fill)?,
        Err(e) => return Err(e.into()),
    }
    File::open(folder)?.sync_all()
}

/// For file systems without unnamed files. A draft begins with a dot, so it is taken for nothing else.
fn through_draft(
    folder: &Path,
    path: &Path,
    mode: Mode,
    fill: impl FnOnce(&File) -> io::Result<()>,
) -> io::Result<()> {
    let (file, draft) = open_draft(folder, mode)?;
    let filled = fill(&file).and_then(|()| file.sync_all());
    filled.and_then(|()| name(&draft, path)).inspect_err(|_| drop(fs::remove_file(&draft)))
}

fn open_draft(folder: &Path, mode: Mode) -> io::Result<(File, PathBuf)> {
    static NUMBERS: AtomicU64 = AtomicU64::new(0);
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
    loop {
        let number = NUMBERS.fetch_add(1, Ordering::SeqCst);
        let draft = folder.join(format!(".draft-{}-{number}", std::process::id()));
        match rustix::fs::open(&draft, flags, mode) {
            Ok(file) => return Ok((File::from(file), draft)),
            // A killed process of the same number left it.
            Err(Errno::EXIST) => {}
            Err(e) => return Err(e.into()),
        }
    }
}

/// Gives a draft its name, unless something has that name already.
fn name(draft: &Path, path: &Path) -> io::Result<()> {
    match rustix::fs::renameat_with(CWD, draft, CWD, path, RenameFlags::NOREPLACE) {
        // Network file systems know no such rename, and know a second name instead.
        Err(Errno::INVAL | Errno::NOSYS) => {
            fs::hard_link(draft, path)?;
            fs::remove_file(draft)
        }
        other => Ok(other?),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, symlink};

    use super::*;

    /// Either way of making a file, as the file system has it.
    type Way = fn(&Path, &[u8]) -> io::Result<()>;

    const WAYS: [Way; 2] = [
        |path, content| create_new_with(path, 0o600, |mut file| file.write_all(content)),
        |path, content| {
            through_draft(folder_of(path), path, Mode::from_raw_mode(0o600), |mut file| {
                file.write_all(content)
            })
        },
    ];

    #[test]
    fn a_file_is_created_once() {
        for way in WAYS {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("key");
            way(&path, b"first").unwrap();
            assert_eq!(way(&path, b"second").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
            assert_eq!(fs::read(&path).unwrap(), b"first");
            assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "a draft was left");
        }
    }

    #[test]
    fn a_link_to_nowhere_is_not_followed() {
        for way in WAYS {
            let folder = tempfile::tempdir().unwrap();
            symlink(folder.path().join("elsewhere"), folder.path().join("key")).unwrap();
            let refused = way(&folder.path().join("key"), b"secret").unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
            assert!(!folder.path().join("elsewhere").exists());
        }
    }

    #[test]
    fn what_cannot_be_written_whole_is_not_there() {
        let part = |mut file: &File| -> io::Result<()> {
            file.write_all(b"half of it")?;
            Err(io::ErrorKind::StorageFull.into())
        };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let unnamed = create_new_with(&path, 0o600, part).unwrap_err();
        let draft = through_draft(folder.path(), &path, Mode::from_raw_mode(0o600), part).unwrap_err();
        assert!([unnamed, draft].iter().all(|error| error.kind() == io::ErrorKind::StorageFull));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
