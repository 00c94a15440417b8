use model::{Event, Moment, SourceName, Stage};
use serde::{Deserialize, Serialize};

/// One thing that a source, its log or its audit log tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    /// The source that tells it.
    pub source: SourceName,
    /// How far it has come.
    pub stage: Stage,
    /// What happened, to what, and by whom as far as it is known.
    pub event: Event,
    /// When it was seen here; never earlier than that of the observation before.
    pub seen_at: Moment,
}

/// Tells how many items there are, so that a loss can be seen as a share.
pub trait Reach {
    /// Returns how many items a scope of a source holds: rows of a database, messages of a mailbox. Nothing where nobody
    /// has counted.
    fn items(&self, source: &SourceName, scope: &str) -> Option<u64>;
}
