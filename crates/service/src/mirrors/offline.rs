//! A copy that is kept unplugged: is the folder really a disk of its own?

use std::{fs, os::unix::fs::MetadataExt, path::Path};

use ports::files::FileError;

/// What a folder is mounted on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mount {
    /// It lies on the file system of `/`.
    pub on_system_disk: bool,
    /// It lies on the file system of the home folder.
    pub on_home_disk: bool,
}

impl Mount {
    /// Compares a folder's file system with those of `/` and of the home folder.
    pub fn of(folder: &Path, home: &Path) -> Result<Self, FileError> {
        let device = |path: &Path| {
            fs::metadata(path).map(|meta| meta.dev()).map_err(|error| FileError::new("inspect", path, error))
        };
        let own = device(folder)?;
        Ok(Self { on_system_disk: own == device(Path::new("/"))?, on_home_disk: own == device(home)? })
    }

    /// Says what makes the folder a poor offline copy.
    pub fn warnings(self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.on_system_disk {
            warnings.push(
                "the folder lies on the system disk: it can never be unplugged, and is no offline copy"
                    .to_owned(),
            );
        } else if self.on_home_disk {
            warnings.push("the folder lies on the same disk as the home folder".to_owned());
        }
        warnings
    }
}
