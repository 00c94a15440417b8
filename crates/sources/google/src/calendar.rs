//! A user's calendars: the list, who may see each, settings, and every event of those that the user owns.
//!
//! A calendar belongs to one user, in whose unit its events are; on the lists of others it is an entry. Events are
//! followed by a token for each calendar. A series is one item, and what differs in it are items of their own: they stay
//! for as long as the series lives, also those that say that an occurrence is cancelled.

mod attributes;
mod events;
mod list;
mod settings;
mod state;

use std::{collections::BTreeMap, sync::Arc};

use connect::units::{Unit, UnitError, UnitSink};
use google_api::{ApiError, Get, ReadApi, method};
use model::{NameError, StreamName};
use serde::{Deserialize, Serialize};

use crate::{
    failure::unit_error,
    feed::{Feed, FeedEnd},
    losses::{Losses, Place},
    rounds::Rounds,
    user::User,
};

pub use attributes::EventAttributes;

/// The key of an event's item begins with it.
pub const EVENT_PREFIX: &str = "event/";
/// The key of a calendar's record begins with it.
pub const CALENDAR_PREFIX: &str = "calendar/";
/// The key of a rule's record begins with it.
pub const ACL_PREFIX: &str = "acl/";

/// The calendars of one user.
pub(crate) struct Calendars {
    api: Arc<ReadApi>,
    rounds: Arc<Rounds>,
    user: User,
    name: String,
    stream: StreamName,
}

/// How far a user's calendars were read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CalendarPosition {
    /// The address that the stream is named after; after a change of it everything is read under the new one.
    pub user: String,
    /// From where changes of the list of calendars are read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list: Option<String>,
    /// The calendars that the user owns, each with the token from which changes of its events are read. Without one it is
    /// listed and compared with what is held.
    #[serde(default)]
    pub calendars: BTreeMap<String, Option<String>>,
}

/// Returns the name of the stream of a user's calendars.
pub fn calendar_stream(email: &str) -> Result<StreamName, NameError> {
    StreamName::new(format!("calendar/{email}"))
}

/// Returns the key under which the position of a user's calendars is kept.
pub fn calendar_unit(user_id: &str) -> String {
    format!("calendar/{user_id}")
}

/// Returns the key of an event's item.
pub fn event_key(calendar: &str, event: &str) -> String {
    format!("{EVENT_PREFIX}{calendar}/{event}")
}

impl Calendars {
    /// Makes the unit of a user's calendars.
    pub(crate) fn new(api: Arc<ReadApi>, rounds: Arc<Rounds>, user: User, stream: StreamName) -> Self {
        let name = calendar_unit(&user.id);
        Self { api, rounds, user, name, stream }
    }

    fn position(&self, text: Option<&str>) -> CalendarPosition {
        let known = text.and_then(|text| serde_json::from_str::<CalendarPosition>(text).ok());
        known.filter(|position| position.user == self.user.email).unwrap_or_else(|| CalendarPosition {
            user: self.user.email.clone(),
            list: None,
            calendars: BTreeMap::new(),
        })
    }

    fn advance(position: &CalendarPosition, sink: &mut UnitSink<'_>) -> Result<(), UnitError> {
        sink.advance(serde_json::to_string(position).unwrap_or_default())
    }

    /// Makes a call for something of one calendar; `path` comes after it.
    fn of_calendar(method: &'static method::Method, calendar: &str, path: &str) -> Get {
        Get::new(method, format!("calendar/v3/calendars/{}{path}", connect_http::escape(calendar)))
    }

    fn feed(&self, get: Get, since: bool) -> Feed<'_> {
        Feed { api: &self.api, subject: &self.user.email, get, member: "items", since }
    }

    /// Makes any number of calls with one token.
    fn get_all(&self, gets: &[Get]) -> Result<Vec<Result<Vec<u8>, ApiError>>, UnitError> {
        self.api.get_all(&self.user.email, gets).map_err(|error| unit_error(&error))
    }

    /// Reads what one request tells of everything: the list, the changes of each calendar, in a round also calendars and
    /// settings.
    fn look(&self, position: &CalendarPosition, round: bool) -> Result<state::Look, UnitError> {
        let mut gets = vec![list::get(position.list.as_deref().filter(|_| !round))];
        let followed: Vec<(&String, &String)> =
            position.calendars.iter().filter_map(|(id, token)| Some((id, token.as_ref()?))).collect();
        gets.extend(followed.iter().map(|(id, token)| events::get(id, Some(token))));
        if round {
            gets.push(settings::get());
            gets.extend(position.calendars.keys().map(|id| list::calendar(id)));
        }
        let mut answers = self.get_all(&gets)?.into_iter();
        let list = answers.next();
        let events = followed.iter().map(|(id, _)| (*id).clone()).zip(answers.by_ref()).collect();
        let settings = if round { answers.next() } else { None };
        let calendars = position.calendars.keys().cloned().zip(answers).collect();
        Ok(state::Look { list, events, settings, calendars })
    }

    /// Reads the events of one calendar; its token is the newest afterwards. A calendar that is gone is forgotten.
    fn read_events(
        &self,
        calendar: &str,
        token: Option<&str>,
        answer: Option<Result<Vec<u8>, ApiError>>,
        sink: &mut UnitSink<'_>,
    ) -> Result<state::Followed, UnitError> {
        let read = match token {
            Some(token) => match self.follow(calendar, token, answer, sink) {
                // The calendar no longer knows what changed: this is normal after some days, or when its sharing
                // changed, and says nothing about any event.
                Err(FeedEnd::Lost) => self.enumerate(calendar, sink),
                read => read,
            },
            None => self.enumerate(calendar, sink),
        };
        match read {
            Ok(token) => Ok(state::Followed::To(token)),
            Err(FeedEnd::Failed(error)) => Err(error),
            Err(FeedEnd::Lost | FeedEnd::Gone) => self.confirm_gone(calendar),
        }
    }

    /// Asks for a calendar by name whose events are not there: only then is it gone.
    fn confirm_gone(&self, calendar: &str) -> Result<state::Followed, UnitError> {
        match self.api.get_bytes(&self.user.email, &list::calendar(calendar)) {
            Err(ApiError::NotFound(_)) => Ok(state::Followed::Gone),
            Err(error) => Err(unit_error(&error)),
            Ok(_) => Err(UnitError::Failed {
                detail: format!("the calendar {calendar} is there, and its events are not found"),
            }),
        }
    }
}

impl Calendars {
    /// Reads everything that is due.
    fn look_at_all(&self, position: Option<&str>, sink: &mut UnitSink<'_>) -> Result<(), UnitError> {
        let mut position = self.position(position);
        let round = self.rounds.is_due_in_turn(&self.name) || position.list.is_none();
        let mut look = self.look(&position, round)?;
        let before: Vec<String> = position.calendars.keys().cloned().collect();
        self.take_list(&mut look, round, &mut position, sink)?;
        if let Some(answer) = look.settings.take() {
            self.take_settings(answer, sink)?;
        }
        Self::advance(&position, sink)?;
        let mut failed = None;
        for (calendar, token) in position.calendars.clone() {
            let answer = look.events.remove(&calendar);
            match self.read_events(&calendar, token.as_deref(), answer, sink) {
                Ok(state::Followed::To(token)) => drop(position.calendars.insert(calendar, token)),
                Ok(state::Followed::Gone) => {
                    self.forget(&calendar, sink)?;
                    position.calendars.remove(&calendar);
                }
                // The others can be read all the same.
                Err(error @ (UnitError::Failed { .. } | UnitError::Blinded { .. })) => {
                    failed.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
            Self::advance(&position, sink)?;
        }
        let shared: Vec<&String> =
            position.calendars.keys().filter(|id| round || !before.contains(id)).collect();
        self.read_sharing(&shared, sink)?;
        failed.map_or(Ok(()), Err)
    }
}

impl Unit for Calendars {
    fn name(&self) -> &str {
        &self.name
    }

    fn read(&self, position: Option<&str>, sink: &mut UnitSink<'_>) -> Result<(), UnitError> {
        let read = self.look_at_all(position, sink);
        // What is gone was told, however the look ended.
        let (deleted, now) = (sink.removed_count("event"), self.rounds.now());
        let place = Place::look("calendar", now, &self.user.email);
        match (Losses { deleted, ..Losses::default() }.event(now, place), read) {
            (_, Err(UnitError::Stopped)) => Err(UnitError::Stopped),
            (Some(event), read) => sink.event(event).and(read),
            (None, read) => read,
        }
    }
}
