//! The operation log: approvals, applied plans and certificates, in the vault like everything else.

use model::{Item, SourceName, StreamName};
use serde::Serialize;
use vault::{CommitReceipt, Cursor, Layout, VaultWriter};

use crate::ServiceError;

/// The name under which unwipe keeps its own log in a vault; no source may be called so.
pub const SOURCE: &str = "unwipe";

/// What is written to the operation log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A person approved a plan.
    Approval,
    /// A plan was applied.
    Applied,
    /// A drill ended.
    Certificate,
    /// A person has seen that a drill failed.
    Acknowledgement,
    /// Retention was lengthened.
    Retention,
    /// A key was shown to open the vault.
    KeyDrill,
    /// An incident was opened, grew, or came to another state.
    Incident,
    /// Somebody said what is going to happen.
    Expectation,
    /// Something that waits for people was asked for, decided, begun or ended.
    Case,
    /// Protection became less without a case.
    Weakening,
    /// Something happened to the accounts of people and of service identities.
    Access,
    /// An agent asked for something that leaves a trace.
    Agent,
}

impl Kind {
    pub(crate) const fn stream(self) -> &'static str {
        match self {
            Self::Approval => "approvals",
            Self::Applied => "applied",
            Self::Certificate => "certificates",
            Self::Acknowledgement => "acknowledgements",
            Self::Retention => "retention",
            Self::KeyDrill => "key-drills",
            Self::Incident => "incidents",
            Self::Expectation => "expectations",
            Self::Case => "cases",
            Self::Weakening => "weakenings",
            Self::Access => "access",
            Self::Agent => "agents",
        }
    }
}

/// Writes one document to the operation log.
pub fn record<T: Serialize>(
    writer: &VaultWriter,
    kind: Kind,
    key: &str,
    document: &T,
) -> Result<CommitReceipt, ServiceError> {
    let text = serde_json::to_vec(document)
        .map_err(|error| ServiceError::Write(vault::WriteError::Source(std::io::Error::other(error))))?;
    let fixed = |error: model::NameError| vault::WriteError::Source(std::io::Error::other(error));
    let source = SourceName::new(SOURCE).map_err(fixed)?;
    let stream = StreamName::new(kind.stream()).map_err(fixed)?;
    let mut commit = writer.begin(&source);
    let content = commit.store_bytes(Layout::Small, &text)?;
    commit.upsert(Item { stream, key: key.to_owned(), attributes: "{}".to_owned() }, content)?;
    let receipt = commit.finish(&Cursor(Vec::new()))?;
    // The document is in the vault; when no head can be made now, the next one covers it.
    writer.advance_head().ok();
    Ok(receipt)
}
