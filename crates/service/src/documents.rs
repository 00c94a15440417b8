//! Documents of a folder: files that end in `.json`.

use std::path::{Path, PathBuf};

use ports::files::FileError;

/// Returns the documents of a folder, in the order of their names; none where there is no such folder. What is being
/// replaced, and what a crash left half written, has another ending.
pub(crate) fn documents(folder: &Path) -> Result<Vec<PathBuf>, FileError> {
    let failed = |error| FileError::new("list", folder, error);
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use ports::files;

    use super::*;

    #[test]
    fn documents_come_in_order_and_nothing_half_written_is_one() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("cases");
        assert!(documents(&folder).unwrap().is_empty());
        std::fs::create_dir(&folder).unwrap();
        for name in ["b.json", "a.json", "c.json.new", "d"] {
            files::replace(&folder.join(name), b"{}").unwrap();
        }
        assert_eq!(documents(&folder).unwrap(), [folder.join("a.json"), folder.join("b.json")]);
        assert!(documents(&folder.join("d")).is_err());
    }
}
