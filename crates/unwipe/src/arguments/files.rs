//! Folder trees.

use std::path::PathBuf;

use clap::Args;

use super::Reading;

#[derive(Debug, Args)]
pub(crate) struct ProtectFiles {
    /// The folder
    #[arg(long, value_name = "FOLDER")]
    pub(crate) path: PathBuf,
    /// Leave out what matches; without a slash a name, with one a path below the folder; may be repeated
    #[arg(long, value_name = "PATTERN")]
    pub(crate) exclude: Vec<String>,
    /// While capturing goes on, walk again after this many seconds
    #[arg(long, default_value_t = 300, value_name = "SECONDS")]
    pub(crate) every_s: u64,
}

/// How files are brought back.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct FilesBack {
    /// Files: also give everything its owner and group (needs root)
    #[arg(long, requires = "to")]
    pub(crate) owners: bool,
    /// Files: also set the set-user-id and set-group-id bits
    #[arg(long, requires = "to")]
    pub(crate) set_id_bits: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Find {
    /// The source, with a moment: docs@latest, docs@2026-04-25T14:00:08Z
    pub(crate) what: String,
    /// Only what matches: without a slash a name, with one a path (`*`, `?`, `**`)
    pub(crate) pattern: Option<String>,
    /// At most this many
    #[arg(long, value_name = "COUNT")]
    pub(crate) limit: Option<u64>,
    #[command(flatten)]
    pub(crate) reading: Reading,
}
