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

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  unwipe search contract zanzibar
  unwipe search 'inv*' --in acme --removed    what was removed as well
  unwipe search '\"annual report\"' --at 2026-04-25T14:00:08Z")]
pub(crate) struct Search {
    /// Words, `"phrases"`, beginnings like `inv*`: all of them must be there
    #[arg(required = true)]
    pub(crate) words: Vec<String>,
    /// Only in this source; may be repeated
    #[arg(long = "in", value_name = "SOURCE")]
    pub(crate) sources: Vec<String>,
    /// What was there then: a time, or the number of a commit (default: now)
    #[arg(long, value_name = "MOMENT", conflicts_with = "removed")]
    pub(crate) at: Option<String>,
    /// Also what was removed, and by names that it has no more
    #[arg(long)]
    pub(crate) removed: bool,
    #[command(flatten)]
    pub(crate) page: Page,
    #[command(flatten)]
    pub(crate) reading: Reading,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  unwipe versions papers --item contracts/zanzibar.txt
  unwipe versions acme/gmail/anna@acme.org --item message/18c2f")]
pub(crate) struct VersionsOf {
    #[command(flatten)]
    pub(crate) place: ItemPlace,
    #[command(flatten)]
    pub(crate) page: Page,
    #[command(flatten)]
    pub(crate) reading: Reading,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  unwipe diff papers --item contracts/zanzibar.txt                the newest version and the one before
  unwipe diff papers --item contracts/zanzibar.txt --from 3
  unwipe diff papers --item contracts/zanzibar.txt --from 2026-04-25T13:00:00Z --to 2026-04-25T14:00:09Z")]
pub(crate) struct Diff {
    #[command(flatten)]
    pub(crate) place: ItemPlace,
    /// The older version: a time, or the number of a commit (default: the version before the newest)
    #[arg(long, value_name = "MOMENT")]
    pub(crate) from: Option<String>,
    /// The newer version (default: the newest)
    #[arg(long, value_name = "MOMENT", requires = "from")]
    pub(crate) to: Option<String>,
    #[command(flatten)]
    pub(crate) reading: Reading,
}

/// Where an item is.
#[derive(Debug, Args)]
pub(crate) struct ItemPlace {
    /// `SOURCE` of a folder tree, or `SOURCE/STREAM`: unwipe search shows it
    pub(crate) what: String,
    /// The item, as unwipe search shows it
    #[arg(long, value_name = "ITEM")]
    pub(crate) item: String,
}

/// Which part of a list is shown.
#[derive(Debug, Clone, Args)]
pub(crate) struct Page {
    /// At most so many, up to 500
    #[arg(long, default_value_t = 50, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=500))]
    pub(crate) limit: u32,
    /// Go on where a list ended: what it said
    #[arg(long, value_name = "PLACE")]
    pub(crate) after: Option<String>,
}

/// How the vault is read.
#[derive(Debug, Clone, Args, Default)]
pub(crate) struct Reading {
    /// The key that reads the vault, by reference (default: the configuration's)
    #[arg(long, value_name = "REFERENCE")]
    pub(crate) key: Option<String>,
}
