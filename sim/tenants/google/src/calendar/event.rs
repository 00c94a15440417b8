//! One event of one calendar.

use std::{collections::BTreeMap, sync::Arc};

use jiff::{Timestamp, tz::TimeZone};
use model::Moment;
use serde_json::{Map, Value, json};

use super::{
    recur::Recurrence,
    role::Role,
    time::{self, When},
};
use crate::{stamp, text};

/// How many occurrences of a series without an end are shown.
pub(crate) const OCCURRENCES_MAX: usize = 730;
/// How many occurrences are counted through to reach a window.
const COUNTED_MAX: usize = 20_000;

/// An event, a series, or an instance of a series that differs from it.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) id: String,
    /// The resource, without what is made when it is looked at. Copies of guests share it as long as they can.
    pub(crate) fields: Arc<Map<String, Value>>,
    /// Reminders by the user whom they remind.
    pub(crate) reminders: BTreeMap<Arc<str>, Value>,
    pub(crate) created: Moment,
    pub(crate) updated: Moment,
    /// The calendar's count of changes at its last one.
    pub(crate) changed: u64,
    /// It was cancelled because its series was.
    pub(crate) with_series: bool,
    /// It went to another organizer; nothing but its id is left here.
    pub(crate) moved_away: bool,
}

/// How somebody looks at a calendar.
#[derive(Debug, Clone)]
pub(crate) struct View {
    /// The calendar's id, which is `self` in it.
    pub(crate) calendar: String,
    /// Who looks.
    pub(crate) user: Arc<str>,
    pub(crate) role: Role,
    pub(crate) zone: TimeZone,
    pub(crate) attendees_max: Option<usize>,
    /// Cancelled events show what is guaranteed and no more.
    pub(crate) bare: bool,
    /// The simulator's address.
    pub(crate) url: String,
}

impl Event {
    pub(crate) fn new(id: String, fields: Map<String, Value>, now: Moment) -> Self {
        Self {
            id,
            fields: Arc::new(fields),
            reminders: BTreeMap::new(),
            created: now,
            updated: now,
            changed: 0,
            with_series: false,
            moved_away: false,
        }
    }

    pub(crate) fn text(&self, name: &str) -> &str {
        self.fields.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// Returns the resource to be changed.
    pub(crate) fn edit(&mut self) -> &mut Map<String, Value> {
        Arc::make_mut(&mut self.fields)
    }

    pub(crate) fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.edit().insert(name.to_owned(), value.into());
    }

    pub(crate) fn unset(&mut self, name: &str) {
        if self.fields.contains_key(name) {
            self.edit().remove(name);
        }
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.text("status") == "cancelled"
    }

    /// Returns the id of its series, if it is an instance of one.
    pub(crate) fn series(&self) -> Option<&str> {
        self.fields.get("recurringEventId").and_then(Value::as_str)
    }

    pub(crate) fn is_series(&self) -> bool {
        self.fields.get("recurrence").and_then(Value::as_array).is_some_and(|lines| !lines.is_empty())
    }

    pub(crate) fn kind(&self) -> &str {
        match self.text("eventType") {
            "" => "default",
            kind => kind,
        }
    }

    pub(crate) fn sequence(&self) -> i64 {
        self.fields.get("sequence").and_then(Value::as_i64).unwrap_or(0)
    }

    pub(crate) fn attendees(&self) -> &[Value] {
        self.fields.get("attendees").and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// Returns the address of whoever decides about it.
    pub(crate) fn organizer(&self) -> &str {
        self.fields.get("organizer").and_then(|organizer| organizer["email"].as_str()).unwrap_or_default()
    }

    /// Returns the zone in which it recurs.
    pub(crate) fn zone(&self, usual: &TimeZone) -> TimeZone {
        let name = self.fields.get("start").and_then(|start| start["timeZone"].as_str());
        name.and_then(time::zone).unwrap_or_else(|| usual.clone())
    }

    fn when(&self, name: &str, usual: &TimeZone) -> Option<When> {
        When::parse(self.fields.get(name)?, usual).ok()
    }

    pub(crate) fn start(&self, usual: &TimeZone) -> Option<When> {
        self.when("start", usual)
    }

    pub(crate) fn end(&self, usual: &TimeZone) -> Option<When> {
        self.when("end", usual)
    }

    pub(crate) fn original_start(&self, usual: &TimeZone) -> Option<When> {
        self.when("originalStartTime", usual)
    }

    /// Returns the starts of a series' occurrences that begin before a moment.
    pub(crate) fn occurrences(&self, usual: &TimeZone, before: Timestamp) -> Vec<When> {
        let zone = self.zone(usual);
        let lines = self.fields.get("recurrence").and_then(Value::as_array).into_iter().flatten();
        let recurrence = Recurrence::parse(lines.filter_map(Value::as_str), &zone).unwrap_or_default();
        let max = if before == Timestamp::MAX { OCCURRENCES_MAX } else { COUNTED_MAX };
        self.start(usual).map_or_else(Vec::new, |first| recurrence.starts(first, &zone, before, max))
    }

    /// Returns how long it lasts.
    pub(crate) fn length(&self, usual: &TimeZone) -> jiff::SignedDuration {
        match (self.start(usual), self.end(usual)) {
            (Some(start), Some(end)) => start.until(end, usual),
            _ => jiff::SignedDuration::ZERO,
        }
    }

    /// Returns the id of the instance that begins, by its series, at a time.
    pub(crate) fn instance_id(&self, start: When) -> String {
        format!("{}_{}", self.id, start.suffix())
    }

    /// Makes the instance that begins, by its series, at a time.
    pub(crate) fn instance(&self, start: When, usual: &TimeZone) -> Self {
        let mut instance = self.clone();
        instance.id = self.instance_id(start);
        let own = |name: &str| self.fields.get(name).and_then(|at| at["timeZone"].as_str());
        let end = start.plus(self.length(usual));
        instance.set("start", start.resource(own("start"), usual));
        instance.set("end", end.resource(own("end"), usual));
        instance.set("originalStartTime", start.resource(own("start"), usual));
        instance.set("recurringEventId", self.id.clone());
        instance.unset("recurrence");
        instance
    }

    /// Tells whether it takes place, in part, between two moments.
    pub(crate) fn is_within(&self, usual: &TimeZone, from: Option<Timestamp>, to: Option<Timestamp>) -> bool {
        if from.is_none() && to.is_none() {
            return true;
        }
        let Some(start) = self.start(usual) else { return true };
        let overlaps = |start: When| {
            let begin = start.moment(usual);
            let end = start.plus(self.length(usual)).moment(usual);
            from.is_none_or(|from| end > from || (begin == end && begin >= from))
                && to.is_none_or(|to| begin < to)
        };
        if self.is_series() {
            // A series without an end goes on after any moment.
            let horizon =
                from.and_then(|from| from.checked_add(jiff::SignedDuration::from_hours(24 * 366 * 8)).ok());
            let before = to.or(horizon).unwrap_or(Timestamp::MAX);
            return self.occurrences(usual, before).into_iter().any(overlaps);
        }
        overlaps(start)
    }

    /// Returns its etag.
    pub(crate) fn etag(&self, calendar: &str) -> String {
        let drawn = text::drawn(format!("{calendar}/{}/{}", self.id, self.changed).as_bytes());
        format!("\"{:016}\"", drawn % 10_000_000_000_000_000)
    }

    /// Makes the resource.
    pub(crate) fn resource(&self, view: &View) -> Value {
        let etag = self.etag(&view.calendar);
        let series = self.series().filter(|_| self.fields.contains_key("originalStartTime"));
        if self.is_cancelled() && (view.bare || self.moved_away) {
            let mut value =
                json!({ "kind": "calendar#event", "etag": etag, "id": self.id, "status": "cancelled" });
            if let Some(series) = series {
                value["recurringEventId"] = series.into();
                value["originalStartTime"] = self.looked_at("originalStartTime", view);
            }
            return value;
        }
        let mut value = if view.role < Role::Writer && self.is_hidden_from(view) {
            self.busy()
        } else {
            let mut value = Value::Object(Map::clone(&self.fields));
            self.mark_self(&mut value, view);
            let usual = json!({ "useDefault": true });
            value["reminders"] = self.reminders.get(&view.user).cloned().unwrap_or(usual);
            value
        };
        value["kind"] = "calendar#event".into();
        value["etag"] = etag.into();
        value["id"] = self.id.clone().into();
        value["created"] = stamp::rfc3339(self.created).into();
        value["updated"] = stamp::rfc3339(self.updated).into();
        let key = text::base64url(format!("{} {}", self.id, view.calendar).as_bytes());
        value["htmlLink"] = format!("{}/calendar/event?eid={}", view.url, key.trim_end_matches('=')).into();
        for name in ["start", "end", "originalStartTime"] {
            if self.fields.contains_key(name) {
                value[name] = self.looked_at(name, view);
            }
        }
        value
    }

    fn looked_at(&self, name: &str, view: &View) -> Value {
        let own = self.fields.get(name).and_then(|at| at["timeZone"].as_str());
        self.when(name, &view.zone).map_or(Value::Null, |when| when.resource(own, &view.zone))
    }

    fn is_hidden_from(&self, view: &View) -> bool {
        view.role == Role::FreeBusyReader || matches!(self.text("visibility"), "private" | "confidential")
    }

    /// What somebody sees who may see only that there is something.
    fn busy(&self) -> Value {
        let mut value = json!({ "visibility": "private" });
        for name in ["status", "iCalUID", "recurrence", "recurringEventId", "transparency", "eventType"] {
            if let Some(field) = self.fields.get(name) {
                value[name] = field.clone();
            }
        }
        value
    }

    fn mark_self(&self, value: &mut Value, view: &View) {
        for name in ["creator", "organizer"] {
            if value[name]["email"] == view.calendar.as_str() {
                value[name]["self"] = true.into();
            }
        }
        let organizer = self.organizer();
        let Some(attendees) = value.get_mut("attendees").and_then(Value::as_array_mut) else { return };
        for attendee in attendees.iter_mut() {
            if attendee["email"] == view.calendar.as_str() {
                attendee["self"] = true.into();
            }
            if attendee["email"] == organizer {
                attendee["organizer"] = true.into();
            }
        }
        if view.attendees_max.is_some_and(|max| attendees.len() > max) {
            attendees.retain(|attendee| attendee["self"] == true);
            value["attendeesOmitted"] = true.into();
        }
    }
}
