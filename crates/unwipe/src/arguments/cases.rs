//! What waits for people.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  unwipe cases request plans/7 --reason 'the orders are gone'
  unwipe cases                      what waits, and for whom
  unwipe approve CASE               as one of those who may
  unwipe cases refuse CASE --reason 'not before the audit'")]
pub(crate) struct Cases {
    #[command(subcommand)]
    pub(crate) action: Option<CasesAction>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CasesAction {
    /// List what waits for people, and what became of it (the default)
    List,
    /// Show one case in full
    Show {
        /// The case
        case: String,
    },
    /// Ask for approval of a plan
    Request {
        /// The plan's folder
        plan: PathBuf,
        /// Why
        #[arg(long, value_name = "TEXT", default_value = "")]
        reason: String,
    },
    /// Say that it must not be done: one such word of an approver ends a case
    Refuse {
        /// The case
        case: String,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// Your signing key, by reference
        #[arg(long, value_name = "REFERENCE")]
        key: Option<String>,
    },
    /// Give up what was begun and cannot be ended
    Abandon {
        /// The case
        case: String,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Take back what was asked for
    Withdraw {
        /// The case
        case: String,
    },
}
