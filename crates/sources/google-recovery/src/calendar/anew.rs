//! Events that Google no longer remembers, or that go to somebody else: made once.

use connect::plan::WriteError;
use google_api::method;
use serde_json::{Value, json};

use super::{
    desk::{Desk, Done, EVENT, OCCURRENCE},
    event::{is_cancelled, is_guests, patch, series_of, writable},
    step::ReturnRow,
};
use crate::{
    sandbox::{GUESTS_REFUSED, stand_in},
    step::{Answer, Outcome},
};

/// The only kind of event that can be imported.
const DEFAULT: &str = "default";
/// Kinds of events, and their fields, that only a primary calendar can have.
pub(crate) const OF_KINDS: [&str; 4] =
    ["birthdayProperties", "focusTimeProperties", "outOfOfficeProperties", "workingLocationProperties"];

/// What comes of trying to make an event.
enum Try {
    Made(String),
    /// There is one of this id already.
    Taken,
    Not(Done),
}

impl Desk<'_> {
    /// Makes an event again that is gone for good: under its id where the calendar takes it, so that it is never made
    /// twice; else by its iCalendar id, which is the same for all guests and is taken once only as well.
    pub(super) fn make_anew(
        &self,
        calendar: &str,
        row: &ReturnRow,
        wanted: &Value,
    ) -> Result<Done, WriteError> {
        let own = calendar != row.calendar || !is_guests(wanted, &row.calendar);
        let kind = wanted["eventType"].as_str().unwrap_or(DEFAULT);
        let mut body = writable(wanted);
        body["sequence"] = (wanted["sequence"].as_i64().unwrap_or(0) + 1).into();
        if kind != DEFAULT {
            body["eventType"] = kind.into();
        }
        let mut tries = Vec::new();
        if own && is_id(&row.id) {
            tries.push(with_id(&body, &row.id));
        }
        if kind == DEFAULT && wanted["iCalUID"].is_string() {
            let mut import = body.clone();
            import["iCalUID"] = wanted["iCalUID"].clone();
            if !own {
                import["organizer"] = wanted["organizer"].clone();
            }
            tries.push(import);
        } else {
            tries.push(with_id(&body, &derived_id(&row.name())));
        }
        for body in tries {
            match self.try_to_make(calendar, body)? {
                Try::Made(id) => {
                    self.note(EVENT, row.name(), &id, calendar)?;
                    return Ok(Done::Changed);
                }
                Try::Taken => {}
                Try::Not(done) => return Ok(done),
            }
        }
        Ok(Done::Conflict(
            "its id is taken by an event that is deleted; Google does not give it back".to_owned(),
        ))
    }

    fn try_to_make(&self, calendar: &str, body: Value) -> Result<Try, WriteError> {
        let chosen = body["id"].as_str().map(str::to_owned);
        let (method, path) = match chosen {
            Some(_) => (&method::RESTORE_EVENTS_INSERT, "/events"),
            None => (&method::RESTORE_EVENTS_IMPORT, "/events/import"),
        };
        Ok(match self.put_event(method, calendar, path, body)? {
            Answer::Done(made) => Try::Made(made["id"].as_str().unwrap_or_default().to_owned()),
            Answer::Taken | Answer::Unknown => match chosen {
                // One of an earlier attempt is there; a deleted one only holds the id.
                Some(id) => match self.event(calendar, &id)? {
                    Some(event) if !is_cancelled(&event) => Try::Made(id),
                    _ => Try::Taken,
                },
                None => Try::Taken,
            },
            Answer::Gone => Try::Not(Done::Conflict("its calendar is not there".to_owned())),
            Answer::Refused(reason) => Try::Not(Done::Conflict(reason)),
        })
    }

    /// Puts events into somebody else's calendar, each once.
    pub(super) fn copy(
        &self,
        from: &str,
        into: &str,
        guests: Guests,
        rows: &[ReturnRow],
    ) -> Result<Outcome, WriteError> {
        self.task.progress.counted_phase("putting events in", Some(rows.len() as u64));
        let (differing, whole): (Vec<&ReturnRow>, Vec<&ReturnRow>) =
            rows.iter().partition(|row| row.series.is_some());
        let calendar = self.calendar_now(into);
        let mut outcome =
            self.each(&whole, |row| row.name(), |row| self.copy_event(from, &calendar, guests, row))?;
        let more = self.each(
            &differing,
            |row| row.name(),
            |row| self.copy_occurrence(from, &calendar, guests, row),
        )?;
        outcome.changed += more.changed;
        outcome.unchanged += more.unchanged;
        outcome.conflicts.extend(more.conflicts);
        Ok(outcome)
    }

    /// Returns what came of a copy where nothing is to be asked for it: it was made before, or this is a rehearsal.
    fn copied_already(&self, kind: &'static str, from: &str, row: &ReturnRow) -> Option<Done> {
        if self.task.journal.made(kind, &copied_name(from, row)).is_some() {
            return Some(Done::Unchanged);
        }
        self.is_rehearsal().then_some(Done::Changed)
    }

    fn copy_event(
        &self,
        from: &str,
        calendar: &str,
        guests: Guests,
        row: &ReturnRow,
    ) -> Result<Done, WriteError> {
        if let Some(done) = self.copied_already(EVENT, from, row) {
            return Ok(done);
        }
        let id = copied_id(from, &row.calendar, &row.id);
        let wanted = self.wanted(row)?;
        let mut tried = self.try_to_make(calendar, with_id(&copied(&wanted, guests), &id))?;
        let mut refused = None;
        if let Try::Not(Done::Conflict(reason)) = &tried
            && guests.may_be_refused(&wanted)
        {
            refused = Some(format!("{GUESTS_REFUSED}: {reason}"));
            tried = self.try_to_make(calendar, with_id(&copied(&wanted, Guests::InText), &id))?;
        }
        match tried {
            Try::Made(id) => {
                self.note(EVENT, copied_name(from, row), &id, calendar)?;
                Ok(refused.map_or(Done::Changed, Done::InPart))
            }
            Try::Taken => {
                Ok(Done::Conflict("somebody deleted the copy of it; it is not made twice".to_owned()))
            }
            Try::Not(done) => Ok(done),
        }
    }

    fn copy_occurrence(
        &self,
        from: &str,
        calendar: &str,
        guests: Guests,
        row: &ReturnRow,
    ) -> Result<Done, WriteError> {
        if let Some(done) = self.copied_already(OCCURRENCE, from, row) {
            return Ok(done);
        }
        let Some(id) = copied_occurrence(from, row) else {
            return Ok(Done::Conflict("it does not tell which occurrence it is".to_owned()));
        };
        let Some(present) = self.event(calendar, &id)? else {
            return Ok(Done::Conflict("its series has no such occurrence".to_owned()));
        };
        let wanted = self.wanted(row)?;
        let body = |guests| match (is_cancelled(&wanted), is_cancelled(&present)) {
            (true, true) => Value::Null,
            (true, false) => json!({ "status": "cancelled" }),
            _ => patch(&present, &copied(&wanted, guests)),
        };
        let send = |guests| match body(guests) {
            Value::Null => Ok(Answer::Unknown),
            body => self.patch_event(calendar, &present, &id, body),
        };
        let (mut answer, mut refused) = (send(guests)?, None);
        if let Answer::Refused(reason) = &answer
            && guests.may_be_refused(&wanted)
        {
            refused = Some(format!("{GUESTS_REFUSED}: {reason}"));
            answer = send(Guests::InText)?;
        }
        match answer {
            Answer::Done(_) | Answer::Taken | Answer::Unknown => {}
            Answer::Gone => return Ok(Done::Conflict("its series has no such occurrence".to_owned())),
            Answer::Refused(reason) => return Ok(Done::Conflict(reason)),
        }
        self.note(OCCURRENCE, copied_name(from, row), &id, calendar)?;
        Ok(refused.map_or(Done::Changed, Done::InPart))
    }
}

fn with_id(body: &Value, id: &str) -> Value {
    let mut body = body.clone();
    body["id"] = id.into();
    body
}

/// What the journal calls an event that goes to somebody else.
pub(super) fn copied_name(from: &str, row: &ReturnRow) -> String {
    format!("{from}/{}", row.name())
}

/// Returns the id that the copy of an event has with somebody else: always the same, so that it is made once.
pub(crate) fn copied_id(from: &str, calendar: &str, id: &str) -> String {
    derived_id(&format!("{from}/{calendar}/{id}"))
}

/// Returns the id of an occurrence in the copy of its series.
pub(super) fn copied_occurrence(from: &str, row: &ReturnRow) -> Option<String> {
    copied_occurrence_id(from, &row.calendar, row.series.as_deref()?, &row.id)
}

/// Returns the id of an occurrence in the copy of its series, by the ids that they had.
pub(crate) fn copied_occurrence_id(from: &str, calendar: &str, series: &str, id: &str) -> Option<String> {
    let rest = id.strip_prefix(series)?;
    Some(format!("{}{rest}", copied_id(from, calendar, series)))
}

/// What becomes of the guests of an event that goes to where they are not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Guests {
    /// They stand in the text.
    InText,
    /// Addresses of a domain that does not exist stand for them.
    StandIns,
}

impl Guests {
    pub(super) const fn of(stand_ins: bool) -> Self {
        if stand_ins { Self::StandIns } else { Self::InText }
    }

    /// Tells whether an event may be refused because of addresses that stand for those of its guests.
    fn may_be_refused(self, event: &Value) -> bool {
        self == Self::StandIns && event["attendees"].is_array()
    }
}

/// Returns an event as somebody else gets it: nobody is invited.
pub(super) fn copied(wanted: &Value, guests: Guests) -> Value {
    let mut body = writable(wanted);
    let dropped: &[&str] = match guests {
        Guests::InText => &["attendees", "conferenceData", "guestsCanModify", "guestsCanInviteOthers"],
        Guests::StandIns => &["conferenceData"],
    };
    if let Value::Object(members) = &mut body {
        for dropped in dropped.iter().chain(&OF_KINDS) {
            members.remove(*dropped);
        }
        if series_of(wanted).is_none() {
            members.insert("sequence".to_owned(), 0.into());
        }
    }
    match guests {
        Guests::InText => tell_guests(wanted, &mut body),
        Guests::StandIns => stand_in_for_guests(&mut body),
    }
    body
}

fn stand_in_for_guests(body: &mut Value) {
    for guest in body["attendees"].as_array_mut().into_iter().flatten() {
        if let Some(address) = guest["email"].as_str() {
            guest["email"] = stand_in(address).into();
        }
    }
}

/// Says in the text of an event who was to come.
fn tell_guests(wanted: &Value, body: &mut Value) {
    let mut lines = Vec::new();
    if let Some(organizer) = wanted["organizer"]["email"].as_str() {
        lines.push(format!("Organizer: {organizer}"));
    }
    for guest in wanted["attendees"].as_array().into_iter().flatten() {
        let text = |name: &str| guest[name].as_str().unwrap_or_default();
        lines.push(format!("Guest: {} ({})", text("email"), text("responseStatus")));
    }
    if let Some(link) = wanted["hangoutLink"].as_str() {
        lines.push(format!("Conference: {link}"));
    }
    let text = wanted["description"].as_str().unwrap_or_default();
    let parts: Vec<&str> = [text].into_iter().filter(|text| !text.is_empty()).collect();
    let text = [parts, lines.iter().map(String::as_str).collect()].concat().join("\n");
    if !text.is_empty() {
        body["description"] = text.into();
    }
}

/// Tells whether a calendar takes an id: 5 to 1024 letters of base32hex.
fn is_id(id: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'v').contains(&byte);
    (5..=1024).contains(&id.len()) && id.bytes().all(fits)
}

/// Makes an id of a name, always the same one: the letters of base32hex hold those of hexadecimal.
fn derived_id(name: &str) -> String {
    format!("u{}", &blake3::hash(name.as_bytes()).to_hex()[..40])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_one_that_calendars_take() {
        assert!(is_id("abc12") && is_id(&derived_id("any")) && is_id(&derived_id("")));
        for bad in
            ["abcd", "_60q30c1g60o30e1i60o4ac1g60rj8gpl88rj2c1h84s34h9g60s30c1g60o30c1g", "Abcde", "abcdz"]
        {
            assert!(!is_id(bad), "{bad}");
        }
        assert_ne!(derived_id("a"), derived_id("b"));
    }

    #[test]
    fn whoever_was_invited_stands_in_the_text_of_a_copy() {
        let wanted = json!({
            "id": "abcde", "summary": "Sync", "organizer": { "email": "anna@acme.test" }, "description": "Agenda",
            "attendees": [{ "email": "ben@acme.test", "responseStatus": "accepted" }],
            "hangoutLink": "https://meet.google.com/a", "conferenceData": { "conferenceId": "a" },
            "eventType": "focusTime", "focusTimeProperties": {},
        });
        let copy = copied(&wanted, Guests::InText);
        assert_eq!(
            copy["description"],
            "Agenda\nOrganizer: anna@acme.test\nGuest: ben@acme.test (accepted)\nConference: https://meet.google.com/a"
        );
        for gone in ["attendees", "conferenceData", "focusTimeProperties", "id", "organizer", "eventType"] {
            assert!(copy.get(gone).is_none(), "{gone}");
        }
    }
}
