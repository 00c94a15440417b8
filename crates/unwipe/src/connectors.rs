//! The connectors that this binary knows; nothing below it names one.

pub(crate) mod containment;
pub(crate) mod files;
pub(crate) mod google;
pub(crate) mod postgres;
pub(crate) mod recovery;
pub(crate) mod rolled;
pub(crate) mod selector;
pub(crate) mod succession;

use service::config::SourceConfig;

use crate::{exit::Exit, failure::Failure};

/// The kinds of sources that there are. What must be there for every kind is chosen by a match over all of them: one that
/// can be captured and not be proven by a drill does not compile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A cluster of databases.
    Postgres,
    /// A folder tree.
    Files,
    /// A Workspace domain.
    Google,
}

impl Kind {
    /// Finds the kind of a source by the name that configurations give it.
    pub(crate) fn of(source: &SourceConfig) -> Result<Self, Failure> {
        match source.kind.as_str() {
            postgres::KIND => Ok(Self::Postgres),
            files::KIND => Ok(Self::Files),
            google::KIND => Ok(Self::Google),
            kind => Err(Failure::new(Exit::Usage, format!("there are no sources of kind {kind}"))),
        }
    }
}
