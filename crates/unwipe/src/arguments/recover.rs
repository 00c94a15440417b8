//! Planning, approving, applying, exporting.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::Reading;

#[derive(Debug, Args)]
pub(crate) struct Rewind {
    /// The source, with a moment where one is needed: shop@2026-04-25T14:00:08Z, shop@before-transaction:7569,
    /// shop@before:0/5F3C9850, shop@latest, acme/gmail/anna@example.org@2026-04-25T14:00:08Z; or an incident:
    /// incident:7; with --actor a source alone, or nothing for all sources
    #[arg(required_unless_present = "actor")]
    pub(crate) what: Option<String>,
    /// Bring the whole cluster or folder tree back into this new folder; with --actor: the time of the last act
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
    pub(crate) culprit: Culprit,
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

impl Rewind {
    /// Returns what a person named; nothing where an actor is named alone.
    pub(crate) fn what(&self) -> &str {
        self.what.as_deref().unwrap_or_default()
    }
}

/// Whose acts are undone, in one plan over several sources.
#[derive(Debug, Clone, Args)]
pub(crate) struct Culprit {
    /// Plan to undo what this actor did, and nothing else: a role, an account, a program, a client id, an agent; * and ?
    /// stand for any characters. Who did what: unwipe timeline SOURCE --all
    #[arg(long, value_name = "NAME", conflicts_with_all = ["undo", "table", "until", "to_user", "item"])]
    pub(crate) actor: Option<String>,
    /// With --actor: only acts from this time on
    #[arg(long, value_name = "MOMENT", requires = "actor")]
    pub(crate) from: Option<String>,
    /// With --actor: also acts of which it is only inferred who did them
    #[arg(long, requires = "actor")]
    pub(crate) inferred: bool,
    /// With --actor: also acts of which nobody knows who did them
    #[arg(long, requires = "actor")]
    pub(crate) unattributed: bool,
}

/// How production is reached for planning and applying; never with the capture credential.
#[derive(Debug, Clone, Args, Default)]
pub(crate) struct Production {
    /// The production server, for planning and applying; without a password, the database is chosen by the plan. Where
    /// several sources are meant: SOURCE=URL, repeated
    #[arg(long, value_name = "[SOURCE=]URL")]
    pub(crate) url: Vec<String>,
    /// Its password, by reference; where several sources are meant: SOURCE=REFERENCE, repeated
    #[arg(long, value_name = "[SOURCE=]REFERENCE")]
    pub(crate) password: Vec<String>,
}

/// Returns the value for a source: the one with its name before it, or else the one without a name.
pub(crate) fn for_source<'v>(values: &'v [String], source: &str) -> Option<&'v str> {
    let named = |value: &'v String| value.strip_prefix(source)?.strip_prefix('=');
    let is_bare = |value: &&String| {
        let name = value.split('=').next().unwrap_or_default();
        name.len() == value.len() || model::SourceName::new(name).is_err()
    };
    values.iter().find_map(named).or_else(|| values.iter().find(is_bare).map(String::as_str))
}

#[derive(Debug, Args)]
pub(crate) struct Approve {
    /// The plan, by its name or its folder, or a case
    #[arg(value_name = "PLAN|CASE")]
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
    /// The plan: its name in the home folder, or its folder
    pub(crate) plan: PathBuf,
    /// Do everything, show the result, and roll back; where the source has no transactions, only check
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) production: Production,
    /// Google: the key of a service account that may write, a file or a reference; never the capturing one. Where
    /// several sources are meant: SOURCE=FILE, repeated
    #[arg(long, value_name = "[SOURCE=]FILE")]
    pub(crate) credential: Vec<String>,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_belongs_to_the_source_before_it_or_to_all() {
        let values = [
            "postgresql://r@db/postgres?sslmode=require",
            "acme=/keys/a.json",
            "shop=postgresql://r@shop/x?a=b",
        ]
        .map(str::to_owned);
        assert_eq!(for_source(&values, "shop"), Some("postgresql://r@shop/x?a=b"));
        assert_eq!(for_source(&values, "acme"), Some("/keys/a.json"));
        assert_eq!(for_source(&values, "other"), Some(values[0].as_str()));
        assert_eq!(for_source(&values[1..], "other"), None);
        assert_eq!(for_source(&["file:key".to_owned()], "acme"), Some("file:key"));
    }
}
