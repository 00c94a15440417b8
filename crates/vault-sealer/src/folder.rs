//! How a sealed vault's folder is laid out.
//!
//! ```text
//! vault/              +i   nothing is added, moved or removed at the top (+a until vault.json is there)
//!   vault.json        +i
//!   data/             +i   nor the fan-out folders
//!     00 … ff/        +a   objects may be added, none moved or removed
//!       <id>          +i
//!   log/ keys/ heads/ proofs/   +a
//!     log/<source>/   +a
//!   .self-test/       +i   what the attacks at start are tried on
//! ```

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use ports::files::{self, FileError};
use rustix::fs::IFlags;

use crate::flags;

const GROWING: [&str; 4] = ["keys", "log", "heads", "proofs"];
const DATA: &str = "data";
const SELF_TEST: &str = ".self-test";
const MANIFEST: &str = "vault.json";

/// The magic numbers of the file systems on which the arrangement is known to hold.
const EXT4: u64 = 0xEF53;
const XFS: u64 = 0x5846_5342;
const BTRFS: u64 = 0x9123_683E;
const TMPFS: u64 = 0x0102_1994;

/// Why a file system does not do.
pub(crate) fn check_file_system(folder: &Path) -> Result<(), &'static str> {
    let Ok(found) = rustix::fs::statfs(folder) else { return Err("the file system does not say what it is") };
    match u64::try_from(found.f_type).unwrap_or(0) & 0xFFFF_FFFF {
        EXT4 | XFS => Ok(()),
        BTRFS => Err("on Btrfs a subvolume is deleted whatever flags its files have"),
        TMPFS => Err("a tmpfs is gone with the next reboot"),
        _ => Err("only ext4 and XFS are known to hold"),
    }
}

/// Makes what is missing of the layout, and sets every flag that is missing: also after a crash.
pub(crate) fn arrange(root: &Path) -> Result<(), FileError> {
    files::create_folder(root)?;
    let flag = |path: &Path, flag| {
        flags::set(path, flag).map_err(|e| FileError::new("change the flags of", path, e))
    };
    let data = root.join(DATA);
    for folder in GROWING {
        ensure_folder(&root.join(folder))?;
    }
    ensure_folder(&data)?;
    for prefix in 0..=u8::MAX {
        let fan = data.join(format!("{prefix:02x}"));
        ensure_folder(&fan)?;
        seal_files(&fan)?;
        flag(&fan, IFlags::APPEND)?;
    }
    flag(&data, IFlags::IMMUTABLE)?;
    for folder in GROWING {
        let folder = root.join(folder);
        seal_files(&folder)?;
        flag(&folder, IFlags::APPEND)?;
    }
    for source in entries(&root.join("log"))? {
        if source.is_dir() {
            seal_files(&source)?;
            flag(&source, IFlags::APPEND)?;
        }
    }
    arrange_self_test(root)?;
    close_top(root)
}

/// Closes the top of the vault once its manifest is there.
pub(crate) fn close_top(root: &Path) -> Result<(), FileError> {
    let manifest = root.join(MANIFEST);
    let close = || -> io::Result<()> {
        if manifest.exists() {
            flags::set(&manifest, IFlags::IMMUTABLE)?;
            flags::set(root, IFlags::IMMUTABLE)
        } else {
            flags::set(root, IFlags::APPEND)
        }
    };
    close().map_err(|e| FileError::new("change the flags of", root, e))
}

/// Makes the folder of a new source's log.
pub(crate) fn ensure_growing(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    match fs::create_dir(folder) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
        _ => {}
    }
    if let Some(parent) = folder.parent() {
        File::open(parent)?.sync_all()?;
    }
    flags::set(folder, IFlags::APPEND)
}

/// Returns the folder in which attacks are tried.
pub(crate) fn self_test(root: &Path) -> PathBuf {
    root.join(SELF_TEST)
}

/// A small copy of the real arrangement: `.self-test/ff/object`.
fn arrange_self_test(root: &Path) -> Result<(), FileError> {
    let top = self_test(root);
    let fan = top.join("ff");
    let object = fan.join("object");
    ensure_folder(&top)?;
    ensure_folder(&fan)?;
    if !object.exists() {
        files::create_new(&object, b"the attacks at start are tried on this", 0o444)?;
    }
    let set = |path: &Path, flag| {
        flags::set(path, flag).map_err(|e| FileError::new("change the flags of", path, e))
    };
    set(&object, IFlags::IMMUTABLE)?;
    set(&fan, IFlags::APPEND)?;
    set(&top, IFlags::IMMUTABLE)
}

fn ensure_folder(path: &Path) -> Result<(), FileError> {
    if path.is_dir() { Ok(()) } else { files::create_folder(path) }
}

/// Seals what a crash left between its name and its flag.
fn seal_files(folder: &Path) -> Result<(), FileError> {
    for path in entries(folder)? {
        if path.is_file() {
            flags::set(&path, IFlags::IMMUTABLE)
                .map_err(|e| FileError::new("change the flags of", &path, e))?;
        }
    }
    Ok(())
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, FileError> {
    let failed = |e| FileError::new("list", folder, e);
    fs::read_dir(folder).map_err(failed)?.map(|entry| Ok(entry.map_err(failed)?.path())).collect()
}
