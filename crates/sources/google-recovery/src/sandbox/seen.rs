//! Things as they were and as a sandbox has them, in a form that equal things share: so that they can be compared.
//!
//! What a thing must be in the sandbox is made of the stored document itself, and not of what was written: what a restore
//! leaves out is a difference.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::stand_in;
use crate::{
    calendar::{self, copied_id, copied_occurrence_id},
    contacts,
    fields::Fields,
};

/// What is compared of a thing, by the names of what is promised of it. What a promise does not name is promised exactly.
pub type Aspects = BTreeMap<String, String>;

/// Returns the id that a stored event must have in the sandbox, and how it must be there; `with_series` says whether the
/// series comes along in which it differs.
pub fn event(copies_of: &str, key: (&str, &str), document: &Value, with_series: bool) -> (String, Aspects) {
    let (calendar, id) = key;
    let series = document["recurringEventId"].as_str().filter(|_| with_series);
    let copy = series
        .and_then(|series| copied_occurrence_id(copies_of, calendar, series, id))
        .unwrap_or_else(|| copied_id(copies_of, calendar, id));
    let fields = calendar::fields_of(document).into_iter().map(|(path, value)| with_stand_in(path, value));
    (copy, aspects_of_event(document, fields.collect()))
}

/// Describes an event of the sandbox.
pub fn event_in_sandbox(document: &Value) -> Aspects {
    aspects_of_event(document, calendar::fields_of(document))
}

/// Puts the address that stands for a guest in place of the guest's.
fn with_stand_in(path: String, mut value: Value) -> (String, Value) {
    let Some(address) = path.strip_prefix(calendar::ATTENDEES) else { return (path, value) };
    let address = stand_in(address);
    value["email"] = address.clone().into();
    (format!("{}{address}", calendar::ATTENDEES), value)
}

fn aspects_of_event(document: &Value, fields: Fields) -> Aspects {
    if document["status"] == "cancelled" {
        return Aspects::from([("status".to_owned(), "cancelled".to_owned())]);
    }
    let mut aspects = Aspects::new();
    for (path, value) in fields {
        let Some(text) = calendar::canonical(&path, &value) else { continue };
        let name = match path.as_str() {
            "conferenceData" => "conference".to_owned(),
            kind if calendar::OF_KINDS.contains(&kind) => "kind".to_owned(),
            _ => path,
        };
        aspects.insert(name, text);
    }
    if document["recurrence"].is_array() {
        // Of what happens once a zone says nothing; a series moves with it.
        aspects.insert("zone".to_owned(), text(&document["start"]["timeZone"]));
    }
    aspects
}

/// Describes a contact; `group` tells what a group is called of which the id is given, `has_photo` whether there is a photo
/// that the user chose.
pub fn contact(document: &Value, has_photo: bool, group: &dyn Fn(&str) -> Option<String>) -> Aspects {
    let (mut aspects, mut groups) = (Aspects::new(), Vec::new());
    for (path, value) in contacts::fields_of(document) {
        match path.strip_prefix(contacts::MEMBERSHIPS) {
            // Whoever is made is in this one.
            Some("myContacts") => {}
            Some(id) => groups.extend(group(id)),
            None => drop(aspects.insert(path, value.to_string())),
        }
    }
    groups.sort();
    aspects.insert("groups, by their names".to_owned(), groups.join(", "));
    aspects.insert("photo".to_owned(), if has_photo { "there" } else { "none" }.to_owned());
    aspects
}

/// Returns what a contact of the sandbox was made for: what tells the account's copies, a slash, the id that it had.
pub fn made_for(document: &Value) -> Option<&str> {
    contacts::mark_of(document)
}

/// Describes a group of contacts; nothing for one of the system.
pub fn contact_group(document: &Value, name: &str) -> Option<Aspects> {
    if contacts::is_system(document) {
        return None;
    }
    let mut aspects = Aspects::from([("name".to_owned(), name.to_owned())]);
    if let Some(data) = document["clientData"].as_array().filter(|data| !data.is_empty()) {
        aspects.insert("client data".to_owned(), json!(data).to_string());
    }
    Some(aspects)
}

/// Describes a group of users.
pub fn group(document: &Value) -> Aspects {
    ["name", "description"].iter().map(|name| ((*name).to_owned(), text(&document[*name]))).collect()
}

/// Describes somebody in a group of users, or in a shared drive.
pub fn member(document: &Value) -> Aspects {
    let mut aspects = Aspects::from([("role".to_owned(), text(&document["role"]))]);
    if let Some(delivery) = document["delivery_settings"].as_str() {
        aspects.insert("delivery of mail".to_owned(), delivery.to_owned());
    }
    aspects
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::{NOBODY, tests::sandbox};

    fn stored() -> Value {
        json!({
            "id": "abcde", "etag": "1", "summary": "Sync", "status": "confirmed", "iCalUID": "abcde@google.com",
            "start": { "dateTime": "2026-03-02T09:00:00+01:00", "timeZone": "Europe/Berlin" },
            "end": { "dateTime": "2026-03-02T10:00:00+01:00", "timeZone": "Europe/Berlin" },
            "recurrence": ["RRULE:FREQ=WEEKLY"], "visibility": "default", "reminders": { "useDefault": true },
            "attendees": [{ "email": "Ben@acme.test", "responseStatus": "accepted" }],
            "conferenceData": { "conferenceId": "a" },
        })
    }

    #[test]
    fn an_event_is_the_same_in_whatever_zone_and_words_it_is_told() {
        let from = sandbox().mark.copies_of("anna@acme.test");
        let (id, expected) = event(&from, ("anna@acme.test", "abcde"), &stored(), true);
        let guest = stand_in("ben@acme.test");
        let mut there = json!({
            "id": id, "summary": "Sync", "sequence": 0, "recurrence": ["RRULE:FREQ=WEEKLY"],
            "start": { "dateTime": "2026-03-02T08:00:00Z", "timeZone": "Europe/Berlin" },
            "end": { "dateTime": "2026-03-02T09:00:00Z", "timeZone": "Europe/Berlin" },
            "attendees": [{ "email": guest, "responseStatus": "accepted", "id": "7" }],
        });
        let mut aspects = event_in_sandbox(&there);
        aspects.insert("conference".to_owned(), expected["conference"].clone());
        assert_eq!(aspects, expected, "only the conference is lost, which is promised");
        assert!(!format!("{expected:?}").contains("acme.test"), "{expected:?}");
        there["start"]["timeZone"] = "Europe/Lisbon".into();
        assert_ne!(event_in_sandbox(&there)["zone"], expected["zone"]);
        there["attendees"][0]["responseStatus"] = "declined".into();
        let path = format!("attendees/{guest}");
        assert!(path.ends_with(NOBODY));
        assert_ne!(event_in_sandbox(&there)[&path], expected[&path]);
    }

    #[test]
    fn an_occurrence_has_the_id_that_it_gets_in_the_copy_of_its_series() {
        let from = sandbox().mark.copies_of("anna@acme.test");
        let (series, _) = event(&from, ("c", "abcde"), &stored(), true);
        let cancelled = json!({ "status": "cancelled", "recurringEventId": "abcde" });
        let (id, aspects) = event(&from, ("c", "abcde_20260309T080000Z"), &cancelled, true);
        assert_eq!(id, format!("{series}_20260309T080000Z"));
        assert_eq!(aspects, Aspects::from([("status".to_owned(), "cancelled".to_owned())]));
    }

    #[test]
    fn a_contact_is_compared_with_its_groups_by_name() {
        let person = |group: &str| {
            let member = |id: &str| json!({ "contactGroupMembership": { "contactGroupId": id } });
            json!({ "names": [{ "givenName": "Maria" }], "memberships": [member(group), member("myContacts")] })
        };
        let name = |id: &str| (id != "origin").then(|| "Family".to_owned());
        let expected = contact(&person("7a"), true, &name);
        assert_eq!(contact(&person("9c"), true, &name), expected);
        assert_ne!(contact(&person("origin"), true, &name), expected);
        assert_ne!(contact(&person("7a"), false, &name), expected);
    }
}
