//! Who can open the vault, and who can add to it.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub(crate) struct Keys {
    #[command(subcommand)]
    pub(crate) action: KeysAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeysAction {
    /// Show who can open the vault, who can add to it, and when keys were last proven
    List,
    /// Let another age identity open the vault
    Add(KeysAdd),
    /// Make a new recovery kit; earlier ones go on working
    Kit(KeysKit),
    /// Make new data keys: what is stored from now on needs them, nothing is stored again
    Rotate(KeysRotate),
    /// Split a recovery kit into pages of which some open the vault
    Split(KeysSplit),
    /// Prove that a key, a kit or shares open the vault, and record it
    Drill(KeysDrill),
    /// Make or retire the keys with which hosts add to the vault
    Capture(KeysCapture),
}

#[derive(Debug, Args)]
pub(crate) struct KeysOwner {
    /// A key that opens the vault: file:PATH, env:NAME, exec:COMMAND or shares:FILE,FILE,…
    #[arg(long, value_name = "REFERENCE")]
    pub(crate) key: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct KeysAdd {
    /// The identity's public half, as `age-keygen` prints it
    #[arg(long, value_name = "age1…")]
    pub(crate) recipient: String,
    /// What people call it
    #[arg(long)]
    pub(crate) name: String,
    /// What it is for: recovery or restore
    #[arg(long, default_value = "restore", value_parser = ["recovery", "restore"])]
    pub(crate) role: String,
    #[command(flatten)]
    pub(crate) owner: KeysOwner,
}

#[derive(Debug, Args)]
pub(crate) struct KeysKit {
    /// What people call it
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Write the kit here: a page to print (*.html) or text; delete it after printing
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) owner: KeysOwner,
}

#[derive(Debug, Args)]
pub(crate) struct KeysRotate {
    /// Leave this recipient out (a name, or age1…); it keeps what it could open, and opens nothing newer
    #[arg(long, value_name = "RECIPIENT")]
    pub(crate) without: Vec<String>,
    #[command(flatten)]
    pub(crate) owner: KeysOwner,
}

#[derive(Debug, Args)]
pub(crate) struct KeysSplit {
    /// How many pages
    #[arg(long, value_parser = clap::value_parser!(u8).range(2..=16))]
    pub(crate) shares: u8,
    /// How many of them open the vault
    #[arg(long, value_parser = clap::value_parser!(u8).range(2..=16))]
    pub(crate) threshold: u8,
    /// Write the pages into this new folder; delete it after printing
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) owner: KeysOwner,
}

#[derive(Debug, Args)]
pub(crate) struct KeysDrill {
    /// The key to prove: file:PATH, env:NAME, exec:COMMAND or shares:FILE,FILE,…
    #[arg(long, value_name = "REFERENCE")]
    pub(crate) key: String,
    /// Read back this many commits of each source, from its whole history
    #[arg(long, default_value_t = 8, value_name = "COUNT")]
    pub(crate) samples: u64,
}

#[derive(Debug, Args)]
pub(crate) struct KeysCapture {
    #[command(subcommand)]
    pub(crate) action: KeysCaptureAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeysCaptureAction {
    /// Make a capture key that can add to one source alone
    Issue {
        /// The source
        source: String,
        /// Write the key here
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        #[command(flatten)]
        owner: KeysOwner,
    },
    /// Take no more commits signed by a capture key; those before stay sound
    Retire {
        /// Its public half, as `unwipe keys list` shows it
        signer: String,
        #[command(flatten)]
        owner: KeysOwner,
    },
}
