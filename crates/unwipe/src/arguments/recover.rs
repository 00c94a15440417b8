//! Planning, approving, applying, exporting.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::Reading;

#[derive(Debug, Args)]
pub(crate) struct Rewind {
    /// The source, with a moment where one is needed: shop@2026-04-25T14:00:08Z, shop@before-transaction:7569,
    /// shop@before:0/5F3C9850, shop@latest, acme/gmail/anna@example.org@2026-04-25T14:00:08Z
    pub(crate) what: String,
    /// Bring the whole cluster or folder tree back into this new folder
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
    #[command(flatten)]
    pub(crate) files: super::FilesBack,
    #[command(flatten)]
    pub(crate) google: super::GoogleBack,
    /// Undo only what happened until this moment; what came later stays (default: until now)
    #[arg(long, value_name = "MOMENT", conflicts_with_all = ["to", "undo", "table"])]
    pub(crate) until: Option<String>,
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
    /// Do everything, show the result, and roll back; where the source has no transactions, only check
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) production: Production,
    /// Google: the key of a service account that may write, a file or a reference; never the capturing one
    #[arg(long, value_name = "FILE")]
    pub(crate) credential: Option<String>,
    #[command(flatten)]
    pub(crate) reading: Reading,
}

#[derive(Debug, Args)]
pub(crate) struct Export {
    /// The source and moment: shop@latest, acme/gmail/anna@example.org@latest
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
    /// One mbox file with all messages of a mailbox
    Mbox,
    /// A file for each message of a mailbox, byte for byte
    Eml,
    /// The files of a drive as a tree of folders, with a list of all that is known of them
    Files,
    /// A file for each of a user's calendars (iCalendar)
    Ics,
    /// One file with all contacts of a user (vCard 3.0)
    Vcard,
}
