//! What happened in a source: its events, the most destructive first.

use catalog::{Catalog, EventFilter};
use model::{Effect, Event, Moment, Severity, SourceName, Verb};
use serde::Serialize;

use crate::ServiceError;

/// What a person wants to see of a source's history.
#[derive(Debug, Clone, Copy)]
pub struct TimelineRequest {
    /// No earlier than this.
    pub from: Option<Moment>,
    /// No later than this.
    pub until: Option<Moment>,
    /// Daily work as well.
    pub routine: bool,
    /// In order of time instead of destruction first.
    pub by_time: bool,
    /// At most this many, the newest ones.
    pub limit: u32,
}

/// The history of a source.
#[derive(Debug, Clone, Serialize)]
pub struct Timeline {
    /// The source.
    pub source: SourceName,
    /// The events, in the order asked for.
    pub events: Vec<Event>,
}

/// Reads a source's timeline from its catalog.
pub fn timeline(
    catalog: &Catalog,
    source: &SourceName,
    request: TimelineRequest,
) -> Result<Timeline, ServiceError> {
    let severity = if request.routine { Severity::Routine } else { Severity::Notable };
    let filter = EventFilter { from: request.from, until: request.until, severity, limit: request.limit };
    let mut events = catalog.events(filter)?;
    for event in &mut events {
        event.effects.sort_by_key(|effect| (rank(effect), std::cmp::Reverse(effect.count)));
    }
    if !request.by_time {
        events.sort_by_key(|event| {
            (std::cmp::Reverse(event.severity), std::cmp::Reverse(lost(event)), event.at)
        });
    }
    Ok(Timeline { source: source.clone(), events })
}

/// Orders effects: what destroys most comes first.
const fn rank(effect: &Effect) -> u8 {
    match effect.verb {
        Verb::DropDatabase => 0,
        Verb::Drop => 1,
        Verb::Truncate => 2,
        Verb::Delete | Verb::Trash | Verb::Encrypt => 3,
        Verb::Update => 4,
        Verb::Rewrite => 5,
        Verb::Weaken => 6,
        Verb::Revoke => 7,
        Verb::Grant => 8,
        Verb::Share => 9,
        Verb::Define => 10,
        Verb::Insert => 11,
        Verb::Untrash => 12,
        Verb::Read => 13,
    }
}

/// Counts what an event took away; a dropped object weighs more than any number of its rows.
fn lost(event: &Event) -> (bool, u64) {
    let whole =
        event.effects.iter().any(|e| matches!(e.verb, Verb::DropDatabase | Verb::Drop | Verb::Truncate));
    let rows = event
        .effects
        .iter()
        .filter(|e| matches!(e.verb, Verb::Delete | Verb::Trash | Verb::Update))
        .map(|e| e.count);
    (whole, rows.sum())
}

#[cfg(test)]
mod tests;
