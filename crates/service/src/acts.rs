//! What was done in some sources at a time, from their catalogs: what lanes are drawn from.

use catalog::{Catalog, EventFilter};
use model::{Actor, Event, Moment, Severity, SourceName};
use watch::{ActorKinds, Incident};

use crate::ServiceError;

/// What is drawn before and after an incident: it shows what else went on.
pub const AROUND_MICROS: i64 = 60_000_000;

/// What was done.
#[derive(Debug, Clone, Default)]
pub struct Acts {
    /// The acts with their sources, the oldest first.
    pub events: Vec<(SourceName, Event)>,
    /// Whether there were more than were asked for; the newest are here.
    pub capped: bool,
}

/// Returns the time from the first to the last of what an incident touched; nothing where it touched nothing.
pub fn span(incident: &Incident) -> Option<(Moment, Moment)> {
    let times = || incident.touched.values().flat_map(|touched| [touched.from, touched.until]);
    Some((times().min()?, times().max()?))
}

/// Reads what was done in sources within a span, at most so many acts of each source.
pub fn acts(
    sources: impl IntoIterator<Item = SourceName>,
    (from, until): (Option<Moment>, Option<Moment>),
    limit: u32,
    open: impl Fn(&SourceName) -> Result<Catalog, ServiceError>,
) -> Result<Acts, ServiceError> {
    let mut acts = Acts::default();
    for source in sources {
        let filter = EventFilter { from, until, severity: Severity::Routine, limit };
        let events = open(&source)?.events(filter)?;
        acts.capped |= u32::try_from(events.len()).unwrap_or(u32::MAX) >= limit;
        // Remarks of a log about itself are nobody's.
        let done = events.into_iter().filter(|event| !event.effects.is_empty());
        acts.events.extend(done.map(|event| (source.clone(), event)));
    }
    acts.events.sort_by(|(one, a), (other, b)| (a.at, one, &a.position).cmp(&(b.at, other, &b.position)));
    Ok(acts)
}

/// Returns what tells one lane from another: 16 hexadecimal digits, the same for the same actor.
pub fn lane_id(kinds: &ActorKinds, actor: Option<&Actor>) -> String {
    let name = actor.map(|actor| (&actor.identity, &actor.client, kinds.program(actor)));
    let text = serde_json::to_vec(&name).unwrap_or_default();
    blake3::hash(&text).to_hex()[..16].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_are_told_apart_as_they_are_drawn() {
        let kinds = ActorKinds::default();
        let actor = |identity: &str, client: Option<&str>, address: &str| Actor {
            identity: identity.to_owned(),
            client: client.map(str::to_owned),
            address: Some(address.to_owned()),
            ..Actor::default()
        };
        let of = |actor: &Actor| lane_id(&kinds, Some(actor));
        let app = actor("app", None, "10.0.0.1");
        assert_eq!(of(&app), of(&actor("app", None, "10.0.0.2")), "another address is no other actor");
        assert_ne!(of(&app), of(&actor("app", Some("1.apps.test"), "10.0.0.1")));
        assert_ne!(of(&app), lane_id(&kinds, None));
    }
}
