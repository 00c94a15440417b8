//! The two flags of a file system that bind root as well.

use std::{fs::File, io, path::Path};

use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};

/// Sets a flag, and leaves the others as they are.
pub(crate) fn set(path: &Path, flag: IFlags) -> io::Result<()> {
    change(path, |flags| flags | flag)
}

/// Takes a flag off.
pub(crate) fn clear(path: &Path, flag: IFlags) -> io::Result<()> {
    change(path, |flags| flags - flag)
}

fn change(path: &Path, change: impl Fn(IFlags) -> IFlags) -> io::Result<()> {
    let file = File::open(path)?;
    let flags = ioctl_getflags(&file)?;
    let wanted = change(flags);
    if wanted != flags {
        ioctl_setflags(&file, wanted)?;
    }
    Ok(())
}
