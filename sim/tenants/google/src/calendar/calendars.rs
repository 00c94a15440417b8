//! Calendars themselves.

use std::sync::Arc;

use hyper::Method;
use serde_json::{Map, Value, json};

use super::{Calendar, Entry, Role, check_etag, refuse, route, time};
use crate::{
    audit::Parameter,
    call::{Answer, Call, Reply},
    directory::{check_admin, with_etag},
    oauth::scopes::{CALENDAR, CALENDAR_CALENDARS, CALENDAR_CALENDARS_READONLY, CALENDAR_READONLY},
    refusal::Refusal,
    routes::Route,
    tenant::Tenant,
};

const READ: &[&str] = &[CALENDAR, CALENDAR_READONLY, CALENDAR_CALENDARS, CALENDAR_CALENDARS_READONLY];
const WRITE: &[&str] = &[CALENDAR, CALENDAR_CALENDARS];
const ONE: &str = "calendar/v3/calendars/{calendarId}";

/// The routes.
pub(super) const ROUTES: &[Route] = &[
    route("calendar.calendars.get", Method::GET, ONE, READ, get),
    route("calendar.calendars.insert", Method::POST, "calendar/v3/calendars", WRITE, insert),
    route("calendar.calendars.patch", Method::PATCH, ONE, WRITE, update),
    route("calendar.calendars.update", Method::PUT, ONE, WRITE, update),
    route("calendar.calendars.delete", Method::DELETE, ONE, WRITE, delete),
    route("calendar.calendars.clear", Method::POST, "calendar/v3/calendars/{calendarId}/clear", WRITE, clear),
    route(
        "calendar.calendars.transferOwnership",
        Method::POST,
        "calendar/v3/calendars/{calendarId}/transferOwnership",
        WRITE,
        transfer,
    ),
];

const WRITABLE: [&str; 6] =
    ["summary", "description", "location", "timeZone", "autoAcceptInvitations", "workingHours"];

fn resource(tenant: &Tenant, calendar: &Calendar) -> Value {
    let mut value = json!({
        "kind": "calendar#calendar",
        "id": calendar.id,
        "conferenceProperties": { "allowedConferenceSolutionTypes": ["hangoutsMeet"] },
    });
    for (name, field) in &calendar.fields {
        value[name] = field.clone();
    }
    if let Some(owner) = tenant.directory.any_user(&calendar.owner).filter(|_| !calendar.primary) {
        value["dataOwner"] = owner.primary_email.clone().into();
    }
    with_etag(value)
}

fn get(tenant: &mut Tenant, call: &Call) -> Answer {
    let (id, _) = tenant.reach(call, call.parameter("calendarId"), Role::FreeBusyReader)?;
    Ok(Reply::json(resource(tenant, tenant.calendar(&id)?)))
}

fn write(calendar: &mut Calendar, body: &Map<String, Value>) -> Result<(), Refusal> {
    for name in WRITABLE {
        match body.get(name) {
            Some(Value::Null) => {
                calendar.fields.remove(name);
            }
            Some(value) => {
                if name == "timeZone" && value.as_str().and_then(time::zone).is_none() {
                    return Err(Refusal::invalid_value("Invalid time zone."));
                }
                calendar.fields.insert(name.to_owned(), value.clone());
            }
            None => {}
        }
    }
    Ok(())
}

fn insert(tenant: &mut Tenant, call: &Call) -> Answer {
    let own = tenant.check_calendar_user(call)?;
    let body = call.object()?;
    let summary = body.get("summary").and_then(Value::as_str).unwrap_or_default();
    if summary.is_empty() {
        return Err(Refusal::new(400, "required", "INVALID_ARGUMENT", "Missing summary."));
    }
    let zone = tenant.calendar(&own)?.zone_name().to_owned();
    let id = tenant.draw_calendar_id();
    let mut calendar = Calendar::new(id.clone(), &call.caller.user, false, summary, &zone, call.now);
    write(&mut calendar, &body)?;
    let value = resource(tenant, &calendar);
    tenant.add_calendar(calendar);
    let title = vec![Parameter::text("calendar_title", summary.to_owned())];
    tenant.note_calendar(call, "calendar_change", "create_calendar", &id, None, title);
    Ok(Reply::json(value))
}

fn update(tenant: &mut Tenant, call: &Call) -> Answer {
    let (id, _) = tenant.reach(call, call.parameter("calendarId"), Role::Owner)?;
    let body = call.object()?;
    let mut calendar = tenant.calendar(&id)?.clone();
    let shown = resource(tenant, &calendar);
    check_etag(call, shown["etag"].as_str().unwrap_or_default())?;
    if call.method == Method::PUT {
        if body.get("summary").and_then(Value::as_str).is_none_or(str::is_empty) {
            return Err(Refusal::new(400, "required", "INVALID_ARGUMENT", "Missing summary."));
        }
        calendar.fields.retain(|name, _| name == "timeZone");
    }
    write(&mut calendar, &body)?;
    calendar.updated = call.now;
    for (name, event) in [
        ("summary", "change_calendar_title"),
        ("description", "change_calendar_description"),
        ("location", "change_calendar_location"),
        ("timeZone", "change_calendar_timezone"),
    ] {
        if let Some(value) = body.get(name).filter(|value| shown[name] != **value) {
            let text = value.as_str().unwrap_or_default();
            let parameters = vec![Parameter::text("calendar_title", text.to_owned())];
            let parameters = if name == "summary" { parameters } else { Vec::new() };
            tenant.note_calendar(call, "calendar_change", event, &id, None, parameters);
        }
    }
    let value = resource(tenant, &calendar);
    *tenant.calendar_mut(&id)? = calendar;
    Ok(Reply::json(value))
}

fn delete(tenant: &mut Tenant, call: &Call) -> Answer {
    let (id, _) = tenant.reach(call, call.parameter("calendarId"), Role::Owner)?;
    if tenant.calendar(&id)?.primary {
        return Err(refuse(403, "cannotDeletePrimaryCalendar", "The primary calendar cannot be deleted."));
    }
    tenant.calendar.all.remove(&id);
    for list in tenant.calendar.lists.values_mut() {
        list.remove(&id);
    }
    tenant.note_calendar(call, "calendar_change", "delete_calendar", &id, None, Vec::new());
    Ok(Reply::empty())
}

/// Deletes all events of a primary calendar.
fn clear(tenant: &mut Tenant, call: &Call) -> Answer {
    let (id, _) = tenant.reach(call, call.parameter("calendarId"), Role::Owner)?;
    if !tenant.calendar(&id)?.primary {
        return Err(refuse(400, "notPrimaryCalendar", "Only a primary calendar can be cleared."));
    }
    let calendar = tenant.calendar(&id)?;
    let gone: Vec<_> = calendar.events.values().filter(|event| !event.is_cancelled()).cloned().collect();
    for event in gone {
        // Instances have gone with their series already.
        if tenant.calendar(&id)?.events.get(&event.id).is_none_or(super::Event::is_cancelled) {
            continue;
        }
        tenant.cancel_event(&id, &event, call.now);
        tenant.note_calendar(call, "event_change", "delete_event", &id, Some(&event), Vec::new());
    }
    Ok(Reply::empty())
}

/// Gives a secondary calendar to another user of the domain; an administrator does it, whether it is shared with them
/// or not.
fn transfer(tenant: &mut Tenant, call: &Call) -> Answer {
    check_admin(tenant, call)?;
    if !call.flag("useAdminAccess") {
        return Err(Refusal::invalid_value("useAdminAccess must be true."));
    }
    let new = tenant.directory.user(call.query("newDataOwner").unwrap_or_default());
    let new =
        new.filter(|user| !user.suspended).map(|user| (Arc::clone(&user.id), user.primary_email.clone()));
    let (owner, address) = new.ok_or_else(|| Refusal::invalid_value("Invalid value for: newDataOwner"))?;
    let id = call.parameter("calendarId").to_owned();
    let expires = tenant.settings.calendar.sharing_expires_tokens;
    let calendar = tenant.calendar_mut(&id)?;
    if calendar.primary {
        return Err(refuse(400, "invalid", "The owner of a primary calendar cannot be changed."));
    }
    calendar.give_to(&owner, &address, expires);
    let entry = Entry::usual(calendar);
    tenant.put_on_list(&owner, entry);
    let parameters =
        vec![Parameter::text("access_level", "owner"), Parameter::text("grantee_email", address)];
    tenant.note_calendar(call, "calendar_change", "change_calendar_acls", &id, None, parameters);
    Ok(Reply::empty())
}
