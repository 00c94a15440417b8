use std::{
    fmt,
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use ports::files::FileError;
use rustix::{
    fs::{IFlags, ioctl_getflags, ioctl_setflags},
    thread::CapabilitySet,
};

/// How a local store guards its objects against this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Protection {
    /// Read-only files; whoever owns the folder can delete them.
    Plain,
    /// Every object gets the immutable flag (ext4, XFS); the process needs CAP_LINUX_IMMUTABLE to set it.
    Immutable,
    /// The sealer that listens on this socket writes every object, owns it, and alone can set and clear its flag.
    Sealer(PathBuf),
}

/// What a local store really enforces against this process, found out by trying.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProtectionReport {
    /// 0: this process could delete the vault. 1: immutable flags that this process cannot clear.
    pub tier: u8,
    /// Whether the vault's objects carry the immutable flag.
    pub objects_immutable: bool,
    /// Whether a file with the flag really resisted being overwritten, renamed and deleted.
    pub flags_hold: bool,
    /// Whether this very process could take the flags off again.
    pub clearable_here: bool,
}

impl ProtectionReport {
    const fn new(objects_immutable: bool, flags_hold: bool, clearable_here: bool) -> Self {
        let tier = if objects_immutable && flags_hold && !clearable_here { 1 } else { 0 };
        Self { tier, objects_immutable, flags_hold, clearable_here }
    }
}

impl fmt::Display for ProtectionReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.objects_immutable && self.flags_hold, self.clearable_here) {
            (false, _) => "no protection from this user",
            (true, true) => "immutable files, but this process may clear the flag",
            (true, false) => "immutable files, and this process cannot clear the flag",
        })
    }
}

/// Sets or clears the immutable flag of a file.
pub(crate) fn set_immutable(path: &Path, immutable: bool) -> Result<(), FileError> {
    let change = || -> io::Result<()> {
        let file = File::open(path)?;
        let flags = ioctl_getflags(&file)?;
        let wanted = if immutable { flags | IFlags::IMMUTABLE } else { flags - IFlags::IMMUTABLE };
        if wanted != flags {
            ioctl_setflags(&file, wanted)?;
        }
        Ok(())
    };
    change().map_err(|e| FileError::new("change the immutable flag of", path, e))
}

/// Returns whether a file has the immutable flag; `false` where the file system knows no flags.
pub(crate) fn is_immutable(path: &Path) -> bool {
    let flags = || -> io::Result<IFlags> { Ok(ioctl_getflags(File::open(path)?)?) };
    flags().is_ok_and(|flags| flags.contains(IFlags::IMMUTABLE))
}

/// Tries on a probe file what an attacker with this process's rights would try.
///
/// `sample` is an object that should carry the flag: it answers for a process that may not set flags itself.
pub(crate) fn measure(folder: &Path, sample: Option<&Path>) -> Result<ProtectionReport, FileError> {
    let probe = folder.join(format!(".probe-{}", std::process::id()));
    let objects_immutable = sample.is_some_and(is_immutable);
    // Who may not set flags may not clear them either: then the flags that are there are believed.
    let without_rights = ProtectionReport::new(objects_immutable, objects_immutable, false);
    match OpenOptions::new().write(true).create_new(true).open(&probe) {
        Ok(_) => {}
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {
            return Ok(ProtectionReport::new(objects_immutable, objects_immutable, may_clear(folder)));
        }
        Err(e) => return Err(FileError::new("create", &probe, e)),
    }
    let report = if set_immutable(&probe, true).is_ok() {
        let flags_hold = resists(&probe);
        let clearable_here = set_immutable(&probe, false).is_ok();
        ProtectionReport::new(objects_immutable, flags_hold, clearable_here)
    } else {
        without_rights
    };
    match fs::remove_file(&probe) {
        Ok(()) => Ok(report),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(report),
        Err(e) => Err(FileError::new("remove", &probe, e)),
    }
}

/// Returns whether this process has the capability to clear flags, and the files are its own or it is root.
///
/// Asked where a probe cannot be made because the folder itself is immutable.
fn may_clear(folder: &Path) -> bool {
    let Ok(sets) = rustix::thread::capabilities(None) else { return true };
    let own = fs::metadata(folder).is_ok_and(|m| m.uid() == rustix::process::geteuid().as_raw());
    let owner = own || sets.effective.contains(CapabilitySet::FOWNER);
    owner && sets.effective.contains(CapabilitySet::LINUX_IMMUTABLE)
}

#[expect(clippy::disallowed_methods, reason = "the attack that must fail")]
fn resists(probe: &Path) -> bool {
    let elsewhere = probe.with_extension("moved");
    let overwrite = OpenOptions::new().write(true).truncate(true).open(probe).is_err();
    overwrite && fs::rename(probe, elsewhere).is_err() && fs::remove_file(probe).is_err()
}
