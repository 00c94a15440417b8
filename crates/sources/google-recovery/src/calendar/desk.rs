//! A user's calendars while they are written.

use std::sync::{Mutex, MutexGuard, PoisonError};

use connect::plan::{ApplyMode, WriteError};
use connect_http::escape;
use google_api::{ApiError, Change, Get, Method, ReadApi, method};
use model::StreamName;
use serde_json::Value;
use source_google::calendar::event_key;

use super::step::ReturnRow;
use crate::{
    journal::Made,
    parallel,
    step::{Answer, Outcome, Task, answer, failed, unread},
};

/// What the journal calls an event that was made anew.
pub(super) const EVENT: &str = "event";
/// What it calls an occurrence that was set back.
pub(super) const OCCURRENCE: &str = "occurrence";
/// What it calls a calendar.
pub(super) const CALENDAR: &str = "calendar";

/// A user's calendars while they are written.
pub(super) struct Desk<'a> {
    pub(super) task: &'a Task<'a>,
    /// Whose they are.
    pub(super) user: &'a str,
    /// Where events are taken from, and as of which commit.
    pub(super) source: Option<(StreamName, u64)>,
}

/// What came of one item.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Done {
    Changed,
    Unchanged,
    Conflict(String),
    /// Some of it was done, and something was left alone.
    InPart(String),
}

/// Returns a call's path within a calendar.
pub(super) fn of_calendar(calendar: &str, rest: &str) -> String {
    format!("calendar/v3/calendars/{}{rest}", escape(calendar))
}

fn of_event(calendar: &str, id: &str) -> String {
    of_calendar(calendar, &format!("/events/{}", escape(id)))
}

/// Nobody is to get a mail, and everything that an event has is to be written.
fn quiet(change: Change) -> Change {
    change
        .query("sendUpdates", "none")
        .query("supportsAttachments", "true")
        .query("conferenceDataVersion", "1")
}

impl Desk<'_> {
    pub(super) fn reading(&self) -> &ReadApi {
        self.task.api.reading()
    }

    pub(super) fn is_rehearsal(&self) -> bool {
        self.task.mode == ApplyMode::Rehearsal
    }

    /// Writes down that something is what it was again: whoever changes it after that means it.
    pub(super) fn note_set_back(&self, kind: &str, name: &str) -> Result<(), WriteError> {
        if self.is_rehearsal() {
            return Ok(());
        }
        let (kind, old, new) = (kind.to_owned(), name.to_owned(), name.to_owned());
        self.task.journal.note(Made { kind, old, new, place: None })
    }

    /// Does something for each row, several at a time.
    pub(super) fn each<T: Sync>(
        &self,
        rows: &[T],
        name: impl Fn(&T) -> String + Sync,
        work: impl Fn(&T) -> Result<Done, WriteError> + Sync,
    ) -> Result<Outcome, WriteError> {
        let outcome = Mutex::new(Outcome::default());
        let lock = || -> MutexGuard<'_, Outcome> { outcome.lock().unwrap_or_else(PoisonError::into_inner) };
        parallel::each(self.task.threads, rows, |row| {
            let done = work(row)?;
            let mut outcome = lock();
            match done {
                Done::Changed => outcome.changed += 1,
                Done::Unchanged => outcome.unchanged += 1,
                Done::Conflict(reason) => outcome.conflicts.push((name(row), reason)),
                Done::InPart(reason) => {
                    outcome.changed += 1;
                    outcome.conflicts.push((name(row), reason));
                }
            }
            drop(outcome);
            self.task.progress.advance(1);
            Ok(())
        })?;
        Ok(outcome.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads an event as it is now; `None` when nothing at all is known of it.
    pub(super) fn event(&self, calendar: &str, id: &str) -> Result<Option<Value>, WriteError> {
        let get = Get::new(&method::RESTORE_EVENTS_GET, of_event(calendar, id));
        match self.reading().get(self.user, &get) {
            Ok(event) => Ok(Some(event)),
            Err(ApiError::NotFound(_) | ApiError::Expired(_)) => Ok(None),
            Err(error) => Err(failed("read an event", error)),
        }
    }

    /// Writes fields of an event that is still in the state that was read.
    pub(super) fn patch_event(
        &self,
        calendar: &str,
        present: &Value,
        id: &str,
        body: Value,
    ) -> Result<Answer<Value>, WriteError> {
        let change = Change::patch(&method::RESTORE_EVENTS_PATCH, of_event(calendar, id), body);
        let change = quiet(change).only_if(present["etag"].as_str());
        answer("set an event back", self.task.api.send(self.user, &change))
    }

    /// Puts an event into a calendar: `/events`, or `/events/import`.
    pub(super) fn put_event(
        &self,
        method: &'static Method,
        calendar: &str,
        path: &str,
        body: Value,
    ) -> Result<Answer<Value>, WriteError> {
        let change = quiet(Change::post(method, of_calendar(calendar, path), body));
        answer("make an event again", self.task.api.send(self.user, &change))
    }

    /// Moves an event to the calendar that it was in.
    pub(super) fn move_event(&self, from: &str, id: &str, to: &str) -> Result<Answer<Value>, WriteError> {
        let path = format!("{}/move", of_event(from, id));
        let change = Change::post(&method::RESTORE_EVENTS_MOVE, path, Value::Null);
        let change = change.query("destination", to).query("sendUpdates", "none");
        answer("move an event back", self.task.api.send(self.user, &change))
    }

    /// Returns an event as it was.
    pub(super) fn wanted(&self, row: &ReturnRow) -> Result<Value, WriteError> {
        if let Some(wanted) = &row.wanted {
            return Ok(wanted.clone());
        }
        let Some((stream, at)) = &self.source else {
            return Err(WriteError::Plan("a step of events does not say where they are".into()));
        };
        let content = self.task.past.content(stream, &event_key(&row.calendar, &row.id), *at);
        let content = content.map_err(|error| unread(&format!("the event {}", row.id), error))?;
        serde_json::from_slice(&content).map_err(|error| WriteError::Plan(Box::new(error)))
    }

    /// Returns where a calendar is now: one that was made anew has another id.
    pub(super) fn calendar_now(&self, calendar: &str) -> String {
        self.task.journal.made(CALENDAR, calendar).map_or_else(|| calendar.to_owned(), |made| made.new)
    }

    /// Returns the id that an event has now.
    pub(super) fn id_now(&self, calendar: &str, id: &str) -> String {
        self.task
            .journal
            .made(EVENT, &format!("{calendar}/{id}"))
            .map_or_else(|| id.to_owned(), |made| made.new)
    }

    /// Returns the id that an occurrence has now, by that of its series.
    pub(super) fn occurrence_now(&self, row: &ReturnRow) -> String {
        let Some(series) = &row.series else { return self.id_now(&row.calendar, &row.id) };
        match row.id.strip_prefix(series.as_str()) {
            Some(rest) => format!("{}{rest}", self.id_now(&row.calendar, series)),
            None => row.id.clone(),
        }
    }

    pub(super) fn note(&self, kind: &str, old: String, new: &str, place: &str) -> Result<(), WriteError> {
        let (kind, new, place) = (kind.to_owned(), new.to_owned(), Some(place.to_owned()));
        self.task.journal.note(Made { kind, old, new, place })
    }
}
