//! Incidents to replay.

use clap::{Args, ValueEnum};

#[derive(Debug, Args)]
pub(crate) struct Rehearse {
    /// The incident; without it, all of them are listed
    #[arg(value_enum)]
    pub(crate) incident: Option<Incident>,
    /// Rows in the largest table; 200,000, or a million where one statement takes them all
    #[arg(long, value_name = "COUNT")]
    pub(crate) rows: Option<u64>,
    /// Messages in each mailbox
    #[arg(long, default_value_t = 1_200, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(300..=100_000))]
    pub(crate) messages: u32,
    /// Files in each drive
    #[arg(long, default_value_t = 200, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(60..=100_000))]
    pub(crate) files: u32,
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

impl Rehearse {
    /// Returns the number of rows in the largest table.
    pub(crate) fn rows(&self) -> u64 {
        let usual = if self.incident == Some(Incident::BulkDelete) { 1_000_000 } else { 200_000 };
        self.rows.unwrap_or(usual)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Incident {
    /// A coding agent deletes a Railway volume with the database and all its backups
    Pocketos,
    /// An agent deletes rows during a code freeze and covers them with fake ones
    Replit,
    /// An agent empties an inbox although it was told not to act, and then to stop
    Openclaw,
    /// An assistant that an employee let do everything walks through a drive, in the hands of whoever stole its tokens
    Vercel,
    /// An agent empties a folder, and the client that keeps a drive like it puts file after file into the trash
    Antigravity,
    /// A program deletes a mailbox past the trash, a thousand messages with each call
    HardDelete,
    /// Files of a drive are read, encrypted, written back and renamed
    Ransomware,
    /// A program deletes a file every two minutes, so that nobody who counts by the minute notices
    LowAndSlow,
    /// A person tidies up thousands of their own files, as announced: nobody must be stopped
    CleanUp,
    /// One DELETE takes every row of a table; it is stopped before it commits
    BulkDelete,
    /// A loop deletes row by row and commits each; it is stopped after some, and all of them come back
    RowByRow,
    /// TRUNCATE and DROP TABLE: refused to a guarded role, found at once and undone where nobody refuses
    TruncateDrop,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Grace {
    /// The volume is gone at once
    Immediate,
    /// The volume is queued for 48 hours
    Hours48,
}
