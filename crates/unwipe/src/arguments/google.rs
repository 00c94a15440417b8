//! Google Workspace.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct ProtectGoogle {
    /// The service account's key: the JSON file that Google hands out, or a reference to it (env:NAME, exec:COMMAND)
    #[arg(long, value_name = "FILE")]
    pub(crate) key: String,
    /// An administrator's address: the directory is read in this name
    #[arg(long, value_name = "WHO")]
    pub(crate) admin: String,
    /// Read only these users; may be repeated (default: all)
    #[arg(long = "user", value_name = "ADDRESS")]
    pub(crate) users: Vec<String>,
    /// Read only these parts: directory, gmail, drive, calendar, contacts, audit; may be repeated (default: all)
    #[arg(long = "part", value_name = "PART", value_parser = google_part)]
    pub(crate) parts: Vec<source_google::Part>,
    /// While capturing goes on, look again after this many seconds
    #[arg(long, default_value_t = crate::connectors::google::default_every_s(), value_name = "SECONDS")]
    pub(crate) every_s: u64,
    /// Read this many mailboxes and drives at a time
    #[arg(long, default_value_t = crate::connectors::google::default_threads(), value_name = "COUNT")]
    pub(crate) threads: usize,
    /// Speak to this address in place of Google: a simulator or a proxy
    #[arg(long, value_name = "URL")]
    pub(crate) address: Option<String>,
    /// Trust the certificates in this PEM file in place of the system's
    #[arg(long, value_name = "FILE")]
    pub(crate) certificates: Option<PathBuf>,
    /// Add the source although a check failed
    #[arg(long)]
    pub(crate) force: bool,
}

/// What is brought back of a domain, and to whom.
#[derive(Debug, Clone, Args)]
pub(crate) struct GoogleBack {
    /// Google: bring everything that was there at the moment to this user, beside what this user has
    #[arg(long, value_name = "ADDRESS", conflicts_with_all = ["to", "undo", "table", "until"])]
    pub(crate) to_user: Option<String>,
    /// Google: only the item with this key, as `unwipe find` shows it; may be repeated
    #[arg(long, value_name = "KEY", conflicts_with_all = ["to", "undo", "table"])]
    pub(crate) item: Vec<String>,
}

/// Reads the name of a part.
fn google_part(text: &str) -> Result<source_google::Part, String> {
    let name = serde_json::Value::String(text.to_owned());
    serde_json::from_value(name).map_err(|_| {
        let known =
            source_google::Part::ALL.map(|part| serde_json::json!(part).as_str().unwrap_or("").to_owned());
        format!("there are the parts {}", known.join(", "))
    })
}
