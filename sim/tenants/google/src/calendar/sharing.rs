//! Copies of events in the calendars of guests, and guests' answers.

use std::collections::BTreeSet;

use model::Moment;
use serde_json::Value;

use super::Event;
use crate::tenant::Tenant;

/// What a guest's copy has for itself.
const OWN: [&str; 2] = ["colorId", "transparency"];

fn addresses(event: &Event) -> impl Iterator<Item = &str> {
    event.attendees().iter().filter_map(|attendee| attendee["email"].as_str())
}

/// Returns the addresses of an event's guests.
pub(super) fn guests(event: &Event) -> Vec<String> {
    addresses(event).map(str::to_owned).collect()
}

fn answer_of<'a>(event: &'a Event, guest: &str) -> Option<&'a str> {
    let own = event.attendees().iter().find(|attendee| attendee["email"] == guest)?;
    own["responseStatus"].as_str()
}

/// Writes a guest's answer; tells whether it is another one.
pub(super) fn set_answer(event: &mut Event, guest: &str, answer: &str) -> bool {
    if answer_of(event, guest).is_none_or(|own| own == answer) {
        return false;
    }
    let attendees = event.edit().get_mut("attendees").and_then(Value::as_array_mut);
    let own = attendees.into_iter().flatten().find(|attendee| attendee["email"] == guest);
    if let Some(own) = own {
        own["responseStatus"] = answer.into();
    }
    true
}

impl Tenant {
    /// Carries the newest change of an event to whom it concerns: from its organizer to the guests in the domain,
    /// from a guest to the organizer. `before` is the event as it was.
    pub(crate) fn spread(&mut self, calendar: &str, id: &str, before: Option<&Event>, now: Moment) {
        let event = self.calendar.all.get(calendar).and_then(|calendar| calendar.events.get(id)).cloned();
        let Some(event) = event.filter(|event| event.fields.get("privateCopy").is_none()) else { return };
        if event.organizer() == calendar {
            self.spread_to_guests(calendar, &event, before, now);
        } else {
            self.answer_organizer(calendar, &event, now);
        }
    }

    fn spread_to_guests(&mut self, calendar: &str, event: &Event, before: Option<&Event>, now: Moment) {
        let invited: BTreeSet<String> = addresses(event).map(str::to_owned).collect();
        let all: BTreeSet<String> = invited
            .iter()
            .cloned()
            .chain(before.into_iter().flat_map(addresses).map(str::to_owned))
            .collect();
        for guest in all {
            let Some(theirs) = self.primary_calendar(&guest).filter(|theirs| theirs != calendar) else {
                continue;
            };
            let Some(theirs) = self.calendar.all.get_mut(&theirs) else { continue };
            let wanted = invited.contains(&guest) && !event.is_cancelled();
            let earlier = theirs.events.get(&event.id).cloned();
            let gone = earlier.as_ref().is_none_or(Event::is_cancelled);
            // Nobody is told again of what was never theirs, or what they threw away.
            if gone && (!wanted || (earlier.is_some() && answer_of(event, &guest) == Some("declined"))) {
                continue;
            }
            let mut copy = event.clone();
            if let Some(earlier) = &earlier {
                for name in OWN {
                    match earlier.fields.get(name) {
                        Some(own) => copy.set(name, own.clone()),
                        None => copy.unset(name),
                    }
                }
            }
            copy.reminders = earlier.as_ref().map(|earlier| earlier.reminders.clone()).unwrap_or_default();
            let own =
                earlier.and_then(|earlier| earlier.fields.get("extendedProperties")?.get("private").cloned());
            set_private(&mut copy, own);
            if !wanted {
                copy.set("status", "cancelled");
            }
            theirs.put(copy, now);
        }
    }

    fn answer_organizer(&mut self, guest: &str, copy: &Event, now: Moment) {
        let answer =
            if copy.is_cancelled() { "declined" } else { answer_of(copy, guest).unwrap_or("needsAction") };
        let organizer = copy.organizer().to_owned();
        let Some(calendar) = self.calendar.all.get_mut(&organizer) else { return };
        let Some(mut event) = calendar.events.get(&copy.id).cloned().or_else(|| {
            // The answer is to one instance, which is now an exception for the organizer as well.
            let series = calendar.events.get(copy.series()?)?;
            Some(series.instance(copy.original_start(&calendar.zone())?, &calendar.zone()))
        }) else {
            return;
        };
        if set_answer(&mut event, guest, answer) {
            let before = event.clone();
            event.updated = now;
            calendar.put(event.clone(), now);
            self.spread_to_guests(&organizer, &event, Some(&before), now);
        }
    }
}

fn set_private(event: &mut Event, own: Option<Value>) {
    if own.is_none() && event.fields.get("extendedProperties").is_none_or(|all| all["private"].is_null()) {
        return;
    }
    let Some(Value::Object(properties)) = event.edit().get_mut("extendedProperties") else {
        if let Some(own) = own {
            event.set("extendedProperties", serde_json::json!({ "private": own }));
        }
        return;
    };
    match own {
        Some(own) => drop(properties.insert("private".to_owned(), own)),
        None => drop(properties.remove("private")),
    }
    if properties.is_empty() {
        event.unset("extendedProperties");
    }
}
