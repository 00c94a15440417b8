//! The events of one calendar.

use std::collections::{BTreeMap, BTreeSet};

use connect::units::{Body, UnitError, UnitSink};
use google_api::{ApiError, Get, method};
use model::{Item, Layout, UnreadableReason};
use serde_json::Value;

use super::{Calendars, EventAttributes, event_key, state::Answer};
use crate::{failure::unit_error, feed::FeedEnd, records};

/// Of a list the most that one page holds.
const PAGE: &str = "2500";
/// So many events are asked about at a time.
const STEP: usize = 500;
/// Of what seems to be gone so many are asked for by name.
const CONFIRMED_MAX: usize = 20;

const CANCELLED: &str = "cancelled";

/// The call of a calendar's events: of all of them, or of what changed since a token.
pub(super) fn get(calendar: &str, since: Option<&str>) -> Get {
    // All but the token must be the same in both. A window of time would stay one for ever, so there is none.
    let get = Calendars::of_calendar(&method::EVENTS_LIST, calendar, "/events")
        .query("maxResults", PAGE)
        .query("showDeleted", "true")
        .query("singleEvents", "false");
    since.iter().fold(get, |get, token| get.query("syncToken", *token))
}

/// What a list of events comes to, besides what was handed over at once.
#[derive(Debug, Default)]
struct Fates {
    /// Events that are there, with the series in which each differs.
    there: BTreeMap<String, Option<String>>,
    /// Events of which only a tombstone is left.
    ended: BTreeSet<String>,
    /// Occurrences that do not take place, by their ids: whether they are items depends on their series.
    exceptions: BTreeMap<String, Value>,
}

impl Fates {
    /// Takes a page; the newest word on an event counts. Returns what is to be stored.
    fn take(&mut self, items: Vec<Value>) -> Vec<(String, Value)> {
        let mut events = Vec::new();
        for event in items {
            let Some(id) = event["id"].as_str().map(str::to_owned) else { continue };
            let series = event["recurringEventId"].as_str().map(str::to_owned);
            self.exceptions.remove(&id);
            self.ended.remove(&id);
            match (event["status"] == CANCELLED, series) {
                (true, None) => drop(self.ended.insert(id)),
                (true, Some(_)) => drop(self.exceptions.insert(id, event)),
                (false, series) => {
                    self.there.insert(id.clone(), series);
                    events.push((id, event));
                }
            }
        }
        events
    }

    /// Tells whether the list shows that an event is there.
    fn is_there(&self, id: &str) -> bool {
        self.there.contains_key(id) && !self.ended.contains(id)
    }
}

impl Calendars {
    /// Reads what changed since a token, and returns the next one.
    pub(super) fn follow(
        &self,
        calendar: &str,
        token: &str,
        answer: Option<Answer>,
        sink: &mut UnitSink<'_>,
    ) -> Result<Option<String>, FeedEnd> {
        let mut fates = Fates::default();
        let next = self.feed(get(calendar, Some(token)), true).read(answer, |items| {
            let events = fates.take(items);
            self.store_events(calendar, &events, sink)
        })?;
        let exceptions = std::mem::take(&mut fates.exceptions);
        let mut cancelled = Vec::new();
        for (id, event) in exceptions {
            let series = event["recurringEventId"].as_str().unwrap_or_default();
            let lives = fates.is_there(series)
                || (!fates.ended.contains(series) && self.is_held(calendar, series, sink)?);
            if lives {
                cancelled.push((id, event));
            } else if fates.there.contains_key(&id) || self.is_held(calendar, &id, sink)? {
                fates.ended.insert(id);
            }
        }
        self.store_events(calendar, &cancelled, sink)?;
        self.end(calendar, &fates, sink)?;
        Ok(next)
    }

    /// Lists all events. Those that are held as they are are not stored again; what is held and no longer there is gone:
    /// the list is complete, or this ends with an error. Returns the token from which changes are read.
    pub(super) fn enumerate(
        &self,
        calendar: &str,
        sink: &mut UnitSink<'_>,
    ) -> Result<Option<String>, FeedEnd> {
        let mut fates = Fates::default();
        let token = self.feed(get(calendar, None), false).read(None, |items| {
            let events = fates.take(items);
            self.store_events(calendar, &events, sink)
        })?;
        let mut cancelled: Vec<(String, Value)> = std::mem::take(&mut fates.exceptions).into_iter().collect();
        cancelled.retain(|(_, event)| fates.is_there(event["recurringEventId"].as_str().unwrap_or_default()));
        self.store_events(calendar, &cancelled, sink)?;
        fates.there.extend(
            cancelled
                .into_iter()
                .map(|(id, event)| (id, event["recurringEventId"].as_str().map(str::to_owned))),
        );
        self.find_gone_events(calendar, &fates, sink)?;
        Ok(token)
    }

    /// Stores those of some events that are new or changed.
    fn store_events(
        &self,
        calendar: &str,
        events: &[(String, Value)],
        sink: &mut UnitSink<'_>,
    ) -> Result<(), UnitError> {
        for page in events.chunks(STEP) {
            sink.listed(page.len() as u64)?;
            let keys = page.iter().map(|(id, _)| event_key(calendar, id)).collect();
            let known = sink.known(&self.stream, keys)?;
            let mut unchanged = 0;
            for ((id, event), known) in page.iter().zip(known) {
                let attributes = EventAttributes::of_event(event);
                let same = |text: &str| {
                    EventAttributes::of_text(text).is_some_and(|own| own.hash == attributes.hash)
                };
                if known.is_some_and(|known| known.has_content && same(&known.attributes)) {
                    unchanged += 1;
                    continue;
                }
                let content = serde_json::to_vec(event).unwrap_or_default();
                let layout = Layout::of_size(content.len() as u64);
                let (stream, key) = (self.stream.clone(), event_key(calendar, id));
                let item = Item { stream, key, attributes: attributes.to_text() };
                sink.upsert(item, layout, Body::Bytes(content))?;
            }
            sink.unchanged(unchanged)?;
        }
        Ok(())
    }

    fn is_held(&self, calendar: &str, id: &str, sink: &mut UnitSink<'_>) -> Result<bool, UnitError> {
        let known = sink.known(&self.stream, vec![event_key(calendar, id)])?;
        Ok(known.into_iter().flatten().any(|known| known.has_content))
    }

    /// Tells which events are gone; with a series goes what differs in it.
    fn end(&self, calendar: &str, fates: &Fates, sink: &mut UnitSink<'_>) -> Result<(), UnitError> {
        let mut gone = BTreeSet::new();
        for id in &fates.ended {
            let key = event_key(calendar, id);
            let known = sink.known(&self.stream, vec![key.clone()])?.pop().flatten();
            if known.is_none() && !fates.there.contains_key(id) {
                // It came and went between two looks: that it was there is all that is left of it.
                sink.listed(1)?;
                sink.unreadable(&self.stream, key.clone(), UnreadableReason::Vanished)?;
            }
            gone.insert(key);
            gone.extend(self.exceptions_held(calendar, id, sink)?);
        }
        let orphans = fates
            .there
            .iter()
            .filter(|(_, series)| series.as_ref().is_some_and(|series| fates.ended.contains(series)));
        gone.extend(orphans.map(|(id, _)| event_key(calendar, id)));
        gone.into_iter().try_for_each(|key| sink.removed(&self.stream, key))
    }

    /// Returns the keys of what is held of a series besides itself.
    fn exceptions_held(
        &self,
        calendar: &str,
        series: &str,
        sink: &mut UnitSink<'_>,
    ) -> Result<Vec<String>, UnitError> {
        let prefix = format!("{}_", event_key(calendar, series));
        let first = sink.known_keys(&self.stream, Some(&prefix), 1)?;
        if !first.iter().any(|key| key.starts_with(&prefix)) {
            return Ok(Vec::new());
        }
        // Other events' ids may begin like that as well: a series that was split goes on under such an id.
        let keys = records::keys_below(&self.stream, &prefix, sink)?;
        let mut own = Vec::new();
        for page in keys.chunks(STEP) {
            let known = sink.known(&self.stream, page.to_vec())?;
            let of_series = page.iter().zip(known).filter(|(_, known)| {
                let attributes = known.as_ref().and_then(|known| EventAttributes::of_text(&known.attributes));
                attributes.is_some_and(|attributes| attributes.series.as_deref() == Some(series))
            });
            own.extend(of_series.map(|(key, _)| key.clone()));
        }
        Ok(own)
    }

    /// Tells what is held and not in a complete list. A few of those of which the list does not even have a tombstone
    /// are asked for by name first: a list that leaves out what is there says nothing about the rest either.
    fn find_gone_events(
        &self,
        calendar: &str,
        fates: &Fates,
        sink: &mut UnitSink<'_>,
    ) -> Result<(), UnitError> {
        let prefix = event_key(calendar, "");
        let mut gone = records::keys_below(&self.stream, &prefix, sink)?;
        gone.retain(|key| !fates.is_there(key.strip_prefix(&prefix).unwrap_or_default()));
        let mut silent = Vec::new();
        for page in gone.chunks(STEP) {
            let known = sink.known(&self.stream, page.to_vec())?;
            for (key, known) in page.iter().zip(known) {
                let attributes = known.and_then(|known| EventAttributes::of_text(&known.attributes));
                let id = key.strip_prefix(&prefix).unwrap_or_default();
                // An occurrence that no longer differs is there all the same when it is asked for.
                if attributes.is_none_or(|own| own.series.is_none()) && !fates.ended.contains(id) {
                    silent.push(id.to_owned());
                }
            }
        }
        self.confirm_gone_events(calendar, &silent)?;
        gone.into_iter().try_for_each(|key| sink.removed(&self.stream, key))
    }

    fn confirm_gone_events(&self, calendar: &str, ids: &[String]) -> Result<(), UnitError> {
        let step = ids.len().div_ceil(CONFIRMED_MAX).max(1);
        let one = |id: &String| {
            let path = format!("/events/{}", connect_http::escape(id));
            Self::of_calendar(&method::EVENTS_GET, calendar, &path)
        };
        let gets: Vec<Get> = ids.iter().step_by(step).map(one).collect();
        for answer in self.get_all(&gets)? {
            match answer {
                Err(ApiError::NotFound(_) | ApiError::Expired(_)) => {}
                Err(error) => return Err(unit_error(&error)),
                Ok(body) => {
                    let event: Value = serde_json::from_slice(&body).unwrap_or_default();
                    if event["status"] != CANCELLED {
                        let detail = format!("the calendar {calendar} was not listed completely");
                        return Err(UnitError::Failed { detail });
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fates(pages: &[Value]) -> (Fates, Vec<String>) {
        let mut fates = Fates::default();
        let mut stored = Vec::new();
        for page in pages {
            let events = fates.take(page.as_array().unwrap().clone());
            stored.extend(events.into_iter().map(|(id, _)| id));
        }
        (fates, stored)
    }

    #[test]
    fn a_tombstone_ends_an_event_and_a_cancelled_occurrence_waits_for_its_series() {
        let (fates, stored) = fates(&[json!([
            { "id": "a", "status": "cancelled" },
            { "id": "s_1", "status": "cancelled", "recurringEventId": "s" },
            { "id": "s", "status": "confirmed" },
            { "id": "s_2", "status": "confirmed", "recurringEventId": "s" },
            { "status": "confirmed" },
        ])]);
        assert_eq!(stored, ["s", "s_2"]);
        assert!(fates.ended.contains("a") && fates.exceptions.contains_key("s_1"));
        assert!(fates.is_there("s") && !fates.is_there("a") && !fates.is_there("s_1"));
    }

    #[test]
    fn the_last_word_on_an_event_counts() {
        let (fates, _) = fates(&[
            json!([{ "id": "a", "status": "cancelled" }, { "id": "b", "status": "confirmed" }]),
            json!([{ "id": "a", "status": "confirmed" }, { "id": "b", "status": "cancelled" }]),
        ]);
        assert!(fates.is_there("a") && !fates.is_there("b"));
        assert!(fates.there.contains_key("b"), "it was handed over and must be taken back");
    }
}
