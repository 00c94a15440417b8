//! From the failures of a connection to what the engine is told.

use connect::ReadError;
use postgres_wire::WireError;

/// Reports a failure of the connection, with its hint.
pub(crate) fn wire(error: WireError) -> ReadError {
    ReadError::Source {
        message: error.to_string(),
        hint: error.hint(),
        transient: error.is_transient(),
        source: Some(Box::new(error)),
    }
}

/// Reports something that a person must look at before reading can go on.
pub(crate) fn refused(message: impl Into<String>, hint: impl Into<String>) -> ReadError {
    ReadError::Source { message: message.into(), hint: Some(hint.into()), transient: false, source: None }
}

/// Reports something that the source sent and that cannot be right.
pub(crate) fn broken(
    message: impl Into<String>,
    source: impl std::error::Error + Send + Sync + 'static,
) -> ReadError {
    ReadError::Source { message: message.into(), hint: None, transient: true, source: Some(Box::new(source)) }
}

/// Reports a name that the contract does not allow; it cannot happen with the names that this crate makes.
pub(crate) fn named(error: model::NameError) -> ReadError {
    broken("a stream has no valid name", error)
}

/// Reports a description that could not be written as JSON.
pub(crate) fn described(error: serde_json::Error) -> ReadError {
    broken("a description could not be written", error)
}
