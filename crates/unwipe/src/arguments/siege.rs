//! Attacking one's own vault.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct Siege {
    /// The key that reads the vault, by reference (default: the configuration's)
    #[arg(long, value_name = "REFERENCE")]
    pub(crate) key: Option<String>,
    /// A file with a credential that production or an agent could have; may be given several times
    #[arg(long, value_name = "FILE")]
    pub(crate) credentials: Vec<PathBuf>,
    /// Show what held as well, not only what did not
    #[arg(long)]
    pub(crate) all: bool,
    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,
    /// Only put back what a siege that was killed left damaged of its decoy
    #[arg(long, conflicts_with_all = ["credentials", "all"])]
    pub(crate) mend: bool,
}
