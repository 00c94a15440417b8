//! What a failed call means: for an item, for a unit, for everything.

use connect::{ReadError, units::UnitError};
use connect_http::RefusalKind;
use google_api::ApiError;
use model::UnreadableReason;

/// Returns what a failed call means for a unit that cannot go on without it.
pub(crate) fn unit_error(error: &ApiError) -> UnitError {
    match error {
        ApiError::Stopped => UnitError::Stopped,
        ApiError::Obstacle(obstacle) if obstacle.concerns_all() => UnitError::Source(ReadError::Source {
            message: obstacle.to_string(),
            hint: Some(obstacle.hint()),
            transient: false,
            source: None,
        }),
        ApiError::Obstacle(obstacle) => {
            UnitError::Blinded { detail: obstacle.to_string(), hint: Some(obstacle.hint()) }
        }
        error if is_passing(error) => UnitError::Failed { detail: chain(error) },
        ApiError::NotFound(refusal) | ApiError::Refused(refusal) => {
            UnitError::Blinded { detail: refusal.to_string(), hint: None }
        }
        ApiError::Expired(_) | ApiError::Passing(_) | ApiError::Unknown(_) | ApiError::Answer { .. } => {
            UnitError::Failed { detail: chain(error) }
        }
    }
}

/// Returns why an item that was listed is not there; `None` when the run is to end.
pub(crate) fn as_unreadable(error: &ApiError) -> Option<UnreadableReason> {
    Some(match error {
        ApiError::Stopped => return None,
        error if is_passing(error) => UnreadableReason::Failed { detail: chain(error) },
        ApiError::NotFound(_) => UnreadableReason::Vanished,
        // A token that is not taken says nothing about the item.
        ApiError::Refused(refusal) if refusal.status.as_u16() == 401 => {
            UnreadableReason::Failed { detail: refusal.to_string() }
        }
        ApiError::Refused(refusal) if refusal.status.as_u16() == 403 => {
            UnreadableReason::Denied { detail: refusal.to_string() }
        }
        ApiError::Refused(refusal) => UnreadableReason::Unsupported { detail: refusal.to_string() },
        ApiError::Obstacle(obstacle) => UnreadableReason::Denied { detail: obstacle.to_string() },
        ApiError::Expired(_) | ApiError::Passing(_) | ApiError::Unknown(_) | ApiError::Answer { .. } => {
            UnreadableReason::Failed { detail: chain(error) }
        }
    })
}

/// The same for something that everybody has and that no list names: what is not found there did not vanish.
pub(crate) fn as_unsupported(error: &ApiError, what: &str) -> Option<UnreadableReason> {
    match error {
        ApiError::NotFound(refusal) => {
            Some(UnreadableReason::Unsupported { detail: format!("there are no {what}: {refusal}") })
        }
        error => as_unreadable(error),
    }
}

/// Tells whether the same call may succeed later: nothing was said about what was asked for.
pub(crate) fn is_passing(error: &ApiError) -> bool {
    match error {
        // A token that is not taken may be followed by one that is; a quota of the day ends with the day.
        ApiError::Refused(refusal) => {
            matches!(refusal.kind, RefusalKind::Unauthorized | RefusalKind::Exhausted)
        }
        ApiError::Expired(_) | ApiError::Passing(_) | ApiError::Unknown(_) | ApiError::Answer { .. } => true,
        ApiError::NotFound(_) | ApiError::Obstacle(_) | ApiError::Stopped => false,
    }
}

/// Writes an error with its causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.ends_with(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}
