//! Tree heads: what the vault was at one time.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub(crate) struct Head {
    #[command(subcommand)]
    pub(crate) action: HeadAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum HeadAction {
    /// Print the newest checkpoint, to be kept elsewhere
    Show {
        /// Draw it as a QR code too
        #[arg(long)]
        qr: bool,
    },
    /// Print the key that signs this vault's checkpoints, as a witness needs it
    Key,
    /// Make a tree head of the commits that none covers yet
    Advance,
    /// Have the newest checkpoint cosigned by the configured witnesses
    Submit,
    /// Prove that a commit is in the vault's tree: a file that is checked without the vault
    Prove {
        /// The source
        source: String,
        /// The commit's number in the source's log
        sequence: u64,
    },
    /// Print what a witness without a network is asked: the newest checkpoint, and the proof that it continues an older one
    Request {
        /// The size of the tree that the witness cosigned before (`unwipe witness status`); 0 for none
        #[arg(long, default_value_t = 0, value_name = "COMMITS")]
        old: u64,
    },
    /// Keep what such a witness answered
    Keep {
        /// The file with its answer
        file: PathBuf,
    },
}
