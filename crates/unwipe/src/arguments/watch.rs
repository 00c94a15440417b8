//! Incidents, whom to stop, and what is expected.

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  unwipe incidents                  all of them, the newest first
  unwipe incidents 7                one, with who, what and what was done about it
  unwipe rewind incident:7          plan the undo of it")]
pub(crate) struct Incidents {
    /// One incident, by its number
    #[arg(value_parser = number)]
    pub(crate) incident: Option<u64>,
    #[command(subcommand)]
    pub(crate) action: Option<IncidentAction>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum IncidentAction {
    /// Say that an incident is over
    Close {
        /// The incident
        #[arg(value_parser = number)]
        incident: u64,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

#[derive(Debug, Args)]
#[command(after_help = "\
What is done is recorded before and after, can be taken back, and ends by itself after the time that \
[watch.containment] sets, unless a person keeps it.

Examples:
  unwipe contain 7                  take the actions that were proposed
  unwipe contain 7 --keep           keep them beyond their time
  unwipe contain 7 --take-back      put back what was there before")]
pub(crate) struct Contain {
    /// The incident
    #[arg(value_parser = number)]
    pub(crate) incident: u64,
    /// Keep what was done until it is taken back
    #[arg(long, conflicts_with = "take_back")]
    pub(crate) keep: bool,
    /// Put back what was there before
    #[arg(long)]
    pub(crate) take_back: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "\
What is expected raises no alarm and stops nobody; it is recorded all the same, with the expectation beside it. \
Whatever goes beyond it (another actor, another verb, more items, another time) counts as ever.

Examples:
  unwipe expect shop --actor migrator --verb truncate --scope shop --for 30m --reason 'migration 118'
  unwipe expect acme --actor anna@acme.org --verb trash --items 3000 --for 2h --reason 'old projects'
  unwipe expect --list
  unwipe expect confirm intent-1a2b3c4d",
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true
)]
pub(crate) struct Expect {
    #[command(subcommand)]
    pub(crate) action: Option<ExpectAction>,
    /// The source
    #[arg(required_unless_present = "list")]
    pub(crate) source: Option<String>,
    /// Who: a role, an account, a program; `*` stands for anything
    #[arg(long, value_name = "PATTERN", required_unless_present = "list")]
    pub(crate) actor: Option<String>,
    /// What: delete, trash, update, truncate, drop … (several times)
    #[arg(long = "verb", value_name = "VERB", required_unless_present = "list")]
    pub(crate) verbs: Vec<String>,
    /// Where: a database, an account; `*` stands for anything
    #[arg(long, value_name = "PATTERN")]
    pub(crate) scope: Option<String>,
    /// At most so many items
    #[arg(long, value_name = "COUNT")]
    pub(crate) items: Option<u64>,
    /// From when on; now if absent (RFC 3339)
    #[arg(long, value_name = "MOMENT")]
    pub(crate) from: Option<String>,
    /// Until when
    #[arg(long, value_name = "MOMENT", conflicts_with = "duration")]
    pub(crate) to: Option<String>,
    /// For how long: 30m, 2h, 1d
    #[arg(long = "for", value_name = "DURATION")]
    pub(crate) duration: Option<String>,
    /// Why
    #[arg(long, value_name = "TEXT", required_unless_present = "list")]
    pub(crate) reason: Option<String>,
    /// List what is expected
    #[arg(long, exclusive = true)]
    pub(crate) list: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ExpectAction {
    /// Confirm what an agent announced; from then on it raises no alarm
    Confirm {
        /// What was announced: intent-…
        intent: String,
    },
}

/// Reads the number of an incident: `7` or `incident:7`.
fn number(text: &str) -> Result<u64, String> {
    let digits = text.strip_prefix("incident:").unwrap_or(text);
    digits.parse().map_err(|_| format!("{text:?} is no incident's number: write 7 or incident:7"))
}
