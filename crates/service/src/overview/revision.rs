//! Whether anything has changed since an installation was looked at, told from a few files and without reading any.

use std::{
    path::{Path, PathBuf},
    time::SystemTime,
};

use crate::{Installation, Place, operations};

/// What of a source's state is looked at.
const OF_A_SOURCE: [&str; 6] = [
    "catalog.sqlite",
    "catalog.sqlite-wal",
    "quota.json",
    "certificate.json",
    "certificates",
    "acknowledgements",
];
/// What of the home folder is looked at.
const OF_A_HOME: [&str; 3] = ["unwipe.toml", "keys/certificate.key", "state/watch/incidents"];
/// What of a vault in a folder is looked at: each commit makes a head of the tree, and so does whoever captures elsewhere.
const OF_A_VAULT: [&str; 3] = ["log", "log/tree", "log/retention"];

/// When a file was written last, and how long it is.
type Mark = Option<(SystemTime, u64)>;

/// How the files stood out of which an overview is made. Files are replaced and never rewritten, so that a folder tells of
/// its files; what only another host changed, or time alone, is not seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision(Vec<(PathBuf, Mark)>);

impl Revision {
    /// Looks how the files of an installation stand.
    pub fn of(installation: &Installation) -> Self {
        let home = installation.home();
        let mut paths: Vec<PathBuf> = OF_A_HOME.iter().map(|name| home.join(name)).collect();
        let config = installation.config();
        let sources = config.sources.keys().map(|source| installation.state_folder(source));
        for folder in sources.chain([home.join("state").join(operations::SOURCE)]) {
            paths.extend(OF_A_SOURCE.iter().map(|name| folder.join(name)));
        }
        if let Place::Folder { path, .. } | Place::SealedFolder { path, .. } = &config.vault.place {
            let vault = home.join(path);
            paths.extend(OF_A_VAULT.iter().map(|name| vault.join(name)));
        }
        let marked = |path: PathBuf| {
            let mark = mark(&path);
            (path, mark)
        };
        Self(paths.into_iter().map(marked).collect())
    }
}

fn mark(path: &Path) -> Mark {
    let facts = std::fs::metadata(path).ok()?;
    Some((facts.modified().ok()?, facts.len()))
}
