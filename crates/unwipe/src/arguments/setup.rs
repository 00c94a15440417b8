//! Making a vault and adding sources.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub(crate) struct Init {
    /// Put the vault into this folder (default: `vault` in the home folder)
    #[arg(long, value_name = "FOLDER")]
    pub(crate) vault: Option<PathBuf>,
    /// Lock everything that is stored for this many days
    #[arg(long, default_value_t = 30, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub(crate) lock_days: u32,
    /// Write the recovery kit here, as a page (*.html) or text, to be printed and then deleted (default: the terminal)
    #[arg(long, value_name = "FILE")]
    pub(crate) kit: Option<PathBuf>,
    /// Set the immutable flag on every object (tier 1; needs the privilege to do so)
    #[arg(long)]
    pub(crate) immutable_flags: bool,
    /// Have every object written by the sealer that listens on this socket (tier 1): see `unwipe vault sealer`
    #[arg(long, value_name = "SOCKET", requires = "vault", conflicts_with = "immutable_flags")]
    pub(crate) sealer: Option<PathBuf>,
    /// Capture into a vault on another host: the file that `unwipe vault enrol` wrote there
    #[arg(long, value_name = "FILE", conflicts_with_all = ["vault", "lock_days", "kit", "immutable_flags", "sealer", "s3"])]
    pub(crate) enrolment: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) bucket: BucketOptions,
}

/// A vault in a bucket.
#[derive(Debug, Args)]
#[command(next_help_heading = "A vault in a bucket with Object Lock")]
pub(crate) struct BucketOptions {
    /// Put the vault into this bucket (tier 3): https://HOST/BUCKET or https://HOST/BUCKET/PREFIX
    #[arg(long, value_name = "URL", conflicts_with_all = ["vault", "immutable_flags"])]
    pub(crate) s3: Option<String>,
    /// The region that requests are signed for
    #[arg(long, default_value = "us-east-1", value_name = "REGION")]
    pub(crate) s3_region: String,
    /// The access key of the writer, by reference: file:PATH, env:NAME or exec:COMMAND
    #[arg(long, default_value = "env:AWS_ACCESS_KEY_ID", value_name = "REFERENCE")]
    pub(crate) s3_access_key: String,
    /// Its secret, by reference
    #[arg(long, default_value = "env:AWS_SECRET_ACCESS_KEY", value_name = "REFERENCE")]
    pub(crate) s3_secret_key: String,
    /// Its session token, by reference
    #[arg(long, value_name = "REFERENCE")]
    pub(crate) s3_session_token: Option<String>,
    /// Write the bucket's name into the host's name: `https://BUCKET.HOST`
    #[arg(long)]
    pub(crate) s3_virtual_host: bool,
    /// Trust the certificates in this file in place of the system's
    #[arg(long, value_name = "FILE")]
    pub(crate) s3_certificates: Option<PathBuf>,
    /// The most powerful access key that can be lent, by reference: doctor attacks throw-away objects with it
    #[arg(long, value_name = "REFERENCE", requires = "s3_attest_secret_key")]
    pub(crate) s3_attest_access_key: Option<String>,
    /// Its secret, by reference
    #[arg(long, value_name = "REFERENCE", requires = "s3_attest_access_key")]
    pub(crate) s3_attest_secret_key: Option<String>,
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
    /// A folder with all that is in it
    Files(super::ProtectFiles),
    /// A Google Workspace domain: its directory, everybody's mail and files
    Google(super::ProtectGoogle),
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
    /// Install what names the actor of each DDL transaction, what refuses DROP and TRUNCATE, and what can stop a wipe
    Install(GuardInstall),
    /// Remove all of it; the schema is then as it was
    Remove(GuardTarget),
    /// Show what is installed
    Status(GuardTarget),
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
    /// Print the SQL instead of running it
    #[arg(long)]
    pub(crate) print: bool,
}

#[derive(Debug, Args)]
pub(crate) struct GuardInstall {
    #[command(flatten)]
    pub(crate) target: GuardTarget,
    /// Install event triggers that write role, application and statement into each DDL transaction
    #[arg(long)]
    pub(crate) witness: bool,
    /// Refuse DROP and TRUNCATE to these roles; * stands for any characters. May be given more than once
    #[arg(long, value_name = "PATTERN")]
    pub(crate) refuse: Vec<String>,
    /// Allow these roles to be contained: their sessions ended, their login barred. May be given more than once
    #[arg(long, value_name = "PATTERN")]
    pub(crate) contain: Vec<String>,
    /// Never contain these roles, whatever else says so: break glass, backups. May be given more than once
    #[arg(long, value_name = "PATTERN")]
    pub(crate) never: Vec<String>,
    /// Set the password of role unwipe_guard, by reference; the server is sent only what it stores of it
    #[arg(long, value_name = "REFERENCE")]
    pub(crate) guard_password: Option<String>,
}
