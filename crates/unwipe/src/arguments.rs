//! The command line.

mod access;
mod capture;
mod cases;
mod doctor;
mod drill;
mod files;
mod google;
mod head;
mod keys;
mod look;
mod mcp;
mod mirror;
mod recover;
mod rehearse;
mod retention;
mod setup;
mod siege;
mod vault;
mod watch;
mod witness;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

pub(crate) use self::{
    access::*, capture::*, cases::*, doctor::*, drill::*, files::*, google::*, head::*, keys::*, look::*,
    mcp::*, mirror::*, recover::*, rehearse::*, retention::*, setup::*, siege::*, vault::*, watch::*,
    witness::*,
};

/// Keep a copy that production's credentials cannot destroy, and bring back exactly what was.
#[derive(Debug, Parser)]
#[command(
    name = "unwipe",
    version,
    max_term_width = 100,
    after_help = "\
First steps:
  unwipe rehearse pocketos          replay an incident on your own machine and undo it
  unwipe init                       create a vault and print its recovery kit
  unwipe protect shop postgres --url postgresql://unwipe@db.internal/postgres
  unwipe serve                      capture, watch and drill; answer pages and API
  unwipe person invite anna --role owner
  unwipe timeline shop              what happened, destruction first
  unwipe rewind shop --undo 7569    plan the undo of one transaction"
)]
pub(crate) struct Arguments {
    /// Use this home folder: configuration, keys and catalog
    #[arg(long, global = true, env = "UNWIPE_HOME", value_name = "FOLDER")]
    pub(crate) home: Option<PathBuf>,

    /// Print one JSON document instead of text
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// Print results and errors only
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,

    /// Read from this mirror in place of the vault
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) mirror: Option<String>,

    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Create a vault, its keys and its recovery kit
    Init(Init),
    /// Add a source, after checking that protecting it is safe
    #[command(subcommand_required = true)]
    Protect(Protect),
    /// Install, show or remove what guards a source from the inside
    Guard(Guard),
    /// Copy a source and follow its changes until interrupted
    Capture(Capture),
    /// Capture, watch and drill all sources, answer pages and API, until interrupted
    Serve(Serve),
    /// List the sources with their newest restorable moment
    Sources,
    /// Show what happened in a source, destruction first
    Timeline(Timeline),
    /// Show what looks like a wipe: who, what, and what was done about it
    Incidents(Incidents),
    /// Stop whoever an incident is about, keep them out, or let them in again
    Contain(Contain),
    /// Let agents look, announce and request, over the Model Context Protocol
    Mcp(Mcp),
    /// Say what is going to happen, so that it raises no alarm
    Expect(Expect),
    /// Show one transaction, one moment or one plan in full
    Show(Show),
    /// List what is stored of a folder tree
    Find(Find),
    /// Search all sources for words in names, subjects and addresses
    Search(Search),
    /// List the versions of an item, also those that were removed
    Versions(VersionsOf),
    /// Show what differs between two versions of an item
    Diff(Diff),
    /// Plan an undo, or bring a whole source back into a new folder
    Rewind(Rewind),
    /// Sign a plan, so that it may be applied
    Approve(Approve),
    /// Apply an approved plan to production
    Apply(Apply),
    /// Show what waits for people; ask for it, refuse it, take it back
    Cases(Cases),
    /// Write what is stored into open formats
    Export(Export),
    /// Keep a copy that rolls forward, so that a scratch copy costs seconds
    Shadow(Shadow),
    /// Prove by restoring that a moment can be restored
    Drill(Drill),
    /// Show, prove and have cosigned what the vault was at one time
    Head(Head),
    /// Remember vaults from another machine, and cosign what continues them
    Witness(Witness),
    /// Check the vault: chain, signatures, tree heads, and with --read-data every byte
    Verify(Verify),
    /// Keep copies of the vault in other places, and on disks that are unplugged
    #[command(subcommand_required = true)]
    Mirror(Mirror),
    /// For how long things stay: locks, holds, releases, and what people decide
    Retention(Retention),
    /// Keep a vault for other hosts: serve it, enrol sources, guard its files
    #[command(subcommand_required = true)]
    Vault(Vault),
    /// Say who can open the vault and who can add to it, and prove it
    Keys(Keys),
    /// Check this installation and its sources, and prove that nothing of production's reaches the vault
    Doctor(Doctor),
    /// Say who may come in and what they may do: invite, give roles, recover
    Person(Person),
    /// Make and revoke the tokens of scripts and agents
    Token(Token),
    /// Attack this vault with everything at hand, harmlessly, and show what held
    Siege(Siege),
    /// Show what was committed to the vault
    Log(Log),
    /// Replay an incident on this machine and undo it
    Rehearse(Rehearse),
    /// Print the completion script of a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write the manual pages into a folder
    Man {
        /// The folder
        folder: PathBuf,
    },
    /// Write the reference pages of the documentation into a folder
    #[command(hide = true)]
    Reference {
        /// The folder
        folder: PathBuf,
    },
}

impl Verb {
    /// Returns whether the verb only reads the vault, so that a mirror can stand in for it.
    pub(crate) const fn only_reads(&self) -> bool {
        matches!(
            self,
            Self::Sources
                | Self::Timeline(_)
                | Self::Show(_)
                | Self::Find(_)
                | Self::Search(_)
                | Self::Versions(_)
                | Self::Diff(_)
                | Self::Rewind(_)
                | Self::Export(_)
                | Self::Drill(_)
                | Self::Verify(_)
                | Self::Log(_)
        )
    }
}
