//! What can go wrong while a plan is made.

use connect::plan::PlanFolderError;
use postgres_wal::TooManyRows;
use postgres_wire::WireError;

/// Which of the two servers answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The private server that stands just before what is undone.
    Scratch,
    /// The server that is to be mended.
    Production,
}

impl std::fmt::Display for Side {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Scratch => "the scratch server",
            Self::Production => "production",
        })
    }
}

/// Why no plan was made. Production is unchanged.
#[derive(Debug, thiserror::Error)]
pub enum PlanningError {
    /// A server answered with an error.
    #[error("{side} failed while {activity}")]
    Server {
        /// Which server.
        side: Side,
        /// What was being read.
        activity: String,
        /// What it answered.
        #[source]
        source: WireError,
    },
    /// A server answered with something that makes no sense.
    #[error("{side} gave an answer that cannot be used: {reason}")]
    Answer {
        /// Which server.
        side: Side,
        /// What is wrong with it.
        reason: String,
    },
    /// A table that was asked for does not exist at the moment.
    #[error("there is no table {name} at this moment")]
    NoTable {
        /// The name as it was given.
        name: String,
    },
    /// The two servers are not of one cluster, or not connected to the same database.
    #[error("the scratch server and production are not the same database: {reason}")]
    OtherDatabase {
        /// What differs.
        reason: String,
    },
    /// The transaction changed more rows than were collected.
    #[error(transparent)]
    TooManyRows(#[from] TooManyRows),
    /// The plan's folder could not be written.
    #[error(transparent)]
    Folder(#[from] PlanFolderError),
    /// A file of the plan could not be written.
    #[error("cannot write {what}")]
    Write {
        /// What was being written.
        what: String,
        /// The system's answer.
        #[source]
        source: std::io::Error,
    },
    /// The definitions could not be read.
    #[error("cannot read the definitions of {side}")]
    Definitions {
        /// Which server.
        side: Side,
        /// What the tool said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A server that stands at another moment could not be had.
    #[error("no scratch server could be made for another moment")]
    Stand(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The details of a step cannot be written as JSON.
    #[error("the plan's details cannot be written")]
    Encode(#[source] serde_json::Error),
}

impl PlanningError {
    /// Returns what a person can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Server {
                side: Side::Production, source: WireError::MissingPrivilege { user, .. }, ..
            } => Some(format!(
                "as a superuser run: GRANT pg_read_all_data TO {}; (and BYPASSRLS where row security is used)",
                postgres_wire::quote_identifier(user)
            )),
            Self::Server { source, .. } => source.hint(),
            Self::NoTable { .. } => Some("name it with its schema: public.bookings".to_owned()),
            _ => None,
        }
    }
}
