//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

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
  unwipe capture shop               copy it, then follow it
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
    /// Install or remove the witness inside of a source
    Guard(Guard),
    /// Copy a source and follow its changes until interrupted
    Capture(Capture),
    /// Capture all sources until interrupted
    Serve(Serve),
    /// List the sources with their newest restorable moment
    Sources,
    /// Show what happened in a source, destruction first
    Timeline(Timeline),
    /// Show one transaction, one moment or one plan in full
    Show(Show),
    /// Plan an undo, or bring a whole source back into a new folder
    Rewind(Rewind),
    /// Sign a plan, so that it may be applied
    Approve(Approve),
    /// Apply an approved plan to production
    Apply(Apply),
    /// Write what is stored into open formats
    Export(Export),
    /// Keep a copy that rolls forward, so that a scratch copy costs seconds
    Shadow(Shadow),
    /// Prove by restoring that a moment can be restored
    Drill(Drill),
    /// Check the vault: chain, signatures, and with --read-data every byte
    Verify(Verify),
    /// Check this installation and its sources
    Doctor,
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

#[derive(Debug, Args)]
pub(crate) struct Init {
    /// Put the vault into this folder (default: `vault` in the home folder)
    #[arg(long, value_name = "FOLDER")]
    pub(crate) vault: Option<PathBuf>,
    /// Lock everything that is stored for this many days
    #[arg(long, default_value_t = 30, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub(crate) lock_days: u32,
    /// Write the recovery kit here, to be printed and then deleted (default: printed on the terminal)
    #[arg(long, value_name = "FILE")]
    pub(crate) kit: Option<PathBuf>,
    /// Set the immutable flag on every object (tier 1; needs the privilege to do so)
    #[arg(long)]
    pub(crate) immutable_flags: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Protect {
    /// What the source is to be called: lower-case letters, digits, hyphens
    pub(crate) source: String,
    #[command(subcommand)]
    pub(crate) kind: ProtectKind,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ProtectKind {
    /// A PostgreSQL cluster, by physical replication
    Postgres(ProtectPostgres),
}

#[derive(Debug, Args)]
pub(crate) struct ProtectPostgres {
    /// Where it is, without a password: postgresql://ROLE@HOST:PORT/postgres
    #[arg(long)]
    pub(crate) url: String,
    /// The role's password, by reference: file:PATH, env:NAME or exec:COMMAND
    #[arg(long, value_name = "REFERENCE")]
    pub(crate) password: Option<String>,
    /// A role with pg_monitor that samples who is doing what; without a password
    #[arg(long, value_name = "URL")]
    pub(crate) monitor_url: Option<String>,
    /// That role's password, by reference
    #[arg(long, value_name = "REFERENCE", requires = "monitor_url")]
    pub(crate) monitor_password: Option<String>,
    /// The name of the replication slot (default: unwipe_SOURCE)
    #[arg(long, value_name = "NAME")]
    pub(crate) slot: Option<String>,
    /// Announce this connection as a synchronous standby: no commit is acknowledged before it is in the vault
    #[arg(long)]
    pub(crate) synchronous: bool,
    /// Read a standby in place of the primary
    #[arg(long)]
    pub(crate) standby: bool,
    /// Read at most this many kilobytes per second while copying a base
    #[arg(long, value_name = "KB")]
    pub(crate) max_rate_kb: Option<u32>,
    /// The cluster's superuser, as whom restored servers are used (default: postgres)
    #[arg(long, value_name = "ROLE")]
    pub(crate) superuser: Option<String>,
    /// Add the source although a check failed
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Guard {
    #[command(subcommand)]
    pub(crate) action: GuardAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum GuardAction {
    /// Install event triggers that name the actor inside of each DDL transaction
    Install(GuardTarget),
    /// Remove them; the schema is then as it was
    Remove(GuardTarget),
}

#[derive(Debug, Args)]
pub(crate) struct GuardTarget {
    /// The source
    pub(crate) source: String,
    /// A connection that may create event triggers, to the database concerned
    #[arg(long, value_name = "URL")]
    pub(crate) url: String,
    /// Its password, by reference
    #[arg(long, value_name = "REFERENCE")]
    pub(crate) password: Option<String>,
    /// Install the witness (the only guard so far)
    #[arg(long)]
    pub(crate) witness: bool,
    /// Print the SQL instead of running it
    #[arg(long)]
    pub(crate) print: bool,
}

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
pub(crate) struct Serve {
    /// Begin again with a source this many seconds after it failed
    #[arg(long, default_value_t = 10, value_name = "SECONDS")]
    pub(crate) retry_s: u64,
}

#[derive(Debug, Args)]
pub(crate) struct Timeline {
    /// The source
    pub(crate) source: String,
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
    /// `SOURCE@MOMENT`, `SOURCE@transaction:XID`, or a plan's folder
    pub(crate) what: String,
    #[command(flatten)]
    pub(crate) reading: Reading,
}

/// How the vault is read.
#[derive(Debug, Clone, Args)]
pub(crate) struct Reading {
    /// The key that reads the vault, by reference (default: the configuration's)
    #[arg(long, value_name = "REFERENCE")]
    pub(crate) key: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Rewind {
    /// The source, with a moment where one is needed: shop@2026-04-25T14:00:08Z, shop@before-transaction:7569,
    /// shop@before:0/5F3C9850, shop@latest
    pub(crate) what: String,
    /// Bring the whole cluster back into this new folder
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["undo", "table"])]
    pub(crate) to: Option<PathBuf>,
    /// Start the restored server on this port
    #[arg(long, requires = "to")]
    pub(crate) port: Option<u16>,
    /// Prepare the folder and do not start a server
    #[arg(long, requires = "to")]
    pub(crate) no_start: bool,
    /// Plan the undo of these transactions of one database, as if they were one
    #[arg(long, value_name = "XID", value_delimiter = ',', conflicts_with = "table")]
    pub(crate) undo: Vec<String>,
    /// Plan to bring rows of this table back: database.schema.table
    #[arg(long, value_name = "TABLE")]
    pub(crate) table: Vec<String>,
    /// Only rows that satisfy this SQL predicate
    #[arg(long = "where", value_name = "SQL", requires = "table")]
    pub(crate) predicate: Option<String>,
    /// Also set back rows that are different now
    #[arg(long, requires = "table")]
    pub(crate) changed: bool,
    /// Write the plan into this folder
    #[arg(long, value_name = "FOLDER")]
    pub(crate) plan: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) production: Production,
    #[command(flatten)]
    pub(crate) reading: Reading,
}

/// How production is reached for planning and applying; never with the capture credential.
#[derive(Debug, Clone, Args)]
pub(crate) struct Production {
    /// The production server, for planning and applying; without a password, the database is chosen by the plan
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// Its password, by reference
    #[arg(long, value_name = "REFERENCE")]
    pub(crate) password: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Approve {
    /// The plan's folder
    pub(crate) plan: PathBuf,
    /// Your signing key, by reference; it is created when it does not exist
    #[arg(long, value_name = "REFERENCE")]
    pub(crate) key: Option<String>,
    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Apply {
    /// The plan's folder
    pub(crate) plan: PathBuf,
    /// Do everything, show the result, and roll back
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) production: Production,
}

#[derive(Debug, Args)]
pub(crate) struct Export {
    /// The source and moment: shop@latest
    pub(crate) what: String,
    /// Where to write; must be new or empty
    #[arg(long, value_name = "FOLDER")]
    pub(crate) to: PathBuf,
    /// What to write
    #[arg(long, value_enum, default_value_t = ExportFormat::Csv)]
    pub(crate) format: ExportFormat,
    /// The tables: database.schema.table
    #[arg(long, value_name = "TABLE")]
    pub(crate) table: Vec<String>,
    #[command(flatten)]
    pub(crate) reading: Reading,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    /// One CSV file for each table
    Csv,
    /// One file of INSERT statements for each table
    Sql,
    /// WAL segments, byte for byte as the server had them
    Wal,
}

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

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// Read every byte of every pack
    #[arg(long)]
    pub(crate) read_data: bool,
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

#[derive(Debug, Args)]
pub(crate) struct Rehearse {
    /// The incident
    #[arg(value_enum)]
    pub(crate) incident: Incident,
    /// Rows in the largest table
    #[arg(long, default_value_t = 200_000, value_name = "COUNT")]
    pub(crate) rows: u64,
    /// Make the same data and the same agent again
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// How Railway behaved: volumes deleted at once (April 2026), or after a grace of 48 hours
    #[arg(long, value_enum, default_value_t = Grace::Immediate)]
    pub(crate) grace: Grace,
    /// Keep the folder of the rehearsal
    #[arg(long)]
    pub(crate) keep: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Incident {
    /// A coding agent deletes a Railway volume with the database and all its backups
    Pocketos,
    /// An agent deletes rows during a code freeze and covers them with fake ones
    Replit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Grace {
    /// The volume is gone at once
    Immediate,
    /// The volume is queued for 48 hours
    Hours48,
}
