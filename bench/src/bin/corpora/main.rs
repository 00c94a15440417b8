//! Makes corpora from a seed, and changes about one in a hundred of their entries.
//!
//! `corpora make|change mailbox|records|files FOLDER SCALE SEED [ROUND]`

mod mailbox;
mod random;
mod records;
mod text;
mod tree;

use std::{
    fs::File,
    io::{Error, Result, Write},
    path::{Path, PathBuf},
};

/// Where a corpus is made.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn create(&self, path: &str, content: &[u8]) -> Result<()> {
        let path = self.0.join(path);
        let mut file = match File::create_new(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                std::fs::create_dir_all(path.parent().unwrap_or(Path::new("/")))?;
                File::create_new(&path)?
            }
            other => other?,
        };
        file.write_all(content)
    }

    pub(crate) fn replace(&self, path: &str, content: &[u8]) -> Result<()> {
        File::create(self.0.join(path))?.write_all(content)
    }

    pub(crate) fn remove(&self, path: &str) -> Result<()> {
        match std::fs::remove_file(self.0.join(path)) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let usage = || Error::other("corpora make|change mailbox|records|files FOLDER SCALE SEED [ROUND]");
    let [verb, kind, folder, scale, seed, rest @ ..] = arguments.as_slice() else { return Err(usage()) };
    let scale: f64 = scale.parse().map_err(|_| usage())?;
    let seed: u64 = seed.parse().map_err(|_| usage())?;
    let round: u64 = rest.first().map_or(Ok(1), |round| round.parse()).map_err(|_| usage())?;
    let folder = Folder(folder.into());
    match (verb.as_str(), kind.as_str()) {
        ("make", "mailbox") => mailbox::Mailbox::new(seed).write(&folder, scale),
        ("make", "records") => records::Records::new(seed).write(&folder, scale),
        ("make", "files") => tree::Tree::new(seed).write(&folder, scale),
        ("change", "mailbox") => mailbox::Mailbox::new(seed).change(&folder, scale, round),
        ("change", "records") => records::Records::new(seed).change(&folder, scale, round),
        ("change", "files") => tree::Tree::new(seed).change(&folder, scale, round),
        _ => Err(usage()),
    }
}
