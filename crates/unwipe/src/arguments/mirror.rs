//! Mirrors and offline copies.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub(crate) struct Mirror {
    #[command(subcommand)]
    pub(crate) action: MirrorAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum MirrorAction {
    /// Add a mirror to the configuration
    Add(MirrorAdd),
    /// Copy what the mirrors lack
    Run(MirrorRun),
    /// Show how far the mirrors are and how many independent locks there are
    Status,
    /// Check a mirror as a vault: chain, signatures, and with --read-data every byte
    Verify(MirrorVerify),
    /// Create in the vault what it lost and a mirror has; without --yes, show it
    Repair(MirrorRepair),
    /// Copy a vault between two places without an installation, on a host that has only the mirror
    Pull(MirrorPull),
}

#[derive(Debug, Args)]
pub(crate) struct MirrorAdd {
    /// What the mirror is to be called: lower-case letters, digits, hyphens
    pub(crate) name: String,
    /// Put it into this folder
    #[arg(long, value_name = "FOLDER", required_unless_present = "place", conflicts_with = "place")]
    pub(crate) folder: Option<PathBuf>,
    /// Put it into this place, written as in unwipe.toml: { kind = "folder", path = "/mnt/b" }
    #[arg(long, value_name = "PLACE", conflicts_with = "immutable_flags")]
    pub(crate) place: Option<String>,
    /// Set the immutable flag on every object (needs the privilege to do so)
    #[arg(long)]
    pub(crate) immutable_flags: bool,
    /// The folder is a removable disk that is kept unplugged
    #[arg(long)]
    pub(crate) offline: bool,
    /// Lock what the mirror takes for this many days at least
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub(crate) lock_days: Option<u32>,
}

#[derive(Debug, Args)]
pub(crate) struct MirrorRun {
    /// The mirror (default: all that are not offline copies)
    pub(crate) name: Option<String>,
    /// Read everything at the origin again and compare it
    #[arg(long)]
    pub(crate) thorough: bool,
    /// Copy this many packs at the same time
    #[arg(long, default_value_t = 4, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) threads: u16,
}

#[derive(Debug, Args)]
pub(crate) struct MirrorVerify {
    /// The mirror
    pub(crate) name: String,
    /// Read every byte
    #[arg(long)]
    pub(crate) read_data: bool,
    #[command(flatten)]
    pub(crate) reading: super::Reading,
}

#[derive(Debug, Args)]
pub(crate) struct MirrorRepair {
    /// The mirror
    pub(crate) name: String,
    /// Create the objects; nothing is ever replaced or removed
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct MirrorPull {
    /// The vault: a folder, or a place as in unwipe.toml
    #[arg(long, value_name = "PLACE")]
    pub(crate) from: String,
    /// The mirror: a folder, or a place as in unwipe.toml
    #[arg(long, value_name = "PLACE")]
    pub(crate) into: String,
    /// The fingerprint that the vault must have, as on its recovery kit
    #[arg(long, value_name = "HEX")]
    pub(crate) fingerprint: Option<String>,
    /// Lock what the mirror takes for this many days at least
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub(crate) lock_days: Option<u32>,
    /// Read everything at the origin again and compare it
    #[arg(long)]
    pub(crate) thorough: bool,
    /// Copy this many packs at the same time
    #[arg(long, default_value_t = 4, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) threads: u16,
}
