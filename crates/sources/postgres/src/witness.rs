//! Witness messages: who did what, written into the transaction itself.
//!
//! `unwipe guard install --witness` puts event triggers into a database that call `pg_logical_emit_message`. The
//! message is part of the transaction: it travels inside the WAL, reaches us with the commit, and vanishes with a
//! rollback. Installing takes an administrator's credential and is never done by the reader.
//!
//! A message is a hint of high quality and no proof: any client may emit one of its own. Where the messages of one
//! transaction disagree about who wrote them, none is believed.

use model::Actor;
use serde::Deserialize;

#[cfg(test)]
mod tests;

/// The prefix of our messages in the WAL.
pub const PREFIX: &str = "unwipe";

/// The schema that holds the functions; it goes when the witness is removed.
pub const SCHEMA: &str = "unwipe_guard";

/// The statements that install the witness in the current database; run them in one transaction as a superuser.
///
/// Every function swallows its own failures: a broken witness must not stop production's statements. None of them
/// calls another function of the schema, because it runs with the rights of whoever caused it.
pub const INSTALL: &str = include_str!("witness/install.sql");

/// The statements that remove every trace of the witness from the current database.
pub const REMOVE: &str = include_str!("witness/remove.sql");

/// The statement that adds `TRUNCATE` witnesses to every ordinary table that has none; optional, after [`INSTALL`].
pub const INSTALL_TRUNCATE: &str = include_str!("witness/truncate.sql");

/// The query whose single value says whether the witness is installed in the current database.
pub const IS_INSTALLED: &str = "SELECT count(*) = 2 FROM pg_catalog.pg_event_trigger \
                                WHERE evtname IN ('unwipe_guard_ddl', 'unwipe_guard_drop') AND evtenabled = 'A'";

/// What one message says.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct WitnessMessage {
    /// The command's tag: `DROP TABLE`.
    #[serde(rename = "op", default)]
    pub operation: String,
    /// The role that logged in.
    #[serde(rename = "user", default)]
    pub session_role: String,
    /// The role whose rights were used.
    #[serde(rename = "role", default)]
    pub current_role: String,
    /// What the client called itself.
    #[serde(rename = "app", default)]
    pub application: Option<String>,
    /// The client's address; none for a local socket.
    #[serde(rename = "addr", default)]
    pub address: Option<String>,
    /// The statement, cut to 2,000 characters.
    #[serde(rename = "q", default)]
    pub statement: Option<String>,
    /// The objects concerned, at most 100.
    #[serde(rename = "objects", default)]
    pub objects: Vec<WitnessedObject>,
    /// How many objects there were.
    #[serde(rename = "count", default)]
    pub object_count: u64,
}

/// One object that a message names.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct WitnessedObject {
    /// The kind: `table`, `schema`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The name as the server writes it: `public.bookings`.
    #[serde(rename = "id")]
    pub identity: String,
}

impl WitnessMessage {
    /// Reads the content of a message; none when it is not one of ours.
    pub fn parse(content: &[u8]) -> Option<Self> {
        let message: Self = serde_json::from_slice(content).ok()?;
        (!message.session_role.is_empty()).then_some(message)
    }

    /// Returns who wrote the message.
    pub fn actor(&self) -> Actor {
        let identity = if self.current_role.is_empty() || self.current_role == self.session_role {
            self.session_role.clone()
        } else {
            format!("{} as {}", self.session_role, self.current_role)
        };
        let known = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let (application, address) = (known(&self.application), known(&self.address));
        Actor { identity, application, address, ..Actor::default() }
    }
}

/// Returns the actor and the first statement of a transaction's messages; none when they contradict each other.
pub fn testimony(messages: &[WitnessMessage]) -> Option<(Actor, Option<String>)> {
    let first = messages.first()?;
    // The role may change within a transaction (SET ROLE); who logged in may not.
    let agrees = |message: &WitnessMessage| {
        message.session_role == first.session_role && message.address == first.address
    };
    messages.iter().all(agrees).then(|| (first.actor(), first.statement.clone()))
}
