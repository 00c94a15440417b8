//! Copying, and checking what was copied.

use clap::Args;

use super::Reading;

#[derive(Debug, Args)]
pub(crate) struct Capture {
    /// The source
    pub(crate) source: String,
    /// Stop once everything that the source has now is in the vault
    #[arg(long)]
    pub(crate) once: bool,
    /// Copy a new base from production first
    #[arg(long)]
    pub(crate) base: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Follows every source, watches for wipes, holds drills when they are due, renews locks, copies to mirrors, and answers pages \
and API, in one process. Killing it loses nothing: the next one goes on where it stopped.

Examples:
  unwipe serve                         pages at http://localhost:8787
  unwipe serve --listen 127.0.0.1:0    pages at any free port
  unwipe serve --no-capture            pages only: unwipe capture runs by itself
  unwipe person invite anna --role owner")]
pub(crate) struct Serve {
    /// Begin again with a source this many seconds after it failed
    #[arg(long, default_value_t = 10, value_name = "SECONDS")]
    pub(crate) retry_s: u64,
    /// Answer pages and API here (default: server.listen of the configuration); port 0 takes any that is free
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<String>,
    /// Answer no pages and no API
    #[arg(long, conflicts_with = "listen")]
    pub(crate) no_pages: bool,
    /// Capture nothing: another process does
    #[arg(long)]
    pub(crate) no_capture: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// Read every byte of every pack
    #[arg(long)]
    pub(crate) read_data: bool,
    /// Compare with a checkpoint that was kept elsewhere: a file, or its text; may be given several times
    #[arg(long, value_name = "CHECKPOINT")]
    pub(crate) against: Vec<String>,
    #[command(flatten)]
    pub(crate) reading: Reading,
}

#[derive(Debug, Args)]
pub(crate) struct Log {
    /// The source
    pub(crate) source: String,
    /// At most this many commits, the newest ones
    #[arg(long, default_value_t = 20, value_name = "COUNT")]
    pub(crate) limit: u32,
}
