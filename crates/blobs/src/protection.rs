use std::{
    fmt,
    fs::{self, File, OpenOptions},
    io,
    path::Path,
};

use ports::files::FileError;
use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};

/// How a local store guards its objects against this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    /// Read-only files; whoever owns the folder can delete them.
    Plain,
    /// Every object gets the immutable flag (ext4, XFS); the process needs CAP_LINUX_IMMUTABLE to set it.
    Immutable,
}

/// What a local store really enforces against this process, found out by trying.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProtectionReport {
    /// 0: a plain folder. 1: immutable flags.
    pub tier: u8,
    /// Whether an object with the flag really resisted being overwritten, renamed and deleted.
    pub flags_hold: bool,
    /// Whether this very process could take the flags off again.
    pub clearable_here: bool,
}

impl fmt::Display for ProtectionReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.tier, self.clearable_here) {
            (0, _) => "no protection from this user",
            (_, true) => "immutable files, but this process may clear the flag",
            (_, false) => "immutable files that this process cannot clear",
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
    let nothing = ProtectionReport { tier: 0, flags_hold: false, clearable_here: false };
    match OpenOptions::new().write(true).create_new(true).open(&probe) {
        Ok(_) => {}
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => return Ok(without_rights(sample, nothing)),
        Err(e) => return Err(FileError::new("create", &probe, e)),
    }
    let report = if set_immutable(&probe, true).is_ok() {
        let flags_hold = resists(&probe);
        let clearable_here = set_immutable(&probe, false).is_ok();
        let sealed = flags_hold && sample.is_none_or(is_immutable);
        ProtectionReport { tier: u8::from(sealed), flags_hold, clearable_here }
    } else {
        without_rights(sample, nothing)
    };
    match fs::remove_file(&probe) {
        Ok(()) => Ok(report),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(report),
        Err(e) => Err(FileError::new("remove", &probe, e)),
    }
}

fn without_rights(sample: Option<&Path>, nothing: ProtectionReport) -> ProtectionReport {
    match sample {
        Some(sample) if is_immutable(sample) => {
            ProtectionReport { tier: 1, flags_hold: true, clearable_here: false }
        }
        _ => nothing,
    }
}

#[expect(clippy::disallowed_methods, reason = "the attack that must fail")]
fn resists(probe: &Path) -> bool {
    let elsewhere = probe.with_extension("moved");
    let overwrite = OpenOptions::new().write(true).truncate(true).open(probe).is_err();
    overwrite && fs::rename(probe, elsewhere).is_err() && fs::remove_file(probe).is_err()
}
