//! The list of a user's calendars, and which of them are the user's own.

use std::collections::BTreeMap;

use connect::units::{UnitError, UnitSink};
use google_api::{ApiError, Get, method};
use serde_json::{Value, json};

use super::{
    ACL_PREFIX, CALENDAR_PREFIX, CalendarPosition, Calendars, EVENT_PREFIX,
    state::{Answer, Look},
};
use crate::{
    failure::unit_error,
    feed::FeedEnd,
    records::{self, Record},
};

const PAGE: &str = "250";
const LIST: &str = "calendar/v3/users/me/calendarList";
/// Of what seems to be gone so many are asked for by name.
const CONFIRMED_MAX: usize = 20;

/// The call of the list: of all of it, or of what changed since a token.
pub(super) fn get(since: Option<&str>) -> Get {
    // All but the token must be the same in both.
    let get = Get::new(&method::CALENDAR_LIST, LIST)
        .query("maxResults", PAGE)
        .query("showHidden", "true")
        .query("showDeleted", "true");
    since.iter().fold(get, |get, token| get.query("syncToken", *token))
}

/// The call of one calendar.
pub(super) fn calendar(id: &str) -> Get {
    Calendars::of_calendar(&method::CALENDARS_GET, id, "")
}

/// What a list says of the calendars.
struct Listed {
    /// Entries by the calendar's id.
    entries: BTreeMap<String, Value>,
    /// Whether these are all.
    complete: bool,
    token: Option<String>,
}

impl Listed {
    fn of(items: Vec<Value>, complete: bool, token: Option<String>) -> Self {
        let named = items.into_iter().filter_map(|entry| Some((entry["id"].as_str()?.to_owned(), entry)));
        // What was taken off before a complete list is just not on it.
        Self { entries: named.filter(|(_, entry)| !complete || is_on(entry)).collect(), complete, token }
    }
}

/// Tells whether an entry is still on the list.
fn is_on(entry: &Value) -> bool {
    entry["deleted"] != json!(true)
}

/// Tells whether a calendar is the user's own. Somebody who was given all rights to another's is not its owner.
fn is_own(entry: &Value, user: &str) -> bool {
    if !is_on(entry) {
        return false;
    }
    match entry["dataOwner"].as_str() {
        Some(owner) => owner.eq_ignore_ascii_case(user),
        None => entry["primary"] == json!(true) || entry["accessRole"] == json!("owner"),
    }
}

impl Calendars {
    /// Takes what the list says: records of calendars, and which of them are followed.
    pub(super) fn take_list(
        &self,
        look: &mut Look,
        round: bool,
        position: &mut CalendarPosition,
        sink: &mut UnitSink<'_>,
    ) -> Result<(), UnitError> {
        let since = position.list.as_deref().filter(|_| !round);
        let listed = self.listed(look.list.take(), since)?;
        if listed.complete && listed.entries.is_empty() {
            let detail = "the list of calendars is empty: the user's own is missing".to_owned();
            return Err(UnitError::Failed { detail });
        }
        if position.calendars.is_empty() {
            self.find_followed(position, sink)?;
        }
        for (id, entry) in &listed.entries {
            if is_own(entry, &self.user.email) {
                position.calendars.entry(id.clone()).or_insert(None);
            } else if is_on(entry) && position.calendars.remove(id).is_some() {
                // It is another's now, in whose unit its events are.
                self.forget_content(id, sink)?;
            }
        }
        let documents = self.documents(look, round, &listed, position)?;
        for (id, document) in &documents {
            if document.is_none() {
                position.calendars.remove(id);
                self.forget(id, sink)?;
            }
        }
        self.store_entries(&listed, &documents, position, sink)?;
        self.find_gone(&listed, position, sink)?;
        position.list = listed.token;
        Ok(())
    }

    /// Finds the calendars that were followed before the position was lost: something of what is in them is held.
    fn find_followed(
        &self,
        position: &mut CalendarPosition,
        sink: &mut UnitSink<'_>,
    ) -> Result<(), UnitError> {
        for key in records::keys_below(&self.stream, CALENDAR_PREFIX, sink)? {
            let id = key.strip_prefix(CALENDAR_PREFIX).unwrap_or_default();
            for prefix in [EVENT_PREFIX, ACL_PREFIX] {
                let below = format!("{prefix}{id}/");
                let next = sink.known_keys(&self.stream, Some(&below), 1)?;
                if next.first().is_some_and(|next| next.starts_with(&below)) {
                    position.calendars.insert(id.to_owned(), None);
                }
            }
        }
        Ok(())
    }

    fn listed(&self, answer: Option<Answer>, since: Option<&str>) -> Result<Listed, UnitError> {
        let read = |answer, since: Option<&str>| self.feed(get(since), since.is_some()).read_all(answer);
        match read(answer, since) {
            Ok((items, token)) => Ok(Listed::of(items, since.is_none(), token)),
            Err(FeedEnd::Lost) => {
                let (items, token) = read(None, None).map_err(unlisted)?;
                Ok(Listed::of(items, true, token))
            }
            Err(end) => Err(unlisted(end)),
        }
    }

    /// Returns the calendars that the user owns as they are: all in a round, else those of which the list speaks. None
    /// is there for one that is gone.
    fn documents(
        &self,
        look: &mut Look,
        round: bool,
        listed: &Listed,
        position: &CalendarPosition,
    ) -> Result<BTreeMap<String, Option<Value>>, UnitError> {
        let mut answers = std::mem::take(&mut look.calendars);
        answers.retain(|id, _| position.calendars.contains_key(id));
        let spoken = |id: &&String| listed.entries.contains_key(*id) || round || listed.complete;
        let missing: Vec<&String> =
            position.calendars.keys().filter(spoken).filter(|id| !answers.contains_key(*id)).collect();
        let gets: Vec<Get> = missing.iter().map(|id| calendar(id)).collect();
        answers.extend(missing.into_iter().cloned().zip(self.get_all(&gets)?));
        let mut documents = BTreeMap::new();
        for (id, answer) in answers {
            let document = match answer {
                Ok(body) => Some(document(&body)?),
                // Two answers that contradict each other say nothing.
                Err(ApiError::NotFound(_)) if listed.entries.get(&id).is_some_and(is_on) => {
                    let detail = format!("the calendar {id} is on the list, and is not found");
                    return Err(UnitError::Failed { detail });
                }
                Err(ApiError::NotFound(_)) => None,
                Err(error) => return Err(unit_error(&error)),
            };
            documents.insert(id, document);
        }
        Ok(documents)
    }

    fn store_entries(
        &self,
        listed: &Listed,
        documents: &BTreeMap<String, Option<Value>>,
        position: &CalendarPosition,
        sink: &mut UnitSink<'_>,
    ) -> Result<(), UnitError> {
        let mut records = Vec::new();
        let ids: std::collections::BTreeSet<&String> =
            listed.entries.keys().chain(documents.keys()).collect();
        for id in ids {
            if documents.get(id).is_some_and(Option::is_none) {
                continue;
            }
            let entry = listed.entries.get(id).filter(|entry| is_on(entry));
            let calendar = documents.get(id).and_then(Option::as_ref);
            // An own calendar that is on no list is one all the same.
            if entry.is_none() && !(calendar.is_some() && position.calendars.contains_key(id)) {
                continue;
            }
            let name = entry.or(calendar).and_then(|document| document["summary"].as_str());
            let record =
                json!({ "calendar": calendar.cloned().map(bare), "entry": entry.cloned().map(bare) });
            records.push(Record::new(format!("{CALENDAR_PREFIX}{id}"), name, record));
        }
        records::store(&self.stream, &records, sink)
    }

    /// Tells what calendars of others are no longer on the list; one's own were asked for by name.
    fn find_gone(
        &self,
        listed: &Listed,
        position: &CalendarPosition,
        sink: &mut UnitSink<'_>,
    ) -> Result<(), UnitError> {
        if !listed.complete {
            for (id, entry) in &listed.entries {
                if !is_on(entry) && !position.calendars.contains_key(id) {
                    self.remove_known(format!("{CALENDAR_PREFIX}{id}"), sink)?;
                }
            }
            return Ok(());
        }
        let mut gone = records::keys_below(&self.stream, CALENDAR_PREFIX, sink)?;
        gone.retain(|key| {
            let id = key.strip_prefix(CALENDAR_PREFIX).unwrap_or_default();
            !listed.entries.contains_key(id) && !position.calendars.contains_key(id)
        });
        let step = gone.len().div_ceil(CONFIRMED_MAX).max(1);
        let ids = gone.iter().step_by(step).filter_map(|key| key.strip_prefix(CALENDAR_PREFIX));
        let gets: Vec<Get> = ids
            .map(|id| Get::new(&method::CALENDAR_LIST_GET, format!("{LIST}/{}", connect_http::escape(id))))
            .collect();
        for answer in self.get_all(&gets)? {
            match answer {
                Err(ApiError::NotFound(_)) => {}
                Err(error) => return Err(unit_error(&error)),
                Ok(_) => {
                    let detail = "the list of calendars is not complete: it leaves out what is on it";
                    return Err(UnitError::Failed { detail: detail.to_owned() });
                }
            }
        }
        gone.into_iter().try_for_each(|key| sink.removed(&self.stream, key))
    }

    fn remove_known(&self, key: String, sink: &mut UnitSink<'_>) -> Result<(), UnitError> {
        let known = sink.known(&self.stream, vec![key.clone()])?;
        if known.into_iter().flatten().next().is_some() { sink.removed(&self.stream, key) } else { Ok(()) }
    }

    /// Tells that a calendar is gone with all that is in it.
    pub(super) fn forget(&self, calendar: &str, sink: &mut UnitSink<'_>) -> Result<(), UnitError> {
        self.forget_content(calendar, sink)?;
        self.remove_known(format!("{CALENDAR_PREFIX}{calendar}"), sink)
    }

    fn forget_content(&self, calendar: &str, sink: &mut UnitSink<'_>) -> Result<(), UnitError> {
        for prefix in [EVENT_PREFIX, ACL_PREFIX] {
            for key in records::keys_below(&self.stream, &format!("{prefix}{calendar}/"), sink)? {
                sink.removed(&self.stream, key)?;
            }
        }
        self.remove_known(format!("{ACL_PREFIX}{calendar}"), sink)
    }
}

fn unlisted(end: FeedEnd) -> UnitError {
    match end {
        FeedEnd::Failed(error) => error,
        FeedEnd::Lost | FeedEnd::Gone => {
            UnitError::Failed { detail: "the list of calendars is not found".to_owned() }
        }
    }
}

fn document(body: &[u8]) -> Result<Value, UnitError> {
    serde_json::from_slice(body)
        .map_err(|error| UnitError::Failed { detail: format!("a calendar is not understood: {error}") })
}

/// Leaves out what changes by itself.
fn bare(mut document: Value) -> Value {
    if let Value::Object(members) = &mut document {
        members.remove("etag");
    }
    document
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_calendar_is_its_owners_and_not_of_whoever_may_do_everything_with_it() {
        let own = |entry: &Value| is_own(entry, "anna@acme.test");
        assert!(own(&json!({ "id": "anna@acme.test", "primary": true, "accessRole": "owner" })));
        assert!(own(&json!({ "id": "c_1", "dataOwner": "Anna@acme.test", "accessRole": "owner" })));
        assert!(!own(&json!({ "id": "c_2", "dataOwner": "ben@acme.test", "accessRole": "owner" })));
        assert!(own(&json!({ "id": "c_3", "accessRole": "owner" })), "nothing says that it is another's");
        assert!(!own(&json!({ "id": "c_4", "accessRole": "writer" })));
        assert!(!own(&json!({ "id": "c_1", "deleted": true })));
    }
}
