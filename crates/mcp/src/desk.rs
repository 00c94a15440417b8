//! The narrow door to an installation: what can be asked for here, and nothing else.

use access::ServiceName;
use model::SourceName;
use serde_json::{Map, Value};

use crate::arguments::{
    CaptureWish, FindWish, IntentWish, ItemWish, MomentsWish, QueryWish, ReachWish, RestoreWish,
};

/// Answers agents. Everything may block for long. There is no verb here that removes, weakens, decides, carries out or
/// stops anything.
pub trait Desk: Send + Sync {
    /// Lists the sources.
    fn sources(&self) -> Result<Answer, DeskError>;

    /// Lists recovery points: commits and incidents, the newest first.
    fn moments(&self, wish: &MomentsWish) -> Result<Answer, DeskError>;

    /// Has a source captured up to now; returns the newest commit.
    fn capture(&self, by: &ServiceName, wish: &CaptureWish) -> Result<u64, DeskError>;

    /// Notes what somebody is about to do. It silences nothing before a person confirms it.
    fn declare(&self, by: &ServiceName, wish: &IntentWish) -> Result<Answer, DeskError>;

    /// Asks a moment of a database one question, or lists items of another source.
    fn query(&self, wish: &QueryWish) -> Result<Answer, DeskError>;

    /// Searches for items.
    fn find(&self, wish: &FindWish) -> Result<Answer, DeskError>;

    /// Shows one item.
    fn show(&self, wish: &ItemWish) -> Result<Answer, DeskError>;

    /// Estimates what somebody could reach, and what would be lost.
    fn reach(&self, wish: &ReachWish) -> Result<Answer, DeskError>;

    /// Plans a restore and asks people for it; the same wish comes to the same case as long as that waits.
    fn request(&self, by: &ServiceName, wish: &RestoreWish) -> Result<Answer, DeskError>;

    /// Says how a case stands.
    fn status(&self, case: &str) -> Result<Answer, DeskError>;

    /// Checks a certificate.
    fn check(&self, certificate: &str) -> Result<Answer, DeskError>;
}

/// What is answered.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Answer {
    /// What unwipe itself knows: names of sources, numbers, times, words of a closed list.
    pub facts: Map<String, Value>,
    /// What comes from items, from people outside or from agents: masked and made visible before it is sent.
    pub untrusted: Value,
    /// Whether there is more than was answered.
    pub truncated: bool,
}

impl Answer {
    /// Makes an answer of facts alone. What is no object is put under `value`.
    pub fn of(facts: Value) -> Self {
        let facts = match facts {
            Value::Object(facts) => facts,
            other => Map::from_iter([("value".to_owned(), other)]),
        };
        Self { facts, untrusted: Value::Null, truncated: false }
    }

    /// Adds what is not to be trusted.
    #[must_use]
    pub fn with(mut self, untrusted: Value) -> Self {
        self.untrusted = untrusted;
        self
    }

    /// Says whether there is more.
    #[must_use]
    pub const fn cut(mut self, truncated: bool) -> Self {
        self.truncated = truncated;
        self
    }
}

/// What the one who asked can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeskErrorKind {
    /// Ask differently.
    Usage,
    /// Ask for something that exists.
    Nothing,
    /// Ask a person: something is not set up for this.
    NotSetUp,
    /// Try again later.
    Failed,
}

impl DeskErrorKind {
    /// Returns a word that stays the same: `usage`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Usage => "usage",
            Self::Nothing => "nothing",
            Self::NotSetUp => "not-set-up",
            Self::Failed => "failed",
        }
    }

    /// Returns what an agent is told. Details may quote what is stored, and are told apart from this.
    pub(crate) const fn sentence(self) -> &'static str {
        match self {
            Self::Usage => "It cannot be asked like this; see untrusted_content for why.",
            Self::Nothing => "There is no such thing.",
            Self::NotSetUp => "This installation is not set up for it; ask a person.",
            Self::Failed => "It did not work; try again later, or ask a person.",
        }
    }
}

/// Why something was not answered. The detail may quote what is stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct DeskError {
    /// What the one who asked can do.
    pub kind: DeskErrorKind,
    /// What happened, and what is behind it.
    pub detail: String,
}

impl DeskError {
    /// Makes an error.
    pub fn new(kind: DeskErrorKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into() }
    }

    /// There is no such source.
    pub fn no_source(source: &SourceName) -> Self {
        Self::new(DeskErrorKind::Nothing, format!("there is no source {source}"))
    }
}
