//! A user's contacts: people with their photos, groups, and people whom the user only wrote to.
//!
//! A contact is known by the id of its source: its resource name changes when people are merged. Lists are followed by
//! tokens that end a week after the list that began them; then everything is listed and compared.

mod attributes;
mod groups;
mod people;
mod photos;
mod shelf;

use std::sync::Arc;

use connect::units::{Unit, UnitError, UnitSink};
use google_api::{ApiError, Get, ReadApi};
use model::{NameError, StreamName};
use serde::{Deserialize, Serialize};

use self::shelf::{CONTACTS, OTHERS, Shelf};
use crate::{
    failure::{as_unreadable, unit_error},
    feed::{Feed, FeedEnd},
    losses::{Losses, Place},
    records,
    rounds::Rounds,
    user::User,
};

pub use attributes::{PersonAttributes, PhotoAttributes};

/// The key of a contact's item begins with it.
pub const PERSON_PREFIX: &str = "person/";
/// The key of the item of somebody whom the user only wrote to begins with it.
pub const OTHER_PREFIX: &str = "other/";
/// The key of a group's record begins with it.
pub const GROUP_PREFIX: &str = "group/";
/// The key of a photo begins with it; the contact's id follows.
pub const PHOTO_PREFIX: &str = "photo/";

/// The contacts of one user.
pub(crate) struct Contacts {
    api: Arc<ReadApi>,
    rounds: Arc<Rounds>,
    user: User,
    name: String,
    stream: StreamName,
}

/// How far a user's contacts were read. Each token is absent until its list was read to the end; then it is listed and
/// compared with what is held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContactsPosition {
    /// The address that the stream is named after; after a change of it everything is read under the new one.
    pub user: String,
    /// From where changes of contacts are read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contacts: Option<String>,
    /// From where changes of groups are read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<String>,
    /// From where changes of the other people are read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub others: Option<String>,
}

/// Returns the name of the stream of a user's contacts.
pub fn contacts_stream(email: &str) -> Result<StreamName, NameError> {
    StreamName::new(format!("contacts/{email}"))
}

/// Returns the key under which the position of a user's contacts is kept.
pub fn contacts_unit(user_id: &str) -> String {
    format!("contacts/{user_id}")
}

impl Contacts {
    /// Makes the unit of a user's contacts.
    pub(crate) fn new(api: Arc<ReadApi>, rounds: Arc<Rounds>, user: User, stream: StreamName) -> Self {
        let name = contacts_unit(&user.id);
        Self { api, rounds, user, name, stream }
    }

    fn position(&self, text: Option<&str>) -> ContactsPosition {
        let known = text.and_then(|text| serde_json::from_str::<ContactsPosition>(text).ok());
        known.filter(|position| position.user == self.user.email).unwrap_or_else(|| ContactsPosition {
            user: self.user.email.clone(),
            contacts: None,
            groups: None,
            others: None,
        })
    }

    fn advance(position: &ContactsPosition, sink: &mut UnitSink<'_>) -> Result<(), UnitError> {
        sink.advance(serde_json::to_string(position).unwrap_or_default())
    }

    fn feed(&self, get: Get, member: &'static str, since: bool) -> Feed<'_> {
        Feed { api: &self.api, subject: &self.user.email, get, member, since }
    }

    /// Reads one list of people: what changed since its token, or all of it. Returns the next token.
    fn read_shelf(
        &self,
        shelf: &'static Shelf,
        since: Option<&str>,
        answer: Option<Result<Vec<u8>, ApiError>>,
        sink: &mut UnitSink<'_>,
    ) -> Result<Option<String>, UnitError> {
        let read = match since {
            Some(token) => match self.follow(shelf, token, answer, sink) {
                // Tokens end after a week: this is normal and says nothing about anybody.
                Err(FeedEnd::Lost) => self.enumerate(shelf, None, sink),
                read => read,
            },
            None => self.enumerate(shelf, answer, sink),
        };
        read.map_err(|end| match end {
            FeedEnd::Failed(error) => error,
            FeedEnd::Lost | FeedEnd::Gone => unlisted(shelf.member),
        })
    }

    /// Reads the people whom the user only wrote to. It takes a scope of its own: that they cannot be read for want of
    /// it is told once, and the contacts are read all the same.
    fn read_others(&self, position: &mut ContactsPosition, sink: &mut UnitSink<'_>) -> Result<(), UnitError> {
        let get = OTHERS.get(position.others.as_deref());
        let answer = self.api.get_bytes(&self.user.email, &get);
        let since = position.others.is_some();
        if let Err(error @ (ApiError::Obstacle(_) | ApiError::Refused(_))) = &answer
            && let FeedEnd::Failed(_) = FeedEnd::of(error, since)
        {
            let reason = as_unreadable(error).ok_or(UnitError::Stopped)?;
            return records::unreadable_once(&self.stream, OTHERS.name.to_owned(), reason, sink);
        }
        position.others = self.read_shelf(&OTHERS, position.others.clone().as_deref(), Some(answer), sink)?;
        records::readable_again(&self.stream, OTHERS.name, sink)
    }
}

fn unlisted(what: &str) -> UnitError {
    UnitError::Failed { detail: format!("the list of {what} is not found") }
}

impl Contacts {
    /// Reads everything that is due.
    fn look_at_all(&self, position: Option<&str>, sink: &mut UnitSink<'_>) -> Result<(), UnitError> {
        let mut position = self.position(position);
        let round = self.rounds.is_due_in_turn(&self.name);
        let contacts = position.contacts.as_deref().map(|token| CONTACTS.get(Some(token)));
        let groups = position.groups.as_deref().filter(|_| !round);
        let gets: Vec<Get> = contacts.iter().cloned().chain([groups::get(groups)]).collect();
        let answers = self.api.get_all(&self.user.email, &gets).map_err(|error| unit_error(&error))?;
        let mut answers = answers.into_iter();
        let answer = if contacts.is_some() { answers.next() } else { None };
        position.contacts = self.read_shelf(&CONTACTS, position.contacts.clone().as_deref(), answer, sink)?;
        Self::advance(&position, sink)?;
        position.groups = self.read_groups(groups.is_some(), answers.next(), sink)?;
        Self::advance(&position, sink)?;
        self.read_others(&mut position, sink)?;
        if round {
            self.retry_photos(sink)?;
        }
        Self::advance(&position, sink)
    }
}

impl Unit for Contacts {
    fn name(&self) -> &str {
        &self.name
    }

    fn read(&self, position: Option<&str>, sink: &mut UnitSink<'_>) -> Result<(), UnitError> {
        let read = self.look_at_all(position, sink);
        // What is gone was told, however the look ended.
        let (deleted, now) = (sink.removed_count("person"), self.rounds.now());
        let place = Place::look("contacts", now, &self.user.email);
        match (Losses { deleted, ..Losses::default() }.event(now, place), read) {
            (_, Err(UnitError::Stopped)) => Err(UnitError::Stopped),
            (Some(event), read) => sink.event(event).and(read),
            (None, read) => read,
        }
    }
}
