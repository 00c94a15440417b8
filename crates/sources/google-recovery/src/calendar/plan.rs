//! Planning what happens to a user's calendars, out of what is stored.

use std::collections::{BTreeMap, BTreeSet};

use connect::{fidelity::Way, plan::Action};
use google_api::method;
use model::StreamName;
use serde_json::{Value, json};
use source_google::calendar::{ACL_PREFIX, CALENDAR_PREFIX, EVENT_PREFIX, EventAttributes, event_key};

use super::{
    calendars::{OF_CALENDAR, OF_ENTRY, chosen},
    decide::{Decision, EventStates, LaterRoles, RightDecision, again, decide, decide_right},
    event::{guests_own, is_guests, occurrence, series_of},
    promise::{CALENDAR, COPY, EVENT, RIGHT, SANDBOX},
    step::{CalendarRow, CalendarSetRow, CalendarStep, ReturnRow, RightRow, SetRow},
};
use crate::{
    Destination, Planner, PlanningError, Request,
    fields::{FieldChange, plainly_same, undo},
    planner::{Documents, NewStep, TAKEN_AGAIN, live_below},
    request::ORIGIN,
    step::StepDetails,
};

impl Planner<'_> {
    /// Plans what happens to a user's calendars.
    ///
    /// In place, events, calendars and rights that were deleted or changed within the window go back to what they were;
    /// what came within it or was changed again after it stays. For another user, every event that was there before the
    /// window is put into a calendar of its own, and nobody is invited.
    pub fn calendar(&mut self, request: &Request) -> Result<(), PlanningError> {
        self.begin(request, "the calendars of");
        let mut planning = Planning { request, planner: self, gone: BTreeMap::new(), rows: Rows::default() };
        match &request.destination {
            Destination::InPlace => {
                let changed = planning.planner.past.changed(
                    &request.stream,
                    request.window.before.0,
                    request.window.after.0,
                )?;
                planning.decide_calendars(&changed)?;
                planning.decide_events(&changed)?;
                planning.decide_rights(&changed)?;
            }
            Destination::OtherUser { .. } | Destination::Sandbox(_) => planning.take_all()?,
        }
        planning.finish()
    }
}

/// Where an event is that is no longer where it was.
enum Moved {
    Nowhere,
    /// Into this calendar, within the window.
    To(String),
    /// Into another calendar, after the window.
    Later,
}

#[derive(Default)]
pub(super) struct Rows {
    pub(super) made: Vec<CalendarRow>,
    calendars: Vec<CalendarSetRow>,
    /// Events of calendars that are still there.
    returned: Vec<ReturnRow>,
    /// Events of calendars that are made again.
    remade: Vec<ReturnRow>,
    set: Vec<SetRow>,
    rights: Vec<RightRow>,
    pub(super) copied: Vec<ReturnRow>,
}

pub(super) struct Planning<'r, 'q, 'p> {
    pub(super) request: &'r Request,
    pub(super) planner: &'q mut Planner<'p>,
    /// Calendars that are gone, and are made again.
    gone: BTreeMap<String, Value>,
    pub(super) rows: Rows,
}

/// Returns the calendar and the rest of a key such as `event/CALENDAR/ID`.
pub(super) fn parts<'k>(key: &'k str, prefix: &str) -> Option<(&'k str, &'k str)> {
    key.strip_prefix(prefix)?.split_once('/')
}

impl Planning<'_, '_, '_> {
    pub(super) fn stream(&self) -> &StreamName {
        &self.request.stream
    }

    /// Tells whether an item is meant, by itself or with its calendar.
    pub(super) fn is_meant(&self, key: &str) -> bool {
        let selection = &self.request.selection;
        let calendar =
            parts(key, EVENT_PREFIX).or_else(|| parts(key, ACL_PREFIX)).map(|(calendar, _)| calendar);
        selection.has(key)
            || calendar.is_some_and(|calendar| selection.has(&format!("{CALENDAR_PREFIX}{calendar}")))
    }

    /// Tells whether an event is meant as something that differs in a series that is chosen.
    pub(super) fn is_in_chosen(&self, key: &str, calendar: &str) -> Result<bool, PlanningError> {
        let (past, window, selection) = (self.planner.past, self.request.window, &self.request.selection);
        let of_calendar = event_key(calendar, "");
        if !selection.keys.iter().any(|key| key.starts_with(&of_calendar)) {
            return Ok(false);
        }
        for at in [window.before.0, window.after.0] {
            let Some(version) = past.version(self.stream(), key, at)? else { continue };
            let attributes = EventAttributes::of_text(&version.item.item.attributes).unwrap_or_default();
            if attributes.series.is_some_and(|series| selection.has(&event_key(calendar, &series))) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub(super) fn documents(&self) -> Documents<'_> {
        Documents { past: self.planner.past, stream: &self.request.stream, window: self.request.window }
    }

    fn conflict(&mut self, key: &str, reason: String) {
        self.planner.conflict(&self.request.account, key, reason);
    }

    fn decide_calendars(&mut self, changed: &[String]) -> Result<(), PlanningError> {
        let window = self.request.window;
        let some_chosen = |planning: &Self, id: &str| {
            let keys = &planning.request.selection.keys;
            keys.iter().any(|key| {
                [EVENT_PREFIX, ACL_PREFIX]
                    .iter()
                    .any(|prefix| parts(key, prefix).is_some_and(|(own, _)| own == id))
            })
        };
        for key in changed {
            let Some(id) = key.strip_prefix(CALENDAR_PREFIX) else { continue };
            if !self.is_meant(key) && !some_chosen(self, id) {
                continue;
            }
            let Some(before) = self.documents().at(key, window.before.0)? else { continue };
            let (after, now) =
                (self.documents().at(key, window.after.0)?, self.documents().at(key, window.now)?);
            let is_own = is_own(&before, &self.request.account);
            match (after, now) {
                (None, None) if self.documents().later(key)?.is_any => {
                    self.conflict(key, TAKEN_AGAIN.to_owned());
                }
                (None, None) if is_own => drop(self.gone.insert(id.to_owned(), before)),
                (None, None) => self.planner.loss(
                    format!("{}: {}", self.request.account, name_of(&before)),
                    "it is somebody else's and was taken off the list; it is put on it again by hand"
                        .to_owned(),
                ),
                (Some(_), None) => self.conflict(key, "it was taken away after the window".to_owned()),
                (Some(after), Some(now)) if self.is_meant(key) => {
                    let later = self.documents().later(key)?.documents;
                    self.compare_calendars(key, id, &before, &after, &later, &now, is_own);
                }
                (_, Some(_)) => self.planner.unchanged(),
            }
        }
        for (id, document) in &self.gone {
            let (calendar, entry) = (&document["calendar"], &document["entry"]);
            let of = if calendar.is_object() { calendar } else { entry };
            self.rows.made.push(CalendarRow {
                id: id.clone(),
                calendar: json!(chosen(of, &OF_CALENDAR)),
                entry: json!(chosen(entry, &OF_ENTRY)),
            });
        }
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "a calendar at all its times")]
    fn compare_calendars(
        &mut self,
        key: &str,
        id: &str,
        before: &Value,
        after: &Value,
        later: &[Value],
        now: &Value,
        is_own: bool,
    ) {
        let mut kept = Vec::new();
        let mut of = |part: &str, names: &[&str]| -> BTreeMap<String, FieldChange> {
            let fields = |document: &Value| chosen(&document[part], names);
            let later: Vec<_> = later.iter().map(fields).collect();
            let undo = undo(&fields(before), &fields(after), &later, &fields(now), plainly_same);
            kept.extend(undo.kept);
            undo.set
        };
        let calendar = if is_own { of("calendar", &OF_CALENDAR) } else { BTreeMap::new() };
        let entry = of("entry", &OF_ENTRY);
        if !kept.is_empty() {
            self.conflict(key, again(&kept));
        } else if calendar.is_empty() && entry.is_empty() {
            self.planner.unchanged();
        }
        if !(calendar.is_empty() && entry.is_empty()) {
            let summary = Some(name_of(before));
            self.rows.calendars.push(CalendarSetRow { id: id.to_owned(), summary, calendar, entry });
        }
    }

    fn decide_events(&mut self, changed: &[String]) -> Result<(), PlanningError> {
        let window = self.request.window;
        let calendars = self.calendars_now()?;
        let mut returned = BTreeSet::new();
        for key in changed {
            let Some((calendar, id)) = parts(key, EVENT_PREFIX) else { continue };
            if !self.is_meant(key) && !self.is_in_chosen(key, calendar)? {
                continue;
            }
            let (calendar, id) = (calendar.to_owned(), id.to_owned());
            let past = self.planner.past;
            let was = past.version(self.stream(), key, window.before.0)?;
            if was.as_ref().is_some_and(|version| !version.has_content) {
                let reason = "it could not be read when it was captured".to_owned();
                self.planner.loss(format!("{}: {key}", self.request.account), reason);
                continue;
            }
            let stored = self.documents().at(key, window.before.0)?;
            let after = self.documents().at(key, window.after.0)?;
            let virtual_before = match (&stored, &after) {
                (None, Some(after)) => self.occurrence_before(&calendar, after)?,
                _ => None,
            };
            let later = self.documents().later(key)?;
            let states = EventStates {
                before: stored.or_else(|| virtual_before.clone()),
                was_back: later.is_any,
                later: later.documents,
                now: self.documents().at(key, window.now)?,
                after,
            };
            let Some(decision) = decide(&states) else { continue };
            let before = states.before.unwrap_or_default();
            if let Decision::Return = decision {
                returned.insert((calendar.clone(), id.clone()));
            }
            self.take(key, &calendar, &id, &before, virtual_before.is_some(), decision, &calendars)?;
        }
        for row in self.rows.returned.iter_mut().chain(&mut self.rows.remade) {
            row.with_series = row
                .series
                .as_ref()
                .is_some_and(|series| returned.contains(&(row.calendar.clone(), series.clone())));
        }
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "an event with all that was found out about it")]
    fn take(
        &mut self,
        key: &str,
        calendar: &str,
        id: &str,
        before: &Value,
        is_virtual: bool,
        decision: Decision,
        calendars: &[String],
    ) -> Result<(), PlanningError> {
        let series = series_of(before).map(str::to_owned);
        let summary = before["summary"].as_str().map(str::to_owned);
        match decision {
            Decision::Unchanged => self.planner.unchanged(),
            Decision::Conflict(reason) => self.conflict(key, reason),
            Decision::Set(undo) => {
                let mut changes = undo.set;
                if is_guests(before, calendar) {
                    // All else is the organizer's, from whom it comes back.
                    let own = guests_own(
                        changes.keys().map(|path| (path.clone(), Value::Null)).collect(),
                        calendar,
                    );
                    changes.retain(|path, _| own.contains_key(path));
                }
                if !undo.kept.is_empty() {
                    self.conflict(key, again(&undo.kept));
                }
                if changes.is_empty() {
                    self.planner.unchanged();
                } else {
                    let (calendar, id) = (calendar.to_owned(), id.to_owned());
                    self.rows.set.push(SetRow { calendar, id, series, changes, summary });
                }
            }
            Decision::Return => {
                let moved = if series.is_none() && !self.gone.contains_key(calendar) {
                    self.moved(calendar, id, calendars)?
                } else {
                    Moved::Nowhere
                };
                let moved_to = match moved {
                    Moved::Nowhere => None,
                    Moved::To(other) => Some(other),
                    Moved::Later => {
                        let reason = "somebody put it into another calendar after the window";
                        self.conflict(key, reason.to_owned());
                        return Ok(());
                    }
                };
                let row = ReturnRow {
                    calendar: calendar.to_owned(),
                    id: id.to_owned(),
                    series,
                    with_series: false,
                    moved_to,
                    wanted: is_virtual.then(|| before.clone()),
                    summary,
                };
                let place = if self.gone.contains_key(calendar) {
                    &mut self.rows.remade
                } else {
                    &mut self.rows.returned
                };
                place.push(row);
            }
        }
        Ok(())
    }

    /// Returns what an occurrence was that did not differ from its series before the window.
    fn occurrence_before(&self, calendar: &str, after: &Value) -> Result<Option<Value>, PlanningError> {
        let Some(series) = series_of(after) else { return Ok(None) };
        let series = self.documents().at(&event_key(calendar, series), self.request.window.before.0)?;
        Ok(series
            .filter(|series| series["recurrence"].is_array())
            .and_then(|series| occurrence(&series, after)))
    }

    /// Returns the ids of the user's own calendars as they are now.
    fn calendars_now(&self) -> Result<Vec<String>, PlanningError> {
        let mut ids = Vec::new();
        let at = self.request.window.now;
        live_below(self.planner.past, self.stream(), CALENDAR_PREFIX, at, &mut |key| {
            ids.extend(key.strip_prefix(CALENDAR_PREFIX).map(str::to_owned));
            Ok(true)
        })?;
        Ok(ids)
    }

    /// Tells into which calendar an event was moved that is no longer where it was.
    fn moved(&self, calendar: &str, id: &str, calendars: &[String]) -> Result<Moved, PlanningError> {
        let window = self.request.window;
        let mut moved = Moved::Nowhere;
        for other in calendars.iter().filter(|other| *other != calendar) {
            let key = event_key(other, id);
            let is_there = |at: u64| -> Result<bool, PlanningError> {
                Ok(self.planner.past.version(self.stream(), &key, at)?.is_some())
            };
            if is_there(window.now)? && !is_there(window.before.0)? {
                if is_there(window.after.0)? {
                    return Ok(Moved::To(other.clone()));
                }
                moved = Moved::Later;
            }
        }
        Ok(moved)
    }

    fn decide_rights(&mut self, changed: &[String]) -> Result<(), PlanningError> {
        let window = self.request.window;
        for key in changed {
            let Some((calendar, rule)) = parts(key, ACL_PREFIX).filter(|_| self.is_meant(key)) else {
                continue;
            };
            let (before, after) =
                (self.documents().at(key, window.before.0)?, self.documents().at(key, window.after.0)?);
            let (later, now) = (self.documents().later(key)?, self.documents().at(key, window.now)?);
            let is_owners = rule.strip_prefix("user:") == Some(self.request.account.as_str());
            if is_owners {
                // Whoever makes a calendar owns it.
                continue;
            }
            let role = |document: &Option<Value>| document.as_ref()?["role"].as_str().map(str::to_owned);
            let roles = later.documents.into_iter().filter_map(|document| role(&Some(document)));
            let (roles, expected): (Vec<String>, _) = (roles.collect(), role(&now));
            let later = LaterRoles { roles: &roles, came_anew: later.came_anew };
            match decide_right(role(&before).as_deref(), role(&after).as_deref(), later, expected.as_deref()) {
                RightDecision::Unchanged => {}
                RightDecision::Conflict(reason) => self.conflict(key, reason),
                RightDecision::Came(role) => self.planner.note(format!(
                    "{rule} came to be {role} of {calendar} within the window, and stays it: take that back by hand"
                )),
                RightDecision::Set(wanted) => {
                    let scope = before.map(|mut rule| rule["scope"].take()).unwrap_or_default();
                    let (calendar, rule) = (calendar.to_owned(), rule.to_owned());
                    self.rows.rights.push(RightRow { calendar, rule, scope, expected, wanted });
                }
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Result<(), PlanningError> {
        self.count_calls();
        let known = self.calendars_now()?;
        let Request { account, stream, window, .. } = self.request;
        let user = self.request.receiver().to_owned();
        let rows = std::mem::take(&mut self.rows);
        let share = self.request.is_elsewhere();
        let (stream, at) = (stream.as_str().to_owned(), window.before.0);
        if rows.returned.iter().any(|row| row.series.is_none()) {
            self.planner.note(
                "events that Google no longer remembers, a month after their deletion, are made anew; nobody gets a mail"
                    .to_owned(),
            );
        }
        let target = &user;
        let planner = &mut *self.planner;
        planner.step(NewStep {
            title: if share {
                format!("make the calendar {:?}", self.request.origin_name(account))
            } else {
                count(rows.made.len(), "make a deleted calendar again", "make # deleted calendars again")
            },
            target,
            action: Action::Create,
            name: "calendars",
            rows: &rows.made,
            details: StepDetails::Calendar(CalendarStep::Make { user: user.clone(), known, share }),
            promise: (CALENDAR, Way::MadeAnew),
        })?;
        planner.step(NewStep {
            title: count(rows.calendars.len(), "set a calendar back", "set # calendars back"),
            target,
            action: Action::Redefine,
            name: "calendar-fields",
            rows: &rows.calendars,
            details: StepDetails::Calendar(CalendarStep::SetCalendars { user: user.clone() }),
            promise: (CALENDAR, Way::InPlace),
        })?;
        for (rows, name, way) in [
            (&rows.returned, "events", Way::InPlace),
            (&rows.remade, "events-of-new-calendars", Way::MadeAnew),
        ] {
            planner.step(NewStep {
                title: count(rows.len(), "bring a deleted event back", "bring # deleted events back"),
                target,
                action: Action::Insert,
                name,
                rows,
                details: StepDetails::Calendar(CalendarStep::Return {
                    user: user.clone(),
                    stream: stream.clone(),
                    at,
                }),
                promise: (EVENT, way),
            })?;
        }
        self.finish_changes(&user, &rows, stream, at)
    }

    fn finish_changes(
        &mut self,
        user: &str,
        rows: &Rows,
        stream: String,
        at: u64,
    ) -> Result<(), PlanningError> {
        let target = user;
        let user = || user.to_owned();
        let planner = &mut *self.planner;
        planner.step(NewStep {
            title: count(rows.set.len(), "set an event back", "set # events back to what they were"),
            target,
            action: Action::Revert,
            name: "event-fields",
            rows: &rows.set,
            details: StepDetails::Calendar(CalendarStep::Set { user: user() }),
            promise: (EVENT, Way::InPlace),
        })?;
        planner.step(NewStep {
            title: count(
                rows.rights.len(),
                "set a right to a calendar back",
                "set # rights to calendars back",
            ),
            target,
            action: Action::Redefine,
            name: "rights",
            rows: &rows.rights,
            details: StepDetails::Calendar(CalendarStep::Share { user: user() }),
            promise: (RIGHT, Way::InPlace),
        })?;
        let (from, into) = (self.request.copies_of().into_owned(), ORIGIN.to_owned());
        let stand_ins = self.request.sandbox().is_some();
        let kind = if stand_ins { SANDBOX } else { COPY };
        planner.step(NewStep {
            title: count(rows.copied.len(), "put an event in", "put # events in"),
            target,
            action: Action::Insert,
            name: "copies",
            rows: &rows.copied,
            details: StepDetails::Calendar(CalendarStep::Copy {
                user: user(),
                from,
                into,
                stream,
                at,
                stand_ins,
            }),
            promise: (kind, Way::MadeAnew),
        })
    }

    fn count_calls(&mut self) {
        let rows = &self.rows;
        let (returned, remade) = (rows.returned.len() as u64, rows.remade.len() as u64);
        let (set, copied, made) = (rows.set.len() as u64, rows.copied.len() as u64, rows.made.len() as u64);
        let differing = |rows: &[ReturnRow]| rows.iter().filter(|row| row.series.is_some()).count() as u64;
        let moved = rows.returned.iter().filter(|row| row.moved_to.is_some()).count() as u64;
        let calendars = rows.calendars.len() as u64;
        let listed = made.min(1) + calendars.min(1);
        let shared = rows.rights.iter().map(|row| &row.calendar).collect::<BTreeSet<_>>().len() as u64;
        let (remade_differing, copied_differing) = (differing(&rows.remade), differing(&rows.copied));
        let calls = [
            (&method::RESTORE_EVENTS_GET, 2 * (returned + remade + set) + moved + copied + copied_differing),
            (&method::RESTORE_EVENTS_PATCH, returned - moved + set + remade_differing + copied_differing),
            (&method::RESTORE_EVENTS_INSERT, remade - remade_differing + copied - copied_differing),
            (&method::RESTORE_EVENTS_MOVE, moved),
            (&method::RESTORE_CALENDAR_LIST, 2 * listed),
            (&method::RESTORE_CALENDARS_INSERT, made),
            (&method::RESTORE_CALENDARS_GET, 2 * calendars),
            (&method::RESTORE_CALENDARS_PATCH, calendars),
            (&method::RESTORE_CALENDAR_LIST_PATCH, made),
            (&method::RESTORE_ACL_LIST, 2 * shared),
            (&method::RESTORE_ACL_INSERT, rows.rights.len() as u64),
        ];
        for (method, count) in calls {
            self.planner.calls(self.request.receiver(), method, count);
        }
    }
}

fn count(count: usize, one: &str, many: &str) -> String {
    if count == 1 { one.to_owned() } else { many.replace('#', &count.to_string()) }
}

fn is_own(document: &Value, account: &str) -> bool {
    let (calendar, entry) = (&document["calendar"], &document["entry"]);
    match calendar["dataOwner"].as_str().or_else(|| entry["dataOwner"].as_str()) {
        Some(owner) => owner.eq_ignore_ascii_case(account),
        None => entry["accessRole"] == "owner" || (calendar.is_object() && entry.is_null()),
    }
}

fn name_of(document: &Value) -> String {
    let name = document["calendar"]["summary"].as_str().or_else(|| document["entry"]["summary"].as_str());
    name.unwrap_or_default().to_owned()
}
