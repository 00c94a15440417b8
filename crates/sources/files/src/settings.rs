use std::{path::PathBuf, sync::Arc};

use connect::ReadError;
use model::StreamName;
use ports::{Clock, Random};

use crate::Pattern;

/// Lists the keys that are live in the catalog, after one key, so many at most.
pub type KnownKeys = dyn Fn(Option<&str>, u32) -> Result<Vec<String>, ReadError> + Send;

/// What a reader of a folder needs to know.
pub struct FilesSettings {
    /// The folder.
    pub root: PathBuf,
    /// What is left out.
    pub excludes: Vec<Pattern>,
    /// Folders that are left out wherever they lie, such as the vault itself.
    pub own_folders: Vec<PathBuf>,
    /// Where the listings are kept.
    pub state_folder: PathBuf,
    /// A commit is made after so many changes: what a killed run read before is not read again.
    pub checkpoint_changes: u64,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub random: Arc<dyn Random>,
}

/// After how many changes a commit is made, unless something else is wanted.
pub const CHECKPOINT_CHANGES: u64 = 10_000;

/// Returns the stream that a tree's entries are in.
pub fn stream() -> Result<StreamName, ReadError> {
    StreamName::new("files").map_err(|error| ReadError::Source {
        message: "no such stream".to_owned(),
        hint: None,
        transient: false,
        source: Some(Box::new(error)),
    })
}
