//! Changes of events, their end, their return, and their way to another calendar.

use std::{collections::BTreeSet, sync::Arc};

use hyper::Method;
use jiff::Timestamp;
use model::Moment;
use serde_json::{Map, Value, json};

use super::{
    super::{Event, Role, check_etag, mails::Occasion, not_found, refuse, sharing, time::When},
    checks, view,
};
use crate::{
    audit::Parameter,
    call::{Answer, Call, Reply},
    refusal::Refusal,
    tenant::Tenant,
};

/// What a replaced event keeps whatever the new one says.
const KEPT: [&str; 9] = [
    "iCalUID",
    "creator",
    "organizer",
    "eventType",
    "recurringEventId",
    "originalStartTime",
    "privateCopy",
    "sequence",
    "status",
];

fn found(tenant: &Tenant, call: &Call, calendar: &str) -> Result<Event, Refusal> {
    let event =
        tenant.calendar(calendar)?.find(call.parameter("eventId"), call.now, &tenant.settings.calendar);
    let event = event.filter(|event| !event.moved_away).ok_or_else(not_found)?;
    check_etag(call, &event.etag(calendar))?;
    Ok(event)
}

/// Tells whether a calendar has a guest's copy, whose common part belongs to the organizer.
fn is_guests(event: &Event, calendar: &str) -> bool {
    let free = |name: &str| event.fields.get(name).and_then(Value::as_bool).unwrap_or(false);
    event.organizer() != calendar && !free("privateCopy") && !free("guestsCanModify")
}

pub(super) fn update(tenant: &mut Tenant, call: &Call) -> Answer {
    let (id, role) = tenant.reach(call, call.parameter("calendarId"), Role::Writer)?;
    let body = call.object()?;
    let before = found(tenant, call, &id)?;
    if body.get("status").is_some_and(|status| status == "cancelled") && !before.is_cancelled() {
        cancel(tenant, call, &id, &before);
        let event = tenant.calendar(&id)?.events.get(&before.id).cloned().unwrap_or(before);
        return Ok(Reply::json(event.resource(&view(tenant, call, &id, role)?)));
    }
    let calendar = tenant.calendar(&id)?;
    let (zone, primary) = (calendar.zone(), calendar.primary);
    let mut event = changed(call, &id, &before, &body)?;
    if is_guests(&before, &id) {
        check_guest(&before, &event, &zone)?;
    }
    checks::check(&event, &zone, primary)?;
    checks::settle(&mut event, &zone, tenant.calendar(&id)?.zone_name());
    let event = store(tenant, call, &id, &before, event)?;
    tell(tenant, call, &id, &before, &event);
    Ok(Reply::json(event.resource(&view(tenant, call, &id, role)?)))
}

/// Returns the event as the body wants it.
fn changed(call: &Call, calendar: &str, before: &Event, body: &Map<String, Value>) -> Result<Event, Refusal> {
    let kind = body.get("eventType").and_then(Value::as_str);
    if kind.is_some_and(|kind| kind != before.kind()) {
        return Err(refuse(400, "eventTypeRestriction", "The type of an event cannot be changed."));
    }
    if body.get("sequence").and_then(Value::as_i64).is_some_and(|said| said < before.sequence()) {
        return Err(Refusal::invalid_value("Invalid sequence value."));
    }
    let mut event = before.clone();
    if call.method == Method::PUT {
        event.edit().retain(|name, _| {
            KEPT.contains(&name.as_str())
                || (matches!(name.as_str(), "attachments" | "conferenceData" | "hangoutLink")
                    && !checks::is_written(call, name))
        });
    }
    checks::merge(call, event.edit(), body);
    for name in ["originalStartTime", "recurringEventId"] {
        match before.fields.get(name) {
            Some(kept) => event.set(name, kept.clone()),
            None => event.unset(name),
        }
    }
    match body.get("reminders") {
        Some(Value::Null) => drop(event.reminders.remove(&call.caller.user)),
        Some(reminders) => drop(event.reminders.insert(Arc::clone(&call.caller.user), reminders.clone())),
        None if call.method == Method::PUT => drop(event.reminders.remove(&call.caller.user)),
        None => {}
    }
    let rescheduled = ["start", "end", "recurrence", "status"].iter().any(|n| differs(before, &event, n));
    if rescheduled && event.organizer() == calendar && event.sequence() == before.sequence() {
        event.set("sequence", before.sequence() + 1);
    }
    // Reminders are for one user and no change of the event.
    if event.fields != before.fields {
        event.updated = call.now;
    }
    Ok(event)
}

fn differs(before: &Event, after: &Event, name: &str) -> bool {
    match (before.fields.get(name), after.fields.get(name)) {
        (Some(old), Some(new)) if matches!(name, "start" | "end") => {
            let utc = jiff::tz::TimeZone::UTC;
            match (When::parse(old, &utc), When::parse(new, &utc)) {
                (Ok(old), Ok(new)) => old != new,
                _ => old != new,
            }
        }
        (old, new) => old != new,
    }
}

fn check_guest(before: &Event, after: &Event, zone: &jiff::tz::TimeZone) -> Result<(), Refusal> {
    let names: BTreeSet<&String> = before.fields.keys().chain(after.fields.keys()).collect();
    let same_time = before.start(zone) == after.start(zone) && before.end(zone) == after.end(zone);
    let touched = names.into_iter().any(|name| {
        let timed = matches!(name.as_str(), "start" | "end") && same_time;
        !timed
            && !checks::GUESTS.contains(&name.as_str())
            && before.fields.get(name) != after.fields.get(name)
    });
    if touched {
        let message = "Shared properties can only be changed by the organizer of the event.";
        return Err(refuse(403, "forbiddenForNonOrganizer", message));
    }
    Ok(())
}

/// Stores a changed event with what follows for its instances and for its guests' copies.
fn store(
    tenant: &mut Tenant,
    call: &Call,
    id: &str,
    before: &Event,
    mut event: Event,
) -> Result<Event, Refusal> {
    let now = call.now;
    let returned = before.is_cancelled() && !event.is_cancelled();
    event.with_series = event.with_series && !returned;
    let own = event.id.clone();
    let calendar = tenant.calendar_mut(id)?;
    calendar.put(event.clone(), now);
    let moved = differs(before, &event, "start") || differs(before, &event, "recurrence");
    let mut touched = vec![own.clone()];
    if event.is_series() && (returned || moved) {
        let zone = calendar.zone();
        let starts: BTreeSet<String> =
            event.occurrences(&zone, Timestamp::MAX).into_iter().map(When::suffix).collect();
        let instances: Vec<Event> =
            calendar.events.values().filter(|own| own.series() == Some(&event.id)).cloned().collect();
        for mut instance in instances {
            let fits = instance.original_start(&zone).is_some_and(|start| starts.contains(&start.suffix()));
            if returned && instance.with_series && fits {
                instance.set("status", "confirmed");
                instance.with_series = false;
            } else if !fits && !instance.with_series {
                // What differed from an occurrence that is no more is no more either.
                instance.set("status", "cancelled");
                instance.with_series = true;
            } else {
                continue;
            }
            instance.updated = now;
            touched.push(instance.id.clone());
            calendar.put(instance, now);
        }
    }
    for touched in touched {
        tenant.spread(id, &touched, Some(before), now);
    }
    tenant.calendar(id)?.events.get(&own).cloned().ok_or_else(not_found)
}

/// Notes a change in the audit log, and the mails that it sends.
fn tell(tenant: &mut Tenant, call: &Call, id: &str, before: &Event, event: &Event) {
    let (old, new) = (sharing::guests(before), sharing::guests(event));
    let (added, kept): (Vec<String>, Vec<String>) =
        new.iter().cloned().partition(|guest| !old.contains(guest));
    let removed: Vec<String> = old.iter().filter(|guest| !new.contains(guest)).cloned().collect();
    let shared = event.fields != before.fields;
    if event.organizer() == id && shared {
        tenant.notify(call, Occasion::Update, id, event, &kept);
        tenant.notify(call, Occasion::Invitation, id, event, &added);
        tenant.notify(call, Occasion::Cancellation, id, event, &removed);
    } else if shared {
        tenant.notify(call, Occasion::Response, id, event, &[event.organizer().to_owned()]);
    }
    let mut note = |name, more| tenant.note_calendar(call, "event_change", name, id, Some(event), more);
    if before.is_cancelled() && !event.is_cancelled() {
        note("restore_event", Vec::new());
        return;
    }
    let mut named = false;
    if differs(before, event, "summary") {
        named = true;
        note(
            "change_event_title",
            vec![Parameter::text("old_event_title", before.text("summary").to_owned())],
        );
    }
    if differs(before, event, "start") {
        named = true;
        note("change_event_start_time", Vec::new());
    }
    for (name, guests) in [("add_event_guest", added), ("remove_event_guest", removed)] {
        for guest in guests {
            named = true;
            note(name, vec![Parameter::text("event_guest", guest)]);
        }
    }
    if event.organizer() != id && differs(before, event, "attendees") {
        named = true;
        note("change_event_guest_response", vec![Parameter::text("event_guest", id.to_owned())]);
    }
    if !named {
        note("change_event", Vec::new());
    }
}

pub(super) fn delete(tenant: &mut Tenant, call: &Call) -> Answer {
    let (id, _) = tenant.reach(call, call.parameter("calendarId"), Role::Writer)?;
    let known = tenant.calendar(&id)?.find(call.parameter("eventId"), call.now, &tenant.settings.calendar);
    if known.is_some_and(|event| event.is_cancelled()) {
        let mut refusal = Refusal::gone("deleted", "Resource has been deleted");
        refusal.domain = "global";
        return Err(refusal);
    }
    let event = found(tenant, call, &id)?;
    cancel(tenant, call, &id, &event);
    Ok(Reply::empty())
}

/// Cancels an event; of a series all that differs from it as well.
fn cancel(tenant: &mut Tenant, call: &Call, id: &str, event: &Event) {
    tenant.cancel_event(id, event, call.now);
    let own = event.organizer() == id;
    if own {
        tenant.notify(call, Occasion::Cancellation, id, event, &sharing::guests(event));
    } else if !event.organizer().is_empty() {
        tenant.notify(call, Occasion::Response, id, event, &[event.organizer().to_owned()]);
    }
    tenant.note_calendar(call, "event_change", "delete_event", id, Some(event), Vec::new());
}

impl Tenant {
    /// Cancels an event of a calendar and carries that on.
    pub(crate) fn cancel_event(&mut self, id: &str, event: &Event, now: Moment) {
        let Ok(calendar) = self.calendar_mut(id) else { return };
        let of_series = |own: &&Event| own.series() == Some(&event.id) && !own.is_cancelled();
        let instances: Vec<Event> = calendar.events.values().filter(of_series).cloned().collect();
        let mut touched = Vec::new();
        for (mut gone, with_series) in
            instances.into_iter().map(|event| (event, true)).chain([(event.clone(), false)])
        {
            if gone.organizer() != id {
                sharing::set_answer(&mut gone, id, "declined");
            }
            gone.set("status", "cancelled");
            gone.updated = now;
            gone.with_series = with_series;
            touched.push(gone.id.clone());
            calendar.put(gone, now);
        }
        for touched in touched {
            self.spread(id, &touched, Some(event), now);
        }
    }
}

/// Moves an event to another calendar, whose it is from then on.
pub(super) fn hand_over(tenant: &mut Tenant, call: &Call) -> Answer {
    let (from, _) = tenant.reach(call, call.parameter("calendarId"), Role::Writer)?;
    let to = call.query("destination").unwrap_or_default();
    if to.is_empty() {
        return Err(Refusal::new(400, "required", "INVALID_ARGUMENT", "Required parameter: destination"));
    }
    let (to, role) = tenant.reach(call, to, Role::Writer)?;
    let event = found(tenant, call, &from)?;
    if event.series().is_some() {
        let message = "Cannot change the organizer of an instance.";
        return Err(refuse(400, "cannotChangeOrganizerOfInstance", message));
    }
    if event.kind() != "default" {
        return Err(refuse(400, "eventTypeRestriction", "Only events of type default can be moved."));
    }
    if event.organizer() != from {
        let message = "The operation can be performed only by the organizer of the event.";
        return Err(refuse(403, "forbiddenForNonOrganizer", message));
    }
    let now = call.now;
    let target = tenant.calendar(&to)?;
    let mut organizer = json!({ "email": to });
    if !target.primary {
        organizer["displayName"] = target.summary().into();
    }
    let source = tenant.calendar_mut(&from)?;
    let all: Vec<Event> = source
        .events
        .values()
        .filter(|own| own.id == event.id || own.series() == Some(&event.id))
        .cloned()
        .collect();
    for mut left in all.iter().filter(|_| from != to).cloned() {
        left.set("status", "cancelled");
        left.updated = now;
        left.moved_away = true;
        source.put(left, now);
    }
    for mut moved in all {
        moved.set("organizer", organizer.clone());
        moved.updated = now;
        let id = moved.id.clone();
        tenant.calendar_mut(&to)?.put(moved, now);
        tenant.spread(&to, &id, None, now);
    }
    let event = tenant.calendar(&to)?.events.get(&event.id).cloned().ok_or_else(not_found)?;
    let target = vec![Parameter::text("target_calendar_id", to.clone())];
    tenant.note_calendar(call, "event_change", "change_event", &from, Some(&event), target);
    tenant.notify(call, Occasion::Update, &to, &event, &sharing::guests(&event));
    Ok(Reply::json(event.resource(&view(tenant, call, &to, role)?)))
}
