//! The Calendar API: calendars, who may see them, and what is in them.

mod acl;
mod calendars;
mod channels;
mod event;
mod events;
mod lists;
mod looks;
mod mails;
mod recur;
mod role;
mod settings;
mod sharing;
mod sync;
mod time;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use jiff::tz::TimeZone;
use model::Moment;
use serde_json::{Map, Value, json};

pub use channels::Channel;
pub(crate) use channels::open as open_channel;
pub(crate) use event::{Event, View};
pub(crate) use lists::Entry;
pub use mails::{Mail, Occasion};
pub(crate) use role::Role;
pub use settings::CalendarSettings;

use crate::{
    audit::Parameter,
    call::Call,
    refusal::Refusal,
    routes::{Handler, Route},
    tenant::Tenant,
    text,
};

/// The routes.
pub(crate) const ROUTES: [&[Route]; 6] =
    [lists::ROUTES, calendars::ROUTES, acl::ROUTES, looks::ROUTES, events::ROUTES, channels::ROUTES];

/// Makes a route of the service.
const fn route(
    id: &'static str,
    method: hyper::Method,
    path: &'static str,
    scopes: &'static [&'static str],
    handler: Handler,
) -> Route {
    Route { id, method, path, scopes, units: 1, service: "calendar", handler }
}

/// Somebody's right to a calendar.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    /// `user`, `group`, `domain` or `default`.
    pub(crate) scope: String,
    /// An address or a domain.
    pub(crate) value: String,
    pub(crate) role: Role,
    /// The calendar's count of changes at its last one.
    pub(crate) changed: u64,
}

/// A calendar.
#[derive(Debug, Clone)]
pub(crate) struct Calendar {
    pub(crate) id: String,
    /// The id of the user whose calendar it is.
    pub(crate) owner: Arc<str>,
    pub(crate) primary: bool,
    /// Summary, description, location, time zone.
    pub(crate) fields: Map<String, Value>,
    pub(crate) rules: Vec<Rule>,
    pub(crate) events: BTreeMap<String, Event>,
    pub(crate) updated: Moment,
    /// Counts changes of events and of rules.
    revision: u64,
    /// Sync tokens of earlier ones are good no longer.
    epoch: u64,
}

/// All calendars.
#[derive(Debug, Default)]
pub(crate) struct Calendars {
    /// By id.
    all: BTreeMap<String, Calendar>,
    /// By user: the primary calendar.
    primary: HashMap<Arc<str>, String>,
    lists: BTreeMap<Arc<str>, lists::List>,
    mails: Vec<Mail>,
    channels: Vec<Channel>,
    drawn: u64,
}

impl Calendar {
    pub(crate) fn new(
        id: String,
        owner: &Arc<str>,
        primary: bool,
        summary: &str,
        zone: &str,
        now: Moment,
    ) -> Self {
        let fields = json!({ "summary": summary, "timeZone": zone });
        let owning = Rule { scope: "user".to_owned(), value: String::new(), role: Role::Owner, changed: 0 };
        Self {
            id,
            owner: Arc::clone(owner),
            primary,
            fields: fields.as_object().cloned().unwrap_or_default(),
            rules: vec![owning],
            events: BTreeMap::new(),
            updated: now,
            revision: 0,
            epoch: 0,
        }
    }

    pub(crate) fn zone_name(&self) -> &str {
        self.fields.get("timeZone").and_then(Value::as_str).unwrap_or("UTC")
    }

    pub(crate) fn zone(&self) -> TimeZone {
        time::zone(self.zone_name()).unwrap_or(TimeZone::UTC)
    }

    pub(crate) fn summary(&self) -> &str {
        self.fields.get("summary").and_then(Value::as_str).unwrap_or_default()
    }

    /// Makes it another user's; who had it keeps every right to it.
    fn give_to(&mut self, owner: &Arc<str>, address: &str, expires: bool) {
        self.owner = Arc::clone(owner);
        self.revision += 1;
        self.epoch += u64::from(expires);
        let changed = self.revision;
        self.rules.retain(|rule| rule.scope != "user" || rule.value != address);
        let (scope, value) = ("user".to_owned(), address.to_owned());
        self.rules.insert(0, Rule { scope, value, role: Role::Owner, changed });
    }

    /// Stores an event as its newest change.
    pub(crate) fn put(&mut self, mut event: Event, now: Moment) {
        self.revision += 1;
        event.changed = self.revision;
        self.updated = now;
        self.events.insert(event.id.clone(), event);
    }

    /// Returns an event, if anything is remembered of it, or the instance of a series that an id names.
    pub(crate) fn find(&self, id: &str, now: Moment, settings: &CalendarSettings) -> Option<Event> {
        let own = self.events.get(id);
        if let Some(event) = own.filter(|event| is_remembered(event, now, settings)) {
            return Some(event.clone());
        }
        // What went with its series, and is forgotten, is an occurrence like the others when the series is there again.
        if own.is_some_and(|event| !event.with_series) {
            return None;
        }
        let (series, suffix) = id.rsplit_once('_')?;
        let series = self.events.get(series).filter(|series| series.is_series())?;
        if !is_remembered(series, now, settings) {
            return None;
        }
        let zone = self.zone();
        let day_after = suffix.get(..8)?.parse::<i64>().ok().and_then(|_| {
            let day = jiff::civil::Date::strptime("%Y%m%d", &suffix[..8]).ok()?;
            Some(time::at(day.saturating_add(jiff::SignedDuration::from_hours(72)).into(), &TimeZone::UTC))
        })?;
        let starts = series.occurrences(&zone, day_after);
        let start = starts.into_iter().find(|start| start.suffix() == suffix)?;
        Some(series.instance(start, &zone))
    }

    /// Draws an id for an event.
    pub(crate) fn draw(&mut self) -> String {
        self.revision += 1;
        let seed = text::drawn(self.id.as_bytes());
        base32hex(&[text::mixed(seed ^ self.revision), text::mixed(seed ^ text::mixed(self.revision))])
    }
}

/// Tells whether anything is left of an event. Instances that were cancelled live as long as their series.
fn is_remembered(event: &Event, now: Moment, settings: &CalendarSettings) -> bool {
    let kept = settings.deleted_kept.as_micros() as i64;
    !event.is_cancelled()
        || (event.series().is_some() && !event.with_series)
        || now.micros_since(event.updated) <= kept
}

/// Writes numbers in the letters of which ids of events are made.
fn base32hex(numbers: &[u64]) -> String {
    const LETTERS: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";
    let letter = |number: u64, at: u32| char::from(LETTERS[(number >> (5 * at) & 31) as usize]);
    numbers.iter().flat_map(|number| (0..12).map(move |at| letter(*number, at))).collect()
}

/// 404 as Calendar says it.
fn not_found() -> Refusal {
    let mut refusal = Refusal::new(404, "notFound", "NOT_FOUND", "Not Found");
    refusal.status = None;
    refusal
}

/// A refusal with a reason of the service's own.
fn refuse(code: u16, reason: &'static str, message: impl Into<String>) -> Refusal {
    let mut refusal = Refusal::new(code, reason, "", message);
    refusal.domain = "calendar";
    refusal.status = None;
    refusal
}

/// Refuses when the call says `If-Match` and means something else.
fn check_etag(call: &Call, etag: &str) -> Result<(), Refusal> {
    match call.header("if-match") {
        Some(wanted) if wanted != "*" && wanted != etag => {
            let mut refusal =
                Refusal::new(412, "conditionNotMet", "FAILED_PRECONDITION", "Precondition Failed");
            refusal.location = Some(&["If-Match", "header"]);
            refusal.status = None;
            Err(refusal)
        }
        _ => Ok(()),
    }
}

impl Tenant {
    /// Makes all sync tokens of a calendar's events worthless; a primary one is named by its user's address.
    pub fn expire_sync_tokens(&mut self, calendar: &str) {
        if let Some(calendar) = self.calendar.all.get_mut(calendar) {
            calendar.epoch += 1;
        }
    }

    /// Returns how many events a calendar holds that are not cancelled; instances that differ count.
    pub fn events_in(&self, calendar: &str) -> usize {
        let calendar = self.calendar.all.get(calendar);
        calendar.map_or(0, |calendar| calendar.events.values().filter(|event| !event.is_cancelled()).count())
    }

    /// Returns the id of a user's primary calendar; it is made when it is first looked for.
    pub(crate) fn primary_calendar(&mut self, user: &str) -> Option<String> {
        let user = self.directory.user(user)?;
        if let Some(id) = self.calendar.primary.get(&user.id) {
            return Some(id.clone());
        }
        let (owner, id) = (Arc::clone(&user.id), user.primary_email.clone());
        let zone = looks::zone_of(self.settings.seed, &owner);
        let mut calendar = Calendar::new(id.clone(), &owner, true, &id, zone, self.anchor);
        let domain = self.settings.domain.clone();
        calendar.rules.push(Rule {
            scope: "domain".to_owned(),
            value: domain,
            role: Role::Reader,
            changed: 0,
        });
        self.add_calendar(calendar);
        Some(id)
    }

    /// Adds a calendar and puts it on its owner's list.
    pub(crate) fn add_calendar(&mut self, mut calendar: Calendar) {
        let owner = Arc::clone(&calendar.owner);
        let address =
            self.directory.any_user(&owner).map(|user| user.primary_email.clone()).unwrap_or_default();
        calendar.rules[0].value = address;
        if calendar.primary {
            self.calendar.primary.insert(Arc::clone(&owner), calendar.id.clone());
        }
        let entry = Entry::usual(&calendar);
        self.calendar.lists.entry(owner).or_default().put(entry);
        self.calendar.all.insert(calendar.id.clone(), calendar);
    }

    /// Puts a calendar on a user's list.
    pub(crate) fn put_on_list(&mut self, user: &Arc<str>, entry: Entry) {
        self.calendar.lists.entry(Arc::clone(user)).or_default().put(entry);
    }

    /// Draws an id for a secondary calendar.
    pub(crate) fn draw_calendar_id(&mut self) -> String {
        self.calendar.drawn += 1;
        let drawn = text::mixed(self.settings.seed ^ text::mixed(self.calendar.drawn ^ 0x6361_6c65));
        format!("c_{:016x}{:016x}@group.calendar.google.com", drawn, text::mixed(drawn))
    }

    /// Returns a calendar that is known to be there.
    pub(crate) fn calendar_mut(&mut self, id: &str) -> Result<&mut Calendar, Refusal> {
        self.calendar.all.get_mut(id).ok_or_else(not_found)
    }

    fn calendar(&self, id: &str) -> Result<&Calendar, Refusal> {
        self.calendar.all.get(id).ok_or_else(not_found)
    }

    /// Refuses callers who have no calendars.
    fn check_calendar_user(&mut self, call: &Call) -> Result<String, Refusal> {
        let off = &self.settings.calendar.turned_off;
        if off.iter().any(|address| **address == *call.caller.email) {
            return Err(refuse(403, "notACalendarUser", "The user must be signed up for Google Calendar."));
        }
        let message = "The user must be signed up for Google Calendar.";
        self.primary_calendar(&call.caller.user).ok_or_else(|| refuse(403, "notACalendarUser", message))
    }

    /// Returns the id of the calendar that a call names, and what the caller may do with it.
    fn reach(&mut self, call: &Call, key: &str, need: Role) -> Result<(String, Role), Refusal> {
        let own = self.check_calendar_user(call)?;
        let id = if key == "primary" {
            own
        } else if self.calendar.all.contains_key(key) {
            key.to_owned()
        } else {
            self.primary_calendar(key).ok_or_else(not_found)?
        };
        let role = self.role(&id, &call.caller.user);
        if role == Role::None {
            return Err(not_found());
        }
        if role < need {
            let message = format!("You need to have {} access to this calendar.", need.name());
            return Err(refuse(403, "requiredAccessLevel", message));
        }
        Ok((id, role))
    }

    /// Returns what a user may do with a calendar.
    fn role(&self, calendar: &str, user: &str) -> Role {
        let (Some(calendar), Some(user)) = (self.calendar.all.get(calendar), self.directory.user(user))
        else {
            return Role::None;
        };
        if calendar.owner == user.id {
            return Role::Owner;
        }
        let own = |address: &str| {
            user.primary_email.eq_ignore_ascii_case(address) || user.aliases.iter().any(|a| a == address)
        };
        let holds = |rule: &&Rule| match rule.scope.as_str() {
            "user" => own(&rule.value),
            "group" => self.directory.is_in_group(&rule.value, &user.id),
            "domain" => rule.value == self.settings.domain,
            "default" => true,
            _ => false,
        };
        calendar.rules.iter().filter(holds).map(|rule| rule.role).max().unwrap_or(Role::None)
    }

    /// Notes a change of an event or a calendar in the audit log.
    fn note_calendar(
        &mut self,
        call: &Call,
        kind: &'static str,
        name: &'static str,
        calendar: &str,
        event: Option<&Event>,
        more: Vec<Parameter>,
    ) {
        let mut parameters =
            vec![Parameter::text("calendar_id", calendar.to_owned()), Parameter::text("api_kind", "api_v3")];
        if let Some(event) = event {
            parameters.push(Parameter::text("event_id", event.id.clone()));
            parameters.push(Parameter::text("event_title", event.text("summary").to_owned()));
            parameters.push(Parameter::text("organizer_calendar_id", event.organizer().to_owned()));
            if let Some(series) = event.series() {
                parameters.push(Parameter::text("recurring", "yes"));
                parameters.push(Parameter::text("recurring_event_id", series.to_owned()));
            }
        }
        parameters.extend(more);
        self.note(call, "calendar", kind, name, parameters);
    }
}
