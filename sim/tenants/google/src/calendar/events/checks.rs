//! What of an event may be written, and what makes sense.

use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};

use super::super::{
    Event,
    recur::Recurrence,
    refuse,
    time::{self, When},
};
use crate::{call::Call, refusal::Refusal};

/// What may be written.
const WRITABLE: [&str; 27] = [
    "anyoneCanAddSelf",
    "attendees",
    "attendeesOmitted",
    "birthdayProperties",
    "colorId",
    "description",
    "end",
    "endTimeUnspecified",
    "eventLabelId",
    "extendedProperties",
    "focusTimeProperties",
    "gadget",
    "guestsCanInviteOthers",
    "guestsCanModify",
    "guestsCanSeeOtherGuests",
    "location",
    "originalStartTime",
    "outOfOfficeProperties",
    "recurrence",
    "sequence",
    "source",
    "start",
    "status",
    "summary",
    "transparency",
    "visibility",
    "workingLocationProperties",
];

/// What a guest may change in a copy; of the list of attendees only the own entry.
pub(super) const GUESTS: [&str; 7] =
    ["attendees", "colorId", "reminders", "transparency", "visibility", "extendedProperties", "status"];

/// Tells whether a field of the body is written by this call.
pub(super) fn is_written(call: &Call, name: &str) -> bool {
    match name {
        "attachments" => call.flag("supportsAttachments"),
        "conferenceData" => call.query("conferenceDataVersion") == Some("1"),
        _ => WRITABLE.contains(&name),
    }
}

/// Writes a body's fields over an event's, those that are objects field by field; null takes a field away.
pub(super) fn merge(call: &Call, fields: &mut Map<String, Value>, body: &Map<String, Value>) {
    for (name, value) in body.iter().filter(|(name, _)| is_written(call, name)) {
        match value {
            Value::Null => {
                fields.remove(name);
            }
            // A time has one of two forms, and the other must not remain beside it.
            Value::Object(new) if !matches!(name.as_str(), "start" | "end" | "originalStartTime") => {
                merge_object(fields.entry(name.clone()).or_insert_with(|| json!({})), new);
            }
            _ => {
                let value = if value.is_object() { time_of(fields.get(name), value) } else { value.clone() };
                fields.insert(name.clone(), value);
            }
        }
    }
    if let Some(Value::Array(attendees)) = fields.get_mut("attendees") {
        for attendee in attendees {
            complete_attendee(attendee);
        }
    }
    invent_conference(fields);
}

/// Returns a time as it is after a body's was written over it: the zone stays unless another one is said.
fn time_of(old: Option<&Value>, new: &Value) -> Value {
    let mut value = new.clone();
    let zone = old.map(|old| old["timeZone"].clone()).filter(Value::is_string);
    if let (Some(zone), Some(fields)) = (zone, value.as_object_mut())
        && fields.get("dateTime").is_some_and(Value::is_string)
    {
        fields.entry("timeZone").or_insert(zone);
    }
    if let Some(fields) = value.as_object_mut() {
        fields.retain(|_, part| !part.is_null());
    }
    value
}

fn merge_object(target: &mut Value, new: &Map<String, Value>) {
    let Value::Object(target) = target else {
        *target = Value::Object(new.clone());
        return;
    };
    for (name, value) in new {
        match value {
            Value::Null => {
                target.remove(name);
            }
            Value::Object(inner) => {
                merge_object(target.entry(name.clone()).or_insert_with(|| json!({})), inner);
            }
            _ => {
                target.insert(name.clone(), value.clone());
            }
        }
    }
}

fn complete_attendee(attendee: &mut Value) {
    let Some(fields) = attendee.as_object_mut() else { return };
    for made in ["self", "organizer", "id"] {
        fields.remove(made);
    }
    if let Some(Value::String(address)) = fields.get_mut("email") {
        *address = address.to_lowercase();
    }
    fields.entry("responseStatus").or_insert_with(|| "needsAction".into());
}

/// Makes the conference that a body asked for.
fn invent_conference(fields: &mut Map<String, Value>) {
    let Some(conference) = fields.get("conferenceData") else {
        fields.remove("hangoutLink");
        return;
    };
    let request = &conference["createRequest"];
    if !request.is_object() || conference.get("conferenceId").is_some() {
        return;
    }
    let drawn = crate::text::drawn(request["requestId"].as_str().unwrap_or_default().as_bytes());
    let letters: Vec<char> =
        (0..10_u32).map(|at| char::from(b'a' + (drawn >> (6 * at) & 63) as u8 % 26)).collect();
    let part = |from: usize, to: usize| letters[from..to].iter().collect::<String>();
    let id = format!("{}-{}-{}", part(0, 3), part(3, 7), part(7, 10));
    let link = format!("https://meet.google.com/{id}");
    let mut made = conference.clone();
    made["createRequest"]["status"] = json!({ "statusCode": "success" });
    made["conferenceSolution"] = json!({ "key": { "type": "hangoutsMeet" }, "name": "Google Meet" });
    made["entryPoints"] = json!([{ "entryPointType": "video", "uri": link, "label": &link[8..] }]);
    made["conferenceId"] = id.into();
    fields.insert("conferenceData".to_owned(), made);
    fields.insert("hangoutLink".to_owned(), link.into());
}

fn required(message: &str) -> Refusal {
    let mut refusal = Refusal::new(400, "required", "INVALID_ARGUMENT", message);
    refusal.status = None;
    refusal
}

/// Refuses an event that makes no sense.
pub(super) fn check(event: &Event, usual: &TimeZone, primary: bool) -> Result<(), Refusal> {
    let field = |name: &str| event.fields.get(name).ok_or_else(|| required(&format!("Missing {name} time.")));
    let (start, end) = (field("start")?, field("end")?);
    let (from, to) = (When::parse(start, usual)?, When::parse(end, usual)?);
    if from.is_day() != to.is_day() {
        return Err(Refusal::invalid_value(
            "Start and end times must either both be date or both be dateTime.",
        ));
    }
    if to.moment(usual) < from.moment(usual) || (from.is_day() && to == from) {
        return Err(refuse(400, "timeRangeEmpty", "The specified time range is empty."));
    }
    for (name, allowed) in [
        ("status", &["confirmed", "tentative", "cancelled"][..]),
        ("visibility", &["default", "public", "private", "confidential"]),
        ("transparency", &["opaque", "transparent"]),
        ("eventType", &["default", "outOfOffice", "focusTime", "workingLocation", "birthday", "fromGmail"]),
    ] {
        let value = event.text(name);
        if !value.is_empty() && !allowed.contains(&value) {
            return Err(Refusal::invalid_value(format!("Invalid {name} value.")));
        }
    }
    for attendee in event.attendees() {
        if !attendee["email"].as_str().is_some_and(|address| address.contains('@')) {
            return Err(Refusal::invalid_value("Invalid attendee email."));
        }
    }
    check_recurrence(event, start, from, usual)?;
    check_kind(event, from, primary)
}

/// Writes the times of an event that makes sense with their offset and zone, so that they mean the same to everybody.
pub(super) fn settle(event: &mut Event, usual: &TimeZone, usual_name: &str) {
    for name in ["start", "end", "originalStartTime"] {
        let Some(said) = event.fields.get(name) else { continue };
        let own = said["timeZone"].as_str().unwrap_or(usual_name).to_owned();
        if let Ok(when) = When::parse(said, usual) {
            let zone = time::zone(&own).unwrap_or_else(|| usual.clone());
            event.set(name, when.resource(Some(&own), &zone));
        }
    }
}

fn check_recurrence(event: &Event, start: &Value, from: When, usual: &TimeZone) -> Result<(), Refusal> {
    let Some(lines) = event.fields.get("recurrence").and_then(Value::as_array) else { return Ok(()) };
    if lines.is_empty() {
        return Ok(());
    }
    if !from.is_day() && start["timeZone"].as_str().and_then(time::zone).is_none() {
        return Err(required("Missing time zone definition for start time."));
    }
    let zone = event.zone(usual);
    Recurrence::parse(lines.iter().map(|line| line.as_str().unwrap_or_default()), &zone).map(|_| ())
}

/// Refuses what the kind of event does not allow.
fn check_kind(event: &Event, from: When, primary: bool) -> Result<(), Refusal> {
    let restricted = |message: &str| Err(refuse(400, "eventTypeRestriction", message.to_owned()));
    let kind = event.kind();
    if kind != "default" && kind != "fromGmail" && !primary {
        return restricted("Events of this type can be on a primary calendar only.");
    }
    match kind {
        "outOfOffice" | "focusTime" if from.is_day() => {
            restricted("An event of this type cannot be an all-day event.")
        }
        "outOfOffice" | "focusTime" | "workingLocation" if !event.attendees().is_empty() => {
            restricted("An event of this type cannot have attendees.")
        }
        "workingLocation" if !event.fields.contains_key("workingLocationProperties") => {
            restricted("A working location event must have working location properties.")
        }
        "workingLocation"
            if event.text("visibility") != "public" || event.text("transparency") != "transparent" =>
        {
            restricted("A working location event must be public and transparent.")
        }
        "birthday" if !from.is_day() || event.text("visibility") != "private" => {
            restricted("A birthday event must be an all-day, private event.")
        }
        _ => Ok(()),
    }
}
