//! Lists of events, whole and since a sync token, with series as they are or as their occurrences.

use jiff::{Timestamp, tz::TimeZone};
use model::Moment;
use serde_json::{Value, json};

use super::{
    super::{Calendar, Event, Role, View, is_remembered, not_found, refuse, sync::Mark},
    view,
};
use crate::{
    call::{Answer, Call, Reply},
    page,
    refusal::Refusal,
    stamp,
    tenant::Tenant,
    text,
};

/// Parameters that cannot be said together with a sync token.
const FORBIDDEN: [&str; 8] = [
    "iCalUID",
    "orderBy",
    "privateExtendedProperty",
    "q",
    "sharedExtendedProperty",
    "timeMin",
    "timeMax",
    "updatedMin",
];

/// Parameters after which a list does not end with a sync token.
const WITHOUT_TOKEN: [&str; 6] =
    ["iCalUID", "orderBy", "privateExtendedProperty", "q", "sharedExtendedProperty", "updatedMin"];

/// What a list is to contain.
struct Ask<'a> {
    call: &'a Call,
    zone: TimeZone,
    since: Option<Mark>,
    /// Occurrences instead of series.
    single: bool,
    deleted: bool,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    updated_min: Option<Moment>,
    types: Vec<&'a str>,
    /// By start, by change, or as they are stored.
    order: &'a str,
}

fn moment(text: &str, name: &str) -> Result<Option<Timestamp>, Refusal> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| {
        Refusal::new(400, "badRequest", "INVALID_ARGUMENT", format!("Invalid value for: {name}: {text}"))
    })
}

impl<'a> Ask<'a> {
    fn read(tenant: &Tenant, call: &'a Call, calendar: &Calendar) -> Result<Self, Refusal> {
        let since = tenant.read_mark(call, &format!("events of {}", calendar.id), calendar.epoch)?;
        if since.is_some() {
            let said = FORBIDDEN.into_iter().find(|name| call.query(name).is_some());
            let shown = call.query("showDeleted").is_some() && !call.flag("showDeleted");
            if let Some(name) = said.or(shown.then_some("showDeleted")) {
                return Err(Refusal::invalid_value(format!(
                    "Sync token cannot be used together with {name}."
                )));
            }
        }
        let (from, to) = match &since {
            // A list that was of a window at first stays one.
            Some(mark) => (mark.window.0.as_str(), mark.window.1.as_str()),
            None => (call.query("timeMin").unwrap_or_default(), call.query("timeMax").unwrap_or_default()),
        };
        let (from, to) = (moment(from, "timeMin")?, moment(to, "timeMax")?);
        if from.is_some_and(|from| to.is_some_and(|to| from >= to)) {
            return Err(refuse(400, "timeRangeEmpty", "The specified time range is empty."));
        }
        let updated_min = moment(call.query("updatedMin").unwrap_or_default(), "updatedMin")?;
        let updated_min = updated_min.map(|stamp| Moment::from_micros(stamp.as_microsecond()));
        let kept = tenant.settings.calendar.deleted_kept.as_micros() as i64;
        if updated_min.is_some_and(|min| call.now.micros_since(min) > kept) {
            let message = "The requested minimum modification time lies too far in the past.";
            return Err(refuse(410, "updatedMinTooLongAgo", message));
        }
        let single = call.flag("singleEvents");
        let order = call.query("orderBy").unwrap_or_default();
        match order {
            "" | "updated" => {}
            "startTime" if single => {}
            "startTime" => {
                return Err(Refusal::invalid_value(
                    "The requested ordering is not available for the particular query.",
                ));
            }
            _ => return Err(Refusal::invalid_value("Invalid value for: orderBy")),
        }
        Ok(Self {
            call,
            zone: calendar.zone(),
            since,
            single,
            deleted: call.flag("showDeleted"),
            from,
            to,
            updated_min,
            types: call.queries("eventTypes").collect(),
            order,
        })
    }

    /// Tells whether an event belongs to the list, its time left aside.
    fn takes(&self, event: &Event) -> bool {
        if let Some(mark) = &self.since {
            if event.changed <= mark.revision {
                return false;
            }
        } else if event.is_cancelled() {
            // What was cancelled of a living series is needed to know the series.
            let exception = event.series().is_some() && !event.with_series && !self.single;
            let changed = self.updated_min.is_some();
            if !self.deleted && !exception && !changed {
                return false;
            }
        }
        if self.updated_min.is_some_and(|min| event.updated < min) {
            return false;
        }
        (self.types.is_empty() || self.types.contains(&event.kind())) && self.matches(event)
    }

    fn matches(&self, event: &Event) -> bool {
        let property = |kind: &str, text: &str| {
            let (name, value) = text.split_once('=').unwrap_or((text, ""));
            let properties = event.fields.get("extendedProperties").map(|all| &all[kind][name]);
            properties.is_some_and(|own| own == value)
        };
        let of = |name, kind: &str| self.call.queries(name).all(|text| property(kind, text));
        let uid = self.call.query("iCalUID").is_none_or(|uid| event.text("iCalUID") == uid);
        uid && of("privateExtendedProperty", "private")
            && of("sharedExtendedProperty", "shared")
            && self.call.query("q").is_none_or(|query| is_found(event, query))
    }

    /// Adds an event, or what it stands for, to the list.
    fn add(&self, calendar: &Calendar, event: &Event, chosen: &mut Vec<Event>) {
        if self.single && event.is_series() && !event.is_cancelled() {
            let before = self.to.unwrap_or(Timestamp::MAX);
            for start in event.occurrences(&self.zone, before) {
                // Where an instance differs, its own entry speaks for it.
                if calendar.events.contains_key(&event.instance_id(start)) {
                    continue;
                }
                let instance = event.instance(start, &self.zone);
                if instance.is_within(&self.zone, self.from, self.to) {
                    chosen.push(instance);
                }
            }
            return;
        }
        let changed = self.since.is_some();
        let of_window = (changed && event.is_cancelled()) || event.is_within(&self.zone, self.from, self.to);
        if of_window && (changed || !self.single || !event.is_series()) {
            chosen.push(event.clone());
        }
    }
}

fn is_found(event: &Event, query: &str) -> bool {
    let mut texts = vec![event.text("summary"), event.text("description"), event.text("location")];
    for attendee in event.attendees() {
        texts.extend(["email", "displayName"].into_iter().filter_map(|name| attendee[name].as_str()));
    }
    let all = texts.join("\n").to_lowercase();
    query.to_lowercase().split_whitespace().all(|word| all.contains(word.trim_matches('"')))
}

/// Where a page begins: the list's count of changes when it was begun, and what was shown last.
struct Place {
    revision: u64,
    after: String,
    /// The page before this one was empty.
    pause: bool,
}

impl Place {
    fn read(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, ' ');
        let revision = parts.next()?.parse().ok()?;
        let pause = parts.next()? == "pause";
        Some(Self { revision, pause, after: parts.next()?.to_owned() })
    }

    fn write(&self) -> String {
        format!("{} {} {}", self.revision, if self.pause { "pause" } else { "-" }, self.after)
    }
}

/// Returns what decides the order of a list.
fn key(event: &Event, order: &str, zone: &TimeZone) -> String {
    match order {
        "startTime" => {
            let start = event.start(zone).map_or(0, |start| start.moment(zone).as_second());
            format!("{:020}/{}", start + (1 << 40), event.id)
        }
        "updated" => format!("{:020}/{}", event.updated.as_micros(), event.id),
        _ => event.id.clone(),
    }
}

/// One page of what was chosen, with the place of the next one.
fn turn(
    tenant: &Tenant,
    call: &Call,
    revision: u64,
    mut chosen: Vec<(String, Event)>,
) -> Result<(Vec<Event>, u64, Option<String>), Refusal> {
    let place = page::open(tenant.settings.seed, call, tenant.settings.page_lifetime)?;
    let place = place.as_deref().and_then(Place::read);
    let place = place.unwrap_or(Place { revision, after: String::new(), pause: false });
    let begun = place.revision;
    let size = call.page_size("maxResults", 250, 2500)?;
    chosen.retain(|(key, _)| *key > place.after);
    chosen.sort_by(|(a, _), (b, _)| a.cmp(b));
    let drawn = text::mixed(tenant.settings.seed ^ text::drawn(place.after.as_bytes()));
    let pauses = tenant.settings.calendar.empty_page_one_in.is_some_and(|n| drawn.is_multiple_of(n.max(1)));
    let next = if pauses && !place.pause && !chosen.is_empty() {
        chosen.clear();
        Some(Place { pause: true, ..place })
    } else if chosen.len() > size {
        chosen.truncate(size);
        let after = chosen.last().map(|(key, _)| key.clone()).unwrap_or_default();
        Some(Place { pause: false, after, ..place })
    } else {
        None
    };
    let next = next.map(|next| page::issue(tenant.settings.seed, call, &next.write()));
    Ok((chosen.into_iter().map(|(_, event)| event).collect(), begun, next))
}

pub(super) fn list(tenant: &mut Tenant, call: &Call) -> Answer {
    let (id, role) = tenant.reach(call, call.parameter("calendarId"), Role::FreeBusyReader)?;
    let mut view = view(tenant, call, &id, role)?;
    let calendar = tenant.calendar(&id)?;
    let ask = Ask::read(tenant, call, calendar)?;
    let details = ask.deleted || (ask.since.is_none() && ask.updated_min.is_some());
    view.bare = tenant.settings.calendar.bare_deleted || !details;
    let mut chosen = Vec::new();
    for event in calendar.events.values() {
        if is_remembered(event, call.now, &tenant.settings.calendar) && ask.takes(event) {
            ask.add(calendar, event, &mut chosen);
        }
    }
    let order = if ask.single && ask.order.is_empty() { "startTime" } else { ask.order };
    let keyed = chosen.into_iter().map(|event| (key(&event, order, &ask.zone), event)).collect();
    let (shown, begun, next) = turn(tenant, call, calendar.revision, keyed)?;
    let mut body = head(tenant, call, calendar, role);
    if let Some(next) = next {
        body["nextPageToken"] = next.into();
    } else if WITHOUT_TOKEN.iter().all(|name| call.query(name).is_none()) {
        let said = |name: &str| call.query(name).unwrap_or_default().to_owned();
        let window = ask.since.map_or_else(|| (said("timeMin"), said("timeMax")), |mark| mark.window);
        let mark = Mark { revision: begun, epoch: calendar.epoch, window };
        body["nextSyncToken"] = tenant.issue_mark(call, &format!("events of {id}"), &mark).into();
    }
    Ok(finish(body, shown, view))
}

fn head(tenant: &Tenant, call: &Call, calendar: &Calendar, role: Role) -> Value {
    let list = tenant.calendar.lists.get(&call.caller.user);
    let mut body = json!({
        "kind": "calendar#events",
        "etag": format!("\"p{:015x}\"", text::mixed(calendar.revision ^ text::drawn(calendar.id.as_bytes())) >> 4),
        "summary": calendar.summary(),
        "updated": stamp::rfc3339(calendar.updated),
        "timeZone": call.query("timeZone").unwrap_or_else(|| calendar.zone_name()),
        "accessRole": role.name(),
        "defaultReminders": list.map_or_else(|| json!([]), |list| list.reminders(&calendar.id)),
    });
    if let Some(description) = calendar.fields.get("description") {
        body["description"] = description.clone();
    }
    body
}

/// Makes the resources when nobody waits for the tenant any more.
fn finish(mut body: Value, shown: Vec<Event>, view: View) -> Reply {
    Reply::later(move || {
        body["items"] = shown.iter().map(|event| event.resource(&view)).collect();
        body
    })
}

pub(super) fn instances(tenant: &mut Tenant, call: &Call) -> Answer {
    let (id, role) = tenant.reach(call, call.parameter("calendarId"), Role::FreeBusyReader)?;
    let view = view(tenant, call, &id, role)?;
    let calendar = tenant.calendar(&id)?;
    let series = calendar.find(call.parameter("eventId"), call.now, &tenant.settings.calendar);
    let series = series.ok_or_else(not_found)?;
    let zone = calendar.zone();
    let from = moment(call.query("timeMin").unwrap_or_default(), "timeMin")?;
    let to = moment(call.query("timeMax").unwrap_or_default(), "timeMax")?;
    let original = moment(call.query("originalStart").unwrap_or_default(), "originalStart")?;
    let mut chosen = Vec::new();
    if series.is_series() {
        for start in series.occurrences(&zone, to.unwrap_or(Timestamp::MAX)) {
            let own = calendar.events.get(&series.instance_id(start));
            let instance = own.cloned().unwrap_or_else(|| series.instance(start, &zone));
            let wanted = original.is_none_or(|original| start.moment(&zone) == original)
                && (call.flag("showDeleted") || !instance.is_cancelled())
                && instance.is_within(&zone, from, to);
            if wanted {
                chosen.push((key(&instance, "startTime", &zone), instance));
            }
        }
    }
    let (shown, _, next) = turn(tenant, call, calendar.revision, chosen)?;
    let mut body = head(tenant, call, calendar, role);
    if let Some(next) = next {
        body["nextPageToken"] = next.into();
    }
    Ok(finish(body, shown, view))
}
