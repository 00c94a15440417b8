//! Answers of the Gmail API, as far as they are read. Numbers of 64 bits come as text.

use serde::Deserialize;
use serde_json::Value;

/// `users.getProfile`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Profile {
    pub(super) history_id: String,
}

/// A message's id with its thread's, as lists and the history carry them.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reference {
    /// The message's id.
    pub id: String,
    /// The thread's id.
    #[serde(default)]
    pub thread_id: String,
}

/// `users.messages.list`
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MessagePage {
    /// The messages' ids.
    #[serde(default)]
    pub messages: Vec<Reference>,
    /// Where the next page begins, if there is one.
    pub next_page_token: Option<String>,
}

/// `users.messages.get` in the format `raw`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawMessage {
    pub(super) id: String,
    #[serde(default)]
    pub(super) thread_id: String,
    #[serde(default)]
    pub(super) label_ids: Vec<String>,
    #[serde(default)]
    pub(super) internal_date: String,
    /// All of it, in the alphabet of URLs. A message without it was not read.
    pub(super) raw: Option<String>,
}

/// `users.labels.list`
#[derive(Debug, Default, Deserialize)]
pub struct LabelList {
    /// The labels as the API has them.
    #[serde(default)]
    pub labels: Vec<Value>,
}

/// `users.history.list`
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HistoryPage {
    /// What changed, in the order in which it did.
    #[serde(default)]
    pub history: Vec<HistoryRecord>,
    /// Where the next page begins, if there is one.
    pub next_page_token: Option<String>,
    /// The newest id of the history.
    pub history_id: String,
}

/// One change of a mailbox. The typed lists say what happened; `messages` repeats them and is not read.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HistoryRecord {
    /// Messages that came into being.
    pub messages_added: Vec<MessageChange>,
    /// Messages that were deleted for good.
    pub messages_deleted: Vec<MessageChange>,
    /// Labels that were put on.
    pub labels_added: Vec<LabelChange>,
    /// Labels that were taken off.
    pub labels_removed: Vec<LabelChange>,
}

/// A message that came or went.
#[derive(Debug, Deserialize)]
pub struct MessageChange {
    /// The message.
    pub message: Reference,
}

/// Labels of one message that were put on or taken off.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LabelChange {
    /// The message.
    pub message: Reference,
    /// The labels' ids.
    #[serde(default)]
    pub label_ids: Vec<String>,
}
