//! Units: parts of a source that are read on their own, several at a time, into one sink.
//!
//! A Workspace domain has a mailbox for each user, and each has a change feed of its own. Each of them is a [`Unit`].
//! [`Units`] gives them to a few threads, each as soon as it is due; what they see comes through a bounded channel to the one thread that
//! speaks to the sink. A unit's code is straight: ask for a page, ask what is known of it, fetch what is missing, hand
//! it over, say how far it came.
//!
//! How far a unit came is an item as well, in a stream of its own: a commit carries the positions that moved, and with
//! them exactly what lies before them.

mod budget;
mod entry;
mod ledger;
mod queue;
mod read;
mod sink;
mod storing;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use model::{NameError, StreamName};
use ports::Clock;

use crate::{ReadError, Urge};

pub use read::Units;
pub use sink::{Body, KnownBelow, UnitSink};

/// A part of a source that is read on its own.
pub trait Unit: Send + Sync {
    /// Returns the name under which its position is kept: `gmail/anna@x.org`. It never changes.
    fn name(&self) -> &str;

    /// Reads what changed after a position (everything when there is none) and says with [`UnitSink::advance`] how far
    /// it came. It may be ended at any point: whatever lies behind the last position is then read again.
    fn read(&self, position: Option<&str>, sink: &mut UnitSink<'_>) -> Result<(), UnitError>;
}

/// Why a unit was not read to its end. What it said before stands; its position stays where it was.
#[derive(Debug, thiserror::Error)]
pub enum UnitError {
    /// It cannot be seen at all, and it takes a person to change that. Nothing in it is taken for deleted.
    #[error("{detail}")]
    Blinded {
        /// The source's own words.
        detail: String,
        /// What a person can do about it.
        hint: Option<String>,
    },
    /// It failed although it was tried again; the next run goes on with it.
    #[error("{detail}")]
    Failed {
        /// What happened, with its causes.
        detail: String,
    },
    /// The run was asked to end.
    #[error("the read was asked to end")]
    Stopped,
    /// No other unit can be read either.
    #[error("the source cannot be read")]
    Source(#[source] ReadError),
}

/// A unit with when it is read.
#[derive(Clone)]
pub struct Planned<'u> {
    /// The unit. No other one in a plan has its name.
    pub unit: Arc<dyn Unit + 'u>,
    /// Between the beginnings of two reads lies so much time at least.
    pub every: Duration,
    /// The same after the first read: of many units that were begun together not all are to be read together.
    pub first: Duration,
    /// After it told of something destructive it is read again after so short a rest, for a minute; absent: when it is
    /// due.
    pub urgent: Option<Duration>,
    /// Whether it says who did what: when somebody asks for haste, it is read again and again soon, for a minute.
    pub names_actors: bool,
}

impl<'u> Planned<'u> {
    /// Plans a unit that is read once.
    pub fn once(unit: Arc<dyn Unit + 'u>) -> Self {
        Self { unit, every: Duration::ZERO, first: Duration::ZERO, urgent: None, names_actors: false }
    }
}

/// How units are read.
#[derive(Clone)]
pub struct UnitSettings {
    /// How many units are read at a time; when they are read again and again, a quarter more that were read before.
    pub threads: usize,
    /// A commit is made after so many changes.
    pub commit_changes: u64,
    /// A commit is made after so many bytes of content.
    pub commit_bytes: u64,
    /// A commit is made this long after the first change that it holds.
    pub commit_after: Duration,
    /// What units say that are read again and again is committed sooner, if the last commit was made so long ago.
    pub commit_rest: Duration,
    /// Bytes of content that may wait for the vault.
    pub waiting_bytes: u64,
    /// The clock by which commits are made.
    pub clock: Arc<dyn Clock>,
    /// Somebody asks that everything is looked at now, and committed.
    pub urge: Urge,
}

impl UnitSettings {
    /// Returns the usual settings.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            threads: 8,
            commit_changes: 5000,
            commit_bytes: 64 << 20,
            commit_after: Duration::from_secs(4),
            commit_rest: Duration::from_secs(1),
            waiting_bytes: 48 << 20,
            clock,
            urge: Urge::default(),
        }
    }
}

/// What reading a set of units came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnitsReport {
    /// Units that were read to their end.
    pub read: u64,
    /// Units that cannot be seen, with the reason.
    pub blinded: Vec<(String, String)>,
    /// Units that failed and are tried again by the next run, with the reason.
    pub failed: Vec<(String, String)>,
    /// Whether the run was asked to end before all were read.
    pub stopped: bool,
}

/// Returns the stream that holds how far each unit came.
pub fn positions_stream() -> Result<StreamName, NameError> {
    StreamName::new("position")
}

/// Returns the stream in which units stand that cannot be seen.
pub fn blinded_stream() -> Result<StreamName, NameError> {
    StreamName::new("blinded")
}
