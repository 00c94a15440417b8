//! The calendars that a user has on the screen.

use std::collections::BTreeMap;

use hyper::Method;
use serde_json::{Map, Value, json};

use super::{Calendar, Role, check_etag, not_found, open_channel, refuse, route, sync::Mark};
use crate::{
    audit::Parameter,
    call::{Answer, Call, Reply},
    directory::{etag, with_etag},
    oauth::scopes::{CALENDAR, CALENDAR_LIST, CALENDAR_LIST_READONLY, CALENDAR_READONLY},
    page,
    refusal::Refusal,
    routes::Route,
    tenant::Tenant,
    text,
};

const READ: &[&str] = &[CALENDAR, CALENDAR_READONLY, CALENDAR_LIST, CALENDAR_LIST_READONLY];
const WRITE: &[&str] = &[CALENDAR, CALENDAR_LIST];
const ONE: &str = "calendar/v3/users/me/calendarList/{calendarId}";
const ALL: &str = "calendar/v3/users/me/calendarList";

/// The routes.
pub(super) const ROUTES: &[Route] = &[
    route("calendar.calendarList.list", Method::GET, ALL, READ, list),
    route("calendar.calendarList.get", Method::GET, ONE, READ, get),
    route("calendar.calendarList.insert", Method::POST, ALL, WRITE, insert),
    route("calendar.calendarList.patch", Method::PATCH, ONE, WRITE, update),
    route("calendar.calendarList.update", Method::PUT, ONE, WRITE, update),
    route("calendar.calendarList.delete", Method::DELETE, ONE, WRITE, delete),
    route(
        "calendar.calendarList.watch",
        Method::POST,
        "calendar/v3/users/me/calendarList/watch",
        READ,
        open_channel,
    ),
];

/// What a user may say of a calendar on the list.
const WRITABLE: [&str; 8] = [
    "summaryOverride",
    "colorId",
    "backgroundColor",
    "foregroundColor",
    "hidden",
    "selected",
    "defaultReminders",
    "notificationSettings",
];

/// One calendar on a user's list.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) calendar: String,
    pub(crate) fields: Map<String, Value>,
    deleted: bool,
    changed: u64,
}

/// A user's list.
#[derive(Debug, Default)]
pub(crate) struct List {
    entries: BTreeMap<String, Entry>,
    revision: u64,
}

impl Entry {
    /// Makes the entry that a calendar has on its owner's list.
    pub(crate) fn usual(calendar: &Calendar) -> Self {
        let color = (text::drawn(calendar.id.as_bytes()) % 24 + 1).to_string();
        let mut entry = Self::of(&calendar.id);
        entry.fields.insert("colorId".to_owned(), color.into());
        entry.fields.insert("selected".to_owned(), true.into());
        if calendar.primary {
            let kinds = ["eventCreation", "eventChange", "eventCancellation", "eventResponse"];
            let notifications = kinds.map(|kind| json!({ "type": kind, "method": "email" }));
            entry.fields.insert("defaultReminders".to_owned(), json!([{ "method": "popup", "minutes": 10 }]));
            entry.fields.insert("notificationSettings".to_owned(), json!({ "notifications": notifications }));
        }
        entry
    }

    /// Makes an entry that says nothing.
    pub(crate) fn of(calendar: &str) -> Self {
        Self { calendar: calendar.to_owned(), fields: Map::new(), deleted: false, changed: 0 }
    }

    fn flag(&self, name: &str) -> bool {
        self.fields.get(name).and_then(Value::as_bool).unwrap_or(false)
    }
}

impl List {
    /// Writes an entry as the newest change.
    pub(crate) fn put(&mut self, mut entry: Entry) {
        self.revision += 1;
        entry.changed = self.revision;
        self.entries.insert(entry.calendar.clone(), entry);
    }

    fn live(&self, calendar: &str) -> Option<&Entry> {
        self.entries.get(calendar).filter(|entry| !entry.deleted)
    }

    /// Returns the reminders that a calendar's events have unless they say others.
    pub(super) fn reminders(&self, calendar: &str) -> Value {
        let entry = self.live(calendar).and_then(|entry| entry.fields.get("defaultReminders"));
        entry.cloned().unwrap_or_else(|| json!([]))
    }

    /// Takes a calendar off the list.
    pub(super) fn remove(&mut self, calendar: &str) -> bool {
        let Some(mut entry) = self.live(calendar).cloned() else { return false };
        entry.deleted = true;
        self.put(entry);
        true
    }
}

/// Makes the resource of an entry.
fn resource(tenant: &Tenant, entry: &Entry, user: &str) -> Value {
    let mut value = json!({ "kind": "calendar#calendarListEntry", "id": entry.calendar });
    let calendar = tenant.calendar.all.get(&entry.calendar);
    let Some(calendar) = calendar.filter(|_| !entry.deleted) else {
        value["deleted"] = true.into();
        return with_etag(value);
    };
    for (name, field) in calendar.fields.iter().chain(&entry.fields) {
        value[name] = field.clone();
    }
    let color = entry.fields.get("colorId").and_then(Value::as_str).unwrap_or("1");
    let (background, foreground) = super::looks::calendar_color(color);
    for (name, usual) in [("backgroundColor", background), ("foregroundColor", foreground)] {
        if value.get(name).is_none() {
            value[name] = usual.into();
        }
    }
    if value.get("defaultReminders").is_none() {
        value["defaultReminders"] = json!([]);
    }
    value["accessRole"] = tenant.role(&calendar.id, user).name().into();
    value["conferenceProperties"] = json!({ "allowedConferenceSolutionTypes": ["hangoutsMeet"] });
    if calendar.primary {
        if *calendar.owner == *user {
            value["primary"] = true.into();
        }
    } else if let Some(owner) = tenant.directory.any_user(&calendar.owner) {
        value["dataOwner"] = owner.primary_email.clone().into();
    }
    with_etag(value)
}

fn list(tenant: &mut Tenant, call: &Call) -> Answer {
    tenant.check_calendar_user(call)?;
    let mark = tenant.read_mark(call, "calendars", 0)?;
    let least = match call.query("minAccessRole") {
        Some(_) if mark.is_some() => {
            return Err(Refusal::invalid_value("minAccessRole cannot be used with syncToken."));
        }
        Some(name) => {
            Role::parse(name).ok_or_else(|| Refusal::invalid_value("Invalid value for: minAccessRole"))?
        }
        None => Role::None,
    };
    let refused = |name: &str| call.query(name).is_some() && !call.flag(name);
    if mark.is_some() && (refused("showDeleted") || refused("showHidden")) {
        return Err(Refusal::invalid_value("showDeleted and showHidden cannot be false with syncToken."));
    }
    let user = &call.caller.user;
    let since = mark.as_ref().map(|mark| mark.revision);
    let lists = tenant.calendar.lists.get(user);
    let wanted = |entry: &&Entry| match since {
        Some(since) => entry.changed > since,
        None => {
            (call.flag("showDeleted") || !entry.deleted)
                && (call.flag("showHidden") || !entry.flag("hidden"))
                && (entry.deleted || tenant.role(&entry.calendar, user) >= least)
        }
    };
    let chosen: Vec<&Entry> =
        lists.into_iter().flat_map(|list| list.entries.values()).filter(wanted).collect();
    let place = page::open(tenant.settings.seed, call, tenant.settings.page_lifetime)?;
    let size = call.page_size("maxResults", 100, 250)?;
    let revision = lists.map_or(0, |list| list.revision);
    let (shown, next, begun) = page::slice_since(&chosen, place.as_deref(), size, revision);
    let items: Vec<Value> = shown.iter().map(|entry| resource(tenant, entry, user)).collect();
    let mut body = json!({ "kind": "calendar#calendarList", "etag": etag(&json!(items)), "items": items });
    if let Some(next) = next {
        body["nextPageToken"] = page::issue(tenant.settings.seed, call, &next).into();
    } else if call.query("minAccessRole").is_none() {
        let mark = Mark { revision: begun, epoch: 0, window: (String::new(), String::new()) };
        body["nextSyncToken"] = tenant.issue_mark(call, "calendars", &mark).into();
    }
    Ok(Reply::json(body))
}

/// Returns the id of the calendar that the path names.
fn meant(tenant: &mut Tenant, call: &Call) -> Result<String, Refusal> {
    let own = tenant.check_calendar_user(call)?;
    let key = call.parameter("calendarId");
    if key == "primary" { Ok(own) } else { Ok(key.to_owned()) }
}

fn get(tenant: &mut Tenant, call: &Call) -> Answer {
    let id = meant(tenant, call)?;
    let entry = tenant.calendar.lists.get(&call.caller.user).and_then(|list| list.live(&id));
    let entry = entry.ok_or_else(not_found)?;
    Ok(Reply::json(resource(tenant, entry, &call.caller.user)))
}

fn write(entry: &mut Entry, body: &Map<String, Value>) {
    for name in WRITABLE {
        match body.get(name) {
            Some(Value::Null) => {
                entry.fields.remove(name);
            }
            Some(value) => {
                entry.fields.insert(name.to_owned(), value.clone());
            }
            None => {}
        }
    }
}

fn insert(tenant: &mut Tenant, call: &Call) -> Answer {
    let body = call.object()?;
    let key = body.get("id").and_then(Value::as_str).unwrap_or_default();
    if key.is_empty() {
        return Err(Refusal::new(400, "required", "INVALID_ARGUMENT", "Missing calendar ID."));
    }
    let (id, _) = tenant.reach(call, key, Role::FreeBusyReader)?;
    let list = tenant.calendar.lists.entry(std::sync::Arc::clone(&call.caller.user)).or_default();
    let mut entry = list.live(&id).cloned().unwrap_or_else(|| Entry::of(&id));
    write(&mut entry, &body);
    list.put(entry.clone());
    let subscriber = vec![Parameter::text("subscriber_calendar_id", call.caller.email.to_string())];
    tenant.note_calendar(call, "subscription_change", "add_subscription", &id, None, subscriber);
    Ok(Reply::json(resource(tenant, &entry, &call.caller.user)))
}

fn update(tenant: &mut Tenant, call: &Call) -> Answer {
    let id = meant(tenant, call)?;
    let body = call.object()?;
    let user = std::sync::Arc::clone(&call.caller.user);
    let entry = tenant.calendar.lists.get(&user).and_then(|list| list.live(&id)).cloned();
    let mut entry = entry.ok_or_else(not_found)?;
    let shown = resource(tenant, &entry, &user);
    check_etag(call, shown["etag"].as_str().unwrap_or_default())?;
    if call.method == Method::PUT {
        entry.fields.clear();
    }
    write(&mut entry, &body);
    if let Some(list) = tenant.calendar.lists.get_mut(&user) {
        list.put(entry.clone());
    }
    Ok(Reply::json(resource(tenant, &entry, &user)))
}

fn delete(tenant: &mut Tenant, call: &Call) -> Answer {
    let id = meant(tenant, call)?;
    if tenant.calendar.all.get(&id).is_some_and(|c| c.primary && c.owner == call.caller.user) {
        return Err(refuse(403, "cannotRemovePrimaryCalendar", "The primary calendar cannot be removed."));
    }
    let list = tenant.calendar.lists.get_mut(&call.caller.user);
    if !list.is_some_and(|list| list.remove(&id)) {
        return Err(not_found());
    }
    let subscriber = vec![Parameter::text("subscriber_calendar_id", call.caller.email.to_string())];
    tenant.note_calendar(call, "subscription_change", "delete_subscription", &id, None, subscriber);
    Ok(Reply::empty())
}
