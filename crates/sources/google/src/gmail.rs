//! A user's mailbox: messages byte for byte with their labels, label definitions, settings.
//!
//! A message's id is its key, its raw text its content, and its thread and labels its attributes. A message never
//! changes but for its labels, so it is fetched once; what becomes of it later is computed from the mailbox's history.

mod attributes;
mod enumerate;
mod follow;
mod history;
mod messages;
mod settings;
mod wire;

use std::sync::Arc;

use connect::units::{Unit, UnitError, UnitSink};
use google_api::{Get, ReadApi, method};
use model::{NameError, StreamName};
use serde::{Deserialize, Serialize};

pub use self::{
    attributes::MessageAttributes,
    history::{Fates, MessageFate, Sums, TRASH},
    messages::{PREFIX as MESSAGE_PREFIX, decode as decode_raw, key as message_key},
    settings::LABEL as LABEL_PREFIX,
    wire::{HistoryPage, HistoryRecord, LabelChange, LabelList, MessageChange, MessagePage, Reference},
};

pub(crate) use self::messages::read as read_message;

use self::wire::Profile;
use crate::{failure::unit_error, retries::Retries, rounds::Rounds, user::User};

/// The mailbox of one user.
pub(crate) struct Mailbox {
    api: Arc<ReadApi>,
    rounds: Arc<Rounds>,
    retries: Arc<Retries>,
    user: User,
    name: String,
    stream: StreamName,
}

/// How far a mailbox was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MailboxPosition {
    /// The address that the stream is named after; after a change of it everything is read under the new one.
    pub mailbox: String,
    /// The id in the mailbox's history before which everything is held.
    pub history: String,
    /// Whether the mailbox was listed to its end since that id was taken.
    pub listed: bool,
    /// Whether what is held must be compared with the mailbox while it is listed, because history or the position was
    /// lost.
    pub compare: bool,
}

/// Returns the name of a mailbox's stream.
pub fn mailbox_stream(email: &str) -> Result<StreamName, NameError> {
    StreamName::new(format!("gmail/{email}"))
}

/// Returns the key under which a mailbox's position is kept.
pub fn mailbox_unit(user_id: &str) -> String {
    format!("gmail/{user_id}")
}

impl Mailbox {
    /// Makes the unit of a user's mailbox.
    pub(crate) fn new(
        api: Arc<ReadApi>,
        (rounds, retries): (Arc<Rounds>, Arc<Retries>),
        user: User,
        stream: StreamName,
    ) -> Self {
        let name = mailbox_unit(&user.id);
        Self { api, rounds, retries, user, name, stream }
    }

    /// Makes a call for something of this mailbox; `path` comes after the user.
    fn get(method: &'static method::Method, path: &str) -> Get {
        Get::new(method, format!("gmail/v1/users/me/{path}"))
    }

    /// Takes the id of the newest change: before anything is listed, so that what happens meanwhile is not lost.
    fn newest_history(&self) -> Result<String, UnitError> {
        let profile: Profile = self
            .api
            .get(&self.user.email, &Self::get(&method::GMAIL_PROFILE, "profile"))
            .map_err(|error| unit_error(&error))?;
        Ok(profile.history_id)
    }

    fn position(&self, text: Option<&str>) -> Option<MailboxPosition> {
        let position: MailboxPosition = serde_json::from_str(text?).ok()?;
        (position.mailbox == self.user.email).then_some(position)
    }

    fn advance(position: &MailboxPosition, sink: &mut UnitSink<'_>) -> Result<(), UnitError> {
        sink.advance(serde_json::to_string(position).unwrap_or_default())
    }
}

impl Unit for Mailbox {
    fn name(&self) -> &str {
        &self.name
    }

    fn read(&self, known: Option<&str>, sink: &mut UnitSink<'_>) -> Result<(), UnitError> {
        let mut position = match self.position(known) {
            Some(position) => position,
            None => {
                let history = self.newest_history()?;
                let mailbox = self.user.email.clone();
                // Something was read before, as there is a position: what it was must be compared.
                let compare = known.is_some();
                let position = MailboxPosition { mailbox, history, listed: false, compare };
                Self::advance(&position, sink)?;
                position
            }
        };
        let round = self.rounds.is_due(&self.name);
        loop {
            if !position.listed {
                let labels = self.read_labels(sink)?;
                self.enumerate(position.compare.then_some(labels), sink)?;
                (position.listed, position.compare) = (true, false);
                Self::advance(&position, sink)?;
            }
            if let Some(newest) = self.follow(&position.history, round, sink)? {
                position.history = newest;
                return Self::advance(&position, sink);
            }
            // The mailbox no longer knows what happened since then: this is normal after some days, and says nothing about
            // any message.
            position.history = self.newest_history()?;
            (position.listed, position.compare) = (false, true);
            Self::advance(&position, sink)?;
        }
    }
}
