//! Calendars with series, exceptions, guests and several time zones.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp, civil, tz::TimeZone};
use model::Moment;
use serde_json::{Map, Value, json};

use super::names::{nth, pick};
use crate::{
    calendar::{Calendar, Entry, Event, Role, Rule},
    tenant::Tenant,
    text,
};

const EVENT: u64 = 0x6576;
const HOUR_MICROS: i64 = 3_600_000_000;

const TITLES: &[&str] = &[
    "Weekly sync",
    "1:1",
    "Design review",
    "Kundengespräch Schäfer & Söhne",
    "Budget 2026 – final, \"really\"",
    "🎉 Launch party",
    "اجتماع الفريق",
    "打ち合わせ",
    "Interview: backend (on-site)",
    "Dentist",
    "",
    "Retro / planning / lunch",
];

const PLACES: &[&str] =
    &["", "", "Room Ada (4th floor)", "https://meet.example/ada", "Café Müller, Kantstraße 1"];

/// Somebody whose calendar is furnished.
struct Owner {
    id: Arc<str>,
    address: String,
    calendar: String,
    zone_name: String,
    zone: TimeZone,
}

/// Furnishes the calendars of all users.
pub(super) fn furnish(tenant: &mut Tenant) {
    let people: Vec<(Arc<str>, String)> = tenant
        .users()
        .iter()
        .filter(|user| user.deleted.is_none())
        .map(|user| (Arc::clone(&user.id), user.primary_email.clone()))
        .collect();
    let addresses: Vec<String> = people.iter().map(|(_, address)| address.clone()).collect();
    for (number, (id, address)) in people.iter().enumerate() {
        let Some(owner) = owner(tenant, id, address) else { continue };
        let count = u64::from(tenant.settings.size.events);
        for nth_event in 0..count {
            event(tenant, &owner, &addresses, (number as u64) << 32 | nth_event, nth_event);
        }
        let own = second(tenant, id, &owner, "Side projects");
        let side = Owner { calendar: own, ..owner };
        for nth_event in 0..count / 8 {
            event(tenant, &side, &[], (number as u64) << 32 | 1 << 31 | nth_event, 15 + nth_event % 5);
        }
    }
    share(tenant, &people);
}

fn owner(tenant: &mut Tenant, id: &Arc<str>, address: &str) -> Option<Owner> {
    let calendar = tenant.primary_calendar(id)?;
    let own = tenant.calendar_mut(&calendar).ok()?;
    let (zone_name, zone) = (own.zone_name().to_owned(), own.zone());
    Some(Owner { id: Arc::clone(id), address: address.to_owned(), calendar, zone_name, zone })
}

fn second(tenant: &mut Tenant, id: &Arc<str>, owner: &Owner, summary: &str) -> String {
    let calendar_id = tenant.draw_calendar_id();
    let anchor = tenant.anchor;
    let mut calendar = Calendar::new(calendar_id.clone(), id, false, summary, &owner.zone_name, anchor);
    calendar.fields.insert("description".to_owned(), "Not for customers.\nSecond line.".into());
    tenant.add_calendar(calendar);
    calendar_id
}

/// Makes a calendar that several people use, and that everybody may read.
fn share(tenant: &mut Tenant, people: &[(Arc<str>, String)]) {
    let [(first, address), rest @ ..] = people else { return };
    let Some(owner) = owner(tenant, first, address) else { return };
    let id = second(tenant, first, &owner, "Team calendar");
    let domain = tenant.settings.domain.clone();
    if let Ok(calendar) = tenant.calendar_mut(&id) {
        let rule = |scope: &str, value: &str, role| Rule {
            scope: scope.to_owned(),
            value: value.to_owned(),
            role,
            changed: 0,
        };
        calendar.rules.extend(rest.iter().take(2).map(|(_, address)| rule("user", address, Role::Writer)));
        calendar.rules.push(rule("user", "auditor@partner.example", Role::FreeBusyReader));
        calendar.rules.push(rule("domain", &domain, Role::Reader));
    }
    for (number, (user, _)) in rest.iter().take(6).enumerate() {
        let mut entry = Entry::of(&id);
        entry.fields.insert("colorId".to_owned(), (number + 1).to_string().into());
        match number {
            1 => drop(entry.fields.insert("summaryOverride".to_owned(), "The others".into())),
            2 => drop(entry.fields.insert("hidden".to_owned(), true.into())),
            _ => {}
        }
        tenant.put_on_list(user, entry);
    }
    let team = Owner { calendar: id, ..owner };
    let guests: Vec<String> = people.iter().map(|(_, address)| address.clone()).collect();
    for nth_event in 0..u64::from(tenant.settings.size.events) / 4 {
        event(tenant, &team, &guests, 0xffff << 32 | nth_event, [0, 2, 4, 8, 15][(nth_event % 5) as usize]);
    }
}

/// One event that is being made.
struct Draft<'a> {
    owner: &'a Owner,
    drawn: u64,
    fields: Map<String, Value>,
    day: civil::Date,
}

impl Draft<'_> {
    fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.fields.insert(name.to_owned(), value.into());
    }

    /// Takes place on the day, at an hour of the owner's zone, for some minutes.
    fn timed(&mut self, hour: i8, minutes: i64) {
        let zone = self.owner.zone_name.clone();
        self.timed_in(hour, minutes, &zone, &zone);
    }

    fn timed_in(&mut self, hour: i8, minutes: i64, from: &str, to: &str) {
        let zone = TimeZone::get(from).unwrap_or(TimeZone::UTC);
        let start = zone.to_ambiguous_timestamp(self.day.at(hour, 0, 0, 0)).compatible().unwrap_or_default();
        let at = |moment: Timestamp, zone: &str| json!({ "dateTime": moment.to_string(), "timeZone": zone });
        self.set("start", at(start, from));
        self.set("end", at(start.checked_add(SignedDuration::from_mins(minutes)).unwrap_or(start), to));
    }

    fn days(&mut self, count: i64) {
        let end = self.day.saturating_add(SignedDuration::from_hours(24 * count));
        self.set("start", json!({ "date": self.day.to_string() }));
        self.set("end", json!({ "date": end.to_string() }));
    }

    fn invite(&mut self, people: &[String], count: usize) {
        if people.is_empty() {
            return;
        }
        let mut guests = vec![json!({ "email": self.owner.address, "responseStatus": "accepted" })];
        for number in 0..count {
            let drawn = text::mixed(self.drawn ^ (number as u64 + 1));
            let address = &people[(drawn % people.len() as u64) as usize];
            if guests.iter().any(|guest| guest["email"] == address.as_str()) {
                continue;
            }
            let answer = pick(&["accepted", "accepted", "declined", "tentative", "needsAction"], drawn >> 20);
            let mut guest = json!({ "email": address, "responseStatus": answer });
            match drawn >> 40 & 7 {
                0 => guest["optional"] = true.into(),
                1 => guest["comment"] = "Running late".into(),
                _ => {}
            }
            guests.push(guest);
        }
        if self.drawn.is_multiple_of(3) {
            let guest = json!({ "email": "kim@partner.example", "displayName": "Kim (Partner)", "responseStatus": "needsAction" });
            guests.push(guest);
        }
        self.set("attendees", guests);
    }
}

fn event(tenant: &mut Tenant, owner: &Owner, people: &[String], number: u64, kind: u64) {
    let drawn = nth(tenant.settings.seed, EVENT, number);
    let anchor = Timestamp::from_microsecond(tenant.anchor.as_micros()).unwrap_or_default();
    let today = owner.zone.to_datetime(anchor).date();
    let day = today.saturating_add(SignedDuration::from_hours(24 * ((drawn % 320) as i64 - 200)));
    let mut draft = Draft { owner, drawn, fields: Map::new(), day };
    draft.set("summary", pick(TITLES, drawn >> 8));
    draft.set("status", "confirmed");
    draft.set("eventType", "default");
    draft.set("creator", json!({ "email": owner.address }));
    let mut organizer = json!({ "email": owner.calendar });
    if owner.calendar != owner.address {
        organizer["displayName"] = "Calendar".into();
    }
    draft.set("organizer", organizer);
    draft.set("sequence", 0);
    if draft.fields["summary"] == "" {
        draft.fields.remove("summary");
    }
    let place = pick(PLACES, drawn >> 16);
    if !place.is_empty() {
        draft.set("location", place);
    }
    describe(&mut draft, people, kind);
    store(tenant, draft, kind);
}

/// Writes what makes the kind of event.
fn describe(draft: &mut Draft<'_>, people: &[String], kind: u64) {
    let hour = 8 + (draft.drawn >> 24 & 7) as i8;
    draft.timed(hour, 30 * (1 + (draft.drawn >> 28 & 3) as i64));
    match kind % 20 {
        0 => {
            // Begins long enough ago to have lived through a change of clocks.
            draft.day = draft.day.saturating_sub(SignedDuration::from_hours(24 * 150));
            draft.timed(hour, 60);
            draft.set("recurrence", json!(["RRULE:FREQ=WEEKLY"]));
            draft.invite(people, 4);
        }
        1 => {
            let day_four = draft.day.saturating_add(SignedDuration::from_hours(72));
            let gone = day_four.at(hour, 0, 0, 0).strftime("%Y%m%dT%H%M%S").to_string();
            let zone = draft.owner.zone_name.clone();
            let lines = json!(["RRULE:FREQ=DAILY;COUNT=30", format!("EXDATE;TZID={zone}:{gone}")]);
            draft.set("recurrence", lines);
        }
        2 => {
            draft.set("recurrence", json!(["RRULE:FREQ=MONTHLY;BYDAY=-1FR;UNTIL=20301231T225959Z"]));
            draft.invite(people, 2);
        }
        3 => {
            draft.days(1);
            draft.set("recurrence", json!(["RRULE:FREQ=YEARLY"]));
            draft.set("visibility", "private");
            draft.set("transparency", "transparent");
            if draft.owner.calendar == draft.owner.address {
                draft.set("eventType", "birthday");
                draft.set("birthdayProperties", json!({ "type": "birthday" }));
            }
        }
        4 => draft.days(1 + (draft.drawn >> 30 & 7) as i64),
        8 => {
            let file = format!("1{:016x}{:016x}", draft.drawn, text::mixed(draft.drawn));
            draft.set(
                "attachments",
                json!([{
                    "fileId": file,
                    "fileUrl": format!("https://docs.google.com/document/d/{file}/edit"),
                    "title": "Agenda – Q1/2026",
                    "mimeType": "application/vnd.google-apps.document",
                    "iconLink": "https://drive-thirdparty.googleusercontent.com/16/type/application/vnd.google-apps.document",
                }]),
            );
            draft.invite(people, 2);
        }
        9 => {
            draft.set("visibility", "private");
            draft.set("description", "<b>Medical</b>, do not share");
        }
        10 => draft.timed_in(hour, 690, "Europe/Berlin", "America/New_York"),
        11 => {
            draft.set("hangoutLink", "https://meet.google.com/abc-defg-hij");
            draft.set("conferenceData", conference());
            draft.invite(people, 3);
        }
        12 => {
            draft.set(
                "extendedProperties",
                json!({ "private": { "crm": "4711" }, "shared": { "ticket": "A-1" } }),
            );
            draft.set("source", json!({ "title": "Ticket A-1", "url": "https://tickets.example/A-1" }));
        }
        14 => {
            draft.set("status", "tentative");
            draft.set("colorId", "11");
        }
        5..=7 if draft.owner.calendar == draft.owner.address => absence(draft, kind % 20, hour),
        _ => draft.invite(people, (draft.drawn >> 33 & 3) as usize),
    }
}

fn conference() -> Value {
    json!({
        "conferenceId": "abc-defg-hij",
        "conferenceSolution": { "key": { "type": "hangoutsMeet" }, "name": "Google Meet" },
        "entryPoints": [{
            "entryPointType": "video", "uri": "https://meet.google.com/abc-defg-hij", "label": "meet.google.com/abc-defg-hij",
        }],
    })
}

fn absence(draft: &mut Draft<'_>, kind: u64, hour: i8) {
    let decline =
        json!({ "autoDeclineMode": "declineOnlyNewConflictingInvitations", "declineMessage": "Away" });
    match kind {
        5 => {
            draft.set("eventType", "outOfOffice");
            draft.set("outOfOfficeProperties", decline);
            draft.timed(hour, 600);
        }
        6 => {
            draft.set("eventType", "focusTime");
            let mut focus = decline;
            focus["chatStatus"] = "doNotDisturb".into();
            draft.set("focusTimeProperties", focus);
        }
        _ => {
            draft.days(1);
            draft.set("eventType", "workingLocation");
            draft.set("visibility", "public");
            draft.set("transparency", "transparent");
            draft.set("workingLocationProperties", json!({ "type": "homeOffice", "homeOffice": {} }));
        }
    }
}

fn store(tenant: &mut Tenant, draft: Draft<'_>, kind: u64) {
    let Draft { owner, drawn, mut fields, .. } = draft;
    let anchor = tenant.anchor;
    let created = anchor.plus_micros(-((drawn >> 3 & 0x7ff) as i64 + 1) * HOUR_MICROS);
    let Ok(calendar) = tenant.calendar_mut(&owner.calendar) else { return };
    let id = calendar.draw();
    fields.insert("iCalUID".to_owned(), format!("{id}@google.com").into());
    let mut event = Event::new(id.clone(), fields, created);
    if drawn.is_multiple_of(5) {
        let reminders = json!({ "useDefault": false, "overrides": [{ "method": "email", "minutes": 1440 }] });
        event.reminders.insert(Arc::clone(&owner.id), reminders);
    }
    let series = event.is_series().then(|| event.clone());
    calendar.put(event.clone(), created);
    tenant.spread(&owner.calendar, &id, None, created);
    if let Some(series) = series.filter(|_| matches!(kind % 20, 0 | 2)) {
        exceptions(tenant, owner, &series, created);
    }
    if kind % 20 == 13 {
        // Deleted, and recently enough to be remembered.
        let late = anchor.plus_micros(-HOUR_MICROS * (1 + (drawn >> 40 & 63) as i64));
        tenant.cancel_event(&owner.calendar, &event, late);
    }
}

/// Moves the third occurrence of a series, cancels the fifth and renames the seventh.
fn exceptions(tenant: &mut Tenant, owner: &Owner, series: &Event, created: Moment) {
    let zone = owner.zone.clone();
    let Some(first) = series.start(&zone) else { return };
    let half_a_year = first.plus(SignedDuration::from_hours(24 * 230)).moment(&zone);
    let starts = series.occurrences(&zone, half_a_year);
    for (at, start) in starts.iter().enumerate().take(7) {
        let mut instance = series.instance(*start, &zone);
        match at {
            2 => {
                let later = start.plus(SignedDuration::from_hours(26));
                let end = later.plus(series.length(&zone));
                instance.set("start", later.resource(Some(&owner.zone_name), &zone));
                instance.set("end", end.resource(Some(&owner.zone_name), &zone));
                instance.set("sequence", 1);
            }
            4 => instance.set("status", "cancelled"),
            6 => instance.set("summary", "Weekly sync – with guests"),
            _ => continue,
        }
        instance.updated = created.plus_micros(HOUR_MICROS);
        instance.created = created;
        let id = instance.id.clone();
        if let Ok(calendar) = tenant.calendar_mut(&owner.calendar) {
            calendar.put(instance, created.plus_micros(HOUR_MICROS));
        }
        tenant.spread(&owner.calendar, &id, None, created.plus_micros(HOUR_MICROS));
    }
}
