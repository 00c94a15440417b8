//! Copies of our own: shadows and drills.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Production, Reading};

#[derive(Debug, Args)]
pub(crate) struct Shadow {
    #[command(subcommand)]
    pub(crate) action: ShadowAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ShadowAction {
    /// Roll the shadow forward to the newest moment, creating it when there is none
    Roll {
        /// The source
        source: String,
        /// Also commit the result to the vault as a new base; production is not read
        #[arg(long)]
        base: bool,
        #[command(flatten)]
        reading: Reading,
    },
    /// Show its generations
    List {
        /// The source
        source: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Drill {
    #[command(subcommand)]
    pub(crate) action: DrillAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DrillAction {
    /// Restore a moment into a scratch server and compare its content
    Run {
        /// The source and moment: shop@latest
        what: String,
        /// Write the certificate here
        #[arg(long, value_name = "FILE")]
        certificate: Option<PathBuf>,
        /// Production, to record what it holds now and compare with that (needs wal_level = logical)
        #[command(flatten)]
        production: Production,
        #[command(flatten)]
        reading: Reading,
    },
    /// Check a certificate; needs no vault
    Verify {
        /// The certificate
        certificate: PathBuf,
    },
}
