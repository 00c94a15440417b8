//! Folders below one root, opened part by part and never through a link.

use std::{
    collections::HashMap,
    os::fd::{AsFd, OwnedFd},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use rustix::{
    fs::{CWD, Mode, OFlags},
    io::Errno,
};

/// Opens and makes folders below a root.
pub(crate) struct Folders {
    root: Arc<OwnedFd>,
    open: Mutex<HashMap<Vec<u8>, Arc<OwnedFd>>>,
}

/// How many folders are kept open; when there are more, all are closed.
const OPEN_MAX: usize = 128;
const NAME_BYTES_MAX: usize = 255;

/// Returns whether a path stays below where it begins, part by part.
pub(crate) fn is_safe(path: &[u8]) -> bool {
    path.split(|byte| *byte == b'/').all(|part| {
        !part.is_empty()
            && part != b"."
            && part != b".."
            && part.len() <= NAME_BYTES_MAX
            && !part.contains(&0)
    })
}

impl Folders {
    pub(crate) fn new(root: &Path) -> Result<Self, Errno> {
        let root = rustix::fs::openat(CWD, root, folder_flags(), Mode::empty())?;
        Ok(Self { root: Arc::new(root), open: Mutex::default() })
    }

    /// Opens a folder, and makes what is missing on the way. The path is safe, or empty for the root.
    pub(crate) fn folder(&self, path: &[u8]) -> Result<Arc<OwnedFd>, Errno> {
        if path.is_empty() {
            return Ok(Arc::clone(&self.root));
        }
        if let Some(folder) = self.open.lock().unwrap_or_else(PoisonError::into_inner).get(path) {
            return Ok(Arc::clone(folder));
        }
        let (parent, name) = split(path);
        let parent = self.folder(parent)?;
        match rustix::fs::mkdirat(&parent, name, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error),
        }
        let folder = Arc::new(rustix::fs::openat(parent.as_fd(), name, folder_flags(), Mode::empty())?);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() >= OPEN_MAX {
            open.clear();
        }
        open.insert(path.to_vec(), Arc::clone(&folder));
        Ok(folder)
    }
}

/// Splits a path into its folder and its name.
pub(crate) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (&[], path),
    }
}

fn folder_flags() -> OFlags {
    OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_could_lead_elsewhere_is_refused() {
        for bad in ["", "/", "/etc", "a//b", "../a", "a/..", "a/./b", "a/", "a\0b", &"n".repeat(256)] {
            assert!(!is_safe(bad.as_bytes()), "{bad:?}");
        }
        for good in ["a", "a/b", "...", "a/..b", "a\nb", "-rf"] {
            assert!(is_safe(good.as_bytes()), "{good:?}");
        }
    }
}
