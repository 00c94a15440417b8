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
#[command(after_help = "\
Examples:
  unwipe drill run shop          restore the newest moment, compare, sign a certificate
  unwipe drill run acme --sample
  unwipe drill run vault         read every pack
  unwipe drill schedule          what is proven, what is due
  unwipe drill verify certificate.json")]
pub(crate) struct Drill {
    #[command(subcommand)]
    pub(crate) action: DrillAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DrillAction {
    /// Restore a moment somewhere harmless and compare it item by item
    Run(DrillRun),
    /// Check a certificate; needs no vault
    Verify(DrillVerify),
    /// Write a certificate as one page for people
    Print {
        /// The certificate
        certificate: PathBuf,
        /// The page
        #[arg(long, value_name = "FILE.html")]
        to: PathBuf,
    },
    /// List the certificates that were kept
    List {
        /// The source; all if absent
        source: Option<String>,
    },
    /// Show what is known about restoring each source, and when the next drill is due
    Schedule,
    /// Say that you have seen that a drill failed: needed before a source counts as proven again
    Acknowledge {
        /// The source
        source: String,
        /// What you found out
        #[arg(long)]
        reason: String,
        /// Who you are (default: whoever runs this)
        #[arg(long, value_name = "NAME")]
        by: Option<String>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct DrillRun {
    /// The source and moment: shop@latest; vault reads every pack of the vault
    pub(crate) what: String,
    /// Restore a sample, where the kind of source allows one
    #[arg(long)]
    pub(crate) sample: bool,
    /// Write the certificate here too
    #[arg(long, value_name = "FILE")]
    pub(crate) certificate: Option<PathBuf>,
    /// Production, to record what it holds now and compare with that (needs wal_level = logical)
    #[command(flatten)]
    pub(crate) production: Production,
    #[command(flatten)]
    pub(crate) reading: Reading,
}

#[derive(Debug, Args)]
pub(crate) struct DrillVerify {
    /// The certificate
    pub(crate) certificate: PathBuf,
    /// The key that must have signed it; may be repeated (default: the configured ones, where there are some)
    #[arg(long, value_name = "HEX")]
    pub(crate) signer: Vec<String>,
    /// The vault's key, as unwipe head key prints it; may be repeated
    #[arg(long, value_name = "KEY")]
    pub(crate) vault_key: Vec<String>,
    /// Compare with the vault of this home folder as well
    #[arg(long)]
    pub(crate) vault: bool,
}
