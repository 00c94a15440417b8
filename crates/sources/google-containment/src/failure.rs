use google_api::ApiError;
use watch::containment::ContainmentError;

/// Returns what a failed call means.
pub(crate) fn failed(error: ApiError) -> ContainmentError {
    let hint = match &error {
        ApiError::Obstacle(obstacle) => Some(obstacle.hint()),
        _ => None,
    };
    ContainmentError::Failed { message: error.to_string(), hint, source: Some(Box::new(error)) }
}

/// Returns the error of an action whose details, or whose record, are none of this platform's.
pub(crate) fn foreign(error: serde_json::Error) -> ContainmentError {
    ContainmentError::Failed {
        message: "it is no action of a Google Workspace domain".to_owned(),
        hint: None,
        source: Some(Box::new(error)),
    }
}

pub(crate) fn protected(subject: impl Into<String>, reason: impl Into<String>) -> ContainmentError {
    ContainmentError::Protected { subject: subject.into(), reason: reason.into() }
}
