//! The routes of events.

mod bring;
mod checks;
mod list;
mod write;

use hyper::Method;

use super::{Role, View, not_found, open_channel, route, time};
use crate::{
    call::{Answer, Call, Reply},
    oauth::scopes::{CALENDAR, CALENDAR_EVENTS, CALENDAR_EVENTS_READONLY, CALENDAR_READONLY},
    refusal::Refusal,
    routes::Route,
    tenant::Tenant,
};

const READ: &[&str] = &[CALENDAR, CALENDAR_READONLY, CALENDAR_EVENTS, CALENDAR_EVENTS_READONLY];
const WRITE: &[&str] = &[CALENDAR, CALENDAR_EVENTS];
const ALL: &str = "calendar/v3/calendars/{calendarId}/events";
const ONE: &str = "calendar/v3/calendars/{calendarId}/events/{eventId}";

/// The routes.
pub(super) const ROUTES: &[Route] = &[
    route("calendar.events.list", Method::GET, ALL, READ, list::list),
    route("calendar.events.get", Method::GET, ONE, READ, get),
    route(
        "calendar.events.instances",
        Method::GET,
        "calendar/v3/calendars/{calendarId}/events/{eventId}/instances",
        READ,
        list::instances,
    ),
    route("calendar.events.insert", Method::POST, ALL, WRITE, bring::insert),
    route(
        "calendar.events.import",
        Method::POST,
        "calendar/v3/calendars/{calendarId}/events/import",
        WRITE,
        bring::import,
    ),
    route("calendar.events.patch", Method::PATCH, ONE, WRITE, write::update),
    route("calendar.events.update", Method::PUT, ONE, WRITE, write::update),
    route("calendar.events.delete", Method::DELETE, ONE, WRITE, write::delete),
    route(
        "calendar.events.move",
        Method::POST,
        "calendar/v3/calendars/{calendarId}/events/{eventId}/move",
        WRITE,
        write::hand_over,
    ),
    route(
        "calendar.events.watch",
        Method::POST,
        "calendar/v3/calendars/{calendarId}/events/watch",
        READ,
        open_channel,
    ),
];

/// Returns how the caller looks at a calendar.
fn view(tenant: &Tenant, call: &Call, calendar: &str, role: Role) -> Result<View, Refusal> {
    let zone = match call.query("timeZone") {
        Some(name) => {
            time::zone(name).ok_or_else(|| Refusal::invalid_value("Invalid value for: timeZone"))?
        }
        None => tenant.calendar(calendar)?.zone(),
    };
    let max = match call.query("maxAttendees") {
        Some(text) => {
            Some(text.parse().map_err(|_| Refusal::invalid_value("Invalid value for: maxAttendees"))?)
        }
        None => None,
    };
    Ok(View {
        calendar: calendar.to_owned(),
        user: std::sync::Arc::clone(&call.caller.user),
        role,
        zone,
        attendees_max: max,
        bare: false,
        url: tenant.url.clone(),
    })
}

fn get(tenant: &mut Tenant, call: &Call) -> Answer {
    let (id, role) = tenant.reach(call, call.parameter("calendarId"), Role::FreeBusyReader)?;
    let view = view(tenant, call, &id, role)?;
    let calendar = tenant.calendar(&id)?;
    let event = calendar.find(call.parameter("eventId"), call.now, &tenant.settings.calendar);
    let event = event.ok_or_else(not_found)?;
    let etag = event.etag(&id);
    if call.header("if-none-match").is_some_and(|known| known == etag) {
        return Ok(Reply { code: 304, ..Reply::empty() }.header("etag", etag));
    }
    Ok(Reply::json(event.resource(&view)).header("etag", etag))
}
