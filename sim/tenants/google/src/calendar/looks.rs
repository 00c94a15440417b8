//! Settings of users, and colours.

use hyper::Method;
use serde_json::{Map, Value, json};

use super::{not_found, open_channel, route, sync::Mark};
use crate::{
    call::{Answer, Call, Reply},
    directory::{etag, with_etag},
    oauth::scopes::{
        CALENDAR, CALENDAR_LIST, CALENDAR_LIST_READONLY, CALENDAR_READONLY, CALENDAR_SETTINGS_READONLY,
    },
    page,
    routes::Route,
    tenant::Tenant,
    text,
};

const SETTINGS: &[&str] = &[CALENDAR, CALENDAR_READONLY, CALENDAR_SETTINGS_READONLY];
const COLORS: &[&str] = &[CALENDAR, CALENDAR_READONLY, CALENDAR_LIST, CALENDAR_LIST_READONLY];
const ALL: &str = "calendar/v3/users/me/settings";

/// The routes.
pub(super) const ROUTES: &[Route] = &[
    route("calendar.settings.list", Method::GET, ALL, SETTINGS, list),
    route("calendar.settings.get", Method::GET, "calendar/v3/users/me/settings/{setting}", SETTINGS, get),
    route(
        "calendar.settings.watch",
        Method::POST,
        "calendar/v3/users/me/settings/watch",
        SETTINGS,
        open_channel,
    ),
    route("calendar.colors.get", Method::GET, "calendar/v3/colors", COLORS, colors),
];

const ZONES: [&str; 8] = [
    "Europe/Berlin",
    "Europe/Berlin",
    "Europe/London",
    "America/New_York",
    "America/Sao_Paulo",
    "Asia/Tokyo",
    "Asia/Kolkata",
    "Australia/Sydney",
];

/// Returns where a user is at home.
pub(super) fn zone_of(seed: u64, user: &str) -> &'static str {
    ZONES[(text::mixed(seed ^ text::drawn(user.as_bytes())) % ZONES.len() as u64) as usize]
}

fn all(tenant: &Tenant, user: &str) -> Vec<Value> {
    let drawn = text::mixed(tenant.settings.seed ^ text::drawn(user.as_bytes()));
    let zone = tenant.calendar.primary.get(user).and_then(|id| tenant.calendar.all.get(id));
    let flag = |bit: u32| if drawn >> bit & 1 == 1 { "true" } else { "false" };
    let list = [
        ("autoAddHangouts", "true"),
        ("dateFieldOrder", if drawn >> 8 & 1 == 1 { "DMY" } else { "YMD" }),
        ("defaultEventLength", if drawn >> 9 & 1 == 1 { "30" } else { "60" }),
        ("format24HourTime", flag(10)),
        ("hideInvitations", "false"),
        ("hideWeekends", flag(11)),
        ("locale", if drawn >> 12 & 1 == 1 { "de" } else { "en" }),
        ("remindOnRespondedEventsOnly", "false"),
        ("showDeclinedEvents", flag(13)),
        ("timezone", zone.map_or("UTC", |calendar| calendar.zone_name())),
        ("useKeyboardShortcuts", "true"),
        ("weekStart", if drawn >> 14 & 1 == 1 { "1" } else { "0" }),
    ];
    list.map(|(id, value)| with_etag(json!({ "kind": "calendar#setting", "id": id, "value": value })))
        .to_vec()
}

fn list(tenant: &mut Tenant, call: &Call) -> Answer {
    tenant.check_calendar_user(call)?;
    // Nothing that can be called changes settings.
    let since = tenant.read_mark(call, "settings", 0)?;
    let chosen = if since.is_some() { Vec::new() } else { all(tenant, &call.caller.user) };
    let place = page::open(tenant.settings.seed, call, tenant.settings.page_lifetime)?;
    let (shown, next) = page::slice(&chosen, place.as_deref(), call.page_size("maxResults", 100, 250)?);
    let mut body = json!({ "kind": "calendar#settings", "etag": etag(&json!(shown)), "items": shown });
    if let Some(next) = next {
        body["nextPageToken"] = page::issue(tenant.settings.seed, call, &next).into();
    } else {
        let mark = Mark { revision: 0, epoch: 0, window: (String::new(), String::new()) };
        body["nextSyncToken"] = tenant.issue_mark(call, "settings", &mark).into();
    }
    Ok(Reply::json(body))
}

fn get(tenant: &mut Tenant, call: &Call) -> Answer {
    tenant.check_calendar_user(call)?;
    let wanted = call.parameter("setting");
    let found = all(tenant, &call.caller.user).into_iter().find(|setting| setting["id"] == wanted);
    Ok(Reply::json(found.ok_or_else(not_found)?))
}

const CALENDAR_COLORS: [&str; 24] = [
    "#ac725e", "#d06b64", "#f83a22", "#fa573c", "#ff7537", "#ffad46", "#42d692", "#16a765", "#7bd148",
    "#b3dc6c", "#fbe983", "#fad165", "#92e1c0", "#9fe1e7", "#9fc6e7", "#4986e7", "#9a9cff", "#b99aff",
    "#c2c2c2", "#cabdbf", "#cca6ac", "#f691b2", "#cd74e6", "#a47ae2",
];

const EVENT_COLORS: [&str; 11] = [
    "#a4bdfc", "#7ae7bf", "#dbadff", "#ff887c", "#fbd75b", "#ffb878", "#46d6db", "#e1e1e1", "#5484ed",
    "#51b749", "#dc2127",
];

const FOREGROUND: &str = "#1d1d1d";

/// Returns background and foreground of a calendar's colour.
pub(super) fn calendar_color(id: &str) -> (&'static str, &'static str) {
    let number = id.parse::<usize>().ok().and_then(|number| number.checked_sub(1)).unwrap_or(0);
    (CALENDAR_COLORS.get(number).copied().unwrap_or(CALENDAR_COLORS[0]), FOREGROUND)
}

fn colors(tenant: &mut Tenant, call: &Call) -> Answer {
    tenant.check_calendar_user(call)?;
    let table = |colors: &[&str]| -> Map<String, Value> {
        let one = |(at, color): (usize, &&str)| {
            ((at + 1).to_string(), json!({ "background": color, "foreground": FOREGROUND }))
        };
        colors.iter().enumerate().map(one).collect()
    };
    Ok(Reply::json(json!({
        "kind": "calendar#colors",
        "updated": "2012-02-14T00:00:00.000Z",
        "calendar": table(&CALENDAR_COLORS),
        "event": table(&EVENT_COLORS),
    })))
}
