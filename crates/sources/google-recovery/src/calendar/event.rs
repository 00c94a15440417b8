//! What of an event is compared and written, field by field.

use jiff::{SignedDuration, Timestamp, civil};
use serde_json::{Map, Value, json};

use crate::fields::{Fields, merge_patch, plainly_same};

pub(super) const CANCELLED: &str = "cancelled";
/// What the service makes of an event by itself, or nobody may write.
const MADE: [&str; 19] = [
    "attendeesOmitted",
    "created",
    "creator",
    "endTimeUnspecified",
    "etag",
    "eventType",
    "gadget",
    "hangoutLink",
    "htmlLink",
    "iCalUID",
    "id",
    "kind",
    "locked",
    "organizer",
    "originalStartTime",
    "privateCopy",
    "recurringEventId",
    "sequence",
    "updated",
];
/// What a guest may say of the own copy of somebody else's event.
const GUESTS: [&str; 5] = ["colorId", "reminders", "transparency", "visibility", "status"];
/// Begin and end, which make sense together only.
const TIME: &str = "time";
pub(crate) const ATTENDEES: &str = "attendees/";
const PROPERTIES: &str = "extendedProperties/";

/// Returns the fields of an event: guests one by one, begin and end as one, extended properties one by one.
pub(crate) fn fields_of(event: &Value) -> Fields {
    let mut fields = Fields::new();
    for (name, value) in event.as_object().into_iter().flatten() {
        match name.as_str() {
            name if MADE.contains(&name) => {}
            "start" | "end" => {
                let time = fields.entry(TIME.to_owned()).or_insert_with(|| json!({}));
                time[name] = value.clone();
            }
            "attendees" => fields.extend(value.as_array().into_iter().flatten().filter_map(guest)),
            "extendedProperties" => {
                for (kind, all) in value.as_object().into_iter().flatten() {
                    let all = all.as_object().into_iter().flatten();
                    fields.extend(
                        all.map(|(name, value)| (format!("{PROPERTIES}{kind}/{name}"), value.clone())),
                    );
                }
            }
            name => drop(fields.insert(name.to_owned(), value.clone())),
        }
    }
    fields
}

fn guest(attendee: &Value) -> Option<(String, Value)> {
    let path = format!("{ATTENDEES}{}", attendee["email"].as_str()?.to_lowercase());
    let mut attendee = attendee.as_object()?.clone();
    for made in ["self", "organizer", "id"] {
        attendee.remove(made);
    }
    attendee.retain(|_, value| *value != json!(false) && *value != json!(0) && *value != json!(""));
    Some((path, Value::Object(attendee)))
}

/// Returns an event in which some fields have other values.
pub(super) fn with(event: &Value, changes: &Fields) -> Value {
    let mut event = event.clone();
    for (path, value) in changes {
        if path == TIME {
            event["start"] = value["start"].clone();
            event["end"] = value["end"].clone();
        } else if let Some(address) = path.strip_prefix(ATTENDEES) {
            let mut all = event["attendees"].as_array().cloned().unwrap_or_default();
            let is = |one: &Value| one["email"].as_str().is_some_and(|own| own.eq_ignore_ascii_case(address));
            match all.iter().position(is) {
                Some(at) if value.is_null() => drop(all.remove(at)),
                Some(at) => all[at] = value.clone(),
                None if value.is_null() => {}
                None => all.push(value.clone()),
            }
            event["attendees"] = all.into();
        } else if let Some((kind, name)) = path.strip_prefix(PROPERTIES).and_then(|path| path.split_once('/'))
        {
            event["extendedProperties"][kind][name] = value.clone();
        } else {
            event[path] = value.clone();
        }
    }
    event
}

/// Returns the body that writes what is wanted over what is there; null when nothing is to be written.
pub(super) fn patch(present: &Value, wanted: &Value) -> Value {
    let mut patch = merge_patch(&writable(present), &writable(wanted));
    // A conference is one thing: half of another would be none.
    if let Some(conference) = patch.get_mut("conferenceData").filter(|conference| conference.is_object()) {
        *conference = wanted["conferenceData"].clone();
    }
    patch
}

/// Returns what of an event may be written.
pub(super) fn writable(event: &Value) -> Value {
    let mut fields = event.as_object().cloned().unwrap_or_default();
    fields.retain(|name, value| !MADE.contains(&name.as_str()) && !value.is_null());
    if let Some(Value::Array(attendees)) = fields.get_mut("attendees") {
        for attendee in attendees.iter_mut() {
            if let Some((_, bare)) = guest(attendee) {
                *attendee = bare;
            }
        }
    }
    drop_nulls(&mut fields);
    Value::Object(fields)
}

fn drop_nulls(fields: &mut Map<String, Value>) {
    fields.retain(|_, value| !value.is_null());
    for value in fields.values_mut() {
        if let Value::Object(inner) = value {
            drop_nulls(inner);
        }
    }
}

/// Keeps the fields of somebody else's event that a guest may write: the own answer, and how the copy looks.
pub(super) fn guests_own(mut fields: Fields, address: &str) -> Fields {
    let own = format!("{ATTENDEES}{}", address.to_lowercase());
    let private = format!("{PROPERTIES}private/");
    fields.retain(|path, _| GUESTS.contains(&path.as_str()) || *path == own || path.starts_with(&private));
    fields
}

/// Tells whether an event in a calendar is somebody else's, who alone decides about it.
pub(super) fn is_guests(event: &Value, calendar: &str) -> bool {
    let organizer = event["organizer"]["email"].as_str().unwrap_or(calendar);
    let is_own = event["organizer"]["self"] == json!(true) || organizer.eq_ignore_ascii_case(calendar);
    !is_own && event["guestsCanModify"] != json!(true)
}

pub(super) fn is_cancelled(event: &Value) -> bool {
    event["status"] == CANCELLED
}

/// Returns the id of the series in which it differs.
pub(super) fn series_of(event: &Value) -> Option<&str> {
    event["recurringEventId"].as_str()
}

/// Tells whether two values of an event's field mean the same; times do that in whatever zone they are written.
pub(super) fn same(path: &str, one: &Value, other: &Value) -> bool {
    match path {
        TIME => ["start", "end"].iter().all(|side| moment(&one[side]) == moment(&other[side])),
        "conferenceData" => one["conferenceId"] == other["conferenceId"] && one.is_null() == other.is_null(),
        "reminders" => {
            let usual = |value: &Value| value.is_null() || *value == json!({ "useDefault": true });
            (usual(one) && usual(other)) || sorted(one) == sorted(other)
        }
        "status" => one.as_str().unwrap_or("confirmed") == other.as_str().unwrap_or("confirmed"),
        "visibility" => one.as_str().unwrap_or("default") == other.as_str().unwrap_or("default"),
        "transparency" => one.as_str().unwrap_or("opaque") == other.as_str().unwrap_or("opaque"),
        _ => plainly_same(path, one, other),
    }
}

/// Returns the text that all values of a field share that mean the same; nothing for what is as usual.
pub(crate) fn canonical(path: &str, value: &Value) -> Option<String> {
    if same(path, value, &Value::Null) {
        return None;
    }
    Some(match path {
        TIME => format!("{:?}", ["start", "end"].map(|side| moment(&value[side]))),
        "reminders" => format!("{:?}", sorted(value)),
        "conferenceData" => value["conferenceId"].to_string(),
        _ => value.to_string(),
    })
}

/// Reminders are in no order.
fn sorted(reminders: &Value) -> (bool, Vec<String>) {
    let overrides = reminders["overrides"].as_array().into_iter().flatten();
    let mut all: Vec<String> = overrides.map(|one| format!("{} {}", one["method"], one["minutes"])).collect();
    all.sort();
    (reminders["useDefault"] == json!(true), all)
}

/// A time, whatever it is written like.
#[derive(Debug, PartialEq, Eq)]
enum At {
    Moment(Timestamp),
    Text(String),
}

fn moment(at: &Value) -> At {
    let text = at["dateTime"].as_str().or_else(|| at["date"].as_str()).unwrap_or_default();
    text.parse().map_or_else(|_| At::Text(text.to_owned()), At::Moment)
}

/// Returns the occurrence of a series that an item stands for as it was before anything in it differed.
pub(super) fn occurrence(series: &Value, instance: &Value) -> Option<Value> {
    let original = &instance["originalStartTime"];
    let mut occurrence = series.clone();
    let members = occurrence.as_object_mut()?;
    members.remove("recurrence");
    members.insert("recurringEventId".to_owned(), series["id"].clone());
    members.insert("originalStartTime".to_owned(), original.clone());
    let zone = |side: &str| series[side]["timeZone"].clone();
    let (start, end) = if let Some(day) = original["date"].as_str() {
        let date = |value: &Value| value["date"].as_str()?.parse::<civil::Date>().ok();
        let days = (date(&series["end"])? - date(&series["start"])?).get_days();
        let end = day.parse::<civil::Date>().ok()?.checked_add(jiff::Span::new().days(days)).ok()?;
        (json!({ "date": day }), json!({ "date": end.to_string() }))
    } else {
        let stamp = |value: &Value| value["dateTime"].as_str()?.parse::<Timestamp>().ok();
        let length: SignedDuration = stamp(&series["end"])?.duration_since(stamp(&series["start"])?);
        let start = stamp(original)?;
        let at = |stamp: Timestamp, side| json!({ "dateTime": stamp.to_string(), "timeZone": zone(side) });
        (at(start, "start"), at(start.checked_add(length).ok()?, "end"))
    };
    members.insert("start".to_owned(), start);
    members.insert("end".to_owned(), end);
    Some(occurrence)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields::differing;

    fn event() -> Value {
        json!({
            "id": "abc", "etag": "1", "summary": "Sync", "status": "confirmed", "sequence": 3,
            "start": { "dateTime": "2026-03-02T09:00:00+01:00", "timeZone": "Europe/Berlin" },
            "end": { "dateTime": "2026-03-02T10:00:00+01:00", "timeZone": "Europe/Berlin" },
            "organizer": { "email": "anna@acme.test", "self": true },
            "attendees": [
                { "email": "Ben@acme.test", "responseStatus": "accepted", "self": true },
                { "email": "kim@x.example", "responseStatus": "declined", "additionalGuests": 0 },
            ],
            "extendedProperties": { "private": { "crm": "4711" } },
        })
    }

    #[test]
    fn a_time_is_the_same_in_whatever_zone_it_is_written() {
        let mut other = event();
        other["start"]["dateTime"] = "2026-03-02T08:00:00Z".into();
        assert!(differing(&fields_of(&event()), &fields_of(&other), same).is_empty());
        other["end"]["dateTime"] = "2026-03-02T10:00:00Z".into();
        assert_eq!(differing(&fields_of(&event()), &fields_of(&other), same), ["time"]);
    }

    #[test]
    fn guests_and_properties_are_set_back_one_by_one() {
        let mut later = event();
        later["attendees"] = json!([{ "email": "ben@acme.test", "responseStatus": "tentative" }]);
        later["extendedProperties"]["private"] = json!({ "new": "1" });
        let before = fields_of(&event());
        let changes = Fields::from([
            ("attendees/kim@x.example".to_owned(), before["attendees/kim@x.example"].clone()),
            ("extendedProperties/private/crm".to_owned(), "4711".into()),
        ]);
        let mended = with(&later, &changes);
        assert_eq!(mended["attendees"].as_array().unwrap().len(), 2);
        assert_eq!(mended["attendees"][0]["responseStatus"], "tentative");
        assert_eq!(mended["extendedProperties"]["private"], json!({ "new": "1", "crm": "4711" }));
        let patch = patch(&later, &mended);
        assert_eq!(patch["extendedProperties"], json!({ "private": { "crm": "4711" } }));
        assert!(patch.get("summary").is_none() && patch.get("sequence").is_none());
    }

    #[test]
    fn an_all_day_event_that_gets_a_time_loses_its_date() {
        let day = json!({ "start": { "date": "2026-03-02" }, "end": { "date": "2026-03-03" } });
        assert_eq!(
            patch(&event(), &day)["start"],
            json!({ "date": "2026-03-02", "dateTime": null, "timeZone": null })
        );
    }

    #[test]
    fn an_occurrence_is_what_its_series_says() {
        let mut series = event();
        series["recurrence"] = json!(["RRULE:FREQ=WEEKLY"]);
        let instance = json!({ "id": "abc_20260309T080000Z", "status": "cancelled", "recurringEventId": "abc",
            "originalStartTime": { "dateTime": "2026-03-09T09:00:00+01:00" } });
        let occurrence = occurrence(&series, &instance).unwrap();
        assert_eq!(occurrence["end"]["dateTime"], "2026-03-09T09:00:00Z");
        assert!(occurrence.get("recurrence").is_none() && !is_cancelled(&occurrence));
    }

    #[test]
    fn a_guest_writes_the_own_answer_and_nothing_of_the_event() {
        let own = guests_own(fields_of(&event()), "ben@acme.test");
        let paths: Vec<&str> = own.keys().map(String::as_str).collect();
        assert_eq!(paths, ["attendees/ben@acme.test", "extendedProperties/private/crm", "status"]);
        assert!(is_guests(&json!({ "organizer": { "email": "anna@acme.test" } }), "ben@acme.test"));
        assert!(!is_guests(&event(), "anna@acme.test"));
    }
}
