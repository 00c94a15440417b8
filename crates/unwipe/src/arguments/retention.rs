//! For how long things stay.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Reading;

#[derive(Debug, Args)]
pub(crate) struct Retention {
    #[command(subcommand)]
    pub(crate) action: RetentionAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RetentionAction {
    /// Show locks, vault time, holds, and whose word counts
    Status,
    /// Extend the locks of all that must stay (serve does it every hour)
    Renew,
    /// Keep everything for longer; it is never kept for less
    Lengthen {
        /// For how many days every version stays after it was live
        #[arg(value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_500))]
        days: u32,
    },
    /// Stop releasing and reaping, of one source or of all, until people lift it
    Hold {
        /// The source; all when absent
        source: Option<String>,
        /// Why
        #[arg(long)]
        reason: String,
    },
    /// Look what no live version needs any more, and let its window begin to run out
    Release {
        #[command(flatten)]
        reading: Reading,
    },
    /// Remove what was released and has lapsed; nothing else in unwipe removes anything
    Reap {
        #[command(flatten)]
        reading: Reading,
    },
    /// Sign, as one of the people, that a hold ends; enough signatures end it
    Lift {
        /// The hold's number
        hold: u64,
        #[command(flatten)]
        signing: Signing,
        #[command(flatten)]
        reading: Reading,
    },
    /// Sign that a source really changed so much, so that what it was before may lapse some day
    Confirm {
        /// The source
        source: String,
        #[command(flatten)]
        signing: Signing,
        #[command(flatten)]
        reading: Reading,
    },
    /// Sign that the clocks are right and vault time may go on
    Thaw {
        #[command(flatten)]
        signing: Signing,
        #[command(flatten)]
        reading: Reading,
    },
    /// Make a signing key for one of the people, or show the public half of one
    Person {
        /// The key's file; it stays with that person
        key: PathBuf,
    },
    /// Say whose word counts, and how many of them it takes; later changes take the word of the present ones
    People {
        /// How many must sign
        #[arg(long, value_name = "COUNT")]
        threshold: usize,
        /// A person: NAME=PUBLIC-KEY, 64 hexadecimal digits, as `unwipe retention person` shows it
        #[arg(long = "person", value_name = "NAME=KEY", required = true)]
        people: Vec<String>,
        #[command(flatten)]
        signing: Signing,
        #[command(flatten)]
        reading: Reading,
    },
}

/// With which key a person signs.
#[derive(Debug, Clone, Args)]
pub(crate) struct Signing {
    /// Your signing key, by reference; without it the signatures that wait are counted
    #[arg(long, value_name = "REFERENCE")]
    pub(crate) sign_with: Option<String>,
}
