//! Looking at what is stored.

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct Timeline {
    /// The source; with --lanes several, all of them if none is named, or incident:7
    #[arg(required_unless_present = "lanes")]
    pub(crate) source: Vec<String>,
    /// Draw who did how much when: a lane for each actor
    #[arg(long, conflicts_with_all = ["by_time", "limit"])]
    pub(crate) lanes: bool,
    /// No earlier than this moment (RFC 3339)
    #[arg(long, value_name = "MOMENT")]
    pub(crate) from: Option<String>,
    /// No later than this moment
    #[arg(long, value_name = "MOMENT")]
    pub(crate) to: Option<String>,
    /// Show daily work as well
    #[arg(long)]
    pub(crate) all: bool,
    /// Order by time instead of destruction first
    #[arg(long)]
    pub(crate) by_time: bool,
    /// At most this many events
    #[arg(long, default_value_t = 100, value_name = "COUNT")]
    pub(crate) limit: u32,
}

#[derive(Debug, Args)]
pub(crate) struct Show {
    /// `SOURCE@MOMENT`, `SOURCE@transaction:XID`, or a plan's name or folder
    pub(crate) what: String,
    /// One file of a folder tree, by its path
    #[arg(long, value_name = "PATH")]
    pub(crate) item: Option<String>,
    /// Write its content into this new file (`-`: standard output)
    #[arg(long, value_name = "FILE", requires = "item")]
    pub(crate) out: Option<std::path::PathBuf>,
    #[command(flatten)]
    pub(crate) reading: Reading,
}

/// How the vault is read.
#[derive(Debug, Clone, Args, Default)]
pub(crate) struct Reading {
    /// The key that reads the vault, by reference (default: the configuration's)
    #[arg(long, value_name = "REFERENCE")]
    pub(crate) key: Option<String>,
}
