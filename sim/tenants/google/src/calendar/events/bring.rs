//! Events that come into a calendar: made in it, or brought from elsewhere.

use serde_json::{Map, Value, json};

use super::{
    super::{Calendar, Event, Role, mails::Occasion, refuse, sharing, time::When},
    checks, view,
};
use crate::{
    call::{Answer, Call, Reply},
    refusal::Refusal,
    tenant::Tenant,
};

fn text<'a>(body: &'a Map<String, Value>, name: &str) -> &'a str {
    body.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn exists() -> Refusal {
    let mut refusal = Refusal::duplicate("The requested identifier already exists.");
    refusal.status = None;
    refusal
}

/// Returns the id of the event to be made.
fn chosen_id(calendar: &mut Calendar, body: &Map<String, Value>) -> Result<String, Refusal> {
    let (id, uid) = (text(body, "id"), text(body, "iCalUID"));
    if !id.is_empty() && !uid.is_empty() {
        return Err(Refusal::invalid_value("Only one of id and iCalUID may be given."));
    }
    if id.is_empty() {
        return Ok(calendar.draw());
    }
    let fits = |letter: char| letter.is_ascii_digit() || ('a'..='v').contains(&letter);
    if !(5..=1024).contains(&id.len()) || !id.chars().all(fits) {
        return Err(Refusal::invalid_value("Invalid resource id value."));
    }
    Ok(id.to_owned())
}

/// Makes an event with what every one has.
fn made(calendar: &Calendar, call: &Call, id: String, body: &Map<String, Value>) -> Event {
    let uid = match text(body, "iCalUID") {
        "" => format!("{id}@google.com"),
        uid => uid.to_owned(),
    };
    let mut event = Event::new(id, Map::new(), call.now);
    event.set("status", "confirmed");
    event.set("iCalUID", uid);
    event.set("creator", json!({ "email": *call.caller.email }));
    let mut organizer = json!({ "email": calendar.id });
    if !calendar.primary {
        organizer["displayName"] = calendar.summary().into();
    }
    event.set("organizer", organizer);
    event.set("sequence", 0);
    let kind = text(body, "eventType");
    event.set("eventType", if kind.is_empty() { "default" } else { kind });
    checks::merge(call, event.edit(), body);
    event.unset("originalStartTime");
    if let Some(reminders) = body.get("reminders").filter(|reminders| reminders.is_object()) {
        event.reminders.insert(std::sync::Arc::clone(&call.caller.user), reminders.clone());
    }
    event
}

pub(super) fn insert(tenant: &mut Tenant, call: &Call) -> Answer {
    let (id, role) = tenant.reach(call, call.parameter("calendarId"), Role::Writer)?;
    let body = call.object()?;
    let calendar = tenant.calendar_mut(&id)?;
    let own = chosen_id(calendar, &body)?;
    // Ids of events that were deleted long ago are taken as well.
    let uid = text(&body, "iCalUID");
    let taken = |event: &Event| !uid.is_empty() && event.text("iCalUID") == uid;
    if calendar.events.contains_key(&own) || calendar.events.values().any(taken) {
        return Err(exists());
    }
    let mut event = made(calendar, call, own.clone(), &body);
    if event.is_cancelled() {
        return Err(Refusal::invalid_value("Invalid status value."));
    }
    checks::check(&event, &calendar.zone(), calendar.primary)?;
    checks::settle(&mut event, &calendar.zone(), calendar.zone_name());
    calendar.put(event, call.now);
    tenant.spread(&id, &own, None, call.now);
    let event = tenant.calendar(&id)?.events[&own].clone();
    tenant.notify(call, Occasion::Invitation, &id, &event, &sharing::guests(&event));
    tenant.note_calendar(call, "event_change", "create_event", &id, Some(&event), Vec::new());
    Ok(Reply::json(event.resource(&view(tenant, call, &id, role)?)))
}

/// Takes in a private copy of an event. Nobody is invited, and no change of it goes anywhere. The copy that is there
/// already, by its iCalendar id, is written over.
pub(super) fn import(tenant: &mut Tenant, call: &Call) -> Answer {
    let (id, role) = tenant.reach(call, call.parameter("calendarId"), Role::Writer)?;
    let body = call.object()?;
    let uid = text(&body, "iCalUID");
    if uid.is_empty() {
        return Err(Refusal::new(400, "required", "INVALID_ARGUMENT", "Missing iCalUID."));
    }
    if !matches!(text(&body, "eventType"), "" | "default") {
        return Err(refuse(400, "eventTypeRestriction", "Only events of type default can be imported."));
    }
    let calendar = tenant.calendar_mut(&id)?;
    let zone = calendar.zone();
    let original = body.get("originalStartTime").filter(|value| value.is_object());
    let original = original.map(|value| When::parse(value, &zone)).transpose()?;
    let same = |event: &&Event| event.text("iCalUID") == uid && event.original_start(&zone) == original;
    let earlier = calendar.events.values().find(same).cloned();
    let series = calendar.events.values().find(|event| event.text("iCalUID") == uid && event.is_series());
    let (series, drawn) = match (original, series) {
        (Some(original), Some(series)) => (Some(series.id.clone()), Some(series.instance_id(original))),
        _ => (None, None),
    };
    let own = match (&earlier, drawn) {
        (Some(earlier), _) => earlier.id.clone(),
        (None, Some(instance)) => instance,
        (None, None) => chosen_id(calendar, &body)?,
    };
    let mut event = made(calendar, call, own.clone(), &body);
    let said = body.get("sequence").and_then(Value::as_i64);
    if let Some(earlier) = &earlier {
        if said.is_some_and(|said| said < earlier.sequence()) {
            return Err(Refusal::invalid_value(
                "Invalid sequence value. The specified sequence number is below the current sequence number of the resource. \
                 Re-fetch the resource and use its sequence number on the following request.",
            ));
        }
        event.created = earlier.created;
    }
    let organizer = body.get("organizer").filter(|organizer| organizer["email"].is_string());
    if let Some(organizer) = organizer {
        let mut organizer = organizer.clone();
        organizer.as_object_mut().map(|fields| fields.remove("self"));
        event.set("organizer", organizer);
    }
    if event.organizer() != id {
        event.set("privateCopy", true);
    }
    if let Some(original) = body.get("originalStartTime").filter(|value| value.is_object()) {
        event.set("originalStartTime", original.clone());
    }
    if let Some(series) = series {
        event.set("recurringEventId", series);
    }
    checks::check(&event, &zone, calendar.primary)?;
    checks::settle(&mut event, &zone, calendar.zone_name());
    calendar.put(event, call.now);
    let event = tenant.calendar(&id)?.events[&own].clone();
    let name = if earlier.is_some() { "change_event" } else { "create_event" };
    tenant.note_calendar(call, "event_change", name, &id, Some(&event), Vec::new());
    Ok(Reply::json(event.resource(&view(tenant, call, &id, role)?)))
}
