use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::records;

/// Of a text so many characters are kept for people to find an event by.
const CHARACTERS_MAX: usize = 200;

/// What is kept of an event beside its document.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventAttributes {
    /// Its title, shortened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// When it begins: a time in RFC 3339, or a date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    /// When it ends: a time in RFC 3339, or a date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<String>,
    /// Its id that all guests' copies share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ical_uid: Option<String>,
    /// `confirmed`, `tentative`, or `cancelled` for an occurrence that does not take place.
    pub status: String,
    /// The id of the series in which it differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub series: Option<String>,
    /// When it would begin by its series.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original_start: Option<String>,
    /// When it was changed last, in RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated: Option<String>,
    /// The address of whoever decides about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organizer: Option<String>,
    /// The first half of the BLAKE3 hash of the document without its etag, in hexadecimal.
    pub hash: String,
}

impl EventAttributes {
    /// Reads stored attributes.
    pub fn of_text(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// Returns them as they are stored.
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Takes them from an event as the API has it.
    pub(super) fn of_event(event: &Value) -> Self {
        let mut bare = event.clone();
        if let Value::Object(members) = &mut bare {
            members.remove("etag");
        }
        let text = |value: &Value| value.as_str().map(shortened);
        let time = |name: &str| text(&event[name]["dateTime"]).or_else(|| text(&event[name]["date"]));
        Self {
            summary: text(&event["summary"]),
            start: time("start"),
            end: time("end"),
            ical_uid: text(&event["iCalUID"]),
            status: text(&event["status"]).unwrap_or_default(),
            series: event["recurringEventId"].as_str().map(str::to_owned),
            original_start: time("originalStartTime"),
            updated: text(&event["updated"]),
            organizer: text(&event["organizer"]["email"]),
            hash: records::hash(&serde_json::to_vec(&bare).unwrap_or_default()),
        }
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(CHARACTERS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_is_found_by_its_title_and_times() {
        let event = json!({
            "id": "a", "etag": "1", "status": "confirmed", "summary": "\u{1f389} Launch", "iCalUID": "a@google.com",
            "start": { "dateTime": "2026-03-02T09:00:00+01:00", "timeZone": "Europe/Berlin" },
            "end": { "date": "2026-03-03" }, "organizer": { "email": "anna@acme.test" },
        });
        let attributes = EventAttributes::of_event(&event);
        assert_eq!(attributes.summary.as_deref(), Some("\u{1f389} Launch"));
        assert_eq!(attributes.start.as_deref(), Some("2026-03-02T09:00:00+01:00"));
        assert_eq!(attributes.end.as_deref(), Some("2026-03-03"));
        assert_eq!(EventAttributes::of_text(&attributes.to_text()), Some(attributes.clone()));
        let mut again = event;
        again["etag"] = "2".into();
        assert_eq!(EventAttributes::of_event(&again), attributes, "an etag alone is no change");
        again["location"] = "Ada".into();
        assert_ne!(EventAttributes::of_event(&again).hash, attributes.hash);
    }
}
