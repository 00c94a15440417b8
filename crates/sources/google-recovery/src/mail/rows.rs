//! What a plan says about single messages: the lines of its attachments.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// What only this connector understands of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind", deny_unknown_fields)]
pub enum StepDetails {
    /// Messages that are still there get other labels; the attachment holds a [`RelabelRow`] for each.
    Relabel {
        /// Whose mailbox it is.
        mailbox: String,
        /// The id in the mailbox's history up to which the plan knows it.
        history: String,
        /// The names of the labels that the rows name by their ids.
        label_names: BTreeMap<String, String>,
    },
    /// Messages that are gone are put in again; the attachment holds an [`InsertRow`] for each.
    Insert {
        /// Whose mailbox it is.
        mailbox: String,
        /// The stream that holds them.
        stream: String,
        /// The commit as of which they are taken.
        at: u64,
        /// The commit as of which it is known what is in the mailbox.
        now: u64,
        /// The names of the labels that the rows name by their ids.
        label_names: BTreeMap<String, String>,
    },
}

/// A message that gets other labels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelabelRow {
    /// The message's id.
    pub id: String,
    /// Labels that are put on, by their ids.
    pub add: Vec<String>,
    /// Labels that are taken off.
    pub remove: Vec<String>,
    /// The labels that it has as far as the plan knows.
    pub expected: Vec<String>,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
}

/// A message that is put in again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InsertRow {
    /// The id that it had.
    pub id: String,
    /// The thread that it was in.
    pub thread: String,
    /// Whether other messages of that thread are still there.
    pub thread_lives: bool,
    /// The labels that it had, by their ids.
    pub labels: Vec<String>,
    /// Its message id, by which a twin is found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// Bytes of its text.
    pub bytes: u64,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
}

/// Reads the lines of an attachment.
pub(crate) fn read_rows<T: DeserializeOwned>(reader: impl Read) -> Result<Vec<T>, std::io::Error> {
    BufReader::new(reader)
        .lines()
        .map(|line| serde_json::from_str(&line?).map_err(std::io::Error::other))
        .collect()
}
