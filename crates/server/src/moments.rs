//! Moments as people choose them and as addresses carry them.

use axum::http::StatusCode;
use model::Moment;
use service::{browse::At, watching::WatchStore};

use crate::{problem::Problem, site::Site};

/// A moment that somebody chose.
#[derive(Debug, Clone)]
pub(crate) struct Chosen {
    /// As an address carries it; empty for now.
    pub(crate) text: String,
    /// What it means.
    pub(crate) at: At,
}

impl Chosen {
    /// Reads `now`, a commit's number, a time (of UTC where no zone is told), or `incident:7` for just before it.
    pub(crate) fn read(site: &Site, text: Option<&str>) -> Result<Self, Problem> {
        let text = text.unwrap_or_default().trim();
        if matches!(text, "" | "now" | "latest") {
            return Ok(Self { text: String::new(), at: At::Latest });
        }
        let text = match text.strip_prefix("incident:") {
            Some(number) => before_incident(site, number)?.to_string(),
            None => with_zone(text),
        };
        Ok(Self { at: At::parse(&text)?, text })
    }
}

/// What a browser's field for times sends has no zone; the pages say that they mean UTC.
fn with_zone(text: &str) -> String {
    let is_digits = |from: usize, to: usize| {
        text.get(from..to).is_some_and(|part| part.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let is_local = is_digits(0, 4)
        && text.get(10..11).is_some_and(|mark| matches!(mark, "T" | " "))
        && is_digits(11, 13)
        && !text[11..].contains(['Z', 'z', '+', '-']);
    match (is_local, text.len()) {
        (true, 16) => format!("{text}:00Z"),
        (true, _) => format!("{text}Z"),
        _ => text.to_owned(),
    }
}

/// Returns the last moment before anything of an incident took effect.
fn before_incident(site: &Site, number: &str) -> Result<Moment, Problem> {
    let number = number
        .parse()
        .map_err(|_| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "This is no number of an incident."))?;
    Ok(before(&WatchStore::of(&site.home).incident(number)?))
}

fn before(incident: &watch::Incident) -> Moment {
    let first = incident.touched.values().map(|touched| touched.from).min();
    first.unwrap_or(incident.first_seen_at).plus_micros(-1)
}

/// Returns the moments before the newest incidents, with their numbers.
pub(crate) fn before_incidents(site: &Site, most: usize) -> Vec<(u64, Moment)> {
    // What is known of incidents must not hide what is stored.
    let incidents = WatchStore::of(&site.home).incidents().unwrap_or_default();
    incidents.iter().rev().take(most).map(|incident| (incident.id, before(incident))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_without_a_zone_is_of_utc() {
        assert_eq!(with_zone("2026-04-25T14:00"), "2026-04-25T14:00:00Z");
        assert_eq!(with_zone("2026-04-25T14:00:09"), "2026-04-25T14:00:09Z");
        assert_eq!(with_zone("2026-04-25 14:00:09.5"), "2026-04-25 14:00:09.5Z");
        for whole in ["2026-04-25T14:00:09Z", "2026-04-25T14:00:09+02:00", "17", "yesterday", "ä", ""] {
            assert_eq!(with_zone(whole), whole);
        }
    }
}
